// What changed from one JSON value to another: keys by their name, items of lists by their order.

import { children, compact, isNested } from './json.js';

/** @typedef {import('./json.js').Node} Node */

/**
 * @typedef {object} Change
 * @property {'same'|'added'|'removed'|'changed'|'inside'} kind
 * @property {string} key
 * @property {Node} [before]
 * @property {Node} [after]
 * @property {Change[]} [parts] of something that differs inside
 */

/** Items of a list that are held against each other; longer lists go by their numbers. */
const ALIGNED_MAX = 200;

/**
 * @param {Node} before
 * @param {Node} after
 * @returns {Change}
 */
export function compare(before, after, key = '') {
  if (compact(before) === compact(after)) return { kind: 'same', key, before, after };
  if (before.kind !== after.kind || !isNested(before)) return { kind: 'changed', key, before, after };
  const parts = before.kind === 'object' ? members(before, after) : items(before, after);
  return { kind: 'inside', key, before, after, parts };
}

/** In the order of what is there now, and what has gone where it was. */
function members(before, after) {
  const old = new Map(before.members);
  const now = new Map(after.members);
  const parts = after.members.map(([key, value]) =>
    old.has(key) ? compare(old.get(key), value, key) : { kind: 'added', key, after: value },
  );
  let at = 0;
  for (const [key, value] of before.members) {
    if (now.has(key)) at = parts.findIndex((part) => part.key === key) + 1;
    else parts.splice(at++, 0, { kind: 'removed', key, before: value });
  }
  return parts;
}

function items(before, after) {
  if (before.items.length > ALIGNED_MAX || after.items.length > ALIGNED_MAX) return byNumber(before, after);
  return paired(aligned(before.items, after.items));
}

function byNumber(before, after) {
  const length = Math.max(before.items.length, after.items.length);
  return Array.from({ length }, (_, at) => {
    const [old, now] = [before.items[at], after.items[at]];
    if (old && now) return compare(old, now, String(at));
    return now ? { kind: 'added', key: String(at), after: now } : { kind: 'removed', key: String(at), before: old };
  });
}

/** The longest run of items that both have, in order; the others were added or removed. */
function aligned(before, after) {
  const [old, now] = [before.map(compact), after.map(compact)];
  const common = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      common[i][j] = old[i] === now[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const parts = [];
  for (let i = 0, j = 0; i < old.length || j < now.length;) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      parts.push({ kind: 'same', key: String(j), before: before[i], after: after[j] });
      [i, j] = [i + 1, j + 1];
    } else if (j === now.length || (i < old.length && common[i + 1][j] >= common[i][j + 1])) {
      parts.push({ kind: 'removed', key: String(i), before: before[i++] });
    } else {
      parts.push({ kind: 'added', key: String(j), after: after[j++] });
    }
  }
  return parts;
}

/** What was removed and what was added in its place is one change, where both have something inside. */
function paired(parts) {
  const result = [];
  for (let at = 0; at < parts.length; at += 1) {
    const [one, next] = [parts[at], parts[at + 1]];
    const isPair = one.kind === 'removed' && next?.kind === 'added' && one.before.kind === next.after.kind;
    if (isPair) {
      result.push(compare(one.before, next.after, next.key));
      at += 1;
    } else {
      result.push(one);
    }
  }
  return result;
}

/** How many values were added, removed, changed. */
export function tally(change, sums = { added: 0, removed: 0, changed: 0 }) {
  if (change.kind in sums) sums[change.kind] += 1;
  for (const part of change.parts ?? []) tally(part, sums);
  return sums;
}
