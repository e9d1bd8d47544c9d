// The board: one view at a time, and everything that shows it.

import * as address from './address.js';
import * as api from './api.js';
import * as counts from './counts.js';
import * as ranges from './ranges.js';
import * as states from './states.js';
import * as status from './status.js';
import * as tops from './tops.js';
import { announce, button, byId, toggle } from './dom.js';
import { Drawer } from './drawer.js';
import { FilterBar } from './filter.js';
import { Histogram } from './histogram.js';
import { Live } from './live.js';
import { Pager, hasAny, selection } from './pager.js';
import { withTerm } from './query.js';
import { Rows } from './rows.js';
import { Table } from './table.js';
import { count, entries, things } from './text.js';

/** Pages in a row that may bring nothing before somebody has to ask for more. */
const FRUITLESS_MAX = 40;
/** How often numbers are counted anew while entries come. */
const RECOUNT_MS = 20_000;

export class Board {
  constructor(session) {
    this.session = session;
    this.view = address.read();
    this.rows = new Rows();
    this.table = new Table(this.rows, {
      open: (row) => this.open(row),
      nearEnd: () => this.readOn(),
      moved: () => this.showNewer(),
    });
    this.filter = new FilterBar((q) => this.go({ q: q.trim() }));
    this.histogram = new Histogram((from, to) => this.go({ range: { from, to } }));
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
    this.pager = new Pager(this.view, this.bounds);
    this.fruitless = 0;
    this.problem = null;
    // Until the first page is there, nothing is below it.
    this.isReading = true;
    this.rows.clear();
    this.showControls();
    states.loading();
    this.table.reset();
    try {
      await this.readFirst(signal);
    } catch (error) {
      if (!signal.aborted) this.failed(error);
    }
  }

  async readFirst(signal) {
    const { page, rows } = await this.pager.next(signal);
    if (signal.aborted) return;
    this.filter.refuse(this.view.q, null);
    this.page = page;
    this.isReading = false;
    this.take(rows);
    if (ranges.isOpen(this.view.range)) {
      const params = { ...selection(this.view, this.bounds), own: this.view.own };
      this.live.follow(page.live_cursor, params, page.head_seq);
    }
    this.recount(signal);
    await this.readOn();
    if (!this.rows.length) await this.showNothing(signal);
  }

  take(rows) {
    this.rows.addOlder(rows);
    if (rows.length) states.clear();
    this.learn(rows);
    this.table.render();
    this.showFoot();
  }

  /** Reads further down while there is room and reason. */
  async readOn() {
    if (this.isReading || this.problem || !this.pager || !this.wantsMore()) return;
    const { signal } = this.reading;
    this.isReading = true;
    try {
      if (this.rows.dropped && this.rows.length) this.continueBelow();
      while (this.wantsMore()) {
        this.showFoot();
        const { rows } = await this.pager.next(signal);
        if (signal.aborted) return;
        this.fruitless = rows.length ? 0 : this.fruitless + 1;
        this.take(rows.slice(0, this.rows.room));
      }
    } catch (error) {
      if (signal.aborted) return;
      this.problem = error;
    }
    this.isReading = false;
    this.showFoot();
  }

  /** Old rows made way for new ones: pages begin again below the oldest that is left. */
  continueBelow() {
    this.pager = new Pager(this.view, this.bounds, this.rows.oldest);
    this.rows.dropped = false;
  }

  wantsMore() {
    const ended = this.pager.ended && !this.rows.dropped;
    if (ended || this.fruitless >= FRUITLESS_MAX || !this.rows.room) return false;
    const seen = this.table.firstSeen() + Math.ceil(this.table.grid.clientHeight / this.table.rowHeight);
    return this.rows.length - seen < 200;
  }

  /** What stands below the last row. */
  showFoot() {
    const foot = this.table.foot;
    const { pager, rows } = this;
    toggle(foot, rows.length > 0 || this.fruitless > 0);
    if (this.problem) foot.replaceChildren(`${this.problem.message}. `, button('Try again', () => this.readAgain(), { class: 'link' }));
    else if (!rows.room) foot.replaceChildren(`${entries(rows.length)} are shown. `, button('Continue with older ones', () => this.goBelow(), { class: 'link' }));
    else if (pager.ended && !rows.dropped) foot.replaceChildren('This is the beginning.');
    else if (this.fruitless >= FRUITLESS_MAX) foot.replaceChildren(`Nothing down to entry ${count(pager.scannedTo ?? 0)}. `, button('Look further', () => this.readAgain(), { class: 'link' }));
    else if (this.fruitless) foot.replaceChildren(`Looking … down to entry ${count(pager.scannedTo ?? 0)}`);
    else foot.replaceChildren(`${entries(rows.length)} loaded, more as you scroll.`);
  }

  readAgain() {
    this.fruitless = 0;
    this.problem = null;
    this.readOn();
  }

