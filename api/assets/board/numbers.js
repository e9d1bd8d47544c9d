// The numbers about what is shown: bars, what occurs most, how much it is, and where that was found.

import * as counts from './counts.js';
import * as ranges from './ranges.js';
import * as status from './status.js';
import * as tops from './tops.js';
import { announce } from './dom.js';

/** How often they are counted anew while entries come. */
const RECOUNT_MS = 20_000;

export class Numbers {
  /**
   * @param {import('./histogram.js').Histogram} histogram
   * @param {import('./filter.js').FilterBar} filter
   */
  constructor(histogram, filter) {
    this.histogram = histogram;
    this.filter = filter;
  }

  /** Another view: what was counted is not of it. */
  begin(view) {
    this.view = view;
    this.found = null;
    this.rest = '';
    this.isCounted = false;
    this.arrived = 0;
    status.summary([ranges.label(view.range)]);
  }

  /** Nothing is shown. */
  clear() {
    this.histogram.clear();
    tops.clear();
    status.summary([]);
  }

  /** Counts; a table without its numbers is still a table. */
  async count(signal) {
    const { view } = this;
    // Of the time that has come meanwhile: a board stays open for days.
    const bounds = ranges.bounds(view.range);
    tops.wait();
    const [bars, found] = await Promise.all([
      counts.overTime(view, bounds, signal).catch(() => null),
      counts.tops(view, bounds, signal).catch(() => null),
    ]);
    if (signal.aborted) return;
    if (bars) this.showBars(bars);
    if (found) this.showFound(found);
    else tops.clear();
  }

  showBars(bars) {
    this.histogram.isOpen = ranges.isOpen(this.view.range);
    this.histogram.node.classList.toggle('aside-only', bars.rest.length > 0);
    this.histogram.show(bars);
    this.rest = restOf(bars);
    // Bars know all of it where a search of the log alone has looked at a part.
    this.isCounted = !this.rest;
    this.showSummary();
  }

  showFound(found) {
    this.found = found;
    this.arrived = 0;
    tops.show(found.facets, this.view.q, found.total.exact);
    for (const [field, values] of Object.entries(found.facets)) {
      this.filter.learn(field, values.map(({ value }) => value).reverse());
    }
    this.showSummary();
    if (this.isSearch) announce(`${status.total(found.total)} found`);
  }

  /** New entries: counted here at once, by the service soon. */
  add(rows, signal) {
    this.histogram.add(rows);
    this.arrived += rows.length;
    this.showSummary();
    this.counting ??= setTimeout(() => {
      this.counting = null;
      if (!document.hidden && !signal.aborted) this.count(signal);
    }, RECOUNT_MS);
  }

  get isSearch() {
    return this.view.q.trim() !== '';
  }

  showSummary() {
    if (!this.found) return;
    const { value, exact } = this.found.total;
    const total = this.isCounted
      ? { value: this.histogram.total, exact: true }
      : { value: value + this.arrived, exact };
    status.summary([
      status.total(total),
      ranges.label(this.view.range),
      this.isSearch && status.source(this.found),
      this.rest,
    ]);
  }
}

/** What the bars leave out of account, or could not count. */
function restOf({ rest, partial }) {
  if (rest.length) return `Bars leave “${rest.join(' ')}” out of account.`;
  return partial ? 'Bars do not count everything: there is too much.' : '';
}
