// The entries that the page holds: thin ones, so many at most, from new to old.

import { cut } from './text.js';

/** Rows that are kept. */
export const ROWS_MAX = 100_000;
/** Dropped at a time, so that dropping is rare. */
const DROP = 1_000;
/** Characters of a message that a row keeps; the drawer reads the entry itself. */
const MESSAGE_CHARS_MAX = 400;

/**
 * What a row shows of an entry.
 * @typedef {object} Row
 * @property {string} id
 * @property {number} seq
 * @property {number} at when it occurred
 * @property {number} recordedAt
 * @property {string} severity
 * @property {string} user
 * @property {string} userId
 * @property {string} action
 * @property {string} type
 * @property {string} resourceId
 * @property {string} message
 * @property {{field: string, text: string, ranges: [number, number][]}[]} [found]
 */

/** @returns {Row} */
export function thin(entry, found) {
  return {
    id: entry.id,
    seq: entry.seq,
    at: Date.parse(entry.occurred_at),
    recordedAt: Date.parse(entry.recorded_at),
    severity: entry.severity,
    user: entry.user_name ?? entry.user_id,
    userId: entry.user_id,
    action: entry.action,
    type: entry.resource_type,
    resourceId: entry.resource_id ?? '',
    message: cut(entry.message ?? '', MESSAGE_CHARS_MAX),
    ...(found?.length ? { found } : {}),
  };
}

/** Grows at both ends without moving what is there. */
export class Rows {
  constructor() {
    this.clear();
  }

  clear() {
    /** Came after the first page: the newest last. */
    this.newer = [];
    /** Came by pages: the newest first. */
    this.older = [];
    /** Whether old rows were dropped for new ones. */
    this.dropped = false;
  }

  get length() {
    return this.newer.length + this.older.length;
  }

  /** The row at this distance from the newest. */
  at(index) {
    const { newer, older } = this;
    return index < newer.length ? newer[newer.length - 1 - index] : older[index - newer.length];
  }

  get newest() {
    return this.at(0);
  }

  get oldest() {
    return this.at(this.length - 1);
  }

  /** How many more can be read downwards. */
  get room() {
    return Math.max(0, ROWS_MAX - this.length);
  }

  /** Adds rows above; drops old ones when there are too many. */
  addNewer(rows) {
    for (const row of rows) this.newer.push(row);
    if (this.length > ROWS_MAX) this.drop(this.length - ROWS_MAX + DROP);
  }

  /** Adds rows below. */
  addOlder(rows) {
    for (const row of rows) this.older.push(row);
  }

  drop(many) {
    const fromOlder = Math.min(many, this.older.length);
    this.older.length -= fromOlder;
    this.newer.splice(0, many - fromOlder);
    this.dropped = true;
  }

  /** Where an entry is; they are in the order of their numbers. */
  indexOf(seq) {
    let [low, high] = [0, this.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.at(middle).seq;
      if (found === seq) return middle;
      if (found > seq) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}
