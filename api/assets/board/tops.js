// What occurs most, and whether it is asked for: a click asks for it, with alt it is left out.

import { TOPS } from './counts.js';
import { byId, el } from './dom.js';
import { OWN_TYPE, standing } from './query.js';
import { count, visible } from './text.js';

/** Values of each list. */
const SHOWN_MAX = 8;

/** @param {Record<string, {value: string, count: number}[]>} facets */
export function show(facets, q, exact) {
  const lists = TOPS.map(([field, title]) => list(field, title, shown(facets[field] ?? [], field), q));
  const note = exact ? null : el('p', { class: 'note' }, 'Of the newest entries that were looked at.');
  byId('tops').replaceChildren(...lists, ...(note ? [note] : []));
}

/** Nothing is known. */
export function clear() {
  byId('tops').replaceChildren();
}

/** While they are counted. */
export function wait() {
  if (byId('tops').childElementCount) return byId('tops').setAttribute('aria-busy', 'true');
  byId('tops').replaceChildren(...TOPS.map(([, title]) => section(title, [])));
}

const shown = (values, field) =>
  values.filter(({ value }) => field !== 'resource_type' || value !== OWN_TYPE).slice(0, SHOWN_MAX);

function list(field, title, values, q) {
  const most = Math.max(1, ...values.map((value) => value.count));
  byId('tops').removeAttribute('aria-busy');
  return section(
    title,
    values.map((value) => item(field, value, most, standing(q, field, value.value))),
  );
}

function section(title, items) {
  const body = items.length ? el('ul', {}, ...items) : el('p', { class: 'note' }, '–');
  return el('section', { class: 'top-list' }, el('h2', {}, title), body);
}

function item(field, { value, count: number }, most, stands) {
  const share = el('span', { class: 'share', 'aria-hidden': 'true' });
  share.style.setProperty('inline-size', `${Math.max(2, (number / most) * 100)}%`);
  const text = visible(value);
  return el(
    'li',
    {},
    el(
      'button',
      {
        type: 'button',
        class: 'top-item',
        'data-field': field,
        'data-value': value,
        'data-standing': stands ?? false,
        'aria-pressed': stands === 'wanted' ? 'true' : 'false',
        title: `${text}\nClick: only these. Alt and click: without these.`,
      },
      share,
      el('span', { class: 'value' }, text),
      el('span', { class: 'number' }, count(number)),
    ),
    el(
      'button',
      {
        type: 'button',
        class: 'leave-out',
        'data-field': field,
        'data-value': value,
        'data-without': true,
        'aria-label': `Without ${text}`,
        title: 'Without these',
      },
      '−',
    ),
  );
}
