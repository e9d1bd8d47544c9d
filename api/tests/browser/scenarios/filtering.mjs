// What is shown, and how one says so.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { drawn, query, rowCount, text } from '../looking.mjs';

const SAMPLE = [
  {
    user_id: 'alice',
    action: 'CREATE',
    resource_type: 'invoice',
    resource_id: 'inv-1',
    message: 'refund of 12 euros',
    metadata: { order: { id: '42' } },
  },
  { user_id: 'alice', action: 'VIEW', resource_type: 'invoice', resource_id: 'inv-1' },
  {
    user_id: 'bob',
    action: 'DELETE',
    resource_type: 'report',
    resource_id: 'rep-1',
    severity: 'ERROR',
    message: 'a refund was refused',
  },
  { user_id: 'bob', action: 'VIEW', resource_type: 'report', resource_id: 'rep-2', severity: 'WARNING' },
  {
    user_id: 'carol "the boss"',
    action: 'order.approved',
    resource_type: 'order',
    resource_id: 'o-1',
    severity: 'CRITICAL',
  },
];

async function opened(stage, search = '') {
  await stage.postMany(SAMPLE);
  const page = await stage.open({ search });
  await stage.live(page);
  await page.locator('.top-item').first().waitFor();
  return page;
}

const seqs = async (page) => (await drawn(page)).map((row) => row.seq);

/** Waits for exactly these rows. */
async function shows(stage, page, expected) {
  const wanted = expected.join();
  await stage.until(
    page,
    `the rows ${wanted}`,
    (list) =>
      document.body.dataset.state === 'table' &&
      [...document.querySelectorAll('#rows > .row')]
        .sort((a, b) => a.index - b.index)
        .map((row) => row.dataset.seq)
        .join() === list,
    wanted,
  );
}

export async function a_click_asks_for_a_value_and_with_alt_leaves_it_out(stage) {
  const page = await opened(stage);
  const top = (field, value) => page.locator(`.top-item[data-field="${field}"][data-value='${value}']`);
  await top('user_id', 'alice').click();
  await shows(stage, page, [2, 1]);
  assert.equal(await page.inputValue('#query'), 'user_id:alice');
  await top('action', 'VIEW').click({ modifiers: ['Alt'] });
  await shows(stage, page, [1]);
  assert.equal(await page.inputValue('#query'), 'user_id:alice -action:VIEW');
  await stage.until(
    page,
    'the bars count it exactly',
    () => document.querySelector('#legend [data-severity="INFO"] b').textContent === '1',
  );
  await page.click('#clear-query');
  await shows(stage, page, [5, 4, 3, 2, 1]);
  await page.locator('#legend [data-severity="ERROR"]').click();
  await shows(stage, page, [3]);
  await page.click('#clear-query');
  await top('user_id', 'carol "the boss"').click();
  await shows(stage, page, [5]);
  assert.equal(await page.inputValue('#query'), 'user_id:"carol \\"the boss\\""');
  // What is shown stays what is asked for: live entries pass the same filter.
  await stage.post({ user_id: 'bob' });
  await stage.post({ user_id: 'carol "the boss"' });
  await shows(stage, page, [7, 5]);
}

