// Text as people can trust it: nothing invisible, nothing that turns its neighbours around.

// Controls, marks of direction, separators of lines, and what is not seen at all. Joiners stay: emoji and
// several scripts need them.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/u;
const HIDDEN_ALL = new RegExp(HIDDEN, 'gu');

/** How one of them is shown. */
function name(char) {
  const code = char.codePointAt(0);
  if (code === 0x0a) return '↵';
  if (code === 0x09) return '⇥';
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '␡';
  return `‹U+${code.toString(16).toUpperCase().padStart(4, '0')}›`;
}

/** A text on one line, with what is hidden made visible. */
export function visible(text) {
  return HIDDEN.test(text) ? text.replace(HIDDEN_ALL, name) : text;
}

/**
 * Appends a text whose line breaks and tabs count; what is hidden is told apart.
 * @param {Element} parent
 * @param {string} text
 */
export function appendText(parent, text) {
  let at = 0;
  for (const { 0: char, index } of text.matchAll(HIDDEN_ALL)) {
    if (char === '\n' || char === '\t') continue;
    parent.append(text.slice(at, index));
    const mark = document.createElement('span');
    mark.className = 'hidden-char';
    mark.textContent = name(char);
    parent.append(mark);
    at = index + char.length;
  }
  parent.append(text.slice(at));
}

/**
 * Appends a text in which ranges are marked. Offsets count characters, not units of UTF-16.
 * @param {Element} parent
 * @param {string} text
 * @param {[number, number][]} ranges in order and apart
 */
export function appendMarked(parent, text, ranges) {
  const chars = Array.from(text);
  let at = 0;
  for (const [from, to] of ranges) {
    parent.append(visible(chars.slice(at, from).join('')));
    const mark = document.createElement('mark');
    mark.textContent = visible(chars.slice(from, to).join(''));
    parent.append(mark);
    at = to;
  }
  parent.append(visible(chars.slice(at).join('')));
}

/** The beginning of a text, by characters. */
export function cut(text, length) {
  if (text.length <= length) return text;
  return `${Array.from(text.slice(0, length * 2))
    .slice(0, length)
    .join('')}…`;
}

const whole = new Intl.NumberFormat('en');

/** A number with its thousands apart. */
export const count = (number) => whole.format(number);

/** A number and its thing, in the right number. */
export function things(number, one, many = `${one}s`) {
  return number === 1 ? `1 ${one}` : `${count(number)} ${many}`;
}

/** What names a kind, like `entry`, for a number of entries. */
export const entries = (number) => things(number, 'entry', 'entries');
