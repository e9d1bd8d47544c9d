// The pages that show the OpenAPI document: all of it, and nothing that the policy or another host would hear of.

import assert from 'node:assert/strict';

/** Every operation's summary. */
async function summaries(stage) {
  const answer = await fetch(`${stage.base}/openapi.json`);
  const { paths } = await answer.json();
  return Object.values(paths).flatMap((methods) => Object.values(methods).map(({ summary }) => summary));
}

async function open(stage, path) {
  const page = await stage.visit();
  const violations = [];
  await page.exposeFunction('violated', (what) => violations.push(what));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      globalThis.violated(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
    });
  });
  await page.goto(`${stage.base}${path}`);
  return { page, violations };
}

async function shows(stage, page, wanted) {
  await stage.until(
    page,
    'every operation is shown',
    (all) => all.every((summary) => document.body.innerText.includes(summary)),
    wanted,
  );
}

// What is folded is not made, and may be what the policy refuses.

/** Operations with all that there is: bodies, lists of values, files, events, a path. Each takes a second or two. */
const UNFOLDED = ['entries-recordEntries', 'entries-searchEntries', 'entries-exportEntries', 'stream-watch', 'tenants-changeTenant'];

async function unfold(stage, page) {
  for (const name of UNFOLDED) {
    const operation = page.locator(`#operations-${name}`);
    await operation.locator('.opblock-summary-control').click();
    await operation.locator('.responses-table').first().waitFor();
    if (name === UNFOLDED[0]) await stage.shot(page, 'swagger-ui-unfolded');
    await operation.locator('.opblock-summary-control').click();
    await operation.locator('.responses-table').first().waitFor({ state: 'detached' });
  }
}

/** Opens each answer of ReDoc, with its schema and its examples. */
async function unfoldAnswers(page, least) {
  const opened = await page.evaluate(() => {
    const closed = [...document.querySelectorAll('button:has(strong)')];
    for (const one of closed) one.click();
    return closed.length;
  });
  assert.ok(opened >= least, `${opened} opened`);
}

/** Sends a request from the page, and sees its answer. */
async function tries(page) {
  const health = page.locator('#operations-service-health');
  await health.locator('.opblock-summary-control').click();
  await health.getByRole('button', { name: 'Try it out' }).click();
  await health.getByRole('button', { name: 'Execute' }).click();
  await health.locator('.live-responses-table').getByText('"status": "ok"').waitFor();
}

export async function swagger_ui_shows_every_operation(stage) {
  const wanted = await summaries(stage);
  for (const path of ['/docs', '/api/v1/docs']) {
    const { page, violations } = await open(stage, path);
    await shows(stage, page, wanted);
    await stage.shot(page, 'swagger-ui');
    if (path === '/docs') {
      await unfold(stage, page);
      await tries(page);
      await stage.shot(page, 'swagger-ui-tried');
    }
    assert.deepEqual(violations, []);
  }
}

export async function redoc_shows_every_operation(stage) {
  const wanted = await summaries(stage);
  for (const path of ['/redoc', '/api/v1/redoc']) {
    const { page, violations } = await open(stage, path);
    await shows(stage, page, wanted);
    // Its style sheets are there: without them the menu would not stand beside the text.
    const menu = await page.locator('.menu-content').boundingBox();
    assert.ok(menu.width < 400, `the menu is ${menu.width} wide`);
    await stage.shot(page, 'redoc');
    await unfoldAnswers(page, wanted.length);
    await page.locator('[data-section-id="operation/searchEntries"]').scrollIntoViewIfNeeded();
    await stage.shot(page, 'redoc-unfolded');
    assert.deepEqual(violations, []);
  }
}
