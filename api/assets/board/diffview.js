// JSON as trees of text, and what changed in them.

import { el } from './dom.js';
import { children, compact, isNested } from './json.js';
import { compare, tally } from './diff.js';
import { appendText, things } from './text.js';

/** Lines of a tree; the rest is in the copied JSON. */
const LINES_MAX = 2_000;
/** Values that stayed the same, shown before the rest is folded. */
const SAME_MAX = 3;

/** @typedef {import('./json.js').Node} Node */

/** A value on one line. */
function scalar(node) {
  const kind = node.kind === 'literal' ? (node.text === 'null' ? 'null' : 'boolean') : node.kind;
  const value = el('span', { class: `json-${kind}` });
  appendText(value, node.kind === 'string' ? `"${node.value}"` : compact(node));
  return value;
}

const keyOf = (key) => {
  const name = el('span', { class: 'json-key' });
  appendText(name, key);
  return name;
};

/** A JSON value as a tree of lines. @param {Node} node */
export function tree(node) {
  const budget = { lines: LINES_MAX };
  return el('div', { class: 'json' }, isNested(node) ? branch(node, budget) : scalar(node));
}

function branch(node, budget) {
  const parts = children(node);
  if (!parts.length) return el('span', { class: 'json-empty' }, node.kind === 'object' ? '{ }' : '[ ]');
  const lines = [];
  for (const [key, value] of parts) {
    if (budget.lines-- <= 0) {
      lines.push(el('li', { class: 'note' }, '… the rest is in the copied JSON'));
      break;
    }
    lines.push(el('li', {}, keyOf(key), ' ', isNested(value) ? branch(value, budget) : scalar(value)));
  }
  return el('ul', { class: 'json-branch' }, ...lines);
}

/** What changed, with a sign and a word for each line, so that colour is not needed. */
export function difference(before, after) {
  const change = compare(before, after);
  const sums = tally(change);
  const said = Object.entries(sums)
    .filter(([, number]) => number > 0)
    .map(([kind, number]) => `${number} ${kind}`);
  const budget = { lines: LINES_MAX };
  const body = change.kind === 'inside' ? list(change.parts, budget) : list([{ ...change, key: '' }], budget);
  return { summary: said.length ? said.join(', ') : 'nothing changed', body: el('div', { class: 'json diff' }, body) };
}

function list(parts, budget) {
  const lines = [];
  let same = [];
  const flush = (isLast) => {
    // One or two neighbours tell where we are; more of them tell nothing.
    if (same.length > SAME_MAX)
      lines.push(el('li', { class: 'note same-many' }, `${things(same.length, 'value')} the same`));
    else lines.push(...same.map((part) => line(part, budget)));
    same = [];
    return isLast;
  };
  for (const part of parts) {
    if (budget.lines-- <= 0) break;
    if (part.kind === 'same') same.push(part);
    else {
      flush(false);
      lines.push(line(part, budget));
    }
  }
  flush(true);
  return el('ul', { class: 'json-branch' }, ...lines);
}

const SIGNS = { added: '+', removed: '−', changed: '~' };

function line(part, budget) {
  if (part.kind === 'inside') return el('li', {}, keyOf(part.key), list(part.parts, budget));
  const content = {
    same: () => [one(part.after)],
    added: () => [one(part.after, 'ins')],
    removed: () => [one(part.before, 'del')],
    changed: () => [
      one(part.before, 'del'),
      el('span', { class: 'arrow', 'aria-hidden': 'true' }, ' → '),
      one(part.after, 'ins'),
    ],
  };
  const sign = SIGNS[part.kind];
  return el(
    'li',
    { class: `change-${part.kind}` },
    sign && el('span', { class: 'sign', 'aria-hidden': 'true' }, sign),
    sign && el('span', { class: 'unseen' }, `${part.kind}: `),
    part.key !== '' && keyOf(part.key),
    ' ',
    ...content[part.kind](),
  );
}

/** A value that was or is there; one with parts inside as a tree of its own. */
function one(node, mark = 'span') {
  return el(mark, {}, isNested(node) ? branch(node, { lines: 200 }) : scalar(node));
}
