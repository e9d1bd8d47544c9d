// New entries: at once, after a pause, after a break.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { all, downFrom, drawn, isWhole, rowCount, text } from '../looking.mjs';

export async function what_is_recorded_appears_at_once(stage) {
  await stage.post({ message: 'was there' });
  const page = await stage.open();
  await stage.live(page);
  const begun = Date.now();
  await stage.post({
    action: 'invoice.approved',
    resource_type: 'invoice',
    resource_id: 'inv-7',
    message: 'came later',
    severity: 'ERROR',
    user_id: 'bob',
  });
  await stage.until(
    page,
    'it is the first row',
    () => document.querySelector('.row.fresh .cell-message')?.textContent === 'came later',
  );
  assert.ok(Date.now() - begun < 2_000, `it took ${Date.now() - begun} ms`);
  const [first, second] = await drawn(page);
  assert.deepEqual([first.actor, first.action, first.resource], ['bob', 'invoice.approved', 'invoiceinv-7']);
  assert.equal(second.message, 'was there');
  await stage.until(page, 'it is announced', () =>
    document.getElementById('announcer').textContent.startsWith('1 new entry, 1 of them an error'),
  );
  await stage.until(
    page,
    'it is counted',
    () => document.querySelector('#legend [data-severity="ERROR"] b').textContent === '1',
  );
  await stage.shot(page, 'live');
}

export async function an_empty_log_shows_a_line_that_records_its_first_entry(stage) {
  const page = await stage.open({ states: ['first-run'] });
  await stage.live(page);
  await stage.shot(page, 'first-run');
  const isWhole = await page.locator('#curl').evaluate((line) => line.scrollWidth <= line.clientWidth);
  assert.ok(isWhole, 'the line can be read without scrolling');
  const line = await text(page, '#curl');
  const env = { ...process.env, AUDIT_GATEWAY_SECRET: stage.headers['x-gateway-secret'], AUDIT_TOKEN: 'none' };
  const { stdout } = await promisify(execFile)('sh', ['-c', line], { env });
  assert.equal(JSON.parse(stdout).seq, 1, stdout);
  await stage.until(
    page,
    'the entry appears',
    () =>
      document.querySelector('.cell-message') &&
      document.querySelector('.row .cell-message')?.textContent === 'first entry',
  );
  assert.equal(await page.getAttribute('body', 'data-state'), 'table');
}

const numbered = (many, from = 1) => Array.from({ length: many }, (_, at) => ({ message: `number ${from + at}` }));

export async function paused_entries_wait_and_all_are_there_after_resuming(stage) {
  await stage.postMany(numbered(20));
  const page = await stage.open();
  await stage.live(page);
  await page.click('#pause');
  await stage.live(page, 'paused');
  await stage.postMany(numbered(500, 21));
  await stage.until(page, '500 wait', () => document.getElementById('waiting').textContent === '500 wait');
  assert.equal(await rowCount(page), 20, 'nothing moves while it is paused');
  await stage.shot(page, 'paused');
  await page.click('#pause');
  await stage.until(
    page,
    'they are there',
    () => document.getElementById('grid').getAttribute('aria-rowcount') === '521',
  );
  assert.deepEqual(await all(page), downFrom(520));
  await stage.live(page);
}

export async function more_than_can_wait_is_read_again_after_resuming(stage) {
  await stage.post();
  const page = await stage.open();
  await stage.live(page);
  await page.keyboard.press('p');
  await stage.live(page, 'paused');
  await Promise.all([1, 2, 3, 4].map(() => stage.postMany(numbered(3_000))));
  await stage.until(
    page,
    'more wait than are kept',
    () => document.getElementById('waiting').textContent === 'more than 10,000 wait',
  );
  await page.keyboard.press('p');
  await stage.until(
    page,
    'all are there',
    () => document.getElementById('grid').getAttribute('aria-rowcount') === '12002',
  );
  await stage.live(page);
  assert.ok(await isWhole(page, 12_001, 300), 'each once, in order');
}

export async function after_a_kill_the_board_comes_back_by_itself_and_misses_nothing(stage) {
  // What a browser says on its console while nobody answers.
  stage.expected.push(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|WebSocket connection/);
  await stage.postMany(numbered(30));
  const page = await stage.open();
  await stage.live(page);
  for (const [from, kept] of [
    [31, 80],
    [111, 60],
  ]) {
    await stage.ask('kill');
    await stage.live(page, 'disconnected');
    await page.locator('#broken').waitFor();
    assert.match(await text(page, '#broken'), /Next try in \d+ s\./);
    if (from === 31) {
      await stage.shot(page, 'disconnected');
      await stage.accessible(page, 'disconnected');
    }
    await stage.ask('restart');
    await stage.postMany(numbered(kept, from));
    if (from > 31) await page.click('#try-now').catch(() => {});
    await stage.live(page);
    await stage.until(
      page,
      'what came meanwhile is there',
      (many) => Number(document.getElementById('grid').getAttribute('aria-rowcount')) === many + 1,
      from + kept - 1,
    );
    assert.deepEqual(await all(page), downFrom(from + kept - 1));
  }
}

export async function answers_that_come_late_belong_to_their_view_alone(stage) {
  await stage.postMany([
    ...numbered(40),
    { action: 'slow.one', message: 'of the first view' },
    { action: 'fast.one', message: 'of the second view' },
  ]);
  const page = await stage.open();
  await stage.live(page);
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route(/search\?.*slow\.one.*highlight/, async (route) => {
    await held;
    await route.continue().catch(() => {});
  });
  await page.fill('#query', 'action:slow.one');
  await page.keyboard.press('Enter');
  await page.fill('#query', 'action:fast.one');
  await page.keyboard.press('Enter');
  await stage.until(page, 'the second view is there', () => document.querySelectorAll('#rows > .row').length === 1);
  release();
  await stage.live(page);
  await stage.post({ action: 'fast.one', message: 'live' });
  await stage.post({ action: 'slow.one', message: 'live, of the other view' });
  await stage.until(page, 'the live one is there', () => document.querySelectorAll('#rows > .row').length === 2);
  assert.deepEqual(
    (await drawn(page)).map((row) => row.message),
    ['live', 'of the second view'],
  );
}
