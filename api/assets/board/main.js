// Where the page begins: who is looking, then the board, and what the buttons do.

import * as api from './api.js';
import * as states from './states.js';
import { Board } from './board.js';
import { byId, el, toggle } from './dom.js';
import { copy } from './drawer.js';
import { save } from './export.js';
import { listen } from './keys.js';
import { PRESETS, bounds } from './ranges.js';
import { notice } from './status.js';
import { visible } from './text.js';
import { toInput } from './times.js';

const THEMES = ['auto', 'light', 'dark'];
const THEME = 'audit-board-theme';

let board = null;

async function begin() {
  states.loading();
  try {
    const session = await api.session();
    showSession(session);
    board ??= connect(new Board(session));
    board.session = session;
    await board.start();
  } catch (error) {
    refused(error);
  }
}

/** No proof, no right, or no answer. */
function refused(error) {
  const isProblem = error instanceof api.Problem;
  const takesTokens = isProblem && error.status === 401 && !document.body.dataset.auth?.startsWith('gateway');
  if (takesTokens) states.signIn(api.hasToken() ? error.message : null, signIn);
  else if (isProblem && error.status === 403) states.noRights(error, api.hasToken() ? () => signIn(null) : null);
  else states.failed(error, begin);
}

function signIn(token) {
  api.setToken(token);
  begin();
}

function showSession(session) {
  document.body.dataset.auth = session.auth;
  byId('tenant').textContent = visible(session.tenant_name);
  byId('tenant').title = session.tenant_id;
  byId('user').textContent = visible(session.user_name ?? session.user_id);
  byId('user').title = visible(session.user_id);
  byId('role').textContent = session.roles.join(', ');
  toggle(byId('suspended'), session.suspended);
  toggle(byId('sign-out'), api.hasToken());
}

function connect(made) {
  listen({ table: made.table, drawer: made.drawer, open: (row) => made.open(row), pause: () => made.togglePause() });
  byId('pause').addEventListener('click', () => made.togglePause());
  byId('newer').addEventListener('click', () => made.table.toTop());
  byId('own').addEventListener('change', (event) => made.go({ own: event.target.checked }));
  addEventListener('board-refused', ({ detail }) => refused(detail));
  connectRanges(made);
  connectValues(made);
  connectMenus(made);
  return made;
}

/** Whatever shows a value of a field asks for it when it is clicked. */
function connectValues(made) {
  document.addEventListener('click', (event) => {
    const source = event.target.closest('[data-field]');
    if (!source) return;
    const { field, value, without } = source.dataset;
    made.ask(field, value, event.altKey || without !== undefined);
  });
}

function connectRanges(made) {
  byId('presets').prepend(
    ...PRESETS.map(({ key, short, label }) =>
      el(
        'button',
        { type: 'button', class: 'segment', 'data-range': key, title: label, click: () => made.go({ range: { key } }) },
        short,
      ),
    ),
  );
  byId('range-custom').addEventListener('click', () => {
    const { from, to } = bounds(made.view.range);
    byId('range-from').value = toInput(from ?? Date.now() - 86_400_000);
    byId('range-to').value = toInput(to ?? Date.now());
  });
  byId('range-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const [from, to] = [Date.parse(byId('range-from').value), Date.parse(byId('range-to').value)];
    const fits = from < to;
    byId('range-to').setCustomValidity(fits ? '' : 'The end must lie after the beginning.');
    if (!fits) return byId('range-to').reportValidity();
    byId('range-panel').hidePopover();
    return made.go({ range: { from, to } });
  });
  byId('range-to').addEventListener('input', (event) => event.target.setCustomValidity(''));
}

function connectMenus(made) {
  byId('export-panel').addEventListener('click', async (event) => {
    const format = event.target.closest('[data-format]')?.dataset.format;
    if (!format) return;
    byId('export-panel').hidePopover();
    try {
      await save(made.view, made.bounds, format);
    } catch (error) {
      if (error.name !== 'AbortError') notice(`The export failed: ${error.message}.`);
    }
  });
  byId('drawer-actions').addEventListener('click', (event) => {
    const source = event.target.closest('[data-copy]');
    if (source) copy(made.drawer.copied(source.dataset.copy, made.session), source);
  });
}

/** Menus open below their buttons, towards the middle. */
function connectPanels() {
  for (const panel of document.querySelectorAll('[popover]')) {
    const opener = document.querySelector(`[popovertarget="${panel.id}"]`);
    panel.addEventListener('beforetoggle', () => {
      const box = opener.getBoundingClientRect();
      const isLeft = box.left + box.width / 2 < innerWidth / 2;
      panel.style.top = `${box.bottom + 4}px`;
      panel.style.left = isLeft ? `${Math.max(8, box.left)}px` : 'auto';
      panel.style.right = isLeft ? 'auto' : `${Math.max(8, innerWidth - box.right)}px`;
    });
  }
}

function connectTheme() {
  const root = document.documentElement;
  const show = () => {
    const theme = root.dataset.theme ?? 'auto';
    byId('theme').setAttribute('aria-label', `Colours: ${theme}. Change`);
    byId('theme').title = `Colours: ${theme}`;
    byId('theme').dataset.theme = theme;
  };
  byId('theme').addEventListener('click', () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? 'auto') + 1) % THEMES.length];
    if (next === 'auto') delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem(THEME, next);
    } catch {
      // It is forgotten with the page.
    }
    show();
  });
  show();
}

byId('sign-out').addEventListener('click', () => {
  api.setToken(null);
  location.reload();
});
if (matchMedia('(max-width: 960px)').matches) byId('tops-fold').open = false;
connectTheme();
connectPanels();
begin();
