// <clip-timeline>: a film strip with two handles and a playhead.
//
// One canvas, drawn at most once a frame and only if something has changed. For the keyboard and for assistive technology the
// handles are two native range inputs, each bounded by the other (the APG's multi-thumb slider), which lie under the canvas.
//
// Events, all with `detail`: `range` {start, end, which, done} while a handle moves and when it rests, `seek` {time}.

import { about, clock, words } from './format.js';

/** Pixels around a handle that take hold of it: 44 in all. */
const GRIP = 22;
/** Seconds that the view never falls below. */
const VIEW_MIN = 0.5;
/** How much finer a drag with Shift is. */
const FINER = 10;

/** @typedef {{ time: number, picture: CanvasImageSource, width: number, height: number }} Still */

class Timeline extends HTMLElement {
  /** Seconds of the source. */
  duration = 0;
  start = 0;
  end = 0;
  now = 0;
  /** Seconds of one frame, as far as known. */
  frame = 1 / 30;
  /** The longest range, in seconds. */
  longest = Infinity;
  /** @type {{ from: number, to: number }} */
  view = { from: 0, to: 1 };
  /** @type {Still[]} */
  stills = [];
  /** @type {{ start: number, end: number }[]} */
  marks = [];
  /** @type {null | { which: 'start' | 'end' | 'now', x: number, time: number }} */
  #drag = null;
  #dirty = false;
  #colours = { line: '', ink: '', accent: '', surface: '', quiet: '' };

