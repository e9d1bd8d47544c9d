// One entry, and the keyboard.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { drawn, openRow, text } from '../looking.mjs';

const CHANGED = {
  action: 'UPDATE',
  resource_type: 'invoice',
  resource_id: 'inv-7',
  user_id: 'alice',
  user_name: 'Alice Ångström',
  session_id: 's-1',
  request_id: 'req-1',
  severity: 'WARNING',
  message: 'The total was corrected.\nSecond line.',
  ip_address: '2001:db8::7',
  user_agent: 'billing/1.2',
};
// Written by hand: numbers and the order of keys stay as they came.
const BEFORE =
  '{"10":"ten","total":1.50,"state":"draft","lines":[{"sku":"a","qty":1},{"sku":"b","qty":2},{"sku":"c","qty":3}],"gone":true,"big":12345678901234567890}';
const AFTER =
  '{"10":"ten","total":2.00,"state":"sent","lines":[{"sku":"a","qty":1},{"sku":"c","qty":4},{"sku":"d","qty":5}],"added":{"by":"alice"},"big":12345678901234567890}';

async function postChange(stage) {
  const body = `${JSON.stringify(CHANGED).slice(0, -1)},"before":${BEFORE},"after":${AFTER},"metadata":{"cost":1e400,"note":null}}`;
  const answer = await fetch(`${stage.api}/logs`, {
    method: 'POST',
    headers: { ...stage.headers, 'content-type': 'application/json' },
    body,
  });
  assert.equal(answer.status, 201, await answer.text());
}

