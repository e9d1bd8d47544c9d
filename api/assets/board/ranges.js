// Which stretch of time is looked at, and in which steps it is counted.

import { minute } from './times.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Counts are kept by quarters of an hour: a range that begins with one is counted fast. */
const QUARTER = 15 * MINUTE;

/** @typedef {{ key: string, label: string, short: string, length: number|null }} Preset */

/** @type {Preset[]} */
export const PRESETS = [
  { key: '15m', label: 'Last 15 minutes', short: '15 min', length: 15 * MINUTE },
  { key: '1h', label: 'Last hour', short: '1 h', length: HOUR },
  { key: '24h', label: 'Last 24 hours', short: '24 h', length: DAY },
  { key: '7d', label: 'Last 7 days', short: '7 d', length: 7 * DAY },
  { key: '30d', label: 'Last 30 days', short: '30 d', length: 30 * DAY },
  { key: 'all', label: 'All time', short: 'All', length: null },
];

export const DEFAULT = '24h';

/**
 * A range: one that ends now, by its key, or one between two moments.
 * @typedef {{ key: string } | { from: number, to: number }} Range
 */

/** Whether new entries belong to it. */
export const isOpen = (range) => 'key' in range;

/** Its bounds in milliseconds; `null` where it has none. */
export function bounds(range, now = Date.now()) {
  if (!isOpen(range)) return { from: range.from, to: range.to };
  const preset = PRESETS.find((known) => known.key === range.key);
  if (!preset || preset.length === null) return { from: null, to: null };
  const grain = preset.length > HOUR ? QUARTER : MINUTE;
  return { from: Math.floor((now - preset.length) / grain) * grain, to: null };
}

/** What people call it. */
export function label(range) {
  if (isOpen(range)) return (PRESETS.find((known) => known.key === range.key) ?? PRESETS[2]).label;
  return `${minute(range.from)} – ${minute(range.to)}`;
}

/** The step in which a range of this length is counted: enough bars to see, not too many to draw. */
export function interval(length) {
  if (length <= 3 * HOUR) return 'minute';
  if (length <= 10 * DAY) return 'hour';
  if (length <= 400 * DAY) return 'day';
  return length <= 2_800 * DAY ? 'week' : 'month';
}

/** How long a step is, nearly. */
export const STEP = { minute: MINUTE, hour: HOUR, day: DAY, week: 7 * DAY, month: 30.4 * DAY };
