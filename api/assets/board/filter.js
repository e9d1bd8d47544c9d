// The filter bar: the query language itself, with completion, and with what is wrong at its column.

import { byId, el, toggle, withCode } from './dom.js';
import { FIELDS, termAt, written } from './query.js';
import { visible } from './text.js';

/** Proposals at a time. */
const SHOWN_MAX = 8;
/** Values remembered of each field. */
const KNOWN_MAX = 200;

export class FilterBar {
  /** @param {(q: string) => void} submitted */
  constructor(submitted) {
    this.submitted = submitted;
    this.input = byId('query');
    this.list = byId('proposals');
    this.clearButton = byId('clear-query');
    /** @type {Map<string, Set<string>>} values that were seen, by field */
    this.known = new Map([['severity', new Set(['ERROR', 'WARNING', 'CRITICAL', 'INFO'])]]);
    this.chosen = -1;
    this.input.addEventListener('input', () => this.edited());
    this.input.addEventListener('click', () => this.propose());
    this.input.addEventListener('keydown', (event) => this.typed(event));
    this.input.addEventListener('blur', () => this.close());
    this.list.addEventListener('pointerdown', (event) => this.clicked(event));
    this.clearButton.addEventListener('click', () => this.submit(''));
    byId('query-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit(this.input.value);
    });
  }

  set value(q) {
    if (this.input.value !== q) this.input.value = q;
    this.edited(false);
  }

  edited(proposes = true) {
    toggle(this.clearButton, this.input.value !== '');
    if (proposes) this.propose();
  }

  submit(q) {
    this.close();
    this.input.value = q;
    this.edited(false);
    this.submitted(q);
  }

  /** Remembers values that may be asked for. */
  learn(field, values) {
    if (!this.known.has(field)) this.known.set(field, new Set());
    const known = this.known.get(field);
    for (const value of values) {
      if (!value) continue;
      known.delete(value);
      known.add(value);
      if (known.size > KNOWN_MAX) known.delete(known.values().next().value);
    }
  }

  /** What could stand where the caret is. */
  proposals() {
    const q = this.input.value;
    const term = termAt(q, this.input.selectionStart);
    if (!term) return q.trim() ? [] : this.fields('', this.input.selectionStart, this.input.selectionStart);
    if (term.field) return this.values(term);
    const sign = term.negated ? 1 : 0;
    const begun = term.text.slice(sign);
    return /^[a-z_]*$/.test(begun) && begun ? this.fields(begun, term.start + sign, term.end) : [];
  }

  fields(begun, start, end) {
    const fitting = FIELDS.filter(([field]) => field.startsWith(begun) || field.includes(`_${begun}`));
    return fitting.map(([field, hint]) => ({
      text: field.endsWith('.') ? field : `${field}:`,
      hint,
      start,
      end,
      goesOn: true,
    }));
  }

  values(term) {
    const begun = term.value.toLowerCase();
    const values = [...(this.known.get(term.field) ?? [])].reverse();
    const fitting = values.filter((value) => value.toLowerCase().includes(begun) && value !== term.value);
    fitting.sort(
      (one, other) => Number(other.toLowerCase().startsWith(begun)) - Number(one.toLowerCase().startsWith(begun)),
    );
    return fitting.map((value) => ({
      text: written(value),
      hint: '',
      start: term.valueStart,
      end: term.end,
      goesOn: false,
    }));
  }

  propose() {
    this.shown = this.proposals().slice(0, SHOWN_MAX);
    this.chosen = -1;
    const options = this.shown.map(({ text, hint }, at) =>
      el(
        'li',
        { role: 'option', id: `proposal-${at}`, class: 'proposal', 'aria-selected': 'false' },
        el('code', {}, visible(text)),
        hint && el('span', { class: 'hint' }, hint),
      ),
    );
    this.list.replaceChildren(...options);
    const open = options.length > 0 && document.activeElement === this.input;
    toggle(this.list, open);
    this.input.setAttribute('aria-expanded', String(open));
    this.choose(-1);
  }

  close() {
    toggle(this.list, false);
    this.input.setAttribute('aria-expanded', 'false');
    this.input.removeAttribute('aria-activedescendant');
    this.chosen = -1;
  }

  get isOpen() {
    return !this.list.hidden;
  }

  choose(at) {
    this.chosen = at;
    [...this.list.children].forEach((option, index) => option.setAttribute('aria-selected', String(index === at)));
    if (at >= 0) this.input.setAttribute('aria-activedescendant', `proposal-${at}`);
    else this.input.removeAttribute('aria-activedescendant');
  }

  typed(event) {
    if (event.key === 'Escape') return this.escaped(event);
    if (!this.isOpen) {
      if (event.key === 'ArrowDown') this.propose();
      return;
    }
    const length = this.shown.length;
    if (event.key === 'ArrowDown') this.choose((this.chosen + 1) % length);
    else if (event.key === 'ArrowUp') this.choose(this.chosen <= 0 ? length - 1 : this.chosen - 1);
    else if (event.key === 'Tab' && !event.shiftKey) this.take(Math.max(0, this.chosen));
    else if (event.key === 'Enter' && this.chosen >= 0) this.take(this.chosen);
    else return;
    event.preventDefault();
  }

  /** First the proposals go, then the focus. */
  escaped(event) {
    event.stopPropagation();
    if (this.isOpen) this.close();
    else byId('grid').focus();
  }

  clicked(event) {
    event.preventDefault();
    const option = event.target.closest('.proposal');
    if (option) this.take([...this.list.children].indexOf(option));
  }

  /** Puts a proposal where the caret is. */
  take(at) {
    const { text, start, end, goesOn } = this.shown[at];
    const added = goesOn ? text : `${text} `;
    const q = this.input.value;
    this.input.value = q.slice(0, start) + added + q.slice(end).trimStart();
    const caret = start + added.length;
    this.input.setSelectionRange(caret, caret);
    this.edited(goesOn);
    if (!goesOn) this.close();
  }

  /** Says what is wrong, and where. */
  refuse(q, problem) {
    const box = byId('query-problem');
    toggle(box, problem !== null);
    this.input.setAttribute('aria-invalid', String(problem !== null));
    if (!problem) return box.replaceChildren();
    const chars = Array.from(q);
    const at = Math.max(0, Math.min(chars.length, (problem.column ?? 1) - 1));
    const why = problem.message.replace(/^column \d+: /, '');
    const place = el(
      'code',
      { class: 'place' },
      chars.slice(0, at).join(''),
      el('mark', { class: 'wrong' }, chars[at] ?? ' '),
      chars.slice(at + 1).join(''),
    );
    box.replaceChildren(
      ...(problem.column === null ? [] : [place]),
      el('span', {}, ...withCode(problem.column === null ? why : `Column ${at + 1}: ${why}`)),
    );
  }
}
