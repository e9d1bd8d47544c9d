// Counts over time, stacked by severity. Dragging over them, or arrows with shift and enter, picks a range.

import { SEVERITIES } from './counts.js';
import { byId, draw, el } from './dom.js';
import { count, entries } from './text.js';
import { clock, date, minute } from './times.js';

/** The drawing's own units; it is stretched to its place. */
const HEIGHT = 100;
/** A bar with anything in it can be seen. */
const BAR_MIN = 3;
/** A drag shorter than this is a click. */
const DRAG_PX = 4;

export class Histogram {
  /** @param {(from: number, to: number) => void} picked */
  constructor(picked) {
    this.picked = picked;
    this.node = byId('histogram');
    this.tip = byId('histogram-tip');
    /** @type {import('./counts.js').Bars|null} */
    this.data = null;
    this.node.addEventListener('pointerdown', (event) => this.pressed(event));
    this.node.addEventListener('pointermove', (event) => this.hovered(event));
    this.node.addEventListener('pointerleave', () => this.pointAt(null));
    this.node.addEventListener('keydown', (event) => this.typed(event));
    this.node.addEventListener('blur', () => this.pointAt(null));
  }

  /** @param {import('./counts.js').Bars} data */
  show(data) {
    this.data = data;
    this.cursor = null;
    this.anchor = null;
    this.paint();
  }

  clear() {
    this.data = null;
    this.node.replaceChildren();
    byId('axis').replaceChildren();
    byId('legend').replaceChildren();
  }

  /** New entries, before anybody counts again. */
  add(rows) {
    if (!this.data?.bars.length) return;
    for (const row of rows) {
      const bar = this.barAt(row.at);
      if (!bar) continue;
      bar.counts[row.severity] = (bar.counts[row.severity] ?? 0) + 1;
      bar.total += 1;
    }
    this.paint();
  }

  /** All that the bars count. */
  get total() {
    return this.data?.bars.reduce((sum, bar) => sum + bar.total, 0) ?? 0;
  }

  barAt(at) {
    const bars = this.data.bars;
    const last = bars.at(-1);
    const step = last.end - last.at;
    while (at >= bars.at(-1).end && at < last.end + 60 * step) {
      const { end } = bars.at(-1);
      bars.push({ at: end, end: end + step, counts: {}, total: 0 });
    }
    return bars.findLast((bar) => bar.at <= at && at < bar.end);
  }

