// The table: as many rows in the page as can be seen, whatever their number. A grid for screen readers, with
// one row that is the current one.

import { byId, el, movesLittle } from './dom.js';
import { appendMarked, visible } from './text.js';
import { clock, date, fraction, utc } from './times.js';

/** Rows that are drawn above and below what is seen. */
const AROUND = 12;
/** From so many rows below on, more are asked for. */
const NEAR_END = 120;
/** More at once do not slide, they are there. */
const SLIDING_MAX = 40;
const SLIDE_MS = 220;

export const SEVERITY_LETTER = { INFO: 'I', WARNING: 'W', ERROR: 'E', CRITICAL: 'C' };

/** A severity by letter, shape and colour. */
export function badge(severity) {
  const letter = SEVERITY_LETTER[severity] ?? '?';
  return el(
    'span',
    { class: 'severity', 'data-severity': severity, title: severity },
    el('span', { 'aria-hidden': 'true' }, letter),
    el('span', { class: 'unseen' }, severity),
  );
}

export class Table {
  /**
   * @param {import('./rows.js').Rows} rows
   * @param {object} handlers
   * @param {(row: import('./rows.js').Row) => void} handlers.open
   * @param {() => void} handlers.nearEnd
   * @param {() => void} handlers.moved
   */
  constructor(rows, handlers) {
    this.rows = rows;
    this.handlers = handlers;
    this.grid = byId('grid');
    this.canvas = byId('rows');
    this.foot = byId('foot');
    /** @type {Map<number, HTMLElement>} by number of the entry */
    this.drawn = new Map();
    this.spare = [];
    this.currentSeq = null;
    this.rowHeight = 1;
    this.grid.addEventListener('scroll', () => this.request(), { passive: true });
    this.canvas.addEventListener('click', (event) => this.clicked(event));
    new ResizeObserver(() => this.resized()).observe(this.grid);
  }

  /** Heights come from the style sheet: a row has two lines where it is narrow. */
  resized() {
    const probe = el('div', { class: 'row row-probe' });
    this.canvas.append(probe);
    const height = probe.getBoundingClientRect().height || 1;
    probe.remove();
    const top = this.firstSeen();
    const changed = height !== this.rowHeight;
    this.rowHeight = height;
    if (changed) this.grid.scrollTop = top * height;
    this.render(true);
  }

  /** Which row is the first that can be seen. */
  firstSeen() {
    return Math.floor(this.grid.scrollTop / this.rowHeight);
  }

  get isAtTop() {
    return this.grid.scrollTop < this.rowHeight / 2;
  }

  /** Everything is another: from the top. */
  reset() {
    this.grid.scrollTop = 0;
    this.currentSeq = null;
    this.render(true);
  }

  /** So many rows came at the top: they slide in, or what is read stays where it is. */
  grew(many) {
    const added = many * this.rowHeight;
    const wasAtTop = this.isAtTop;
    this.setHeight();
    if (!wasAtTop) this.grid.scrollTop += added;
    this.render();
    if (wasAtTop) this.slide(many);
  }

  slide(many) {
    const fresh = Math.min(many, SLIDING_MAX);
    for (let at = 0; at < fresh; at += 1) this.drawn.get(this.rows.at(at)?.seq)?.classList.add('fresh');
    if (many > SLIDING_MAX || movesLittle() || document.hidden) return;
    this.canvas.animate([{ transform: `translateY(${-fresh * this.rowHeight}px)` }, { transform: 'none' }], {
      duration: SLIDE_MS,
      easing: 'cubic-bezier(.2, .8, .2, 1)',
    });
  }

  setHeight() {
    const height = `${this.rows.length * this.rowHeight}px`;
    // Whatever is written here is laid out before the place of the scroll can be read.
    if (this.canvas.style.height === height) return;
    this.canvas.style.height = height;
    this.grid.setAttribute('aria-rowcount', String(this.rows.length + 1));
  }

  request() {
    if (this.requested) return;
    this.requested = true;
    requestAnimationFrame(() => {
      this.requested = false;
      this.handlers.moved();
      this.render();
    });
  }

  /** Draws what can be seen; what is drawn already and can still be seen stays. */
  render(anew = false) {
    this.setHeight();
    const first = Math.max(0, this.firstSeen() - AROUND);
    const visibleRows = Math.ceil(this.grid.clientHeight / this.rowHeight);
    const last = Math.min(this.rows.length, first + visibleRows + 2 * AROUND);
    const wanted = new Map();
    for (let index = first; index < last; index += 1) wanted.set(this.rows.at(index).seq, index);
    for (const [seq, node] of this.drawn) {
      if (anew || !wanted.has(seq)) this.release(seq, node);
    }
    // In the page they stand in the order in which they are read.
    let next = this.canvas.firstChild;
    for (const [seq, index] of wanted) {
      const node = this.place(seq, index);
      if (node === next) next = next.nextSibling;
      else this.canvas.insertBefore(node, next);
    }
    this.markCurrent();
    if (this.rows.length - last < NEAR_END) this.handlers.nearEnd();
  }

