// How fast it is, and how much it takes.

import assert from 'node:assert/strict';
import { isWhole } from '../looking.mjs';
import { day } from './looks.mjs';

/** Whether times are judged, or only told: beside other tests they say more of those than of the page. */
const JUDGES_TIMES = process.env.AUDIT_TEST_SOAK === '1';

/** Two frames of a screen, and what the page's own code may take of one. */
const FRAME_MS_MAX = 34;
const SCRIPT_MS_MAX = 8;

/** The goal, and the median of how many loads must meet it. */
const PAINT_MS_MAX = 200;
const LOADS = 5;

export async function the_first_paint_is_fast_and_nothing_leaves_the_origin(stage) {
  // The plain page has no icon.
  stage.expected.push(/404 \(Not Found\)/);
  await stage.postMany(day());
  const times = [];
  const plain = [];
  for (let load = 0; load < LOADS; load += 1) {
    // A context of its own has nothing in its cache.
    const page = await stage.open({ search: '?range=7d', axe: false });
    await stage.live(page);
    const [paint, requests] = await page.evaluate(() => [
      performance.getEntriesByName('first-contentful-paint')[0].startTime,
      performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin),
    ]);
    times.push(paint);
    await page.goto(`${stage.base}/healthz`);
    plain.push(await page.evaluate(firstPaint));
    // Everything that was loaded came from here; `watch` looks at sockets and refused requests, too.
    assert.deepEqual([...new Set(requests)], [stage.base]);
    await page.context().close();
  }
  const median = times.sort((one, other) => one - other)[Math.floor(LOADS / 2)];
  process.stderr.write(`first paint: ${times.map(Math.round)} ms, of a word ${plain.map(Math.round)} ms\n`);
  // On a busy machine a page of a single word is late, too.
  const ofPlain = plain.sort((one, other) => one - other)[Math.floor(LOADS / 2)];
  const fast = median < Math.max(PAINT_MS_MAX, 4 * ofPlain);
  assert.ok(fast || !JUDGES_TIMES, `first paint after ${times} ms, of a word after ${plain} ms`);
}

/** When the first text or picture was painted. */
const firstPaint = () =>
  new Promise((resolve) => {
    const painted = ({ name, startTime }) => name === 'first-contentful-paint' && resolve(startTime);
    new PerformanceObserver((list) => list.getEntries().forEach(painted)).observe({ type: 'paint', buffered: true });
  });

export async function scrolling_a_hundred_thousand_rows_is_smooth(stage) {
  await stage.ask('a past of 101,000 entries');
  const page = await stage.open({ search: '?range=7d', axe: false });
  await stage.live(page);
  const begun = Date.now();
  // To the end, again and again: each time more is loaded, until it is as much as is kept.
  await page.focus('#grid');
  await page.evaluate(async () => {
    const grid = document.getElementById('grid');
    while (Number(grid.getAttribute('aria-rowcount')) < 100_001) {
      grid.scrollTop = grid.scrollHeight;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  process.stderr.write(`100,000 rows loaded in ${Date.now() - begun} ms\n`);
  const { frames, idle, scripts, rows } = await page.evaluate(scroll);
  const said = `${told(frames)} while scrolling, ${told(idle)} at rest; script ${told(scripts)}; ${rows} rows in the page`;
  process.stderr.write(`frames: ${said}\n`);
  assert.ok(rows < 200, said);
  // A busy machine drops frames of a page that does nothing, too.
  const smooth = part(frames, 0.5) < Math.max(FRAME_MS_MAX, 2 * part(idle, 0.5));
  // And takes the processor away from code in the middle: the quicker half shows what the code needs.
  assert.ok((smooth && part(scripts, 0.25) < SCRIPT_MS_MAX) || !JUDGES_TIMES, said);
  await stage.until(page, 'the bound is said', () =>
    document.getElementById('foot').textContent.startsWith('100,000 entries are shown.'),
  );
  await stage.shot(page, 'hundred-thousand');
  // New ones drop old ones, and those come back when they are looked for.
  await page.evaluate(() => (document.getElementById('grid').scrollTop = 0));
  await stage.post({ message: 'one more' });
  await stage.until(page, 'the new one', () =>
    document.querySelector('#rows .cell-message').closest('#rows').textContent.includes('one more'),
  );
  await stage.until(
    page,
    'old ones made way',
    () => Number(document.getElementById('grid').getAttribute('aria-rowcount')) < 100_001,
  );
  await page.evaluate(() => {
    const grid = document.getElementById('grid');
    grid.scrollTop = grid.scrollHeight;
  });
  await stage.until(
    page,
    'they are read again',
    () => Number(document.getElementById('grid').getAttribute('aria-rowcount')) > 99_500,
  );
  assert.ok(await isWhole(page, 101_001, 9_900), 'without a gap where rows had made way');
}

const part = (times, share) => [...times].sort((one, other) => one - other)[Math.floor(share * (times.length - 1))];
const told = (times) => `median ${part(times, 0.5).toFixed(1)} ms, p95 ${part(times, 0.95).toFixed(1)} ms`;

/** Scrolls as a wheel does, with a jump now and then, and measures frames and the script's part of them. */
async function scroll() {
  const grid = document.getElementById('grid');
  const frame = () => new Promise(requestAnimationFrame);
  const measure = async (steps, act) => {
    const times = [];
    for (let step = 0, last = await frame(); step < steps; step += 1) {
      act(step);
      const now = await frame();
      times.push(now - last);
      last = now;
    }
    return times;
  };
  grid.scrollTop = 0;
  const idle = await measure(60, () => {});
  const scripts = [];
  const ended = () => scripts.push(performance.now() - document.timeline.currentTime);
  const frames = await measure(240, (step) => {
    grid.scrollTop += step % 40 === 39 ? 200_000 : 137;
    // Behind the page's own callback of the same frame.
    requestAnimationFrame(() => requestAnimationFrame(ended));
  });
  return { frames, idle, scripts, rows: document.querySelectorAll('#rows > .row').length };
}
