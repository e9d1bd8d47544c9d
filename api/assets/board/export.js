// Exports: exactly what is seen, as a file.

import * as api from './api.js';
import { byId } from './dom.js';
import { selectionAlone } from './pager.js';

/** What is put together in memory, where a browser cannot write to a file as it comes. */
const MEMORY_BYTES_MAX = 256 * 1024 * 1024;

/** The address of an export. */
export const exportAddress = (view, bounds, format) =>
  api.address('/export', { format, ...selectionAlone(view, bounds) });

/**
 * Saves an export. With a token the browser cannot load it by itself: then it is fetched.
 * @param {'csv'|'ndjson'|'json'} format
 */
export async function save(view, bounds, format) {
  const url = exportAddress(view, bounds, format);
  if (!api.hasToken()) return follow(url);
  const answer = await api.download(url);
  const name = /filename="([^"]+)"/.exec(answer.headers.get('content-disposition') ?? '')?.[1] ?? `audit-log.${format}`;
  if (globalThis.showSaveFilePicker) {
    const file = await showSaveFilePicker({ suggestedName: name });
    return answer.body.pipeTo(await file.createWritable());
  }
  const blob = URL.createObjectURL(new Blob(await chunks(answer.body)));
  follow(blob, name);
  setTimeout(() => URL.revokeObjectURL(blob), 60_000);
}

async function chunks(body) {
  const parts = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.byteLength;
    if (bytes > MEMORY_BYTES_MAX) throw new Error('this export is too large for a browser: take `audit-log export`');
    parts.push(part);
  }
  return parts;
}

function follow(url, name = '') {
  const link = byId('download');
  link.href = String(url);
  link.download = name;
  link.click();
}
