// How fast it is, and how much it takes.

import assert from 'node:assert/strict';
import { day } from './looks.mjs';

/** The goal, and the median of how many loads must meet it. */
const PAINT_MS_MAX = 200;
const LOADS = 5;

export async function the_first_paint_is_fast_and_nothing_leaves_the_origin(stage) {
  await stage.postMany(day());
  const times = [];
  for (let load = 0; load < LOADS; load += 1) {
    // A context of its own has nothing in its cache.
    const page = await stage.open({ search: '?range=7d' });
    await stage.live(page);
    const [paint, requests] = await page.evaluate(() => [
      performance.getEntriesByName('first-contentful-paint')[0].startTime,
      performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin),
    ]);
    times.push(paint);
    // Everything that was loaded came from here; `watch` looks at sockets and refused requests, too.
    assert.deepEqual([...new Set(requests)], [stage.base]);
    await page.context().close();
  }
  const median = times.sort((one, other) => one - other)[Math.floor(LOADS / 2)];
  process.stderr.write(`first paint: ${times.map(Math.round).join(', ')} ms\n`);
  assert.ok(median < PAINT_MS_MAX, `first paint after ${times} ms`);
}

export async function scrolling_a_hundred_thousand_rows_is_smooth(stage) {
  const many = 101_000;
  for (let at = 0; at < many; at += 10_000) {
    const batches = Array.from({ length: 10 }, () => stage.postMany(day(Math.min(1_000, many - at))));
    await Promise.all(batches);
    if (at + 10_000 > many) break;
  }
  const page = await stage.open({ search: '?range=7d' });
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
  const { frames, rows, heap } = await page.evaluate(scroll);
  frames.sort((one, other) => one - other);
  const at = (part) => frames[Math.floor(part * (frames.length - 1))];
  process.stderr.write(
    `frames while scrolling: ${frames.length}, median ${at(0.5).toFixed(1)} ms, p95 ${at(0.95).toFixed(1)} ms, longest ${at(1).toFixed(1)} ms; script p95 ${heap.toFixed(1)} ms; ${rows} rows in the page\n`,
  );
  assert.ok(rows < 200, `${rows} rows in the page`);
  assert.ok(at(0.5) < 34 && at(0.95) < 100, `frames: median ${at(0.5)}, p95 ${at(0.95)}`);
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
    rows: document.querySelectorAll('#rows > .row').length,
    heap: scripts[Math.floor(scripts.length * 0.95)],
  };
}
