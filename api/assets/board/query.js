// The query language, as far as a page must know it: where terms begin and end, which of them are plain
// comparisons, and how one is put in or taken out. What a query means, and whether it is right, the
// service says.

/** The type of the service's own entries. */
export const OWN_TYPE = 'audit_log';
const OWN = `resource_type:${OWN_TYPE}`;

/** Fields that a filter compares as a whole; what they count is known exactly. */
const EXACT = ['user_id', 'session_id', 'request_id', 'action', 'resource_type', 'resource_id', 'severity'];
const KNOWN_ACTIONS = ['CREATE', 'UPDATE', 'DELETE', 'VIEW'];

/** Fields of the language, and what to say of them. */
export const FIELDS = [
  ['severity', 'INFO, WARNING, ERROR or CRITICAL'],
  ['user_id', 'who did it'],
  ['user_name', 'words of the name'],
  ['action', 'what was done'],
  ['resource_type', 'to what kind of thing'],
  ['resource_id', 'to which one'],
  ['message', 'words of the message'],
  ['request_id', 'done in one request'],
  ['session_id', 'done in one session'],
  ['ip_address', 'an address, or a network like 10.0.0.0/8'],
  ['user_agent', 'words of the client'],
  ['recorded_by', 'who sent it'],
  ['seq', 'one entry, by its number'],
  ['metadata.', 'a value at a path'],
  ['after.', 'a value at a path'],
  ['before.', 'a value at a path'],
];

/**
 * @typedef {object} Term
 * @property {number} start
 * @property {number} end
 * @property {string} text as it stands there
 * @property {boolean} negated
 * @property {string|null} field
 * @property {string} value without its quotes
 * @property {number} valueStart
 * @property {boolean} plain a word or comparison of its own: no parenthesis, no `*`, no operator
 */

/** The terms of a query. Signs that are wrong end up in some term: the service will name them. */
export function terms(q) {
  const found = [];
  let at = 0;
  while (at < q.length) {
    if (/\s/u.test(q[at])) at += 1;
    else {
      const end = endOfTerm(q, at);
      found.push(readTerm(q.slice(at, end), at));
      at = end;
    }
  }
  return found;
}

function endOfTerm(q, start) {
  let quoted = false;
  for (let at = start; at < q.length; at += 1) {
    if (quoted && q[at] === '\\') at += 1;
    else if (q[at] === '"') quoted = !quoted;
    else if (!quoted && /\s/u.test(q[at])) return at;
  }
  return q.length;
}

/** @returns {Term} */
function readTerm(text, start) {
  const negated = text.length > 1 && text.startsWith('-');
  const from = negated ? 1 : 0;
  const named = /^([a-z_]+(?:\.[^\s:"()*]+|\."(?:[^"\\]|\\.)*")*):/.exec(text.slice(from));
  const valueFrom = from + (named ? named[0].length : 0);
  const raw = text.slice(valueFrom);
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(raw);
  return {
    start,
    end: start + text.length,
    text,
    negated,
    field: named ? named[1] : null,
    value: quoted ? quoted[1].replace(/\\(["\\])/g, '$1') : raw,
    valueStart: start + valueFrom,
    plain: quoted !== null || (!/[()*"]/.test(raw) && !['AND', 'OR', 'NOT'].includes(text) && raw !== ''),
  };
}

/** Whether an `OR` makes it more than a list of terms. */
const hasOr = (q) => terms(q).some((term) => term.text === 'OR');

/** The query that is asked: without the service's own entries, unless they are wanted. */
export function asked(q, own) {
  const text = q.trim();
  if (own) return text;
  if (!text) return `-${OWN}`;
  // What follows an `OR` would belong to one side of it.
  return hasOr(text) ? `(${text}) -${OWN}` : `${text} -${OWN}`;
}

/** A value as it must be written. */
export function written(value) {
  return /^[\p{L}\p{N}_.:/@+-]+$/u.test(value) && !value.startsWith('-')
    ? value
    : `"${value.replace(/["\\]/g, '\\$&')}"`;
}

/** A comparison in its written form. */
export const comparison = (field, value) => `${field}:${written(value)}`;

/**
 * The query with one comparison more, or without it when it is there already.
 * Its opposite makes way; so does another value of a field that has only one.
 */
export function withTerm(q, field, value, negated) {
  const same = (term) => term.field === field && term.plain;
  const found = terms(q).find((term) => same(term) && term.value === value);
  const sign = negated ? '-' : '';
  if (found) {
    const rest = without(q, found);
    return found.negated === negated ? rest : join(rest, `${sign}${comparison(field, value)}`);
  }
  const other = negated ? null : terms(q).find((term) => same(term) && !term.negated);
  return join(other && !hasOr(q) ? without(q, other) : grouped(q), `${sign}${comparison(field, value)}`);
}

const grouped = (q) => (hasOr(q) ? `(${q.trim()})` : q);
const join = (q, term) => (q.trim() ? `${q.trim()} ${term}` : term);
const without = (q, term) => `${q.slice(0, term.start)} ${q.slice(term.end)}`.replace(/\s+/g, ' ').trim();

/** Whether the query asks for this value, or leaves it out. */
export function standing(q, field, value) {
  const found = terms(q).find((term) => term.field === field && term.plain && term.value === value);
  if (!found) return null;
  return found.negated ? 'excluded' : 'wanted';
}

/**
 * What of a query can be counted exactly: values wanted, values left out, and the terms that are neither.
 * @returns {{ wanted: Map<string, string[]>, excluded: Map<string, string[]>, rest: string[] }}
 */
export function countable(q, own) {
  const wanted = new Map();
  const excluded = new Map(own ? [] : [['resource_type', [OWN_TYPE]]]);
  if (hasOr(q) || /[()]/.test(q)) return { wanted, excluded, rest: [q.trim()] };
  const rest = [];
  for (const term of terms(q)) {
    const values = exactValues(term);
    const known = term.negated ? excluded : wanted;
    if (!values || (!term.negated && wanted.has(term.field)) || !hasRoom(known, term)) rest.push(term.text);
    else known.set(term.field, [...(known.get(term.field) ?? []), ...values]);
  }
  return { wanted, excluded, rest };
}

/** Fields to leave out at a time: each doubles the questions. */
const EXCLUDED_FIELDS_MAX = 2;

const hasRoom = (known, term) => !term.negated || known.has(term.field) || known.size < EXCLUDED_FIELDS_MAX;

function exactValues(term) {
  if (!term.plain || !EXACT.includes(term.field)) return null;
  const upper = term.value.toUpperCase();
  if (term.field === 'severity') return [upper];
  if (term.field === 'action' && KNOWN_ACTIONS.includes(upper)) return [...new Set([term.value, upper])];
  return [term.value];
}

/** The term that the caret is in or right behind. */
export function termAt(q, caret) {
  return terms(q).find((term) => caret >= term.start && caret <= term.end) ?? null;
}
