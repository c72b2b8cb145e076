// Uploads: one request for a small file, signed parts for a large one; paused, resumed and tried again part by part.

import { Refused, call, pause } from './api.js';

/** Files from this size on go in parts; parts are tried again alone. */
const PARTS_FROM_BYTES = 64 * 1024 * 1024;
/** Parts under way at once. */
const AT_ONCE = 3;
const ATTEMPTS = 6;
/** How long the file is looked at, at most, in ms. */
const LOOK_MS = 180000;

/** Said of an upload that somebody has given up. */
export class GivenUp extends Error {}

export class Upload {
  isPaused = false;
  isGivenUp = false;
  /** Bytes of each part that are there. @type {number[]} */
  #sent = [];
  /** @type {Set<XMLHttpRequest>} */
  #open = new Set();

  /** @param {File} file @param {(share: number, said: string) => void} tell */
  constructor(file, tell) {
    this.file = file;
    this.tell = tell;
  }

  /** Sends the file; answers its id once it can be used. @returns {Promise<string>} */
  async run() {
    const { name, size } = this.file;
    const type = this.file.type || 'application/octet-stream';
    const announced = { filename: name, content_type: type, file_size: size };
    let id;
    if (size < PARTS_FROM_BYTES) {
      const { file_id, upload_url } = await call('POST', '/v1/upload/request', announced);
      id = file_id;
      await this.#part(0, upload_url, this.file, type);
    } else {
      const made = await call('POST', '/v1/upload/multipart/initiate', announced);
      id = made.file_id;
      const waiting = made.part_urls.map((/** @type {string} */ url, /** @type {number} */ number) => ({ url, number }));
      const worker = async () => {
        for (let part = waiting.shift(); part; part = waiting.shift()) {
          const from = part.number * made.part_size;
          await this.#part(part.number, part.url, this.file.slice(from, from + made.part_size), '');
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      await call('POST', '/v1/upload/multipart/complete', { file_id: id, upload_id: made.upload_id });
    }
    this.tell(1, 'Looking at the file …');
    return this.#ready(id);
  }

  pause() {
    this.isPaused = true;
    for (const request of this.#open) request.abort();
  }

  resume() {
    this.isPaused = false;
  }

  giveUp() {
    this.isGivenUp = true;
    this.pause();
  }

  /** @param {number} number @param {string} url @param {Blob} body @param {string} type */
  async #part(number, url, body, type) {
    for (let attempt = 1; ; attempt += 1) {
      while (this.isPaused && !this.isGivenUp) await pause(100);
      if (this.isGivenUp) throw new GivenUp('The upload was cancelled.');
      const status = await this.#put(number, url, body, type);
      if (status >= 200 && status < 300) return;
      this.#sent[number] = 0;
      if (this.isPaused) attempt = 0;
      else if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
        throw new Refused(status, 'upload', 'The file was not taken. Choose it again.');
      } else if (attempt >= ATTEMPTS) {
        throw new Refused(status, 'upload', 'The connection broke off too often. Choose the file again to try once more.');
      } else await pause(500 * 2 ** attempt);
    }
  }

  /**
   * Answers the status, 0 without one.
   * @param {number} number @param {string} url @param {Blob} body @param {string} type
   * @returns {Promise<number>}
   */
  #put(number, url, body, type) {
    return new Promise((done) => {
      const request = new XMLHttpRequest();
      this.#open.add(request);
      request.open('PUT', url);
      if (type) request.setRequestHeader('content-type', type);
      request.upload.addEventListener('progress', (event) => {
        this.#sent[number] = event.loaded;
        const sent = this.#sent.reduce((sum, bytes) => sum + (bytes ?? 0), 0);
        const share = Math.min(1, sent / Math.max(1, this.file.size));
        this.tell(share, `Uploading ${this.file.name}: ${Math.floor(share * 100)} %`);
      });
      request.addEventListener('loadend', () => {
        this.#open.delete(request);
        done(request.status);
      });
      request.send(body);
    });
  }

  /** @param {string} id */
  async #ready(id) {
    for (const end = Date.now() + LOOK_MS; Date.now() < end; await pause(1000)) {
      if (this.isGivenUp) throw new GivenUp('The upload was cancelled.');
      const { status, error } = await call('GET', `/v1/upload/${id}`);
      if (status === 'ready') return id;
      if (status === 'failed') throw new Refused(422, 'upload', error ?? 'This file has neither picture nor sound.');
    }
    throw new Refused(0, 'upload', 'Looking at the file takes too long. Choose it again in a minute.');
  }
}
