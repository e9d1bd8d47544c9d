// One entry, with all that is known of it. The focus comes here when it opens, and goes back when it closes.

import * as api from './api.js';
import * as address from './address.js';
import * as curl from './curl.js';
import { announce, byId, el, toggle } from './dom.js';
import { difference, tree } from './diffview.js';
import { isNull, member, parse, pretty } from './json.js';
import * as related from './related.js';
import { badge } from './table.js';
import { appendMarked, appendText, count, visible } from './text.js';
import { clock, date, fraction, utc } from './times.js';

/** Fields in groups, as a reader asks: when, who, what, from where. */
const GROUPS = [
  ['When', ['occurred_at', 'recorded_at', 'seq', 'id']],
  ['Who', ['user_name', 'user_id', 'session_id', 'recorded_by']],
  ['What', ['action', 'resource_type', 'resource_id', 'severity']],
  ['From where', ['request_id', 'ip_address', 'user_agent', 'tenant_id']],
];

/** Fields that a click asks for. */
const ASKED = [
  'user_id',
  'session_id',
  'request_id',
  'action',
  'resource_type',
  'resource_id',
  'severity',
  'ip_address',
  'recorded_by',
];
const TIMES = ['occurred_at', 'recorded_at'];

export class Drawer {
  /**
   * @param {object} handlers
   * @param {(id: string|null) => void} handlers.opened which entry is open
   * @param {(query: string) => void} handlers.ask shows a query in the table
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.node = byId('drawer');
    this.id = null;
    byId('drawer-close').addEventListener('click', () => this.close());
  }

  get isOpen() {
    return this.id !== null;
  }

  /** @param {{field: string, text: string, ranges: [number, number][]}[]} [found] */
  async open(id, found = []) {
    this.returnTo ??= document.activeElement;
    this.reading?.abort();
    this.reading = new AbortController();
    this.id = id;
    toggle(this.node, true);
    document.body.classList.add('has-drawer');
    this.handlers.opened(id);
    const { signal } = this.reading;
    try {
      const text = await api.entryText(id, signal);
      if (!signal.aborted) this.show(text, found, signal);
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
    if (!signal.aborted && !this.node.contains(document.activeElement))
      byId('drawer-title').focus({ preventScroll: true });
  }

  close() {
    if (!this.isOpen) return;
    this.reading?.abort();
    this.id = null;
    toggle(this.node, false);
    document.body.classList.remove('has-drawer');
    this.handlers.opened(null);
    const back = this.returnTo?.isConnected && this.returnTo !== document.body ? this.returnTo : byId('grid');
    this.returnTo = null;
    back.focus({ preventScroll: true });
  }

  fail(error) {
    const gone = error instanceof api.Problem && error.status === 404;
    byId('drawer-title').textContent = gone ? 'No such entry' : 'The entry could not be read';
    const why = gone ? 'It has expired, or it belongs to another tenant.' : error.message;
    byId('drawer-body').replaceChildren(el('p', { class: 'note' }, why));
    toggle(byId('drawer-actions'), false);
  }

  show(text, found, signal) {
    const entry = JSON.parse(text);
    const node = parse(text);
    this.entry = entry;
    this.text = pretty(node);
    byId('drawer-title').replaceChildren(
      badge(entry.severity),
      el('span', {}, visible(`${entry.action} ${entry.resource_type}`)),
      el('span', { class: 'number' }, `#${count(entry.seq)}`),
    );
    toggle(byId('drawer-actions'), true);
    byId('drawer-body').replaceChildren(
      ...this.message(entry),
      ...matches(found),
      ...changes(node),
      this.fields(entry),
      ...this.metadata(node),
      ...this.timelines(entry, signal),
    );
    byId('drawer-body').scrollTop = 0;
  }

  message(entry) {
    if (entry.message === null) return [];
    const text = el('p', { class: 'message', dir: 'auto' });
    appendText(text, entry.message);
    return [text];
  }

  metadata(node) {
    const metadata = member(node, 'metadata');
    return isNull(metadata) ? [] : [part('Metadata', tree(metadata))];
  }

  fields(entry) {
    const groups = GROUPS.map(([title, names]) => {
      const rows = names.filter((name) => entry[name] !== null).map((name) => this.field(name, entry[name]));
      return el('div', { class: 'field-group' }, el('h3', {}, title), el('dl', {}, ...rows));
    });
    return el('section', { class: 'fields', 'aria-label': 'Fields' }, ...groups);
  }

  field(name, value) {
    const shown = visible(String(value));
    let content = TIMES.includes(name)
      ? moment(value)
      : el('span', { class: 'field-value' }, name === 'seq' ? count(value) : shown);
    if (ASKED.includes(name)) {
      content = el(
        'button',
        {
          type: 'button',
          class: 'field-value link',
          'data-field': name,
          'data-value': value,
          title: 'Click: only these. Alt and click: without these.',
        },
        shown,
      );
    }
    return el('div', {}, el('dt', {}, name), el('dd', {}, content));
  }

  timelines(entry, signal) {
    const kinds = related.kinds(entry);
    const panel = el('div', { id: 'related', role: 'tabpanel', tabindex: '0', class: 'related' });
    const tabs = kinds.map((kind) =>
      el(
        'button',
        { type: 'button', role: 'tab', id: `tab-${kind.key}`, 'aria-controls': 'related', click: () => choose(kind) },
        kind.title,
      ),
    );
    const choose = async (kind) => {
      tabs.forEach((tab, at) => {
        tab.setAttribute('aria-selected', String(kinds[at] === kind));
        tab.tabIndex = kinds[at] === kind ? 0 : -1;
      });
      panel.setAttribute('aria-labelledby', `tab-${kind.key}`);
      const ask = (query) => this.handlers.ask(query);
      try {
        await related.fill(panel, kind, entry, { open: (id) => this.open(id), ask, signal });
      } catch (error) {
        if (!signal.aborted) panel.replaceChildren(el('p', { class: 'note' }, error.message));
      }
    };
    const list = el(
      'div',
      { role: 'tablist', class: 'tabs', 'aria-label': 'Related entries', keydown: (event) => moveTab(event, tabs) },
      ...tabs,
    );
    choose(kinds[0]);
    return [part('Same …', list, panel)];
  }

  /** What the buttons above the entry copy. */
  copied(what, session) {
    const id = this.entry.id;
    return { json: () => this.text, curl: () => curl.reading(session, id), link: () => address.permalink(id) }[what]();
  }
}

function moveTab(event, tabs) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
  next.focus();
  next.click();
  event.preventDefault();
}

