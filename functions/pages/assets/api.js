// Talks to the API by the browser's session.

/** A refused request: `message` is a sentence for people. */
export class Refused extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/**
 * Asks for `path`; answers the JSON.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {{ headers?: Record<string, string>, signal?: AbortSignal }} [more]
 * @returns {Promise<any>}
 */
export async function call(method, path, body, more = {}) {
  /** @type {RequestInit} */
  const request = { method, headers: { accept: 'application/json', ...more.headers }, signal: more.signal };
  if (body !== undefined) {
    request.headers = { ...request.headers, 'content-type': 'application/json' };
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch (error) {
    if (more.signal?.aborted) throw error;
    throw new Refused(0, 'offline', 'The connection is gone. Try again in a moment.');
  }
  const read = await answer.json().catch(() => null);
  if (answer.ok) return read;
  throw new Refused(answer.status, read?.code ?? 'unknown', read?.detail ?? 'Something went wrong. Try again in a moment.');
}

/** A key that makes a repeated request the same one. */
export const once = () => ({ 'idempotency-key': crypto.randomUUID() });

/** @param {number} ms */
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * The element with this id, which the page has.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [kind]
 * @returns {T}
 */
export function at(id, kind) {
  const found = document.getElementById(id);
  if (!found || (kind && !(found instanceof kind))) throw new Error(`the page has no ${id}`);
  return /** @type {T} */ (found);
}

/**
 * Says what went wrong where it went wrong; nothing takes it away.
 * @param {HTMLElement} place
 * @param {unknown} [error]
 */
export function told(place, error) {
  place.hidden = error === undefined;
  place.textContent = error === undefined ? '' : error instanceof Error ? error.message : String(error);
}
