// Ways to look at the board's page.

/** The rows that are drawn, from top to bottom, as texts by column. */
export const drawn = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll('#rows > .row')]
      .sort((one, other) => one.index - other.index)
      .map((row) => ({
        seq: Number(row.dataset.seq),
        actor: row.querySelector('.cell-actor').textContent,
        action: row.querySelector('.cell-action').textContent,
        resource: row.querySelector('.cell-resource').textContent,
        message: row.querySelector('.cell-message').textContent,
      })),
  );

/** The numbers of all rows, in their order: the table is scrolled from its top to its end. */
export const all = (page) =>
  page.evaluate(async () => {
    const grid = document.getElementById('grid');
    const painted = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const seen = new Map();
    const look = () =>
      document.querySelectorAll('#rows > .row').forEach((row) => seen.set(row.index, Number(row.dataset.seq)));
    grid.scrollTop = 0;
    await painted();
    for (let top = 0; ; top += grid.clientHeight) {
      grid.scrollTop = top;
      await painted();
      look();
      if (top >= grid.scrollHeight) break;
    }
    grid.scrollTop = 0;
    await painted();
    return [...seen.entries()].sort(([one], [other]) => one - other).map(([, seq]) => seq);
  });

/** Whether rows have the numbers from `head` down to 1, looked at where a scroll of `step` rows leads. */
export const isWhole = (page, head, step) =>
  page.evaluate(
    async ([first, rows]) => {
      const grid = document.getElementById('grid');
      const painted = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      const height = document.querySelector('#rows > .row').getBoundingClientRect().height;
      const many = Number(grid.getAttribute('aria-rowcount')) - 1;
      for (let at = 0; at < many; at += rows) {
        grid.scrollTop = at * height;
        await painted();
        for (const row of document.querySelectorAll('#rows > .row'))
          if (Number(row.dataset.seq) !== first - row.index) return false;
      }
      return true;
    },
    [head, step],
  );

/** How many rows the table says it has. */
export const rowCount = (page) =>
  page.evaluate(() => Number(document.getElementById('grid').getAttribute('aria-rowcount')) - 1);

/** Numbers from high to low. */
export const downFrom = (high, low = 1) => Array.from({ length: high - low + 1 }, (_, at) => high - at);

/** The text of an element. */
export const text = (page, selector) => page.locator(selector).first().innerText();

/** Opens the entry of a row. */
export async function openRow(page, at = 0) {
  const seq = (await drawn(page))[at].seq;
  await page.locator(`#rows > .row[data-seq="${seq}"]`).click();
  await page.locator('#drawer-body .fields').waitFor();
  return seq;
}

/** Writes a query and asks it. */
export async function query(page, q) {
  await page.fill('#query', q);
  await page.keyboard.press('Enter');
}
