// What scenarios share: a browser that is watched, the service as a client, and the test that started all.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const modules = createRequire(`${process.env.AUDIT_TEST_BROWSER}/`);
const { chromium } = modules('playwright-core');

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/** How long anything may take that a scenario waits for. */
const PATIENCE_MS = 20_000;

export class Stage {
  constructor(name, { base, headers, shots }) {
    this.name = name;
    this.base = base;
    this.api = `${base}/api/v1`;
    this.headers = headers;
    this.shots = shots;
    /** What a page must never do. */
    this.wrongs = [];
    /** Wrongs that a scenario brings about itself. */
    this.expected = [];
    this.lines = createInterface({ input: process.stdin });
    this.answers = this.lines[Symbol.asyncIterator]();
    this.ended = new Promise((resolve) => this.lines.once('close', resolve));
    mkdirSync(shots, { recursive: true });
  }

  async launch() {
    this.browser ??= await chromium.launch({
      executablePath: `${process.env.AUDIT_TEST_BROWSER}/chromium`,
      args: FLAGS,
    });
    return this.browser;
  }

  /** A page that is watched and shows nothing yet. */
  async visit() {
    const browser = await this.launch();
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    this.watch(page);
    return page;
  }

  /** Opens the board and waits for its first state. */
  async open({
    search = '',
    width = 1440,
    height = 900,
    headers = this.headers,
    states = ['table', 'first-run', 'empty'],
    axe = true,
    ...options
  } = {}) {
    const browser = await this.launch();
    const context = await browser.newContext({
      viewport: { width, height },
      extraHTTPHeaders: headers,
      timezoneId: 'Europe/Berlin',
      locale: 'en-GB',
      acceptDownloads: true,
      ...options,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: this.base });
    if (axe) await context.addInitScript({ path: modules.resolve('axe-core/axe.min.js') });
    const page = await context.newPage();
    this.watch(page);
    await page.goto(`${this.api}/logs/board${search}`);
    if (states)
      await this.until(page, `one of ${states}`, (names) => names.includes(document.body.dataset.state), states);
    return page;
  }

  /** Whatever a page does that it must not is told at the end. */
  watch(page) {
    const wrong = (what) => this.expected.some((expected) => expected.test(what)) || this.wrongs.push(what);
    this.page = page;
    page.on('dialog', (dialog) => {
      wrong(`a dialog opened: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on('pageerror', (error) => wrong(`an error: ${error.stack}`));
    page.on('popup', () => wrong('a window opened'));
    page.on('console', (message) => message.type() === 'error' && wrong(`on the console: ${message.text()}`));
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== this.base && protocol !== 'data:' && protocol !== 'blob:') wrong(`a request to ${origin}`);
    });
    page.on('websocket', (socket) => {
      if (new URL(socket.url()).host !== new URL(this.base).host) wrong(`a socket to ${socket.url()}`);
    });
  }

  /** Waits until something is so on the page. */
  until(page, what, isSo, argument) {
    const waiting = page.waitForFunction(isSo, argument, { polling: 50 });
    return waiting.catch(async (error) => {
      throw new Error(`not so: ${what} (${error.message.split('\n')[0]})`);
    });
  }

  /** Waits for a state of the connection. */
  live(page, state = 'live') {
    return this.until(
      page,
      `the stream is ${state}`,
      (wanted) => document.getElementById('live-state').dataset.state === wanted,
      state,
    );
  }

  /** A request as an application makes it. */
  async request(method, path, body) {
    const answer = await fetch(`${this.api}${path}`, {
      method,
      headers: {
        ...this.headers,
        'x-user-role': 'admin',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }

  /** Records an entry. */
  post(members = {}) {
    return this.request('POST', '/logs', { action: 'UPDATE', resource_type: 'thing', ...members });
  }

  /** Records many, at most a thousand a request. */
  async postMany(entries) {
    for (let at = 0; at < entries.length; at += 1_000) {
      await this.request(
        'POST',
        '/logs/bulk',
        entries.slice(at, at + 1_000).map((members) => ({ action: 'UPDATE', resource_type: 'thing', ...members })),
      );
    }
  }

  /** Has the test do something that a page cannot. */
  async ask(what) {
    process.stdout.write(`${what}\n`);
    const { value, done } = await this.answers.next();
    assert.ok(!done && value === 'done', `the test did not: ${what}`);
  }

  /** A picture, for people to look at. */
  shot(page, name) {
    return page.screenshot({ path: `${this.shots}/${name}.png` });
  }

  /** What keeps people out, as axe finds it: nothing. */
  async accessible(page, what) {
    const found = await page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
      return violations.map(
        ({ id, help, nodes }) =>
          `${id}: ${help}: ${nodes
            .slice(0, 3)
            .map((node) => `${node.html.slice(0, 160)} (${node.failureSummary})`)
            .join(' | ')}`,
      );
    });
    assert.deepEqual(found, [], `axe on ${what}`);
  }

  /** Ends well only when no page did what it must not. */
  async close() {
    await this.browser?.close();
    assert.deepEqual(this.wrongs, [], 'what a page must not do');
  }

  async failed(error) {
    process.stderr.write(`${this.name}: ${error.stack}\n`);
    if (this.wrongs.length) process.stderr.write(`besides: ${this.wrongs.join('\n')}\n`);
    await this.page?.screenshot({ path: `${this.shots}/failed-${this.name}.png`, timeout: 5_000 }).catch(() => {});
    await this.browser?.close().catch(() => {});
  }
}
