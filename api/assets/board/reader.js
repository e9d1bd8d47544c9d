// The way down the table: pages are read while there is room and reason, and what stands below says how far.

import { button, toggle } from './dom.js';
import { AHEAD_MS, Pager } from './pager.js';
import { count, entries } from './text.js';

/** Pages in a row that may bring nothing before somebody has to ask for more. */
const FRUITLESS_MAX = 40;
/** Rows below what is seen that are there before they are asked for. */
const AHEAD_ROWS = 200;

export class Reader {
  /**
   * @param {import('./rows.js').Rows} rows
   * @param {import('./table.js').Table} table
   * @param {object} handlers
   * @param {(rows: import('./rows.js').Row[]) => void} handlers.took
   * @param {(range: import('./ranges.js').Range) => void} handlers.below goes on where rows must end
   */
  constructor(rows, table, handlers) {
    this.rows = rows;
    this.table = table;
    this.handlers = handlers;
  }

  /** Forgets all rows, and begins at the newest. */
  begin(view, bounds, signal) {
    this.view = view;
    this.bounds = bounds;
    this.signal = signal;
    this.pager = new Pager(view, bounds);
    this.fruitless = 0;
    this.problem = null;
    // Until the first page is there, nothing is below it.
    this.isReading = true;
    this.rows.clear();
    this.table.foot.replaceChildren();
  }

  /** Whether it has looked for long, and found nothing. */
  get isTired() {
    return this.fruitless >= FRUITLESS_MAX;
  }

  /** The first page, whose head is where live entries go on. */
  async readFirst() {
    const { signal } = this;
    const { page, rows } = await this.pager.next(signal);
    if (signal.aborted) return page;
    this.isReading = false;
    this.take(rows);
    return page;
  }

  take(rows) {
    this.rows.addOlder(rows);
    this.handlers.took(rows);
    this.table.render();
    this.showFoot();
  }

  /** Reads further down while there is room and reason. */
  async readOn() {
    if (this.isReading || this.problem || !this.pager || !this.wantsMore()) return;
    const { signal } = this;
    this.isReading = true;
    try {
      while (this.wantsMore()) {
        if (this.rows.dropped) this.continueBelow();
        this.showFoot();
        const { rows } = await this.pager.next(signal);
        if (signal.aborted) return;
        this.fruitless = rows.length ? 0 : this.fruitless + 1;
        // If rows made way meanwhile, these are not the next ones any more.
        if (!this.rows.dropped) this.take(rows.slice(0, this.rows.room));
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
    if (ended || this.isTired || !this.rows.room) return false;
    const { table } = this;
    const seen = table.firstSeen() + Math.ceil(table.grid.clientHeight / table.rowHeight);
    return this.rows.length - seen < AHEAD_ROWS;
  }

  /** What stands below the last row. */
  showFoot() {
    const { foot } = this.table;
    toggle(foot, this.rows.length > 0 || this.fruitless > 0);
    foot.replaceChildren(...this.footing());
  }

  footing() {
    const { pager, rows } = this;
    const link = (text, act) => button(text, act, { class: 'link' });
    if (this.problem) return [`${this.problem.message}. `, link('Try again', () => this.readAgain())];
    if (!rows.room) {
      return [`${entries(rows.length)} are shown. `, link('Continue with older ones', () => this.goBelow())];
    }
    if (pager.ended && !rows.dropped) return ['This is the beginning.'];
    const down = `down to entry ${count(pager.scannedTo ?? 0)}`;
    if (this.isTired) return [`Nothing ${down}. `, link('Look further', () => this.readAgain())];
    return [this.fruitless ? `Looking … ${down}` : `${entries(rows.length)} loaded, more as you scroll.`];
  }

  readAgain() {
    this.fruitless = 0;
    this.problem = null;
    this.readOn();
  }

  /** A range that ends where the rows end. */
  goBelow() {
    const from = this.bounds.from ?? 0;
    // As much of it again as clocks may differ, so that nothing is left out.
    this.handlers.below({ from, to: this.rows.oldest.recordedAt + AHEAD_MS + 1 });
  }
}
