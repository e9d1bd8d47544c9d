// What stands in the place of the table when there is nothing to put into it, and what to do then.

import * as api from './api.js';
import * as curl from './curl.js';
import { button, byId, el, toggle, withCode } from './dom.js';
import { copy } from './drawer.js';

function put(kind, title, ...content) {
  const box = byId('state');
  box.dataset.kind = kind;
  box.replaceChildren(el('div', { class: 'state-card' }, el('h2', {}, title), ...content));
  toggle(box, true);
  document.body.dataset.state = kind;
}

/** Back to the table. */
export function clear() {
  toggle(byId('state'), false);
  byId('state').replaceChildren();
  document.body.dataset.state = 'table';
}

/** Lines where entries will be, from the first moment on. */
export function loading() {
  const lines = Array.from({ length: 12 }, () => el('div', { class: 'skeleton' }));
  const box = byId('state');
  box.dataset.kind = 'loading';
  box.replaceChildren(el('p', { class: 'unseen' }, 'Loading'), ...lines);
  toggle(box, true);
  document.body.dataset.state = 'loading';
}

/** Nothing passes. */
export function empty(rangeLabel, { q, isAll, widen, clearQuery }) {
  const why = q
    ? `No entry matches the query in: ${rangeLabel.toLowerCase()}.`
    : `Nothing was recorded in: ${rangeLabel.toLowerCase()}.`;
  put(
    'empty',
    'Nothing here',
    el('p', {}, why, ' New entries that match will appear by themselves.'),
    el(
      'div',
      { class: 'actions' },
      !isAll && button('Look in all time', widen, { class: 'button primary' }),
      q && button('Clear the query', clearQuery),
    ),
  );
}

/** The log is empty: the way to the first entry. */
export function firstRun(session) {
  const line = curl.recording(session);
  const source = button('Copy', (event) => copy(line, event.currentTarget), { id: 'copy-curl' });
  put(
    'first-run',
    'This log is empty',
    el('p', {}, 'Paste this into a terminal. The entry will appear here as soon as it is committed.'),
    el('div', { class: 'terminal' }, el('pre', { id: 'curl' }, line), source),
    el('p', { class: 'note' }, curl.advice(session)),
  );
}

/** Something went wrong that another try may mend. */
export function failed(error, again) {
  const title = error instanceof api.Unreachable ? 'The service does not answer' : 'This could not be read';
  put(
    'error',
    title,
    el('p', {}, ...sentence(error.message)),
    el('div', { class: 'actions' }, button('Try again', again, { class: 'button primary' })),
  );
}

/** A query that cannot be read is explained beside it. */
export function wrongQuery() {
  put('wrong-query', 'The query cannot be read', el('p', {}, 'What is wrong stands below it.'));
}

/** Whoever this is may not look at logs. */
export function noRights(error, signOut) {
  put(
    'no-rights',
    'The board is not open to you',
    el('p', {}, ...sentence(error.message)),
    el('p', { class: 'note' }, 'Whoever manages your access can give you the role auditor or admin of this tenant.'),
    signOut && el('div', { class: 'actions' }, button('Use another token', signOut)),
  );
}

/** Asks for a token. It stays in this tab, and goes nowhere but to the service. */
export function signIn(problem, submitted) {
  const input = el('textarea', {
    id: 'token',
    rows: '4',
    required: true,
    spellcheck: 'false',
    autocomplete: 'off',
    'aria-describedby': 'token-note',
    'aria-invalid': String(problem !== null),
  });
  const form = el(
    'form',
    {
      class: 'token-form',
      submit: (event) => {
        event.preventDefault();
        if (input.value.trim()) submitted(input.value.trim());
      },
    },
    el('label', { for: 'token' }, 'Token'),
    input,
    problem && el('p', { class: 'problem', role: 'alert' }, ...sentence(problem)),
    el('p', { class: 'note', id: 'token-note' }, 'It is kept in this tab until you close it.'),
    el('button', { class: 'button primary', type: 'submit' }, 'Open the board'),
  );
  put(
    'sign-in',
    'Who are you?',
    el('p', {}, 'This service asks for a bearer token with the role auditor or admin.'),
    form,
  );
  input.focus();
}

const sentence = (text) =>
  withCode(`${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`);
