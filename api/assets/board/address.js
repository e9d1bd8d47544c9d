// What the page shows, kept in its address, so that a link shares the view.

import { DEFAULT, PRESETS } from './ranges.js';
import { iso } from './times.js';

/**
 * @typedef {object} View
 * @property {string} q the query
 * @property {import('./ranges.js').Range} range
 * @property {boolean} own whether the service's own entries are shown
 * @property {string|null} entry the entry that is open
 */

/** @returns {View} */
export function read(search = location.search) {
  const given = new URLSearchParams(search);
  return {
    q: given.get('q') ?? '',
    range: readRange(given),
    own: given.get('own') === '1',
    entry: readId(given.get('entry')),
  };
}

function readRange(given) {
  const from = Date.parse(given.get('from') ?? '');
  const to = Date.parse(given.get('to') ?? '');
  if (Number.isFinite(from) && Number.isFinite(to) && from < to) return { from, to };
  const key = given.get('range');
  return { key: PRESETS.some((known) => known.key === key) ? key : DEFAULT };
}

/** Ids go into a path: nothing else may. */
function readId(text) {
  return text && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text : null;
}

/** @param {View} view */
export function write(view) {
  const params = new URLSearchParams();
  if (view.q) params.set('q', view.q);
  if (!('key' in view.range)) {
    params.set('from', iso(view.range.from));
    params.set('to', iso(view.range.to));
  } else if (view.range.key !== DEFAULT) {
    params.set('range', view.range.key);
  }
  if (view.own) params.set('own', '1');
  if (view.entry) params.set('entry', view.entry);
  const text = params.toString();
  return text ? `?${text}` : '';
}

/** The whole address of a view. */
export const link = (view) => `${location.origin}${location.pathname}${write(view)}`;

/** The address of one entry and nothing else. */
export const permalink = (id) => link({ q: '', range: { key: DEFAULT }, own: false, entry: id });
