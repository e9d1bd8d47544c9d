// Moments: as the reader's clock has them, and in UTC for who compares.

const pad = (number, length = 2) => String(number).padStart(length, '0');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `21 Nov`, with the year when it is another one. */
export function date(ms, now = Date.now()) {
  const at = new Date(ms);
  const day = `${pad(at.getDate())} ${MONTHS[at.getMonth()]}`;
  return at.getFullYear() === new Date(now).getFullYear() ? day : `${day} ${at.getFullYear()}`;
}

/** `14:03:22`. */
export function clock(ms) {
  const at = new Date(ms);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

/** `.047`. */
export const fraction = (ms) => `.${pad(((ms % 1000) + 1000) % 1000, 3)}`;

/** `21 Nov 2026, 14:03`. */
export function minute(ms) {
  const at = new Date(ms);
  const day = `${at.getDate()} ${MONTHS[at.getMonth()]} ${at.getFullYear()}`;
  return `${day}, ${pad(at.getHours())}:${pad(at.getMinutes())}`;
}

/** The same moment in UTC: `2026-11-21 13:03:22.047 UTC`. */
export const utc = (ms) => new Date(ms).toISOString().replace('T', ' ').replace('Z', ' UTC');

/** What the service reads. */
export const iso = (ms) => new Date(ms).toISOString();

/** The zone of this browser's clock. */
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

/** How far two moments are from each other, in one unit. */
export function distance(ms) {
  const size = Math.abs(ms);
  const sign = ms < 0 ? '−' : '+';
  if (size < 1000) return `${sign}${size} ms`;
  if (size < 60_000) return `${sign}${(size / 1000).toFixed(1)} s`;
  if (size < 3_600_000) return `${sign}${Math.round(size / 60_000)} min`;
  if (size < 172_800_000) return `${sign}${Math.round(size / 3_600_000)} h`;
  return `${sign}${Math.round(size / 86_400_000)} d`;
}

/** For an input of type `datetime-local`. */
export function toInput(ms) {
  const at = new Date(ms);
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  return `${day}T${pad(at.getHours())}:${pad(at.getMinutes())}`;
}
