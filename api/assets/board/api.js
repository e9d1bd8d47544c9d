// The service, as every other client sees it. Paths are relative to the page, wherever a gateway puts it.

const LOGS = new URL('.', location.href.split(/[?#]/)[0]);
const TOKEN = 'audit-board-token';

/** How long an answer may take. */
const TIMEOUT_MS = 20_000;

/** A refusal, as `application/problem+json` tells it. */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(typeof body?.detail === 'string' ? body.detail : `the service answered ${status}`);
    this.status = status;
    this.code = typeof body?.code === 'string' ? body.code : '';
    this.retryAfter = retryAfter;
  }

  /** Of a query that cannot be read: the column, from 1. */
  get column() {
    const found = /^column (\d+): /.exec(this.message);
    return this.code === 'invalid_query' && found ? Number(found[1]) : null;
  }
}

/** Nobody answered. */
export class Unreachable extends Error {}

let token = sessionStorage.getItem(TOKEN);

/** Takes a token for as long as the tab lives; `null` forgets it. */
export function setToken(text) {
  token = text;
  if (text === null) sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, text);
}

export const hasToken = () => token !== null;

/** The address of something below `/logs`, with parameters that are not empty. */
export function address(path, params = {}) {
  const url = new URL(LOGS.href.replace(/\/$/, '') + path);
  for (const [name, value] of Object.entries(params)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== '') url.searchParams.append(name, one);
    }
  }
  return url;
}

async function send(url, { signal, patient, ...options } = {}) {
  const signals = [...(patient ? [] : [AbortSignal.timeout(TIMEOUT_MS)]), ...(signal ? [signal] : [])];
  const headers = { ...options.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) };
  let answer;
  try {
    answer = await fetch(url, { ...options, headers, signal: AbortSignal.any(signals), cache: 'no-store' });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable('the service does not answer', { cause: error });
  }
  if (answer.ok) return answer;
  throw new Problem(
    answer.status,
    await answer.json().catch(() => null),
    Number(answer.headers.get('retry-after')) || 0,
  );
}

/** Asks and reads the answer as JSON. */
export async function get(path, params = {}, signal = undefined) {
  return (await send(address(path, params), { signal })).json();
}

/** One entry, as the text that the service sent. */
export async function entryText(id, signal) {
  return (await send(address(`/${id}`), { signal })).text();
}

/** A stream of bytes that is saved to a file. */
export const download = (url) => send(url, { patient: true });

/** Who we are. */
export const session = () => get('/board/session');

/** A proof for one connection of the stream, so that none stands in its address for longer. */
export async function ticket() {
  return (await (await send(address('/stream/ticket'), { method: 'POST' })).json()).ticket;
}

/** Where the stream is. */
export function streamAddress(params) {
  const url = address('/stream', params);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url;
}
