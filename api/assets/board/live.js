// New entries as they come: one connection, its cursor, and what to do when it breaks.

import * as api from './api.js';
import { thin } from './rows.js';

/** Entries that wait while the page is paused; with more the cursor waits for them. */
export const WAITING_MAX = 10_000;
/** Between tries: at first, at most. Each is drawn at random, so that a thousand boards do not come at once. */
const RETRY_MS = 500;
const RETRY_MS_MAX = 30_000;
/** A restart is short. */
const RESTART_MS = 250;
/** How often new rows are handed over while nobody looks: a hidden page paints nothing. */
const HIDDEN_MS = 500;
/** A silence this long cannot be: heartbeats come every 15 s. */
const SILENCE_MS = 45_000;
/** Without an entry for so long after the beginning, nothing was missed. */
const CAUGHT_UP_MS = 1_500;

const CLOSED = { restart: 1012, tooSlow: 1013, broken: 1008, proofEnded: 4401, rightGone: 4403 };

/**
 * What the page says of its connection.
 * @typedef {'off'|'connecting'|'catching up'|'live'|'disconnected'|'refused'} State
 */

export class Live {
  /**
   * @param {object} handlers
   * @param {(live: Live) => void} handlers.changed the state or what waits has changed
   * @param {(rows: import('./rows.js').Row[]) => void} handlers.arrived new rows, the oldest first
   * @param {(gap: {from_seq: number, to_seq: number, reason: string}) => void} handlers.missing
   * @param {(problem: Error) => void} handlers.refused what no further try mends
   */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {State} */
    this.state = 'off';
    this.paused = false;
    this.socket = null;
    this.begin(null, {});
    document.addEventListener('visibilitychange', () => this.hurry());
    addEventListener('online', () => this.tryNow());
  }

  /** Follows a selection from this cursor on; what waited of another one is forgotten. */
  follow(cursor, params, seq) {
    this.stop();
    this.begin(cursor, params);
    this.seq = seq;
    this.connect();
  }

  begin(cursor, params) {
    this.cursor = cursor;
    this.params = params;
    /** The last entry that came. */
    this.seq = 0;
    /** Came, and not handed over yet. */
    this.waiting = [];
    /** Whether more wait than are kept here. */
    this.overflows = false;
    this.tries = 0;
    this.retryAt = 0;
    this.why = '';
  }

  stop() {
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    clearTimeout(this.catching);
    this.drop();
    this.waiting = [];
    this.set('off');
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    socket?.close(1000);
  }

  set(state) {
    this.state = state;
    this.handlers.changed(this);
  }

  async connect() {
    const run = (this.run = (this.run ?? 0) + 1);
    this.set('connecting');
    try {
      const ticket = await api.ticket();
      if (run !== this.run || this.state !== 'connecting') return;
      const own = this.params.own ? 'true' : null;
      const { q, from, to } = this.params;
      const url = api.streamAddress({ ticket, cursor: this.cursor, q, from, to, include_self: own });
      this.listen(new WebSocket(url));
    } catch (error) {
      if (run !== this.run || this.state !== 'connecting') return;
      if (error instanceof api.Problem && isFinal(error)) this.refuse(error);
      else this.retry(error.message, error.retryAfter ? error.retryAfter * 1000 : null);
    }
  }

  listen(socket) {
    this.socket = socket;
    const current = (then) => (event) => socket === this.socket && then(event);
    socket.addEventListener(
      'message',
      current(({ data }) => this.heard(JSON.parse(data))),
    );
    socket.addEventListener(
      'close',
      current((event) => this.closed(event)),
    );
    this.expectSound();
  }

  /** A connection that is silent for too long is taken for broken. */
  expectSound() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      this.drop();
      this.retry('nothing was heard for too long');
    }, SILENCE_MS);
  }

  heard(frame) {
    this.expectSound();
    if (frame.type === 'hello') this.greeted(frame);
    else if (frame.type === 'log') this.took(frame);
    else if (frame.type === 'heartbeat') this.beat(frame);
    else if (frame.type === 'gap') this.handlers.missing(frame);
    else if (frame.type === 'error') this.why = frame.detail;
  }

  greeted(frame) {
    this.tries = 0;
    this.why = '';
    this.cursor = frame.cursor ?? this.cursor;
    this.headAtStart = frame.head_seq;
    if (this.seq >= this.headAtStart) return this.set('live');
    this.set('catching up');
    this.expectEnd();
  }

  /** What passes no filter is not sent: a pause means that all has come. */
  expectEnd() {
    clearTimeout(this.catching);
    this.catching = setTimeout(() => this.caughtUp(), CAUGHT_UP_MS);
  }

  caughtUp() {
    clearTimeout(this.catching);
    if (this.state === 'catching up') this.set('live');
  }

  beat(frame) {
    this.moveTo(frame.cursor);
    this.caughtUp();
  }

  took(frame) {
    const { seq } = frame.data;
    this.moveTo(frame.cursor);
    // A page that was read meanwhile may have had it already.
    if (seq > this.seq) {
      this.seq = seq;
      this.waiting.push(thin(frame.data));
      if (this.paused) this.wait();
      else if (this.waiting.length >= WAITING_MAX) this.handOver();
      else this.hurry();
    }
    if (this.state === 'catching up') {
      if (seq >= this.headAtStart) this.caughtUp();
      else this.expectEnd();
    }
  }

  moveTo(cursor) {
    if (cursor) this.cursor = cursor;
  }

  /** Paused: kept up to a bound, then the connection ends and the cursor marks the place. */
  wait() {
    if (this.waiting.length >= WAITING_MAX) {
      this.overflows = true;
      clearTimeout(this.silence);
      this.drop();
    }
    this.tell();
  }

  /** Tells what waits, not more often than it is painted. */
  tell() {
    if (this.telling) return;
    this.telling = true;
    setTimeout(() => {
      this.telling = false;
      this.handlers.changed(this);
    }, 100);
  }

  /** Hands over what came, with the next frame that is painted. */
  hurry() {
    if (this.hurrying || this.paused || !this.waiting.length) return;
    this.hurrying = true;
    const hand = () => {
      this.hurrying = false;
      this.handOver();
    };
    if (document.hidden) setTimeout(hand, HIDDEN_MS);
    else requestAnimationFrame(hand);
  }

  handOver() {
    if (this.paused || !this.waiting.length) return;
    const rows = this.waiting;
    this.waiting = [];
    this.handlers.arrived(rows);
  }

  pause() {
    this.paused = true;
    this.handlers.changed(this);
  }

  resume() {
    this.paused = false;
    this.handOver();
    if (this.overflows) {
      this.overflows = false;
      this.connect();
    }
    this.handlers.changed(this);
  }

  closed({ code, reason }) {
    clearTimeout(this.silence);
    this.socket = null;
    const why = this.why || reason;
    if (code === CLOSED.restart) this.retry('the service restarts', RESTART_MS * (1 + Math.random()));
    else if (code === CLOSED.proofEnded) this.retry('the proof of identity has ended', 0);
    else if (code === CLOSED.rightGone || code === CLOSED.broken)
      this.refuse(new Error(why || 'the service ended the connection'));
    else this.retry(why || (code === CLOSED.tooSlow ? 'this browser was too slow' : 'the connection broke'));
  }

  /** The first try comes soon, each later one after about twice the time. */
  retry(why, after = null) {
    clearTimeout(this.catching);
    const longest = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** this.tries);
    const delay = after ?? longest * (0.5 + Math.random() / 2);
    // Whatever was asked for: a service that ends each connection at once is not asked in a circle.
    this.tries += 1;
    this.why = why;
    this.retryAt = Date.now() + Math.max(delay, this.tries > 3 ? longest / 2 : 0);
    this.set('disconnected');
    this.timer = setTimeout(() => this.connect(), this.retryAt - Date.now());
  }

  tryNow() {
    if (this.state !== 'disconnected') return;
    clearTimeout(this.timer);
    this.connect();
  }

  refuse(error) {
    this.why = error.message;
    this.set('refused');
    this.handlers.refused(error);
  }
}

/** Whether the same question gets the same answer for ever. */
const isFinal = (problem) =>
  problem.status >= 400 && problem.status < 500 && problem.status !== 429 && problem.status !== 408;
