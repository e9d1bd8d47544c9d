// Elements. What an entry says becomes text nodes, never markup: no function here reads any.

const SVG = 'http://www.w3.org/2000/svg';

/** The element of the page with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element: functions become listeners, everything else attributes, `false` and `null` nothing.
 * @param {string} name
 * @param {Record<string, any>} [properties]
 * @param {...(Node|string|null|undefined|false)} children
 */
export function el(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

/** The same for a drawing. */
export function draw(name, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, name), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === 'function') element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * A sentence of the service: what it sets in backticks is set as code.
 * @returns {(Node|string)[]}
 */
export function withCode(text) {
  return text.split('`').map((part, at) => (at % 2 === 1 ? el('code', {}, part) : part));
}

/** A button that says what it does. */
export function button(text, onClick, properties = {}) {
  return el('button', { type: 'button', class: 'button', click: onClick, ...properties }, text);
}

/** Shows or hides. */
export function toggle(element, shown) {
  element.hidden = !shown;
}

/** Says something to who cannot see the page, when there is nothing more urgent to say. */
export function announce(text) {
  byId('announcer').textContent = text;
}

/** Whether movement is wanted at all. */
export const movesLittle = () => matchMedia('(prefers-reduced-motion: reduce)').matches;
