// How it looks, and to whom: widths, colours, movement, what axe says of each state.

import assert from 'node:assert/strict';
import { openRow, query } from '../looking.mjs';

const PEOPLE = ['Alice Ångström', 'Bob', 'Chiara Bianchi', 'محمد علي', 'Дарья Иванова', 'Etienne Lefèvre'];
const ACTIONS = ['CREATE', 'UPDATE', 'VIEW', 'VIEW', 'DELETE', 'order.approved', 'session.refused'];
const TYPES = ['invoice', 'order', 'customer', 'report'];

/** A day that looks like one. */
export const day = (many = 300) =>
  Array.from({ length: many }, (_, at) => {
    const type = TYPES[(at * 7) % TYPES.length];
    const severity = at % 53 === 0 ? 'CRITICAL' : at % 17 === 0 ? 'ERROR' : at % 6 === 0 ? 'WARNING' : 'INFO';
    return {
      occurred_at: new Date(Date.now() - ((many - at) ** 1.5 / many ** 1.5) * 22 * 3_600_000).toISOString(),
      user_id: `u-${1000 + (at % 6)}`,
      user_name: PEOPLE[at % 6],
      action: ACTIONS[at % 7],
      resource_type: type,
      resource_id: `${type.slice(0, 3)}-${String(4711 + at * 13).padStart(6, '0')}`,
      severity,
      request_id: `req-${Math.floor(at / 3)}`,
      message: `${PEOPLE[at % 6]} did something with ${type} ${4711 + at * 13}, and this is what the application says of it`,
      before: { total: at, state: 'draft', tags: ['a', 'b'] },
      after: { total: at + 1, state: 'sent', tags: ['a', 'c'] },
      metadata: { order: { id: at, paid: at % 2 === 0 }, region: 'eu-west' },
    };
  });

async function fitsAcross(page, what) {
  const { wide, width, who } = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const over = [...document.querySelectorAll('body *')].filter(
      (node) =>
        node.getBoundingClientRect().right > clientWidth + 1 &&
        !node.closest('.segments, .terminal pre') &&
        getComputedStyle(node).position !== 'absolute',
    );
    return {
      wide: scrollWidth,
      width: clientWidth,
      who: over.slice(0, 3).map((node) => `${node.tagName}.${node.className}#${node.id}`),
    };
  });
  assert.ok(wide <= width && !who.length, `${what}: ${wide} > ${width}: ${who}`);
}

export async function it_fits_small_and_large_screens(stage) {
  await stage.postMany(day());
  for (const [width, height] of [
    [320, 640],
    [768, 1024],
    [1024, 768],
    [1440, 900],
    [3840, 2160],
  ]) {
    const page = await stage.open({ width, height });
    await stage.live(page);
    await page.locator('.top-item').first().waitFor({ state: 'attached' });
    await fitsAcross(page, `${width} wide`);
    await stage.shot(page, `width-${width}`);
    if (width === 320) await stage.accessible(page, '320 wide');
    await openRow(page);
    await fitsAcross(page, `${width} wide, with an entry`);
    await stage.shot(page, `width-${width}-entry`);
    await page.click('#drawer-close');
    await page.keyboard.press('?');
    await fitsAcross(page, `${width} wide, with help`);
    await page.context().close();
  }
}

export async function dark_light_and_little_movement_are_respected(stage) {
  await stage.postMany(day(40));
  const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const page = await stage.open({ colorScheme: 'dark' });
  await stage.live(page);
  const dark = await ground(page);
  await stage.shot(page, 'dark');
  await page.click('#theme');
  const light = await ground(page);
  assert.notEqual(light, dark);
  await page.reload();
  await stage.live(page);
  assert.equal(await ground(page), light, 'the choice is kept');
  await page.click('#theme');
  assert.equal(await ground(page), dark);
  await page.click('#theme');
  await page.emulateMedia({ colorScheme: 'light' });
  assert.equal(await ground(page), light, 'without a choice the system decides');

  const moving = () =>
    page.evaluate(
      () => document.getAnimations().filter((animation) => animation.effect.getComputedTiming().duration > 50).length,
    );
  await page.emulateMedia({ reducedMotion: 'reduce' });
  // What moves already goes on as it began.
  await page.reload();
  await stage.live(page);
  await page.evaluate(() => {
    globalThis.slid = 0;
    const animate = Element.prototype.animate;
    Element.prototype.animate = function (...given) {
      globalThis.slid += 1;
      return animate.apply(this, given);
    };
  });
  await stage.post({ message: 'still' });
  await stage.until(page, 'it is there', () => document.querySelector('.row .cell-message').textContent === 'still');
  assert.equal(await moving(), 0);
  assert.equal(await page.evaluate(() => globalThis.slid), 0);
  await page.emulateMedia({ reducedMotion: 'no-preference' });
  await stage.post({ message: 'moving' });
  await stage.until(page, 'it slides in', () => globalThis.slid === 1);
}

export async function every_state_is_open_to_everybody(stage) {
  await stage.postMany(day(120));
  for (const colorScheme of ['light', 'dark']) {
    const page = await stage.open({ colorScheme });
    await stage.live(page);
    await page.locator('.top-item').first().waitFor();
    await stage.accessible(page, `the table, ${colorScheme}`);
    await openRow(page);
    await page.locator('#related .timeline').waitFor();
    await stage.accessible(page, `an entry, ${colorScheme}`);
    await stage.shot(page, `entry-${colorScheme}`);
    await page.click('#drawer-close');
    await page.click('#pause');
    await query(page, 'did');
    await page.locator('.row mark').first().waitFor();
    await page.locator('.top-item').first().waitFor();
    await stage.accessible(page, `a search, ${colorScheme}`);
    await query(page, 'nowhere_to_be_found');
    await stage.until(page, 'nothing', () => document.body.dataset.state === 'empty');
    await stage.accessible(page, `nothing, ${colorScheme}`);
    await stage.shot(page, `empty-${colorScheme}`);
    await page.click('#export');
    await stage.accessible(page, `the export menu, ${colorScheme}`);
    await page.keyboard.press('Escape');
    await page.click('#range-custom');
    await stage.accessible(page, `a custom range, ${colorScheme}`);
    await stage.shot(page, `range-${colorScheme}`);
    await page.keyboard.press('Escape');
    await failing(stage, page, colorScheme);
    await page.context().close();
  }
}

/** While it loads, and when it cannot. */
async function failing(stage, page, colorScheme) {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route(/logs\/search/, async (route) => {
    await held;
    await route.fulfill({
      status: 503,
      contentType: 'application/problem+json',
      body: JSON.stringify({
        code: 'database_unavailable',
        detail: 'the database is not available; nothing was written: try again',
      }),
    });
  });
  stage.expected.push(/503 \(Service Unavailable\)/);
  await query(page, 'anything');
  await stage.until(page, 'it loads', () => document.body.dataset.state === 'loading');
  await stage.accessible(page, `loading, ${colorScheme}`);
  await stage.shot(page, `loading-${colorScheme}`);
  release();
  await stage.until(page, 'it failed', () => document.body.dataset.state === 'error');
  await stage.accessible(page, `an error, ${colorScheme}`);
  await stage.shot(page, `error-${colorScheme}`);
  await page.unroute(/logs\/search/);
  await page.click('.state .primary');
  await stage.until(page, 'another try', () => document.body.dataset.state === 'empty');
}
