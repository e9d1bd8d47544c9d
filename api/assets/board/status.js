// What is going on, said plainly: what is shown and where it comes from, and whether it is live.

import { announce, button, byId, el, toggle } from './dom.js';
import { count, entries, things } from './text.js';
import { WAITING_MAX } from './live.js';

/** How often arrivals are told to screen readers. */
const TELL_MS = 10_000;

const percent = (part, whole) => `${(Math.floor((1000 * part) / whole) / 10).toFixed(1)} %`;

/** Where a search looked. */
export function source(page) {
  const { expected, indexed, complete } = page.index;
  if (page.source === 'opensearch') {
    if (complete) return 'The index holds all of the log.';
    return `The index holds ${percent(indexed, expected)} of the log; the rest was searched in the log.`;
  }
  if (expected === null || indexed === null) return 'Searched in the log, without an index.';
  return `Searched in the log: the index holds ${percent(indexed, expected)} of it.`;
}

/** How many there are. */
export function total(found) {
  if (!found) return '';
  return found.exact ? entries(found.value) : `${count(found.value)} or more entries`;
}

/** The line above the table. */
export function summary(parts) {
  byId('summary').replaceChildren(...parts.filter(Boolean).map((part) => el('span', {}, part)));
}

const SAID = {
  off: 'Not live',
  connecting: 'Connecting',
  'catching up': 'Catching up',
  live: 'Live',
  disconnected: 'Disconnected',
  refused: 'Stopped',
};

/** Shows the state of the connection, and counts down to the next try. */
export class LiveStatus {
  /** @param {import('./live.js').Live} live */
  constructor(live) {
    this.live = live;
    this.arrived = 0;
    this.grave = 0;
    byId('try-now').addEventListener('click', () => this.live.tryNow());
  }

  show() {
    const { state, paused, waiting, overflows } = this.live;
    const shown = paused && state !== 'off' && state !== 'refused' ? 'paused' : state;
    const box = byId('live-state');
    if (box.dataset.state !== shown) {
      box.dataset.state = shown;
      byId('live-text').textContent = shown === 'paused' ? 'Paused' : SAID[state];
      this.tell(shown);
    }
    const many = overflows
      ? `more than ${count(WAITING_MAX)} wait`
      : waiting.length
        ? `${count(waiting.length)} ${waiting.length === 1 ? 'waits' : 'wait'}`
        : '';
    byId('waiting').textContent = paused ? many : '';
    byId('pause').textContent = paused ? 'Resume' : 'Pause';
    byId('pause').setAttribute('aria-pressed', String(paused));
    toggle(byId('pause'), state !== 'off' && state !== 'refused');
    this.showBroken(state === 'disconnected' && !overflows);
  }

  showBroken(broken) {
    toggle(byId('broken'), broken);
    clearInterval(this.counting);
    if (!broken) return;
    const tick = () => {
      const seconds = Math.max(0, Math.ceil((this.live.retryAt - Date.now()) / 1000));
      byId('broken-text').textContent = `${capital(this.live.why)}. Next try in ${seconds} s.`;
    };
    tick();
    this.counting = setInterval(tick, 500);
  }

  /** A state that passes at once is not worth a word. */
  tell(state) {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      if (state !== this.told && state !== 'connecting' && state !== 'catching up') {
        announce(state === 'paused' ? 'Paused' : SAID[state]);
        this.told = state;
      }
    }, 700);
  }

  /** Counts arrivals and tells them together, politely. */
  count(rows) {
    this.arrived += rows.length;
    this.grave += rows.filter((row) => row.severity === 'ERROR' || row.severity === 'CRITICAL').length;
    this.summing ??= setTimeout(
      () => {
        const grave = this.grave ? `, ${things(this.grave, 'of them an error', 'of them errors')}` : '';
        announce(`${things(this.arrived, 'new entry', 'new entries')}${grave}`);
        [this.arrived, this.grave, this.summing] = [0, 0, null];
      },
      this.said ? TELL_MS : 500,
    );
    this.said = true;
  }
}

const capital = (text) => (text ? text.charAt(0).toUpperCase() + text.slice(1) : 'The connection broke');

/** Entries that can never be shown. */
export function gap({ from_seq: from, to_seq: to, reason }, dismissed) {
  const many = to - from + 1;
  const why =
    reason === 'expired'
      ? 'expired before they could be shown'
      : 'were undone: the log was restored to an earlier state';
  const text = many > 0 ? `${entries(many)} (${count(from)}–${count(to)}) ${why}.` : `Entries ${why}.`;
  byId('notice').replaceChildren(el('span', {}, text), button('Dismiss', dismissed, { class: 'link' }));
  toggle(byId('notice'), true);
}

/** Says something above the table until it is dismissed. */
export function notice(text, action = null) {
  byId('notice').replaceChildren(
    el('span', {}, text),
    ...(action ? [action] : []),
    button('Dismiss', () => toggle(byId('notice'), false), { class: 'link' }),
  );
  toggle(byId('notice'), true);
}