export async function a_query_is_completed_and_its_errors_are_shown_at_their_column(stage) {
  stage.expected.push(/400 \(Bad Request\)/);
  const page = await opened(stage);
  const proposals = () => page.locator('#proposals .proposal code').allInnerTexts();
  await page.focus('#query');
  await page.keyboard.type('-sev');
  assert.deepEqual(await proposals(), ['severity:']);
  await page.keyboard.press('Tab');
  assert.equal(await page.inputValue('#query'), '-severity:');
  assert.deepEqual((await proposals()).sort(), ['CRITICAL', 'ERROR', 'INFO', 'WARNING']);
  await page.keyboard.type('in');
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.getAttribute('#query', 'aria-activedescendant'), 'proposal-0');
  await stage.shot(page, 'completion');
  await page.keyboard.press('Enter');
  assert.equal(await page.inputValue('#query'), '-severity:INFO ');
  await page.keyboard.type('user_id:ca');
  assert.deepEqual(await proposals(), ['"carol \\"the boss\\""']);
  await page.keyboard.press('Escape');
  await page.fill('#query', '-severity:INFO');
  await page.keyboard.press('Enter');
  await shows(stage, page, [5, 4, 3]);

  for (const [q, column, wrong] of [
    ['alice usr_id:bob', 7, 'u'],
    ['refund "and no end', 8, '"'],
    ['alice OR (bob', 10, '('],
    ['  alice OR (bob', 10, '('],
    ['алиса 👍 occurred_at:x', 9, 'o'],
  ]) {
    await query(page, q);
    await stage.until(
      page,
      `what is wrong with ${q}`,
      (text) => document.getElementById('query-problem').textContent.includes(text),
      `Column ${column}: `,
    );
    assert.equal(await page.locator('#query-problem .wrong').innerText(), wrong, q);
    assert.equal(await page.getAttribute('#query', 'aria-invalid'), 'true');
  }
  assert.deepEqual(await page.locator('#query-problem span code').allInnerTexts(), ['from', 'to']);
  await stage.shot(page, 'wrong-query');
  await stage.accessible(page, 'a wrong query');
  await query(page, 'refund');
  await shows(stage, page, [3, 1]);
  assert.equal(await page.getAttribute('#query', 'aria-invalid'), 'false');
}

export async function an_address_holds_the_view_and_the_way_back_leads_through_it(stage) {
  const page = await opened(stage, '?q=user_id%3Abob&range=7d');
  await shows(stage, page, [4, 3]);
  assert.equal(await page.getAttribute('[data-range="7d"]', 'aria-pressed'), 'true');
  await page.click('[data-range="all"]');
  await query(page, 'refund');
  await shows(stage, page, [3, 1]);
  assert.deepEqual(Object.fromEntries(new URL(page.url()).searchParams), { q: 'refund', range: 'all' });
  await page.locator('.row').first().click();
  await page.locator('#drawer-body .fields').waitFor();
  const shared = page.url();
  assert.match(shared, /entry=[0-9a-f-]{36}/);
  await page.click('#drawer-close');
  await page.goBack();
  await shows(stage, page, [4, 3]);
  await page.goBack();
  await shows(stage, page, [4, 3]);
  assert.equal(await page.getAttribute('[data-range="7d"]', 'aria-pressed'), 'true');
  await page.goForward();
  await page.goForward();
  await shows(stage, page, [3, 1]);
  // Somebody else opens the link.
  await page.goto(shared);
  await shows(stage, page, [3, 1]);
  await page.locator('#drawer-body .fields').waitFor();
  assert.match(await text(page, '#drawer-title'), /DELETE report/);
}

export async function dragging_over_the_bars_picks_a_range(stage) {
  const hours = (ago) => new Date(Date.now() - ago * 3_600_000).toISOString();
  await stage.postMany(
    Array.from({ length: 48 }, (_, at) => ({
      occurred_at: hours(at / 2),
      message: `${at / 2} hours ago`,
      severity: at % 8 ? 'INFO' : 'ERROR',
    })),
  );
  const page = await stage.open();
  await stage.live(page);
  await page.locator('#histogram .bar .part').first().waitFor();
  const box = await page.locator('#histogram').boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + 30);
  await page.locator('#histogram-tip').waitFor();
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 30, { steps: 6 });
  await stage.shot(page, 'brush');
  await page.mouse.up();
  await stage.until(page, 'a range of its own', () => new URLSearchParams(location.search).has('from'));
  const params = new URL(page.url()).searchParams;
  const [from, to] = [Date.parse(params.get('from')), Date.parse(params.get('to'))];
  await stage.until(
    page,
    'the rows of the range',
    (most) => {
      const n = Number(document.getElementById('grid').getAttribute('aria-rowcount')) - 1;
      return n > 3 && n < most;
    },
    48,
  );
  const listed = await stage.request(
    'GET',
    `/logs?limit=1000&from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}`,
  );
  assert.equal(await rowCount(page), listed.data.length);
  assert.equal(await text(page, '#live-text'), 'Not live');
  // The same by keys alone.
  await page.goBack();
  await page.locator('#histogram .bar .part').first().waitFor();
  await stage.live(page);
  await page.focus('#histogram');
  await page.keyboard.press('End');
  await page.keyboard.press('Shift+ArrowLeft');
  assert.match(await page.getAttribute('#histogram', 'aria-valuetext'), /\d: \d+ entr/);
  await page.keyboard.press('Enter');
  await stage.until(page, 'a range of two hours', () => {
    const given = new URLSearchParams(location.search);
    return Date.parse(given.get('to')) - Date.parse(given.get('from')) === 7_200_000;
  });
}