const part = (title, ...content) => el('section', { class: 'part' }, el('h3', {}, title), ...content);

function moment(text) {
  const ms = Date.parse(text);
  return el(
    'time',
    { class: 'field-value', datetime: text, title: utc(ms) },
    `${date(ms)} ${clock(ms)}${fraction(ms)}`,
  );
}

/** Where a search found something, word by word. */
function matches(found) {
  if (!found.length) return [];
  const items = found.map(({ field, text, ranges }) => {
    const content = el('dd', {});
    appendMarked(content, text, ranges);
    return el('div', {}, el('dt', {}, visible(field)), content);
  });
  return [part('Found', el('dl', { class: 'found' }, ...items))];
}

/** Before and after: what changed where there are both, else the one there is. */
function changes(node) {
  const [before, after] = [member(node, 'before'), member(node, 'after')];
  if (isNull(before) && isNull(after)) return [];
  if (isNull(before)) return [part('After', tree(after))];
  if (isNull(after)) return [part('Before', tree(before))];
  const { summary, body } = difference(before, after);
  return [part(`Changes: ${summary}`, body)];
}

/** Puts text where it can be pasted from. */
export async function copy(text, source) {
  const done = await navigator.clipboard.writeText(text).then(
    () => true,
    () => byHand(text),
  );
  source.dataset.label ??= source.textContent;
  source.textContent = done ? 'Copied' : 'Not copied';
  announce(done ? 'Copied' : 'The browser does not allow copying');
  setTimeout(() => (source.textContent = source.dataset.label), 1_500);
}

/** Where a page is not served over TLS there is no clipboard, but an old command. */
function byHand(text) {
  const area = el('textarea', { class: 'unseen', readonly: true, 'aria-hidden': 'true' });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}
