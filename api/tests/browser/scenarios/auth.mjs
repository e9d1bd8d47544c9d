// Who is looking: each way to prove it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { drawn, text } from '../looking.mjs';

const run = (line, env = {}) => promisify(execFile)('sh', ['-c', line], { env: { ...process.env, ...env } });

export async function in_dev_mode_it_simply_opens(stage) {
  const page = await stage.open({ states: ['first-run'] });
  await stage.live(page);
  assert.equal(await text(page, '#tenant'), 'dev');
  assert.equal(await text(page, '#role'), 'admin, operator');
  await run(await text(page, '#curl'));
  await stage.until(
    page,
    'the entry',
    () => document.querySelector('.row .cell-message')?.textContent === 'first entry',
  );
}

export async function a_token_is_asked_for_and_stays_in_the_tab(stage) {
  const admin = stage.headers.authorization.slice(7);
  const { 'x-test-auditor': auditor, 'x-test-user': user } = stage.headers;
  stage.headers = { authorization: `Bearer ${admin}` };
  stage.expected.push(/401 \(Unauthorized\)/, /403 \(Forbidden\)/);
  const page = await stage.open({ headers: {}, states: ['sign-in'] });
  await stage.shot(page, 'sign-in');
  await stage.accessible(page, 'sign-in');
  const signIn = async (token) => {
    await page.fill('#token', token);
    await page.click('.token-form .primary');
  };
  await signIn('not.a.token');
  await page.locator('.token-form .problem').waitFor();
  await signIn(user);
  await stage.until(page, 'no rights', () => document.body.dataset.state === 'no-rights');
  await page.click('.state .button');
  await page.locator('#token').waitFor();
  await signIn(auditor);
  await stage.until(page, 'the first run', () => document.body.dataset.state === 'first-run');
  await stage.live(page);
  await run(await text(page, '#curl'), { AUDIT_TOKEN: admin });
  await stage.until(
    page,
    'the entry',
    () => document.querySelector('.row .cell-message')?.textContent === 'first entry',
  );
  await exported(page);
  assert.ok(!page.url().includes(auditor.slice(0, 20)), 'no token in the address');
  const kept = await page.evaluate(() => [
    JSON.stringify(localStorage),
    document.cookie,
    JSON.stringify(sessionStorage),
  ]);
  assert.ok(!kept[0].includes('ey') && kept[1] === '' && kept[2].includes(auditor), 'in this tab alone');
  await page.reload();
  await stage.live(page);
  assert.equal((await drawn(page)).length, 1);
  await page.click('#sign-out');
  await page.locator('#token').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
}

/** Without a proof that the browser sends by itself, an export is fetched and then saved. */
async function exported(page) {
  await page.evaluate(() => delete globalThis.showSaveFilePicker);
  await page.click('#export');
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('[data-format="json"]')]);
  assert.equal(JSON.parse(await readFile(await download.path(), 'utf8'))[0].message, 'first entry');
}

export async function through_a_gateway_it_is_live(stage) {
  const secret = stage.headers['x-test-secret'];
  const tenant = '01a20000-0000-7000-8000-00000000000a';
  stage.headers = { cookie: `as=auditor:zoe:${tenant}` };
  const page = await stage.open({ headers: {}, states: null });
  await page.context().addCookies([{ name: 'as', value: `auditor:zoe:${tenant}`, url: stage.base }]);
  await page.reload();
  await stage.until(page, 'the first run', () => document.body.dataset.state === 'first-run');
  await stage.live(page);
  assert.equal(await text(page, '#user'), 'zoe');
  assert.equal(await text(page, '#role'), 'auditor');
  // The line goes through this stand-in, too: it believes who knows the secret.
  await run(await text(page, '#curl'), { AUDIT_GATEWAY_SECRET: secret });
  await stage.until(
    page,
    'the first entry',
    () => document.querySelector('.row .cell-message')?.textContent === 'first entry',
  );
  stage.headers = { cookie: `as=admin:app:${tenant}` };
  await stage.post({ message: 'through the gateway' });
  await stage.until(
    page,
    'the entry',
    () => document.querySelector('.row .cell-message')?.textContent === 'through the gateway',
  );
}