  /** A range that ends where the rows end. */
  goBelow() {
    const { from } = this.bounds;
    const to = this.rows.oldest.at + 1;
    this.go({ range: { from: from ?? Date.UTC(1970, 0, 1), to } });
  }

  async showNothing(signal) {
    if (this.fruitless >= FRUITLESS_MAX) states.clear();
    if (this.fruitless >= FRUITLESS_MAX || this.problem) return this.problem && this.failed(this.problem);
    const isEmpty = this.page.head_seq === 0 || !(await hasAny(signal));
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
    if (isQuery) {
      this.explain(error);
      this.histogram.clear();
      tops.clear();
      status.summary([]);
      states.wrongQuery();
    } else if (error instanceof api.Problem && (error.status === 401 || error.status === 403)) {
      this.live.stop();
      dispatchEvent(new CustomEvent('board-refused', { detail: error }));
    } else {
      states.failed(error, () => this.show());
    }
  }

  /** What was asked had more to it than what was written: columns are those of what was written. */
  async explain(error) {
    const { q } = this.view;
    const { signal } = this.reading;
    const own = await api.get('/search', { q, limit: 1 }, signal).then(() => new api.Problem(400, { detail: error.message.replace(/^column \d+: /, '') }), (problem) => problem);
    if (!signal.aborted) this.filter.refuse(q, own);
  }

  /** A proof or a right that is gone ends more than the stream. */
  notLive(error) {
    if (error instanceof api.Problem && (error.status === 401 || error.status === 403)) this.failed(error);
    else status.notice(`New entries do not come any more: ${error.message}.`);
  }

  /** New entries: above what is shown. */
  arrived(rows) {
    this.rows.addNewer(rows);
    states.clear();
    this.learn(rows);
    this.table.grew(rows.length);
    this.histogram.add(rows);
    this.newer = this.table.isAtTop ? 0 : (this.newer ?? 0) + rows.length;
    this.showNewer();
    this.showFoot();
    this.liveStatus.count(rows);
    this.showSummary(rows.length);
    this.recountSoon();
  }

  learn(rows) {
    const recent = rows.slice(-200);
    this.filter.learn('user_id', recent.map((row) => row.userId));
    this.filter.learn('action', recent.map((row) => row.action));
    this.filter.learn('resource_type', recent.map((row) => row.type));
    this.filter.learn('resource_id', recent.map((row) => row.resourceId));
  }

  /** How many came while something further down is read. */
  showNewer() {
    if (this.table.isAtTop) this.newer = 0;
    toggle(byId('newer'), this.newer > 0);
    if (this.newer > 0) byId('newer').textContent = `${things(this.newer, 'new entry', 'new entries')} above`;
  }

  recountSoon() {
    this.recounting ??= setTimeout(() => {
      this.recounting = null;
      if (!document.hidden && ranges.isOpen(this.view.range)) this.recount(this.reading.signal);
    }, RECOUNT_MS);
  }

  /** Counts; a table without its numbers is still a table. */
  async recount(signal) {
    const [view, bounds] = [this.view, this.bounds];
    tops.wait();
    const quiet = (promise) => promise.catch((error) => (signal.aborted ? null : { error }));
    const [bars, found] = await Promise.all([quiet(counts.overTime(view, bounds, signal)), quiet(counts.tops(view, bounds, signal))]);
    if (signal.aborted) return;
    if (bars && !bars.error) {
      this.histogram.isOpen = ranges.isOpen(view.range);
      this.histogram.show(bars);
      this.rest = restOf(bars);
      this.showSummary();
    }
    if (found && !found.error) {
      this.found = found;
      this.arrivedSince = 0;
      tops.show(found.facets, view.q, found.total.exact);
      for (const [field, values] of Object.entries(found.facets)) this.filter.learn(field, values.map(({ value }) => value).reverse());
      this.showSummary();
    }
  }

  showSummary(arrived = 0) {
    if (!this.found) return;
    this.arrivedSince = (this.arrivedSince ?? 0) + arrived;
    const { total } = this.found;
    const now = { ...total, value: total.value + this.arrivedSince };
    const isSearch = this.view.q.trim() !== '';
    status.summary([status.total(now), ranges.label(this.view.range), isSearch && status.source(this.found), this.rest]);
    if (isSearch && !arrived) announce(`${status.total(now)} found`);
  }

  showControls() {
    const { q, range, own } = this.view;
    this.found = null;
    this.newer = 0;
    this.filter.value = q;
    this.filter.refuse(q, null);
    byId('own').checked = own;
    this.rest = '';
    status.summary([ranges.label(range)]);
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

/** What the bars leave out of account, or could not count. */
function restOf({ rest, partial }) {
  if (rest.length) return `Bars leave ${rest.join(' ')} out of account.`;
  return partial ? 'Bars do not count everything: there is too much.' : '';
}