export async function the_drawer_shows_all_of_an_entry_and_what_changed(stage) {
  await stage.post({ ...CHANGED, action: 'VIEW', message: 'same request, actor, thing' });
  await stage.post({ user_id: 'bob', resource_type: 'invoice', resource_id: 'inv-7', message: 'same thing' });
  await postChange(stage);
  const page = await stage.open();
  await stage.live(page);
  await openRow(page);
  const body = await text(page, '#drawer-body');
  for (const value of [
    'Second line.',
    'Alice Ångström',
    '2001:db8::7',
    'billing/1.2',
    's-1',
    'req-1',
    'inv-7',
    'WARNING',
  ]) {
    assert.ok(body.includes(value), value);
  }
  assert.doesNotMatch(body, /undefined|NaN|\[object/);
  const title = await text(page, '.drawer .part h3');
  assert.match(title, /^Changes: /);
  const lines = await page
    .locator('.diff li')
    .evaluateAll((items) =>
      items
        .filter((item) => item.className.startsWith('change-'))
        .map(
          (item) =>
            `${item.className.slice(7)} ${item.querySelector('.json-key')?.textContent ?? ''} ${[...item.querySelectorAll('del, ins')].map((value) => value.textContent).join(' > ')}`,
        ),
    );
  for (const line of [
    'changed total 1.50 > 2.00',
    'changed state "draft" > "sent"',
    'removed gone true',
    'added added by "alice"',
  ]) {
    assert.ok(
      lines.some((found) => found.replace(/\s+/g, ' ').startsWith(line)),
      `${line} in ${JSON.stringify(lines)}`,
    );
  }
  assert.ok((await page.locator('.json').last().innerText()).includes('1e400'), 'numbers as they were written');
  await page.locator('#related .timeline').waitFor();
  await stage.shot(page, 'drawer');
  await stage.accessible(page, 'the drawer');
  await timelines(stage, page);
  await copies(stage, page);
  const time = page.locator('.row time').first();
  assert.match(await time.getAttribute('title'), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC$/);
}

async function timelines(stage, page) {
  const counted = async (tab, many) => {
    await page.click(`#tab-${tab}`);
    await stage.until(
      page,
      `${many} of the same ${tab}`,
      ([key, wanted]) =>
        document.getElementById(`tab-${key}`).getAttribute('aria-selected') === 'true' &&
        document.querySelectorAll('#related .timeline li').length === wanted,
      [tab, many],
    );
  };
  await counted('request', 2);
  await counted('actor', 2);
  await counted('resource', 3);
  await page.locator('#related .timeline button').last().click();
  await stage.until(page, 'the other entry', () => document.getElementById('drawer-title').textContent.includes('#2'));
  await page.locator('#rows > .row').first().click();
  await stage.until(page, 'the entry again', () => document.getElementById('drawer-title').textContent.includes('#3'));
}

async function copies(stage, page) {
  const copied = async (what) => {
    await page.click(`[data-copy="${what}"]`);
    await stage.until(
      page,
      'it says so',
      (kind) => document.querySelector(`[data-copy="${kind}"]`).textContent === 'Copied',
      what,
    );
    return page.evaluate(() => navigator.clipboard.readText());
  };
  const json = await copied('json');
  assert.ok(json.includes('"total": 1.50') && json.includes('12345678901234567890') && json.includes('1e400'), json);
  const curl = await copied('curl');
  const env = { ...process.env, AUDIT_GATEWAY_SECRET: stage.headers['x-gateway-secret'] };
  const { stdout } = await promisify(execFile)('sh', ['-c', curl], { env });
  assert.deepEqual(JSON.parse(stdout), JSON.parse(json));
  const link = await copied('link');
  const other = await page.context().newPage();
  await other.goto(link);
  await other.locator('#drawer-body .fields').waitFor();
  assert.match(await other.locator('#drawer-title').innerText(), /#3/);
  await other.close();
}

export async function the_keyboard_alone_is_enough(stage) {
  await stage.postMany(Array.from({ length: 60 }, (_, at) => ({ message: `number ${at + 1}` })));
  const page = await stage.open();
  await stage.live(page);
  const press = (...keys) =>
    keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const current = () => page.evaluate(() => document.querySelector('.row[aria-selected="true"]')?.dataset.seq ?? null);
  const focused = () => page.evaluate(() => document.activeElement.id);

  await press('j', 'j', 'k', 'j');
  assert.equal(await current(), '59');
  await press('Enter');
  await page.locator('#drawer-body .fields').waitFor();
  await stage.until(page, 'the focus is in the drawer', () =>
    document.getElementById('drawer').contains(document.activeElement),
  );
  await press('j');
  await stage.until(page, 'the next entry', () => document.getElementById('drawer-title').textContent.includes('#58'));
  await press('Escape');
  assert.equal(await page.isHidden('#drawer'), true);
  assert.equal(await focused(), 'grid', 'the focus is back where entries are');
  await press('End');
  await stage.until(
    page,
    'the last row',
    () => document.querySelector('.row[aria-selected="true"]')?.dataset.seq === '1',
  );
  const id = await page.getAttribute('#grid', 'aria-activedescendant');
  assert.equal(await page.locator(`#${id}`).getAttribute('data-seq'), '1');
  await press('Home');
  await press('/');
  assert.equal(await focused(), 'query');
  await page.keyboard.type('jk?p');
  assert.equal(await page.inputValue('#query'), 'jk?p', 'letters are letters where one writes');
  await page.fill('#query', '');
  await press('Escape');
  await press('Escape');
  assert.equal(await focused(), 'grid');
  await press('?');
  await page.locator('#help-dialog[open]').waitFor();
  await stage.shot(page, 'help');
  await stage.accessible(page, 'help');
  await press('Escape');
  assert.equal(await page.locator('#help-dialog[open]').count(), 0);
  await press('p');
  await stage.live(page, 'paused');
  await press('p');
  await stage.live(page);
  await everythingIsReached(page);
}

/** With the tab key alone one comes past all there is, and always sees where one is. */
async function everythingIsReached(page) {
  await page.evaluate(() => document.activeElement.blur());
  const reached = new Set();
  for (let at = 0; at < 80; at += 1) {
    await page.keyboard.press('Tab');
    const { id, seen } = await page.evaluate(() => {
      const { activeElement: active } = document;
      const style = getComputedStyle(active);
      return {
        id: active.id || active.dataset.range || active.className,
        seen: style.outlineStyle !== 'none' && style.outlineWidth !== '0px',
      };
    });
    reached.add(id);
    assert.ok(seen || id === '', `one sees that ${id} has the focus`);
  }
  for (const id of ['query', '24h', 'range-custom', 'export', 'histogram', 'own', 'pause', 'grid', 'theme', 'help']) {
    assert.ok(reached.has(id), `${id} in ${[...reached]}`);
  }
}

export async function who_has_no_right_is_told_so(stage) {
  stage.expected.push(/403 \(Forbidden\)/);
  const page = await stage.open({ states: ['no-rights'] });
  assert.match(await text(page, '#state'), /needs the role admin or auditor; yours is user/i);
  await stage.shot(page, 'no-rights');
  await stage.accessible(page, 'no rights');
  assert.deepEqual(await drawn(page), []);
}
