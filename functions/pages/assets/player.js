// The source's picture: plays the range, steps by frames, and tells which frame it shows.

import { Timeline } from './timeline.js';

/** Pictures of the film strip. */
const STILLS = 16;
const STILL_HEIGHT = 90;
/** Seconds that one frame is shown at most, and how long the browser may take to tell of it, in ms. */
const FRAME_SECONDS_MAX = 0.25;
const FRAME_MS_MAX = 500;
/** How long a file may take to say what it is, in ms. */
const PATIENCE = 15000;

/**
 * Waits until `media` has said `name`; false if it fails or takes too long.
 * @param {HTMLMediaElement} media @param {string} name @param {number} [ms]
 * @returns {Promise<boolean>}
 */
function heard(media, name, ms = PATIENCE) {
  return new Promise((done) => {
    const end = (/** @type {boolean} */ fine) => {
      clearTimeout(timer);
      media.removeEventListener(name, yes);
      media.removeEventListener('error', no);
      done(fine);
    };
    const yes = () => end(true);
    const no = () => end(false);
    const timer = setTimeout(no, ms);
    media.addEventListener(name, yes);
    media.addEventListener('error', no);
  });
}

export class Player {
  /** Whether the range is repeated. */
  loops = false;
  /** Seconds of one frame, once two have been seen. */
  frame = 0;
  /** The time of the frame that is on screen, if the browser tells it. @type {number | null} */
  shown = null;
  /** The frame that was shown before the place that was sought last. @type {number | null} */
  #former = null;
  #seeking = false;
  /** @type {number | null} */
  #next = null;
  #version = 0;

  /** @param {HTMLVideoElement} video @param {Timeline} timeline */
  constructor(video, timeline) {
    this.video = video;
    this.timeline = timeline;
    video.addEventListener('seeked', () => {
      this.#seeking = false;
      if (this.#next !== null) this.seek(this.#next);
    });
    const tick = () => {
      if (!video.paused) {
        const time = video.currentTime;
        if (this.loops && (time >= timeline.end || time < timeline.start - 0.5)) this.seek(timeline.start);
        timeline.at(time);
        video.dispatchEvent(new Event('moved'));
        requestAnimationFrame(tick);
      }
    };
    video.addEventListener('play', () => requestAnimationFrame(tick));
    if ('requestVideoFrameCallback' in video) {
      /** @param {number} _ @param {VideoFrameCallbackMetadata} seen */
      const look = (_, seen) => {
        const step = this.shown === null || video.paused ? 0 : seen.mediaTime - this.shown;
        // Dropped frames make steps longer, never shorter.
        if (step > 0.004 && step < 0.2 && (!this.frame || step < this.frame - 0.0005)) this.frame = step;
        this.shown = seen.mediaTime;
        video.requestVideoFrameCallback(look);
      };
      video.requestVideoFrameCallback(look);
    }
  }

  get isOpen() {
    return this.video.readyState >= 1;
  }

  /**
   * Shows the file at `url`; false if the browser cannot.
   * @param {string} url
   */
  async open(url) {
    this.close();
    const version = this.#version;
    this.video.src = url;
    const fine = await heard(this.video, 'loadeddata');
    if (version !== this.#version) return false;
    if (!fine) this.close();
    return fine;
  }

  close() {
    this.#version += 1;
    this.frame = 0;
    this.shown = null;
    this.#seeking = false;
    this.#next = null;
    this.video.pause();
    this.video.removeAttribute('src');
    this.video.load();
  }

  /** Goes to `time`, or as near as it gets while it is still on its way to the one before. @param {number} time */
  seek(time) {
    this.timeline.at(time);
    if (!this.isOpen) return;
    if (this.#seeking) {
      this.#next = time;
      return;
    }
    this.#next = null;
    if (Math.abs(this.video.currentTime - time) < 1e-6) return;
    this.#seeking = true;
    this.#former = this.shown ?? this.#former;
    this.shown = null;
    this.video.currentTime = time;
  }

  toggle() {
    if (!this.isOpen) return;
    if (this.video.paused) {
      if (this.loops && this.video.currentTime >= this.timeline.end) this.seek(this.timeline.start);
      void this.video.play().catch(() => {});
    } else {
      this.video.pause();
    }
  }

  /** @param {number} frames */
  step(frames) {
    this.video.pause();
    const frame = this.frame || this.timeline.frame;
    // From the middle of a frame to the middle of another: on its edge, rounding decides which one is shown.
    const from = this.shown ?? this.video.currentTime;
    this.seek(Math.max(0, Math.min(from + frames * frame + frame / 2, this.timeline.duration)));
  }

  /**
   * The frame that is shown once the picture rests: from when to when, in seconds; `null` where the browser doesn't tell.
   * @returns {Promise<{ start: number, end: number } | null>}
   */
  async resting() {
    if (!this.isOpen || !('requestVideoFrameCallback' in this.video)) return null;
    while (this.#seeking) if (!(await heard(this.video, 'seeked', 3000))) return null;
    // The browser tells of a frame some time after it has found it.
    const frame = (this.frame || this.timeline.frame) * 1.1;
    for (const end = performance.now() + FRAME_MS_MAX; !this.#isShown(frame) && performance.now() < end; ) {
      await new Promise((done) => requestAnimationFrame(done));
    }
    // None was told of: it is the same as before, or a long one.
    this.shown ??= this.#former;
    if (this.shown === null || !this.#isShown(FRAME_SECONDS_MAX)) return null;
    return { start: this.shown, end: this.shown + (this.frame || this.timeline.frame) };
  }

  /** Whether the frame that was told last is the one at the place that was sought. @param {number} longest its length at most */
  #isShown(longest) {
    const behind = this.shown === null ? Infinity : this.video.currentTime - this.shown;
    return behind > -0.001 && behind < longest;
  }

  /** Draws the film strip with a player of its own, so that the one on screen stays where it is. @param {string} url */
  async film(url) {
    const version = this.#version;
    const hidden = document.createElement('video');
    hidden.muted = true;
    hidden.preload = 'auto';
    hidden.src = url;
    if (!(await heard(hidden, 'loadeddata')) || !hidden.videoWidth) return;
    const height = STILL_HEIGHT;
    const width = Math.round((height * hidden.videoWidth) / hidden.videoHeight);
    for (let number = 0; number < STILLS && version === this.#version; number += 1) {
      const time = ((number + 0.5) / STILLS) * this.timeline.duration;
      hidden.currentTime = time;
      if (!(await heard(hidden, 'seeked'))) break;
      const picture = document.createElement('canvas');
      picture.width = width;
      picture.height = height;
      picture.getContext('2d')?.drawImage(hidden, 0, 0, width, height);
      if (version !== this.#version) break;
      this.timeline.stills.push({ time, picture, width, height });
      this.timeline.draw();
    }
    hidden.removeAttribute('src');
    hidden.load();
  }
}
