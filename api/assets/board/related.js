// What happened around an entry: in the same request, by the same actor, to the same thing.

import * as api from './api.js';
import { button, el } from './dom.js';
import { comparison } from './query.js';
import { badge } from './table.js';
import { visible } from './text.js';
import { clock, distance, iso, utc } from './times.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Entries of a timeline. */
const SHOWN_MAX = 30;
/** Pages that are read for one: each looks at so much and no more. */
const PAGES_MAX = 5;

/** What may be looked for around an entry, and how far around it. */
export function kinds(entry) {
  return [
    { key: 'request', title: 'Request', filter: entry.request_id && { request_id: entry.request_id }, around: DAY },
    { key: 'actor', title: 'Actor', filter: { user_id: entry.user_id }, around: HOUR },
    {
      key: 'resource',
      title: 'Resource',
      filter: entry.resource_id && { resource_type: entry.resource_type, resource_id: entry.resource_id },
      around: 30 * DAY,
    },
  ].filter((kind) => kind.filter);
}

const SAID = { [HOUR]: 'an hour', [DAY]: 'a day', [30 * DAY]: '30 days' };

/** Reads a timeline and puts it into a panel. */
export async function fill(panel, kind, entry, { open, ask, signal }) {
  panel.replaceChildren(el('p', { class: 'note' }, 'Looking …'));
  const { entries, whole } = await read(kind, Date.parse(entry.occurred_at), signal);
  const items = nearest(entries, entry).map((other) => item(other, entry, open));
  const query = Object.entries(kind.filter)
    .map(([field, value]) => comparison(field, value))
    .join(' ');
  const note = `Within ${SAID[kind.around]} before and after${whole && items.length === entries.length ? '' : '; only the nearest are shown'}.`;
  panel.replaceChildren(
    el('ol', { class: 'timeline' }, ...items),
    el(
      'p',
      { class: 'note' },
      note,
      ' ',
      button('Show in the table', () => ask(query), { class: 'link' }),
    ),
  );
}

async function read(kind, at, signal) {
  const params = { ...kind.filter, from: iso(at - kind.around), to: iso(at + kind.around), limit: 200 };
  const entries = [];
  for (let page = 0, cursor = null; page < PAGES_MAX; page += 1) {
    const answer = await api.get('', { ...params, cursor }, signal);
    entries.push(...answer.data);
    cursor = answer.next_cursor;
    if (cursor === null) return { entries, whole: true };
  }
  return { entries, whole: false };
}

/** Those around the entry itself, from old to new. */
function nearest(entries, entry) {
  const sorted = entries.sort((one, other) => one.seq - other.seq);
  const at = Math.max(
    0,
    sorted.findIndex((other) => other.id === entry.id),
  );
  const from = Math.max(0, Math.min(at - SHOWN_MAX / 2, sorted.length - SHOWN_MAX));
  return sorted.slice(from, from + SHOWN_MAX);
}

function item(other, entry, open) {
  const isItself = other.id === entry.id;
  const at = Date.parse(other.occurred_at);
  const time = el(
    'time',
    { datetime: other.occurred_at, title: utc(at) },
    isItself ? clock(at) : distance(at - Date.parse(entry.occurred_at)),
  );
  const text = `${other.action} ${other.resource_type} ${other.resource_id ?? ''}`;
  return el(
    'li',
    { 'aria-current': isItself ? 'true' : false },
    time,
    badge(other.severity),
    isItself
      ? el('span', { class: 'what' }, 'this entry')
      : button(visible(text), () => open(other.id), { class: 'link what' }),
  );
}