export async function a_search_marks_what_it_found_and_says_where_it_looked(stage) {
  const page = await opened(stage);
  await query(page, 'refund');
  await shows(stage, page, [3, 1]);
  assert.deepEqual(await page.locator('.row mark').allInnerTexts(), ['refund', 'refund']);
  await stage.until(page, 'where it looked', () =>
    document.getElementById('summary').textContent.includes('Searched in the log, without an index.'),
  );
  assert.match(await text(page, '#summary'), /^2 entries/);
  await stage.until(page, 'what the bars leave out', () =>
    document.getElementById('summary').textContent.includes('Bars leave “refund” out of account.'),
  );
  await stage.shot(page, 'search');
  await query(page, 'metadata.order.id:42');
  await shows(stage, page, [1]);
  assert.equal((await page.locator('.row .found-in').innerText()).trim(), 'metadata.order.id');
  await page.locator('.row').click();
  await page.locator('#drawer-body .found mark').waitFor();
  assert.equal(await text(page, '#drawer-body .found dt'), 'metadata.order.id');
  // What an index would say: the numbers are the service's, the words ours.
  const said = await page.evaluate(async () => {
    const { source } = await import(document.querySelector('link[href$="status.js"]').href);
    const index = (expected, indexed, complete) => ({ expected, indexed, complete });
    return [
      source({ source: 'opensearch', index: index(1000, 1000, true) }),
      source({ source: 'opensearch', index: index(100_000, 99_250, false) }),
      source({ source: 'opensearch', index: index(1_000_000, 999_999, false) }),
      source({ source: 'log', index: index(1000, 0, false) }),
    ];
  });
  assert.deepEqual(said, [
    'The index holds all of the log.',
    'The index holds 99.2 % of the log; the rest was searched in the log.',
    'The index holds 99.9 % of the log; the rest was searched in the log.',
    'Searched in the log: the index holds 0.0 % of it.',
  ]);
}

export async function an_export_holds_exactly_what_is_seen(stage) {
  const page = await opened(stage);
  await query(page, 'user_id:bob OR refund');
  await shows(stage, page, [4, 3, 1]);
  const contents = {};
  for (const format of ['csv', 'ndjson', 'json']) {
    await page.click('#export');
    if (format === 'csv') await stage.shot(page, 'export');
    const [download] = await Promise.all([page.waitForEvent('download'), page.click(`[data-format="${format}"]`)]);
    assert.match(download.suggestedFilename(), new RegExp(`^audit-log-.*\\.${format}$`));
    contents[format] = await readFile(await download.path(), 'utf8');
  }
  const json = JSON.parse(contents.json);
  assert.deepEqual(
    json.map((entry) => entry.seq),
    [1, 3, 4],
  );
  const lines = contents.ndjson
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(lines.slice(0, -1), json);
  assert.equal(lines.at(-1).end.rows, 3);
  assert.equal(contents.csv.trim().split('\r\n').length, 4);
  // With the service's own entries, those are in it, too.
  await page.click('#clear-query');
  await shows(stage, page, [5, 4, 3, 2, 1]);
  assert.ok(!(await drawn(page)).some((row) => row.action.startsWith('export.')));
  await page.check('#own');
  await stage.until(page, 'the exports themselves', () =>
    [...document.querySelectorAll('.cell-action')].some((cell) => cell.textContent === 'export.completed'),
  );
}
