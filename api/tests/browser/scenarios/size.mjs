// How fast it is, and how much it takes.

import assert from 'node:assert/strict';
import { day } from './looks.mjs';

/** The goal, and the median of how many loads must meet it. */
const PAINT_MS_MAX = 200;
const LOADS = 5;

export async function the_first_paint_is_fast_and_nothing_leaves_the_origin(stage) {
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
  process.stderr.write(`first paint: ${times.map(Math.round).join(', ')} ms\n`);
  // On a busy machine a page of a single word is late, too.
  const ofPlain = plain.sort((one, other) => one - other)[Math.floor(LOADS / 2)];
  assert.ok(median < Math.max(PAINT_MS_MAX, 3 * ofPlain), `first paint after ${times} ms, of a word after ${plain} ms`);
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
  const { frames, idle, rows, heap } = await page.evaluate(scroll);
  frames.sort((one, other) => one - other);
  const at = (part) => frames[Math.floor(part * (frames.length - 1))];
  process.stderr.write(
    `frames while scrolling: ${frames.length}, median ${at(0.5).toFixed(1)} ms, p95 ${at(0.95).toFixed(1)} ms, longest ${at(1).toFixed(1)} ms; script p95 ${heap.toFixed(1)} ms; ${rows} rows in the page\n`,
  );
  assert.ok(rows < 200, `${rows} rows in the page`);
  // A busy machine drops frames of a page that does nothing, too.
  const still = idle[Math.floor(0.95 * (idle.length - 1))];
  assert.ok(at(0.95) < Math.max(50, 3 * still), `frames: p95 ${at(0.95)} ms, ${still} ms at rest`);
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
    () => Number(document.getElementById('grid').getAttribute('aria-rowcount')) === 100_001,
  );
}

/** Scrolls up and down as a wheel does, and measures frames and the script's part of them. */
async function scroll() {
  const grid = document.getElementById('grid');
  const idle = [];
  for (let at = 0, before = await new Promise(requestAnimationFrame); at < 60; at += 1) {
    const now = await new Promise(requestAnimationFrame);
    idle.push(now - before);
    before = now;
  }
  idle.sort((one, other) => one - other);
  const frames = [];
  const scripts = [];
  grid.scrollTop = 0;
  let last = await new Promise(requestAnimationFrame);
  for (let step = 0; step < 240; step += 1) {
    grid.scrollTop += step % 40 === 39 ? 200_000 : 137;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
    scripts.push(performance.now() - now);
  }
  scripts.sort((one, other) => one - other);
  return {
    frames,
    idle,
    rows: document.querySelectorAll('#rows > .row').length,
    heap: scripts[Math.floor(scripts.length * 0.95)],
  };
}