  release(seq, node) {
    node.classList.remove('fresh');
    this.drawn.delete(seq);
    if (this.spare.length < 200) this.spare.push(node);
    node.remove();
  }

  place(seq, index) {
    let node = this.drawn.get(seq);
    if (!node) {
      node = this.spare.pop() ?? newRow();
      fillRow(node, this.rows.at(index));
      this.drawn.set(seq, node);
    }
    if (node.index === index && node.height === this.rowHeight) return node;
    node.index = index;
    node.height = this.rowHeight;
    node.style.transform = `translateY(${index * this.rowHeight}px)`;
    node.setAttribute('aria-rowindex', String(index + 2));
    return node;
  }

  clicked(event) {
    const node = event.target.closest('.row');
    if (!node || String(getSelection())) return;
    const row = this.rows.at(node.index);
    this.setCurrent(row.seq);
    this.handlers.open(row);
  }

  setCurrent(seq) {
    this.currentSeq = seq;
    this.markCurrent();
  }

  /** The row that keys move, if it is still there. */
  get current() {
    const index = this.currentSeq === null ? -1 : this.rows.indexOf(this.currentSeq);
    return index < 0 ? null : { index, row: this.rows.at(index) };
  }

  markCurrent() {
    const node = this.drawn.get(this.currentSeq);
    if (this.marked !== node) {
      this.marked?.removeAttribute('aria-selected');
      this.marked = node;
    }
    node?.setAttribute('aria-selected', 'true');
    if (node) this.grid.setAttribute('aria-activedescendant', node.id);
    else this.grid.removeAttribute('aria-activedescendant');
  }

  /** Moves the current row; the first move takes the first one that is seen. */
  move(by) {
    if (!this.rows.length) return null;
    const from = this.current?.index ?? this.firstSeen() - Math.sign(by);
    const index = Math.max(0, Math.min(this.rows.length - 1, from + by));
    this.setCurrent(this.rows.at(index).seq);
    this.show(index);
    return this.rows.at(index);
  }

  /** Scrolls as little as it takes to see a row. */
  show(index) {
    const top = index * this.rowHeight;
    const seen = this.grid.clientHeight - byId('columns').offsetHeight;
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top + this.rowHeight > this.grid.scrollTop + seen) this.grid.scrollTop = top + this.rowHeight - seen;
    this.render();
  }

  toTop() {
    this.grid.scrollTo({ top: 0, behavior: movesLittle() ? 'instant' : 'smooth' });
  }

  get rowsSeen() {
    return Math.max(1, Math.floor(this.grid.clientHeight / this.rowHeight) - 2);
  }
}

let rowNumber = 0;

function newRow() {
  const cell = (name, ...children) => el('div', { class: `cell ${name}`, role: 'gridcell' }, ...children);
  rowNumber += 1;
  const day = el('span', { class: 'day' });
  const time = el('time', {}, day, el('span', { class: 'clock' }), el('span', { class: 'fraction' }));
  return el(
    'div',
    { class: 'row', role: 'row', id: `row-${rowNumber}` },
    cell('cell-time', time),
    cell('cell-severity'),
    cell('cell-actor'),
    cell('cell-action'),
    cell('cell-resource', el('span', { class: 'type' }), el('span', { class: 'resource-id' })),
    cell('cell-message'),
  );
}

/** @param {import('./rows.js').Row} row */
function fillRow(node, row) {
  const [time, severity, actor, action, resource, message] = node.children;
  const [day, hours, parts] = time.firstChild.children;
  node.dataset.seq = row.seq;
  time.firstChild.dateTime = new Date(row.at).toISOString();
  time.firstChild.title = utc(row.at);
  day.textContent = date(row.at);
  hours.textContent = clock(row.at);
  parts.textContent = fraction(row.at);
  if (node.dataset.severity !== row.severity) severity.replaceChildren(badge(row.severity));
  node.dataset.severity = row.severity;
  actor.textContent = visible(row.user);
  actor.title = visible(row.userId);
  action.textContent = row.action;
  resource.children[0].textContent = visible(row.type);
  resource.children[1].textContent = visible(row.resourceId);
  resource.title = visible(`${row.type} ${row.resourceId}`);
  message.replaceChildren();
  say(message, row);
}

/** Fields that a row shows in a column of their own. */
const IN_COLUMNS = ['user_id', 'user_name', 'action', 'resource_type', 'resource_id'];

/** The message, with what was found in it; else where something was found. */
function say(cell, row) {
  const found = row.found?.filter(({ field }) => !IN_COLUMNS.includes(field));
  const best = found?.find(({ field }) => field === 'message') ?? found?.[0];
  if (!best) {
    cell.textContent = visible(row.message);
    return;
  }
  if (best.field !== 'message') cell.append(el('span', { class: 'found-in' }, `${visible(best.field)} `));
  appendMarked(cell, best.text, best.ranges);
  if (best.field !== 'message' && row.message)
    cell.append(el('span', { class: 'aside' }, ` · ${visible(row.message)}`));
}
