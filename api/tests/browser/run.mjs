// Plays one scenario in a real Chromium. Started by the tests of `tests/it/board`, which start the service:
//
//     node run.mjs SCENARIO
//
// AUDIT_TEST_BROWSER  the folder that `dev/browser.sh install` prints
// AUDIT_STAGE         JSON: the service's base, headers that prove who is calling, where screenshots go
//
// It ends when its standard input does, and the browser with it: nothing is left when a test is.

import { readdirSync } from 'node:fs';
import { Stage } from './stage.mjs';

async function find(name) {
  const folder = new URL('./scenarios/', import.meta.url);
  for (const file of readdirSync(folder)) {
    const scenarios = await import(new URL(file, folder));
    if (name in scenarios) return scenarios[name];
  }
  throw new Error(`there is no scenario ${name}`);
}

const name = process.argv[2];
const scenario = await find(name);
const stage = new Stage(name, JSON.parse(process.env.AUDIT_STAGE));
stage.ended.then(() => process.exit(3));
try {
  await scenario(stage);
  await stage.close();
  process.exit(0);
} catch (error) {
  await stage.failed(error);
  process.exit(1);
}
