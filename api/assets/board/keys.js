// The keyboard: one letter each, and none while somebody writes.

import { byId } from './dom.js';

/**
 * @param {object} board
 * @param {import('./table.js').Table} board.table
 * @param {import('./drawer.js').Drawer} board.drawer
 * @param {(row: import('./rows.js').Row) => void} board.open
 * @param {() => void} board.pause
 */
export function listen(board) {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (byId('help-dialog').open) return;
    if (event.key === 'Escape') return escape(board, event);
    if (writes(event.target)) return;
    const act = actions(board)[event.key] ?? inGrid(board, event);
    if (!act) return;
    event.preventDefault();
    act();
  });
  byId('help').addEventListener('click', help);
  byId('help-close').addEventListener('click', () => byId('help-dialog').close());
}

const actions = (board) => ({
  '/': () => {
    byId('query').focus();
    byId('query').select();
  },
  j: () => step(board, 1),
  k: () => step(board, -1),
  p: () => board.pause(),
  '?': help,
});

/** What keys do only where the table has the focus: elsewhere they have a meaning of their own. */
function inGrid(board, event) {
  const { table } = board;
  if (event.target !== table.grid) {
    // Right after a j or k the table is what is meant, wherever the focus is, unless that is a control.
    const isFree = event.target === document.body || event.target === byId('drawer-title');
    return event.key === 'Enter' && isFree && table.current ? () => board.open(table.current.row) : null;
  }
  return {
    ArrowDown: () => step(board, 1),
    ArrowUp: () => step(board, -1),
    PageDown: () => step(board, table.rowsSeen),
    PageUp: () => step(board, -table.rowsSeen),
    Home: () => step(board, -Infinity),
    End: () => step(board, Infinity),
    Enter: () => table.current && board.open(table.current.row),
  }[event.key];
}

/** With an entry open, the next one opens. */
function step(board, by) {
  const row = board.table.move(by);
  if (row && board.drawer.isOpen) board.open(row);
}

function escape(board, event) {
  if (!board.drawer.isOpen) return;
  event.preventDefault();
  board.drawer.close();
}

function help() {
  byId('help-dialog').showModal();
}

const writes = (target) =>
  target.closest?.('input, textarea, select, [contenteditable]') !== null && target.type !== 'radio';
