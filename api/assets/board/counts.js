// Numbers about what is looked at: counts over time by severity, and what occurs most.

import * as api from './api.js';
import { countable } from './query.js';
import { selectionAlone } from './pager.js';
import { STEP, interval } from './ranges.js';
import { iso, zone } from './times.js';

export const SEVERITIES = ['CRITICAL', 'ERROR', 'WARNING', 'INFO'];

/** Bars of a histogram; the service gives more for long logs. */
const BARS_MAX = 400;

/**
 * @typedef {object} Bars
 * @property {number} from
 * @property {number} to
 * @property {{ at: number, end: number, counts: Record<string, number>, total: number }[]} bars
 * @property {boolean} partial
 * @property {string[]} rest terms that these counts leave out of account
 */

/**
 * Counts what can be counted exactly. What is left out is counted, too, and taken off again.
 * @returns {Promise<Bars>}
 */
export async function overTime(view, bounds, signal) {
  const { wanted, excluded, rest } = countable(view.q, view.own);
  const frame = await framed(bounds, signal);
  if (!frame) return { from: 0, to: 0, bars: [], partial: false, rest };
  const step = interval(frame.to - frame.from);
  const common = {
    group_by: 'severity',
    interval: step,
    tz: zone(),
    from: iso(frame.from),
    to: bounds.to === null ? null : iso(bounds.to),
  };
  const answers = await Promise.all(
    questions(wanted, excluded).map(async ({ sign, filter }) => ({
      sign,
      answer: await api.get('/stats', { ...common, ...filter }, signal),
    })),
  );
  return { ...frame, bars: sum(answers, frame, STEP[step]), partial: answers.some((it) => it.answer.partial), rest };
}

/** From where to where bars go; a log without bounds begins with its first entry. */
async function framed(bounds, signal) {
  const to = bounds.to ?? Date.now();
  if (bounds.from !== null) return { from: bounds.from, to };
  const first = (await api.get('', { order: 'asc', limit: 1 }, signal)).data[0];
  return first ? { from: Date.parse(first.occurred_at), to } : null;
}

/** What to ask for: everything wanted, less each value left out, plus what was taken off twice. */
function questions(wanted, excluded) {
  let asked = [{ sign: 1, filter: new Map(wanted) }];
  for (const [field, values] of excluded) {
    const less = asked.map(({ sign, filter }) => {
      const both = filter.has(field) ? filter.get(field).filter((value) => values.includes(value)) : values;
      return { sign: -sign, filter: new Map(filter).set(field, both) };
    });
    asked = [...asked, ...less.filter(({ filter }) => filter.get(field).length > 0)];
  }
  return asked.map(({ sign, filter }) => ({ sign, filter: Object.fromEntries(filter) }));
}

function sum(answers, frame, step) {
  const bars = new Map();
  for (const { sign, answer } of answers) {
    for (const { bucket, severity, count } of answer.data) {
      const at = Date.parse(bucket);
      if (!bars.has(at)) bars.set(at, { at, end: at + step, counts: {}, total: 0 });
      const bar = bars.get(at);
      bar.counts[severity] = (bar.counts[severity] ?? 0) + sign * count;
      bar.total += sign * count;
    }
  }
  return merged(
    filled(
      [...bars.values()].sort((one, other) => one.at - other.at),
      frame,
      step,
    ),
  );
}

/** The service ends with the last entry; the page with its range. */
function filled(bars, frame, step) {
  for (let at = 1; at < bars.length; at += 1) bars[at - 1].end = bars[at].at;
  let last = bars.at(-1)?.end ?? Math.floor(frame.from / step) * step;
  while (last < frame.to && bars.length < 5_000) {
    bars.push({ at: last, end: last + step, counts: {}, total: 0 });
    last += step;
  }
  return bars;
}

/** Neighbours together, when there are more than can be seen. */
function merged(bars) {
  const size = Math.ceil(bars.length / BARS_MAX);
  if (size <= 1) return bars;
  const groups = [];
  for (let at = 0; at < bars.length; at += size) groups.push(bars.slice(at, at + size));
  return groups.map((group) => {
    const bar = { at: group[0].at, end: group.at(-1).end, counts: {}, total: 0 };
    for (const { counts, total } of group) {
      bar.total += total;
      for (const [severity, count] of Object.entries(counts))
        bar.counts[severity] = (bar.counts[severity] ?? 0) + count;
    }
    return bar;
  });
}

/** Fields whose values are listed by how often they occur. */
export const TOPS = [
  ['user_id', 'Actors'],
  ['action', 'Actions'],
  ['resource_type', 'Resources'],
];

/** What occurs most in all that the query finds, and how much that is. */
export async function tops(view, bounds, signal) {
  const facets = [...TOPS.map(([field]) => field), 'severity'].join(',');
  return api.get('/search', { ...selectionAlone(view, bounds), facets, limit: 1 }, signal);
}
