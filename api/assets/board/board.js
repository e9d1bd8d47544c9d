// The board: one view at a time, and everything that shows it.

import * as address from './address.js';
import * as api from './api.js';
import * as ranges from './ranges.js';
import * as states from './states.js';
import * as status from './status.js';
import { byId, toggle } from './dom.js';
import { Drawer } from './drawer.js';
import { FilterBar } from './filter.js';
import { Histogram } from './histogram.js';
import { Live } from './live.js';
import { Numbers } from './numbers.js';
import { hasAny, selection } from './pager.js';
import { withTerm } from './query.js';
import { Reader } from './reader.js';
import { Rows } from './rows.js';
import { Table } from './table.js';
import { things } from './text.js';

/** Rows of a page whose values are proposed. */
const LEARNT_MAX = 200;
const COLUMNS = { user_id: 'userId', action: 'action', resource_type: 'type', resource_id: 'resourceId' };

export class Board {
  constructor(session) {
    this.session = session;
    this.view = address.read();
    this.rows = new Rows();
    this.table = new Table(this.rows, {
      open: (row) => this.open(row),
      nearEnd: () => this.reader?.readOn(),
      moved: () => this.showNewer(),
    });
    this.filter = new FilterBar((q) => this.go({ q: q.trim() }));
    this.histogram = new Histogram((from, to) => this.go({ range: { from, to } }));
    this.numbers = new Numbers(this.histogram, this.filter);
    this.reader = new Reader(this.rows, this.table, {
      took: (rows) => this.took(rows),
      below: (range) => this.go({ range }),
    });
    this.drawer = new Drawer({
      opened: (id) => this.remember({ entry: id }),
      ask: (q) => this.go({ q, range: { key: 'all' } }),
    });
    this.live = new Live({
      changed: () => this.liveStatus?.show(),
      arrived: (rows) => this.arrived(rows),
      missing: (gap) => status.gap(gap, () => toggle(byId('notice'), false)),
      refused: (error) => this.notLive(error),
    });
    this.liveStatus = new status.LiveStatus(this.live);
    addEventListener('popstate', () => this.restore());
  }

  /** Begins with what the address says. */
  async start() {
    await this.show();
    if (this.view.entry) this.drawer.open(this.view.entry);
  }

  /** Another view, with a place in the browser's history. */
  go(change) {
    this.view = { ...this.view, ...change };
    history.pushState(null, '', address.write(this.view) || location.pathname);
    return this.show();
  }

  /** What is open is part of the address, but no step back. */
  remember(change) {
    this.view = { ...this.view, ...change };
    history.replaceState(null, '', address.write(this.view) || location.pathname);
  }

  restore() {
    const before = this.view;
    this.view = address.read();
    const same = address.write({ ...before, entry: null }) === address.write({ ...this.view, entry: null });
    if (!same) this.show();
    if (this.view.entry && this.view.entry !== this.drawer.id) this.drawer.open(this.view.entry);
    if (!this.view.entry && this.drawer.isOpen) this.drawer.close();
  }

  /** Asks for a value, or leaves it out. */
  ask(field, value, isWithout) {
    this.go({ q: withTerm(this.view.q, field, value, isWithout) });
  }

  togglePause() {
    if (this.live.paused) this.live.resume();
    else this.live.pause();
  }

  /** Reads what the view says, from the beginning. */
  async show() {
    this.reading?.abort();
    this.reading = new AbortController();
    const { signal } = this.reading;
    this.live.stop();
    this.bounds = ranges.bounds(this.view.range);
    this.showControls();
    this.reader.begin(this.view, this.bounds, signal);
    states.loading();
    this.table.reset();
    try {
      await this.readFirst(signal);
    } catch (error) {
      if (!signal.aborted) this.failed(error);
    }
  }

  async readFirst(signal) {
    const page = await this.reader.readFirst();
    if (signal.aborted) return;
    if (ranges.isOpen(this.view.range)) {
      const params = { ...selection(this.view, this.bounds), own: this.view.own };
      this.live.follow(page.live_cursor, params, page.head_seq);
    }
    this.numbers.count(signal);
    await this.reader.readOn();
    if (!this.rows.length) await this.showNothing(page, signal);
  }

  async showNothing(page, signal) {
    if (this.reader.problem) return this.failed(this.reader.problem);
    // Below the empty table stands how far it was looked.
    if (this.reader.isTired) return states.clear();
    const isEmpty = page.head_seq === 0 || !(await hasAny(signal));
    if (this.rows.length || signal.aborted) return null;
    if (isEmpty) return states.firstRun(this.session);
    const isAll = this.view.range.key === 'all';
    return states.empty(ranges.label(this.view.range), {
      q: this.view.q,
      isAll,
      widen: () => this.go({ range: { key: 'all' } }),
      clearQuery: () => this.go({ q: '' }),
    });
  }

  failed(error) {
    const isQuery = error instanceof api.Problem && error.code === 'invalid_query';
    this.numbers.clear();
    if (isQuery) {
      this.filter.refuse(this.view.q.trim(), error);
      states.wrongQuery();
    } else if (error instanceof api.Problem && (error.status === 401 || error.status === 403)) {
      this.live.stop();
      dispatchEvent(new CustomEvent('board-refused', { detail: error }));
    } else {
      states.failed(error, () => this.show());
    }
  }

  /** A proof or a right that is gone ends more than the stream. */
  notLive(error) {
    if (error instanceof api.Problem && (error.status === 401 || error.status === 403)) this.failed(error);
    else status.notice(`New entries do not come any more: ${error.message}.`);
  }

  /** Entries of a page: below what is shown. */
  took(rows) {
    if (rows.length) states.clear();
    this.learn(rows);
  }

  /** New entries: above what is shown. */
  arrived(rows) {
    this.rows.addNewer(rows);
    states.clear();
    this.learn(rows);
    this.table.grew(rows.length);
    this.numbers.add(rows, this.reading.signal);
    this.newer = this.table.isAtTop ? 0 : (this.newer ?? 0) + rows.length;
    this.showNewer();
    this.reader.showFoot();
    this.liveStatus.count(rows);
  }

  /** Values that may be asked for. */
  learn(rows) {
    const recent = rows.slice(-LEARNT_MAX);
    for (const [field, key] of Object.entries(COLUMNS)) {
      this.filter.learn(
        field,
        recent.map((row) => row[key]),
      );
    }
  }

  /** How many came while something further down is read. */
  showNewer() {
    if (this.table.isAtTop) this.newer = 0;
    toggle(byId('newer'), this.newer > 0);
    if (this.newer > 0) byId('newer').textContent = `${things(this.newer, 'new entry', 'new entries')} above`;
  }

  showControls() {
    const { q, range, own } = this.view;
    this.newer = 0;
    this.numbers.begin(this.view);
    this.filter.value = q;
    this.filter.refuse(q, null);
    byId('own').checked = own;
    toggle(byId('newer'), false);
    toggle(byId('notice'), false);
    for (const item of document.querySelectorAll('[data-range]')) {
      item.setAttribute('aria-pressed', String(range.key === item.dataset.range));
    }
    byId('range-custom').textContent = ranges.isOpen(range) ? 'Custom' : ranges.label(range);
    byId('range-custom').setAttribute('aria-pressed', String(!ranges.isOpen(range)));
  }

  open(row) {
    this.table.setCurrent(row.seq);
    return this.drawer.open(row.id, row.found);
  }
}
