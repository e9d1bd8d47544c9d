// Entries of somebody who means harm. The log keeps them as they came; the page shows text.

import assert from 'node:assert/strict';
import { drawn, openRow } from '../looking.mjs';

const MARKUP = [
  '<img src=x onerror="alert(1)">',
  '<script>alert(2)</script>',
  '"><svg/onload=alert(3)>',
  "javascript:alert(4)//'-alert(5)-'",
  '<iframe srcdoc="<script>parent.alert(6)</script>"></iframe>',
  '<link rel=stylesheet href=//evil.example/x.css><style>body{display:none}</style>',
  '<a href="https://evil.example/" ping="https://evil.example/">here</a>',
  '{{constructor.constructor("alert(7)")()}} ${alert(8)}',
];
const OVERRIDE = 'invoice\u202egpj.exe\u202c \u2066\u2067inside';
const CONTROLS = 'a\u0001\u0007\u001b[31mred\u001b[0m\u0085\u009b\u200b\ufeffb\tc\nd';
const WIDE = 'W'.repeat(200);
const COMBINING = `z${'\u0335\u0489'.repeat(90)}`;

const entry = (text, at) => ({
  action: 'hostile',
  user_id: text.slice(0, 250),
  user_name: text.slice(0, 250),
  resource_type: text.replace(/[\n\t]/g, ' ').slice(0, 64),
  resource_id: text.slice(0, 250),
  session_id: text.slice(0, 250),
  request_id: `${at}${text.slice(0, 200)}`,
  message: `${at} ${text}`,
  before: { [text]: text, same: 1 },
  after: { [text]: `${text}!`, list: [text], __proto__: text, constructor: text },
  metadata: { [text]: { [text]: text } },
});

export async function hostile_entries_stay_text(stage) {
  const texts = [...MARKUP, OVERRIDE, CONTROLS, WIDE, COMBINING];
  for (const [at, text] of texts.entries()) await stage.post(entry(text, at));
  // As large as an entry can be: below 64 KiB in all.
  await stage.post({
    action: 'hostile',
    message: '<b>'.repeat(2_700),
    metadata: { large: '<i onclick=alert(9)>&'.repeat(2_200) },
  });
  const page = await stage.open();
  await stage.live(page);
  await stage.postMany(texts.map(entry));
  await stage.until(
    page,
    'all are there',
    (many) => Number(document.getElementById('grid').getAttribute('aria-rowcount')) === many + 1,
    2 * texts.length + 1,
  );

  const rows = await drawn(page);
  const shown = new Set(rows.map((row) => row.actor));
  for (const text of MARKUP) assert.ok(shown.has(text), `as it was written: ${text}`);
  assert.ok(
    [...shown].some((text) => text.includes('‹U+202E›gpj.exe‹U+202C›')),
    'an override is shown, not obeyed',
  );
  assert.ok(
    [...shown].some((text) => text.includes('a␁␇␛[31mred')),
    'controls are shown',
  );
  const hidden = /[\u0000-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2066-\u2069\ufeff]/u;
  for (const row of rows) assert.ok(!hidden.test(Object.values(row).join('')), JSON.stringify(row));
  await stage.shot(page, 'hostile');

  for (let at = 0; at < texts.length; at += 1) {
    await openRow(page, at);
    await page.locator('#related .timeline').waitFor();
    assert.equal(
      await page.locator('#drawer img, #drawer script, #drawer iframe, #drawer a, #drawer style, #drawer link').count(),
      0,
    );
  }
  await page.keyboard.press('End');
  for (const at of texts.keys()) await searchFor(stage, page, texts[at]);
  await atWorst(stage, page);
}

/** A value of the list of what occurs most is a value of the query, whatever is in it. */
async function searchFor(stage, page, text) {
  const item = page
    .locator(`#tops .top-item[data-field="user_id"]`)
    .filter({ hasText: text.slice(0, 12) })
    .first();
  if (!(await item.count())) return;
  await item.click();
  await stage.until(page, 'an answer', () => ['table', 'empty', 'wrong-query'].includes(document.body.dataset.state));
  assert.equal(await page.getAttribute('body', 'data-state'), 'table', `its own value finds it: ${text}`);
  await page.click('#clear-query');
  await stage.until(
    page,
    'the table',
    () => document.body.dataset.state === 'table' && !document.getElementById('query').value,
  );
}

/** The address can be anybody's, too. */
async function atWorst(stage, page) {
  stage.expected.push(/400 \(Bad Request\)/);
  const hostile = encodeURIComponent('"<img src=x onerror=alert(10)>');
  await page.goto(`${stage.api}/logs/board?q=${hostile}&entry=../../tenants&range=%3Cscript%3E&from=x&own=%3C`);
  await stage.until(page, 'an explained query', () => document.body.dataset.state === 'wrong-query');
  assert.equal(await page.locator('main img').count(), 0);
}
