// The way down a log: pages from new to old, of a list or a search, each bounded work for the service.

import * as api from './api.js';
import * as ranges from './ranges.js';
import { OWN_TYPE, asked } from './query.js';
import { thin } from './rows.js';
import { iso } from './times.js';

/** Entries of the first page, soon there; and of those that follow. */
const FIRST = 100;
const NEXT = 1_000;

/** An entry may have occurred so much after it was recorded: two clocks. */
export const AHEAD_MS = 5 * 60_000;

/** The parameters that say what is looked at; pages and stream leave the service's own entries out themselves. */
export function selection(view, bounds) {
  return {
    q: view.q.trim(),
    from: bounds.from === null ? null : iso(bounds.from),
    to: bounds.to === null ? null : iso(bounds.to),
  };
}

/** The same where the query alone can leave them out. */
export const selectionAlone = (view, bounds) => ({ ...selection(view, bounds), q: asked(view.q, view.own) });

export class Pager {
  /**
   * @param {import('./address.js').View} view
   * @param {{from: number|null, to: number|null}} bounds
   * @param {import('./rows.js').Row|null} below begins below this row
   */
  constructor(view, bounds, below = null) {
    this.below = below;
    this.bounds = below ? { ...bounds, to: earlier(bounds.to, below.recordedAt + AHEAD_MS + 1) } : bounds;
    this.params = selection(view, this.bounds);
    this.shown = (row) => (view.own || row.type !== OWN_TYPE) && (!below || row.seq < below.seq);
    this.cursor = null;
    this.ended = false;
    /** Of the last page. */
    this.scannedTo = null;
  }

  /** The next page; it may be empty without being the end. */
  async next(signal) {
    const params = {
      ...this.params,
      ...(this.params.q ? { highlight: 'true' } : {}),
      limit: this.cursor === null && !this.below ? FIRST : NEXT,
      cursor: this.cursor,
    };
    const page = await api.get(this.params.q ? '/search' : '', params, signal);
    this.cursor = page.next_cursor;
    this.ended = page.next_cursor === null;
    this.scannedTo = page.scanned_to;
    const rows = page.data.map((entry) => thin(entry, page.highlights?.[entry.id]));
    return { page, rows: rows.filter(this.shown) };
  }
}

const earlier = (one, other) => (one === null ? other : Math.min(one, other));

/** Whether anything but the service's own entries is in the log at all. */
export async function hasAny(signal) {
  const pager = new Pager({ q: '', own: false }, ranges.bounds({ key: 'all' }));
  const { rows } = await pager.next(signal);
  return rows.length > 0 || !pager.ended;
}
