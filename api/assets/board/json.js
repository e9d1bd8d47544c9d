// JSON as it was written: numbers keep their digits, keys their order, texts their escapes for who copies.

/**
 * @typedef {{ kind: 'object', members: [string, Node][] }
 *   | { kind: 'array', items: Node[] }
 *   | { kind: 'string', value: string }
 *   | { kind: 'number' | 'literal', text: string }} Node
 */

const SPACE = /[\t\n\r ]*/y;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERAL = /true|false|null/y;
const STRING = /"(?:[^"\\]|\\.)*"/y;

/** Nesting that is followed; the service stores less. */
const DEPTH_MAX = 64;

/**
 * Reads a text; throws where it is no JSON.
 * @param {string} text
 * @returns {Node}
 */
export function parse(text) {
  const reader = new Reader(text);
  const node = reader.value(0);
  reader.space();
  if (reader.at < text.length) reader.fail();
  return node;
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  fail() {
    throw new SyntaxError(`no JSON at ${this.at}`);
  }

  space() {
    this.take(SPACE);
  }

  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) return null;
    this.at += found[0].length;
    return found[0];
  }

  sign(char) {
    this.space();
    if (this.text[this.at] !== char) return false;
    this.at += 1;
    return true;
  }

  value(depth) {
    if (depth > DEPTH_MAX) this.fail();
    this.space();
    const first = this.text[this.at];
    if (first === '{') return { kind: 'object', members: this.list('{', '}', () => this.member(depth)) };
    if (first === '[') return { kind: 'array', items: this.list('[', ']', () => this.value(depth + 1)) };
    if (first === '"') return { kind: 'string', value: this.string() };
    const number = this.take(NUMBER);
    if (number !== null) return { kind: 'number', text: number };
    return { kind: 'literal', text: this.take(LITERAL) ?? this.fail() };
  }

  list(open, close, read) {
    const items = [];
    this.sign(open);
    if (this.sign(close)) return items;
    do items.push(read());
    while (this.sign(','));
    if (!this.sign(close)) this.fail();
    return items;
  }

  member(depth) {
    this.space();
    const key = this.string();
    if (!this.sign(':')) this.fail();
    return [key, this.value(depth + 1)];
  }

  string() {
    const written = this.take(STRING);
    return written === null ? this.fail() : JSON.parse(written);
  }
}

/** The member of an object. */
export function member(node, key) {
  if (node?.kind !== 'object') return null;
  return node.members.find(([name]) => name === key)?.[1] ?? null;
}

/** Whether it is nothing. */
export const isNull = (node) => node === null || (node.kind === 'literal' && node.text === 'null');

/** Whether there is something in it. */
export const isNested = (node) => node.kind === 'object' || node.kind === 'array';

/** What it holds: keys and nodes, of a list the numbers from 0 on. */
export const children = (node) =>
  node.kind === 'object' ? node.members : node.items.map((item, at) => [String(at), item]);

/** The text of a node on one line. */
export function compact(node) {
  if (node.kind === 'string') return JSON.stringify(node.value);
  if (node.kind === 'array') return `[${node.items.map(compact).join(',')}]`;
  if (node.kind !== 'object') return node.text;
  return `{${node.members.map(([key, value]) => `${JSON.stringify(key)}:${compact(value)}`).join(',')}}`;
}

/** The text of a node with a line for each value. */
export function pretty(node, indent = '') {
  if (!isNested(node)) return compact(node);
  const inner = `${indent}  `;
  const parts = children(node).map(([key, value]) => {
    const name = node.kind === 'object' ? `${JSON.stringify(key)}: ` : '';
    return `${inner}${name}${pretty(value, inner)}`;
  });
  const [open, close] = node.kind === 'object' ? '{}' : '[]';
  return parts.length ? `${open}\n${parts.join(',\n')}\n${indent}${close}` : `${open}${close}`;
}