  paint() {
    const { bars } = this.data;
    const most = Math.max(1, ...bars.map((bar) => bar.total));
    const groups = bars.map((bar, index) => this.column(bar, index, most));
    const svg = draw(
      'svg',
      { viewBox: `0 0 ${Math.max(1, bars.length)} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      ...groups,
    );
    this.brush = draw('rect', { class: 'brush', y: '0', height: HEIGHT, width: '0' });
    svg.append(this.brush);
    this.node.replaceChildren(svg);
    this.paintAxis();
    this.paintLegend();
    this.describe();
  }

  column(bar, index, most) {
    const column = draw('g', { class: 'bar' });
    let top = HEIGHT;
    const inset = this.data.bars.length > 200 ? 0.05 : 0.12;
    // The gravest at the bottom: so its bars can be compared.
    for (const severity of SEVERITIES) {
      const value = bar.counts[severity] ?? 0;
      if (value <= 0) continue;
      const height = Math.max(BAR_MIN, (value / most) * (HEIGHT - 2 * BAR_MIN));
      top = Math.max(0, top - height);
      column.append(
        draw('rect', {
          class: 'part',
          'data-severity': severity,
          x: index + inset,
          width: 1 - 2 * inset,
          y: top,
          height,
        }),
      );
    }
    return column;
  }

  paintAxis() {
    const { bars } = this.data;
    if (!bars.length) return byId('axis').replaceChildren();
    const isLong = bars.at(-1).end - bars[0].at > 86_400_000 * 1.5;
    const text = (ms) => (isLong ? date(ms) : clock(ms).slice(0, 5));
    const ticks = [0, 0.25, 0.5, 0.75].map((part) => bars[Math.floor(part * bars.length)].at);
    byId('axis').replaceChildren(
      ...ticks.map((at) => el('span', {}, text(at))),
      el('span', {}, this.isOpen ? 'now' : text(bars.at(-1).end)),
    );
  }

  paintLegend() {
    const sums = SEVERITIES.map((severity) => [
      severity,
      this.data.bars.reduce((sum, bar) => sum + (bar.counts[severity] ?? 0), 0),
    ]);
    this.sums = sums;
    byId('legend').replaceChildren(
      ...sums.map(([severity, sum]) =>
        el(
          'button',
          {
            type: 'button',
            class: 'legend-item',
            'data-severity': severity,
            'data-field': 'severity',
            'data-value': severity,
            disabled: sum === 0,
          },
          el('span', { class: 'swatch', 'aria-hidden': 'true' }),
          el('span', {}, severity.charAt(0) + severity.slice(1).toLowerCase()),
          el('b', {}, count(sum)),
        ),
      ),
    );
  }

  describe() {
    const total = this.sums.reduce((sum, [, value]) => sum + value, 0);
    const parts = this.sums
      .filter(([, value]) => value > 0)
      .map(([severity, value]) => `${count(value)} ${severity.toLowerCase()}`);
    const { bars } = this.data;
    const text = total ? `${entries(total)}: ${parts.join(', ')}` : 'no entries';
    this.node.setAttribute('aria-valuemax', String(Math.max(0, bars.length - 1)));
    this.say(this.cursor, text);
  }

  /** What a screen reader says of a bar, or of all. */
  say(index, all) {
    const bar = index === null ? null : this.data.bars[index];
    this.node.setAttribute('aria-valuenow', String(index ?? 0));
    this.node.setAttribute('aria-valuetext', bar ? `${minute(bar.at)}: ${entries(bar.total)}` : all);
  }

  indexAt(event) {
    const box = this.node.getBoundingClientRect();
    const part = (event.clientX - box.left) / box.width;
    return Math.max(0, Math.min(this.data.bars.length - 1, Math.floor(part * this.data.bars.length)));
  }

  hovered(event) {
    if (this.data?.bars.length) this.pointAt(this.indexAt(event));
  }

  /** Shows what one bar says. */
  pointAt(index) {
    this.tip.hidden = index === null || !this.data?.bars[index];
    if (this.tip.hidden) return;
    const bar = this.data.bars[index];
    const parts = SEVERITIES.filter((severity) => bar.counts[severity] > 0).map((severity) =>
      el(
        'span',
        { class: 'legend-item', 'data-severity': severity },
        el('span', { class: 'swatch' }),
        `${count(bar.counts[severity])} ${severity.toLowerCase()}`,
      ),
    );
    this.tip.replaceChildren(
      el('b', {}, `${date(bar.at)} ${clock(bar.at).slice(0, 5)}`),
      parts.length ? '' : 'no entries',
      ...parts,
    );
    const part = (index + 0.5) / this.data.bars.length;
    this.tip.style.setProperty('left', `${Math.round(part * 100)}%`);
    this.tip.style.setProperty('transform', `translateX(-${Math.round(part * 100)}%)`);
  }

  pressed(event) {
    if (!this.data?.bars.length || event.button !== 0) return;
    const startX = event.clientX;
    const start = this.indexAt(event);
    this.node.setPointerCapture(event.pointerId);
    const moved = (next) => this.mark(start, this.indexAt(next));
    const ended = (next) => {
      this.node.removeEventListener('pointermove', moved);
      this.node.removeEventListener('pointerup', ended);
      this.node.removeEventListener('pointercancel', ended);
      this.mark(null);
      const isDrag = Math.abs(next.clientX - startX) >= DRAG_PX;
      if (next.type === 'pointerup' && isDrag) this.pick(start, this.indexAt(next));
    };
    this.node.addEventListener('pointermove', moved);
    this.node.addEventListener('pointerup', ended);
    this.node.addEventListener('pointercancel', ended);
  }

  mark(one, other = one) {
    const width = one === null ? 0 : Math.abs(other - one) + 1;
    this.brush.setAttribute('x', String(one === null ? 0 : Math.min(one, other)));
    this.brush.setAttribute('width', String(width));
  }

  pick(one, other) {
    const { bars } = this.data;
    this.picked(bars[Math.min(one, other)].at, bars[Math.max(one, other)].end);
  }

  typed(event) {
    if (!this.data?.bars.length) return;
    const last = this.data.bars.length - 1;
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (event.key === 'Enter' && this.cursor !== null) this.pick(this.anchor ?? this.cursor, this.cursor);
    else if (event.key in steps) this.step(steps[event.key], event.shiftKey, last);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  step(by, extends_, last) {
    const from = this.cursor ?? (by > 0 ? -1 : last + 1);
    this.anchor = extends_ ? (this.anchor ?? this.cursor) : null;
    this.cursor = Math.max(0, Math.min(last, from + by));
    this.mark(this.anchor ?? this.cursor, this.cursor);
    this.pointAt(this.cursor);
    this.say(this.cursor);
  }
}
