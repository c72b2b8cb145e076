// What was asked for, from the first second to the file that comes of it.

import { Refused, at, call, pause, told } from './api.js';
import { about, clock, money, size } from './format.js';

/** The stages of the page, by the status words of the API. @type {Record<string, number>} */
const STAGES = { pending: 0, queued: 0, analyzing: 0, downloading: 0, processing: 1, uploading: 2, complete: 3 };
/** How long one answer may wait for news, in seconds. */
const WAIT = 10;

/** @param {string} text */
function news(text) {
  at('news').textContent = text;
}

/**
 * @param {string} tag @param {Record<string, string>} attributes @param {string} [text]
 */
function made(tag, attributes, text) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** @param {string} text @param {() => Promise<string | void>} act */
function deed(text, act) {
  const button = /** @type {HTMLButtonElement} */ (made('button', { type: 'button', class: 'plain' }, text));
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      const said = await act();
      if (said) button.textContent = said;
    } catch (error) {
      button.textContent = error instanceof Error ? error.message : text;
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

/**
 * Follows a job in a card of its own, newest first.
 * @param {string} id @param {string} title @param {() => void} [ended]
 */
export function follow(id, title, ended) {
  const template = at('job', HTMLTemplateElement);
  const card = /** @type {HTMLElement} */ (/** @type {DocumentFragment} */ (template.content.cloneNode(true)).firstElementChild);
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (card.querySelector(selector));
  part('h2').textContent = title;
  part('progress').setAttribute('aria-label', title);
  at('jobs').prepend(card);
  const cancel = /** @type {HTMLButtonElement} */ (part('.cancel'));
  cancel.addEventListener('click', async () => {
    cancel.disabled = true;
    try {
      show(await call('POST', `/v1/clip/${id}/cancel`));
    } catch (error) {
      cancel.disabled = false;
      told(part('.problem'), error);
    }
  });
  let isOver = false;

  /** @param {any} job */
  function show(job) {
    if (isOver) return;
    const stage = STAGES[job.status.split(' ')[0]] ?? 0;
    [...part('.stages').children].forEach((item, number) => {
      item.className = number < stage || stage === 3 ? 'over' : number === stage ? 'under' : '';
    });
    /** @type {HTMLProgressElement} */ (part('progress')).value = job.progress;
    part('.status').textContent = job.status_message;
    if (!['complete', 'failed', 'cancelled'].includes(job.status)) return;
    isOver = true;
    cancel.hidden = true;
    part('progress').hidden = true;
    part('.stages').hidden = job.status !== 'complete';
    if (job.status === 'complete') results(job);
    else told(part('.problem'), job.error ?? 'It was cancelled and costs nothing.');
    news(job.status === 'complete' ? `${title} is ready.` : `${title}: ${job.error ?? 'cancelled'}`);
    ended?.();
  }

  /** @param {any} job */
  function results(job) {
    const place = part('.result');
    place.hidden = false;
    for (const clip of job.clips ?? [job]) result(place, clip, job.format);
    const facts = [job.quality, job.cost === undefined ? null : money(job.cost)].filter(Boolean);
    part('.status').textContent = ['Ready', ...facts, `expires in ${hours(job)}`].join(' · ');
    const warnings = [...(job.warnings ?? []), ...(job.failed_segments ?? []).map((/** @type {any} */ lost) => lost.error)];
    if (warnings.length) told(part('.problem'), warnings.join(' '));
  }

  void (async () => {
    for (let seen = ''; !isOver; ) {
      try {
        const job = await call('GET', `/v1/clip/${id}${seen ? `?wait=${WAIT}` : ''}`);
        seen = job.status;
        show(job);
        if (!isOver) await pause(250);
      } catch (error) {
        if (error instanceof Refused && error.status === 404) {
          isOver = true;
          told(part('.problem'), error);
        } else await pause(3000);
      }
    }
  })();
}

/** @param {any} job */
function hours(job) {
  const at = job.expires_at ?? job.clips?.[0]?.expires_at;
  const left = Math.round((Date.parse(at) - Date.now()) / 3600000);
  return Number.isFinite(left) ? `${left} hours` : 'a day';
}

/** @param {HTMLElement} place @param {any} clip @param {string} format */
function result(place, clip, format) {
  const url = clip.download_url;
  const kind = format === 'gif' ? 'img' : format === 'mp4' ? 'video' : 'audio';
  const media = made(kind, kind === 'img' ? { src: url, alt: clip.file_name } : { src: url, controls: '', preload: 'metadata', playsinline: '' });
  if (kind !== 'img') media.setAttribute('aria-label', clip.file_name);
  const side = made('div', {});
  const name = made('p', { dir: 'auto' }, clip.file_name);
  const span = clip.start === undefined ? '' : `${clock(clip.start)} to ${clock(clip.end)} · `;
  const facts = made('p', { class: 'quiet time' }, `${span}${about(clip.duration)} · ${size(clip.file_size)}`);
  const deeds = made('div', { class: 'deeds' });
  deeds.append(made('a', { class: 'button', href: url, download: clip.file_name }, 'Download'));
  if (clip.share_url) {
    deeds.append(made('a', { class: 'button plain', href: clip.share_url, target: '_blank', rel: 'noopener' }, 'Open its page'));
    deeds.append(deed('Copy link', async () => (await navigator.clipboard.writeText(clip.share_url), 'Copied')));
  }
  if (clip.clip_id) {
    let isPinned = false;
    deeds.append(
      deed('Pin', async () => {
        await call('POST', `/v1/clips/${clip.clip_id}/${isPinned ? 'unpin' : 'pin'}`);
        isPinned = !isPinned;
        return isPinned ? 'Unpin' : 'Pin';
      }),
      deed('Rename', async () => {
        const wish = prompt('A new name for the clip', clip.file_name.replace(/\.\w+$/, ''));
        if (wish === null) return;
        name.textContent = (await call('PATCH', `/v1/clips/${clip.clip_id}`, { name: wish })).name;
      }),
    );
  }
  side.append(name, facts, deeds);
  place.append(media, side);
}
