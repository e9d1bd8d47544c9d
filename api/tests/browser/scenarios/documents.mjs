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

export async function swagger_ui_shows_every_operation(stage) {
  const wanted = await summaries(stage);
  for (const path of ['/docs', '/api/v1/docs']) {
    const { page, violations } = await open(stage, path);
    await shows(stage, page, wanted);
    await page.getByText(wanted[0]).first().click();
    await page.getByText('Parameters').first().waitFor();
    await stage.shot(page, 'swagger-ui');
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
    assert.deepEqual(violations, []);
  }
}