  connectedCallback() {
    this.canvas = /** @type {HTMLCanvasElement} */ (this.querySelector('canvas'));
    this.inputs = {
      start: /** @type {HTMLInputElement} */ (this.querySelector('#handle-start')),
      end: /** @type {HTMLInputElement} */ (this.querySelector('#handle-end')),
    };
    new ResizeObserver(() => this.draw()).observe(this);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#colours.line = '';
      this.draw();
    });
    this.addEventListener('pointerdown', (event) => this.#take(event));
    this.addEventListener('pointermove', (event) => this.#move(event));
    for (const end of ['pointerup', 'pointercancel']) this.addEventListener(end, () => this.#leave());
    this.addEventListener('wheel', (event) => this.#turn(event), { passive: false });
    for (const which of /** @type {const} */ (['start', 'end'])) {
      this.inputs[which].addEventListener('keydown', (event) => this.#key(event, which));
      // What assistive technology sets.
      this.inputs[which].addEventListener('input', () => this.#set(which, Number(this.inputs?.[which].value), true));
    }
  }

  /** A source of so many seconds. @param {number} duration */
  open(duration) {
    this.duration = duration;
    this.view = { from: 0, to: duration };
    this.stills = [];
    this.marks = [];
    this.show(0, Math.min(duration, this.longest));
  }

  /** @param {number} start @param {number} end */
  show(start, end) {
    this.start = Math.max(0, Math.min(start, this.duration));
    this.end = Math.max(this.start, Math.min(end, this.duration));
    this.#tell();
    this.draw();
  }

  /** @param {number} time */
  at(time) {
    this.now = time;
    this.draw();
  }

  /** Shows the range with a quarter of it on both sides, or all. @param {boolean} close */
  zoom(close) {
    const length = Math.max(this.end - this.start, VIEW_MIN);
    this.view = close
      ? this.#within(this.start - length / 4, this.end + length / 4)
      : { from: 0, to: this.duration };
    this.draw();
  }

  /** @param {number} from @param {number} to */
  #within(from, to) {
    const length = Math.min(Math.max(to - from, VIEW_MIN), this.duration);
    const first = Math.max(0, Math.min(from, this.duration - length));
    return { from: first, to: first + length };
  }

  /** @param {number} time */
  #x(time) {
    return ((time - this.view.from) / (this.view.to - this.view.from)) * this.clientWidth;
  }

  /** @param {number} x */
  #time(x) {
    return this.view.from + (x / this.clientWidth) * (this.view.to - this.view.from);
  }

  /** @param {PointerEvent} event */
  #take(event) {
    if (event.button !== 0 || !this.duration) return;
    const x = event.clientX - this.getBoundingClientRect().left;
    const far = { start: Math.abs(x - this.#x(this.start)), end: Math.abs(x - this.#x(this.end)) };
    /** @type {'start' | 'end' | 'now'} */
    let which = far.start <= far.end ? 'start' : 'end';
    // Where both are in reach, the one on this side of the pointer's; of two in one place the one that can move.
    if (far.start === far.end) which = this.start > 0 && x < this.#x(this.start) ? 'start' : 'end';
    if (far[which] > GRIP) which = 'now';
    this.setPointerCapture(event.pointerId);
    event.preventDefault();
    if (which !== 'now') this.inputs?.[which].focus({ preventScroll: true });
    this.#drag = { which, x, time: which === 'now' ? this.#time(x) : this[which] };
    if (which === 'now') this.#seek(this.#time(x));
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (!this.#drag) return;
    const x = event.clientX - this.getBoundingClientRect().left;
    const seconds = ((x - this.#drag.x) / this.clientWidth) * (this.view.to - this.view.from);
    this.#drag.time += event.shiftKey ? seconds / FINER : seconds;
    this.#drag.x = x;
    if (this.#drag.which === 'now') this.#seek(this.#drag.time);
    else this.#set(this.#drag.which, this.#drag.time, false);
  }

  #leave() {
    const drag = this.#drag;
    this.#drag = null;
    if (drag && drag.which !== 'now') this.#set(drag.which, this[drag.which], true);
  }

  /** @param {WheelEvent} event */
  #turn(event) {
    if (!this.duration) return;
    event.preventDefault();
    const { from, to } = this.view;
    const length = to - from;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const by = (event.deltaX / this.clientWidth) * length;
      this.view = this.#within(from + by, to + by);
    } else {
      const centre = this.#time(event.clientX - this.getBoundingClientRect().left);
      const share = Math.exp(event.deltaY / 400);
      this.view = this.#within(centre - (centre - from) * share, centre + (to - centre) * share);
    }
    this.draw();
  }

  /** @param {KeyboardEvent} event @param {'start' | 'end'} which */
  #key(event, which) {
    const step = event.shiftKey ? 1 : this.frame;
    /** @type {Record<string, number>} */
    const to = {
      ArrowLeft: this[which] - step,
      ArrowDown: this[which] - step,
      ArrowRight: this[which] + step,
      ArrowUp: this[which] + step,
      PageDown: this[which] - 10,
      PageUp: this[which] + 10,
      Home: which === 'start' ? 0 : this.start + this.frame,
      End: which === 'start' ? this.end - this.frame : this.duration,
    };
    if (!(event.key in to) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.#set(which, to[event.key], true);
  }

  /** @param {number} time */
  #seek(time) {
    const detail = { time: Math.max(0, Math.min(time, this.duration)) };
    this.dispatchEvent(new CustomEvent('seek', { detail }));
  }

  /** @param {'start' | 'end'} which @param {number} time @param {boolean} done */
  #set(which, time, done) {
    if (which === 'start') {
      this.start = Math.max(0, this.end - this.longest, Math.min(time, this.end - this.frame));
    } else {
      this.end = Math.min(this.duration, this.start + this.longest, Math.max(time, this.start + this.frame));
    }
    this.#tell();
    this.draw();
    const detail = { start: this.start, end: this.end, which, done };
    this.dispatchEvent(new CustomEvent('range', { detail }));
  }

  #tell() {
    if (!this.inputs) return;
    const { start, end } = this.inputs;
    start.min = '0';
    start.max = String(Math.max(0, this.end - this.frame));
    end.min = String(this.start + this.frame);
    end.max = String(this.duration);
    start.value = String(this.start);
    end.value = String(this.end);
    start.setAttribute('aria-valuetext', words(this.start));
    end.setAttribute('aria-valuetext', words(this.end));
  }

  draw() {
    if (this.#dirty) return;
    this.#dirty = true;
    requestAnimationFrame(() => {
      this.#dirty = false;
      this.#paint();
    });
  }

  #paint() {
    const { canvas } = this;
    const [width, height, density] = [this.clientWidth, this.clientHeight, devicePixelRatio || 1];
    const pen = canvas?.getContext('2d');
    if (!canvas || !pen || !width || !this.duration) return;
    if (canvas.width !== Math.round(width * density)) canvas.width = Math.round(width * density);
    if (canvas.height !== Math.round(height * density)) canvas.height = Math.round(height * density);
    if (!this.#colours.line) {
      const style = getComputedStyle(this);
      const of = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
      this.#colours = { line: of('line'), ink: of('ink'), accent: of('accent'), surface: of('surface'), quiet: of('quiet') };
    }
    const colours = this.#colours;
    pen.setTransform(density, 0, 0, density, 0, 0);
    pen.fillStyle = colours.surface;
    pen.fillRect(0, 0, width, height);
    const [top, bottom] = [20, height - 6];
    this.#paintStills(pen, width, top, bottom);
    this.#paintClock(pen, width, top);
    const [left, right] = [this.#x(this.start), this.#x(this.end)];
    pen.fillStyle = colours.surface;
    pen.globalAlpha = 0.72;
    pen.fillRect(0, top, left, bottom - top);
    pen.fillRect(right, top, width - right, bottom - top);
    pen.globalAlpha = 1;
    pen.fillStyle = colours.accent;
    for (const mark of this.marks) {
      pen.globalAlpha = 0.35;
      pen.fillRect(this.#x(mark.start), bottom - 6, Math.max(3, this.#x(mark.end) - this.#x(mark.start)), 6);
    }
    pen.globalAlpha = 1;
    pen.fillRect(left, top, right - left, 2);
    pen.fillRect(left, bottom - 2, right - left, 2);
    for (const [x, side] of [[left, -1], [right, 1]]) {
      pen.beginPath();
      pen.roundRect(side < 0 ? x - 12 : x, top, 12, bottom - top, side < 0 ? [6, 0, 0, 6] : [0, 6, 6, 0]);
      pen.fill();
      pen.fillStyle = colours.surface;
      pen.fillRect(x + side * 6 - 1, (top + bottom) / 2 - 8, 2, 16);
      pen.fillStyle = colours.accent;
    }
    pen.fillStyle = colours.ink;
    pen.fillRect(this.#x(this.now) - 1, top - 4, 2, bottom - top + 8);
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} width @param {number} top @param {number} bottom */
  #paintStills(pen, width, top, bottom) {
    pen.fillStyle = this.#colours.line;
    pen.fillRect(0, top, width, bottom - top);
    if (!this.stills.length) return;
    const [first] = this.stills;
    const high = bottom - top;
    const wide = Math.max(8, (high * first.width) / first.height);
    for (let x = 0; x < width; x += wide) {
      const time = this.#time(x + wide / 2);
      let near = first;
      for (const still of this.stills) if (Math.abs(still.time - time) < Math.abs(near.time - time)) near = still;
      pen.drawImage(near.picture, x, top, wide, high);
    }
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} width @param {number} top */
  #paintClock(pen, width, top) {
    const length = this.view.to - this.view.from;
    const steps = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800];
    const step = steps.find((step) => (step / length) * width >= 72) ?? 3600;
    pen.fillStyle = this.#colours.quiet;
    pen.font = '11px system-ui, sans-serif';
    pen.textBaseline = 'middle';
    for (let number = Math.ceil(this.view.from / step); number * step <= this.view.to; number += 1) {
      const time = number * step;
      const text = step < 1 ? clock(time).slice(0, -2) : about(time);
      pen.fillText(text, Math.min(this.#x(time) + 3, width - pen.measureText(text).width - 3), top / 2);
    }
  }
}

customElements.define('clip-timeline', Timeline);
export { Timeline };
