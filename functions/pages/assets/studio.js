// The Studio: from a link to the right seconds of a video, with the price before paying.

import { Refused, at, call, once, told } from './api.js';
import { about, clock, money, parsed } from './format.js';
import { follow } from './jobs.js';
import { Player } from './player.js';
import { SAMPLES } from './samples.js';
import { begin, signedIn, who } from './sign-in.js';
import { Timeline } from './timeline.js';
import { GivenUp, Upload } from './upload.js';

/** Seconds. */
const LONGEST = { clip: 600, gif: 30 };
/** How long a change rests before its price is asked for, in ms. */
const REST = 250;

const timeline = at('timeline', Timeline);
const video = at('video', HTMLVideoElement);
const player = new Player(video, timeline);
/** The prices of who is not signed in, from the price book. @type {Record<string, number>} */
const prices = JSON.parse(document.body.dataset.prices ?? '{}');
const base = document.body.dataset.base ?? location.origin;

/** @type {{ url?: string, file_id?: string, info: any } | null} */
let source = null;
/** What is made: a tab. @type {'clip' | 'ai' | 'transcript' | 'download'} */
let tab = 'clip';
/** @type {any[]} */
let moments = [];
/** @type {any[]} */
let lines = [];
/** @type {Upload | null} */
let upload = null;
let asked = 0;

const value = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (at(id)).value;
const precision = () => /** @type {HTMLInputElement} */ (document.querySelector('[name=precision]:checked')).value;
const location_ = () => (source?.file_id ? { file_id: source.file_id } : { url: source?.url ?? `${base}/_local/test-picture.mp4` });

/** What the form asks for. @returns {{ path: string, kind: string, body: Record<string, any> }} */
function ask() {
  const [format, quality] = [value('format'), value('quality')];
  const form = { format, ...(['mp4', 'gif'].includes(format) ? { quality } : {}) };
  switch (tab) {
    case 'ai':
      return { path: '/v1/clip/analyze', kind: 'analyze', body: { ...location_(), query: value('query') } };
    case 'transcript':
      return { path: '/v1/transcript', kind: 'transcript', body: location_() };
    case 'download':
      return { path: '/v1/download', kind: 'download', body: { ...location_(), ...form, save_to_library: at('keep', HTMLInputElement).checked } };
    default: {
      const exact = precision() === 'keyframe' ? { precision: 'keyframe' } : {};
      const round = (/** @type {number} */ seconds) => Math.round(seconds * 1e6) / 1e6;
      const [start, end] = source ? [round(timeline.start), round(timeline.end)] : [1.5, 4.25];
      return { path: '/v1/clip', kind: 'clip', body: { ...location_(), start, end, ...form, ...exact } };
    }
  }
}

// --- Opening a source ---------------------------------------------------------------------------------------------------

/** @param {{ url?: string, file_id?: string }} place @param {{ start?: number, end?: number }} [range] */
async function open(place, range = {}) {
  const form = at('open');
  told(at('open-error'));
  form.setAttribute('aria-busy', 'true');
  at('intro').hidden = true;
  try {
    const info = await call('POST', '/v1/clip/info', place);
    source = { ...place, info };
    at('studio').hidden = false;
    at('title').textContent = info.title;
    const host = place.url ? new URL(place.url).hostname : 'your file';
    at('facts').textContent = [about(info.duration), info.max_height ? `${info.max_height}p` : 'sound', host].join(' · ');
    moments = [];
    lines = [];
    at('found').hidden = true;
    at('said').hidden = true;
    timeline.longest = longest();
    timeline.open(info.duration);
    if (range.start !== undefined && range.end !== undefined) timeline.show(range.start, range.end);
    void preview(info);
    changed(true);
  } catch (error) {
    told(at('open-error'), error);
    at('intro').hidden = !!source;
  } finally {
    form.removeAttribute('aria-busy');
  }
}

/** @param {any} info */
async function preview(info) {
  at('no-preview').hidden = true;
  const still = at('still', HTMLImageElement);
  still.hidden = true;
  const shown = info.preview_url && (await player.open(info.preview_url));
  if (shown) {
    timeline.frame = player.frame || 1 / 30;
    player.seek(timeline.start);
    void player.film(info.preview_url);
  } else {
    at('no-preview').hidden = false;
    if (info.thumbnail) still.src = info.thumbnail;
    still.hidden = !info.thumbnail;
  }
  video.hidden = !shown;
}

at('open').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = value('url').trim();
  const url = /^https?:\/\//i.test(text) ? text : `https://${text}`;
  // Browsers take spaces in a host for part of its name.
  if (!text || /\s/.test(text) || !URL.canParse(url)) return told(at('open-error'), 'This is no link. Copy it from the address bar of the page with the video.');
  void open({ url });
});

/** @param {File} file */
async function send(file) {
  if (!(await signedIn())) return;
  upload?.giveUp();
  const mine = new Upload(file, (share, said) => {
    at('upload-bar', HTMLProgressElement).value = share;
    at('upload-said').textContent = said;
  });
  upload = mine;
  told(at('open-error'));
  at('intro').hidden = true;
  at('studio').hidden = false;
  at('upload').hidden = false;
  at('upload-pause').textContent = 'Pause';
  try {
    const id = await mine.run();
    await open({ file_id: id });
  } catch (error) {
    if (!(error instanceof GivenUp)) told(at('open-error'), error);
    at('studio').hidden = !source;
    at('intro').hidden = !!source;
  } finally {
    if (upload === mine) at('upload').hidden = true;
  }
}

at('file').addEventListener('change', () => {
  const file = at('file', HTMLInputElement).files?.[0];
  if (file) void send(file);
  at('file', HTMLInputElement).value = '';
});
at('upload-pause').addEventListener('click', () => {
  if (!upload) return;
  if (upload.isPaused) upload.resume();
  else upload.pause();
  at('upload-pause').textContent = upload.isPaused ? 'Resume' : 'Pause';
});
at('upload-cancel').addEventListener('click', () => upload?.giveUp());
addEventListener('dragover', (event) => {
  event.preventDefault();
  at('open').classList.add('drop');
});
for (const end of ['dragleave', 'drop']) addEventListener(end, () => at('open').classList.remove('drop'));
addEventListener('drop', (event) => {
  event.preventDefault();
  const file = event.dataTransfer?.files[0];
  if (file) void send(file);
});

// --- The range ----------------------------------------------------------------------------------------------------------

const longest = () => (tab !== 'clip' ? Infinity : value('format') === 'gif' ? LONGEST.gif : LONGEST.clip);

/** What is shown of the form has changed. @param {boolean} [everything] */
function changed(everything = false) {
  const [start, end] = [at('start', HTMLInputElement), at('end', HTMLInputElement)];
  if (document.activeElement !== start || everything) start.value = clock(timeline.start);
  if (document.activeElement !== end || everything) end.value = clock(timeline.end);
  const seconds = timeline.end - timeline.start;
  const frames = player.frame ? ` · about ${Math.round(seconds / player.frame)} frames` : '';
  at('length').textContent = `${seconds.toFixed(3)} s${frames}`;
  remember();
  code();
  price();
}

timeline.addEventListener('seek', (event) => player.seek(/** @type {CustomEvent} */ (event).detail.time));
timeline.addEventListener('range', (event) => {
  const { which, done } = /** @type {CustomEvent} */ (event).detail;
  // Whatever was about to rest moves again.
  asked += 1;
  // The middle of a frame: on its edge, rounding decides which one is shown.
  const half = timeline.frame / 2;
  player.seek(which === 'start' ? timeline.start + half : Math.max(timeline.start, timeline.end - half));
  if (done) void settle(which);
  else at(which, HTMLInputElement).value = clock(timeline[/** @type {'start' | 'end'} */ (which)]);
});
video.addEventListener('moved', () => {
  at('now').textContent = clock(video.currentTime);
});
video.addEventListener('seeked', () => {
  at('now').textContent = clock(video.currentTime);
});

/** A handle rests: the range begins, or ends, with the very frame that is shown. @param {'start' | 'end'} which */
async function settle(which) {
  const asked_ = ++asked;
  const frame = await player.resting();
  if (asked_ !== asked) return;
  if (frame) {
    timeline.frame = player.frame || timeline.frame;
    // The API compares microseconds, and so does the browser: a frame counts from its first one on.
    if (which === 'start') timeline.show(frame.start, timeline.end);
    else timeline.show(timeline.start, frame.end - 0.001);
  }
  changed();
}

for (const which of /** @type {const} */ (['start', 'end'])) {
  const field = at(which, HTMLInputElement);
  field.addEventListener('change', () => {
    const time = parsed(field.value);
    if (time === null) {
      field.setCustomValidity('Write a time such as 1:02:03.5');
      field.reportValidity();
      return;
    }
    field.setCustomValidity('');
    const [start, end] = which === 'start' ? [time, timeline.end] : [timeline.start, time];
    if (end <= start) return void changed(true);
    asked += 1;
    timeline.show(start, Math.min(end, start + longest()));
    player.seek(time);
    changed(true);
  });
  at(`${which}-now`).addEventListener('click', () => here(which));
}

/** @param {'start' | 'end'} which */
function here(which) {
  const time = video.hidden ? timeline.now : video.currentTime;
  if (which === 'start') timeline.show(time, Math.min(Math.max(timeline.end, time + timeline.frame), time + longest()));
  else timeline.show(Math.max(Math.min(timeline.start, time - timeline.frame), time - longest()), time);
  void settle(which);
}

// --- Playing ------------------------------------------------------------------------------------------------------------

/** @param {string} id @param {boolean} isOn */
function pressed(id, isOn) {
  at(id).setAttribute('aria-pressed', String(isOn));
}

function isPlaying() {
  const playing = !video.paused;
  pressed('play', playing);
  at('play').setAttribute('aria-label', playing ? 'Pause' : 'Play');
  at('play').querySelector('use')?.setAttribute('href', playing ? '#i-pause' : '#i-play');
}
video.addEventListener('play', isPlaying);
video.addEventListener('pause', isPlaying);
video.addEventListener('click', () => player.toggle());

/** @type {Record<string, () => void>} */
const deeds = {
  play: () => player.toggle(),
  back: () => player.step(-1),
  ahead: () => player.step(1),
  loop: () => pressed('loop', (player.loops = !player.loops)),
  sound: () => pressed('sound', !(video.muted = !video.muted)),
  closer: () => {
    const close = at('closer').getAttribute('aria-pressed') !== 'true';
    pressed('closer', close);
    timeline.zoom(close);
  },
  keys: () => at('keys-dialog', HTMLDialogElement).showModal(),
};
for (const [id, act] of Object.entries(deeds)) at(id).addEventListener('click', act);

addEventListener('keydown', (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  const isTyping = target.matches('input:not([type=range]):not([type=radio]):not([type=checkbox]), textarea, select');
  if (!source || isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  const isButton = target.matches('button, a, summary, [type=radio], [type=checkbox]');
  const second = event.shiftKey ? 1 : 0;
  const move = (/** @type {number} */ by) => (second ? player.seek(Math.max(0, video.currentTime + by)) : player.step(by));
  /** @type {Record<string, () => void>} */
  const keys = {
    ' ': deeds.play,
    k: () => video.pause(),
    j: () => player.seek(Math.max(0, video.currentTime - 5)),
    l: () => (video.paused ? player.toggle() : player.seek(Math.min(timeline.duration, video.currentTime + 5))),
    i: () => here('start'),
    o: () => here('end'),
    arrowleft: () => move(-1),
    arrowright: () => move(1),
    '[': () => player.seek(timeline.start + timeline.frame / 2),
    ']': () => player.seek(timeline.end - timeline.frame / 2),
    z: deeds.closer,
    m: deeds.sound,
    '?': deeds.keys,
    enter: () => at('make', HTMLFormElement).requestSubmit(),
  };
  const act = keys[event.key.toLowerCase()];
  if (!act || (isButton && [' ', 'enter', 'arrowleft', 'arrowright'].includes(event.key.toLowerCase()))) return;
  event.preventDefault();
  act();
});

// --- The price, and asking ------------------------------------------------------------------------------------------------

/** @type {ReturnType<typeof setTimeout> | undefined} */
let resting;

function price() {
  clearTimeout(resting);
  resting = setTimeout(() => void quote(), REST);
}

async function quote() {
  if (!source) return;
  const place = at('price');
  const { kind, body } = ask();
  if (kind === 'transcript' || !who()) {
    const hours = Math.max(1, Math.ceil(source.info.duration / 3600));
    const usual = prices[kind] * (kind === 'analyze' ? hours : 1);
    place.textContent = money(usual);
    return;
  }
  if (kind === 'analyze' && !body.query.trim()) body.query = '?';
  const mine = JSON.stringify(body);
  try {
    const answer = await call('POST', '/v1/clip/quote', { ...body, ...(kind === 'analyze' ? { kind } : {}) });
    if (mine !== JSON.stringify({ ...ask().body, ...(kind === 'analyze' && !ask().body.query.trim() ? { query: '?' } : {}) })) return;
    place.textContent = money(answer.cost);
    told(at('make-error'), answer.sufficient ? undefined : `Your balance is ${money(answer.balance)}; this costs ${money(answer.cost)}.`);
  } catch (error) {
    place.textContent = '';
    told(at('make-error'), error);
  }
}

at('make').addEventListener('submit', async (event) => {
  event.preventDefault();
  if (!source) return;
  told(at('make-error'));
  if (tab === 'ai' && !value('query').trim()) return told(at('make-error'), 'Say what you are looking for.');
  if (!(await signedIn())) return;
  const go = at('go', HTMLButtonElement);
  go.disabled = true;
  try {
    const { path, body } = ask();
    if (tab === 'ai') await search(path, body);
    else if (tab === 'transcript') heard(await call('POST', path, body, { headers: once() }));
    else await make(path, body);
  } catch (error) {
    told(at('make-error'), error);
  } finally {
    go.disabled = false;
    price();
  }
});

/** @param {string} path @param {Record<string, any>} body */
async function make(path, body) {
  const { job_id } = await call('POST', path, body, { headers: once() });
  const span = body.start === undefined ? 'whole' : `${clock(body.start)} to ${clock(body.end)}`;
  follow(job_id, `${source?.info.title} · ${span}`, price);
}

/** @param {string} path @param {Record<string, any>} body */
async function search(path, body) {
  at('go-word').textContent = 'Searching …';
  try {
    let answer = await call('POST', path, body, { headers: once() });
    while (answer.job_id && !answer.segments) {
      answer = await call('GET', `/v1/clip/${answer.job_id}?wait=10`);
      if (answer.status === 'failed' || answer.status === 'cancelled') throw new Refused(422, 'failed', answer.error ?? 'It was cancelled.');
    }
    moments = answer.segments;
    timeline.marks = moments;
    timeline.draw();
    list();
    if (!moments.length) told(at('make-error'), 'Nothing in this video fits. Try other words.');
  } finally {
    at('go-word').textContent = WORDS.ai;
  }
}

function list() {
  at('found').hidden = !moments.length;
  at('moments').replaceChildren(
    ...moments.map((moment, number) => {
      const item = document.createElement('li');
      const box = document.createElement('input');
      box.type = 'checkbox';
      box.checked = true;
      box.dataset.number = String(number);
      box.setAttribute('aria-label', `Make ${clock(moment.start)} to ${clock(moment.end)}`);
      const show = document.createElement('button');
      show.type = 'button';
      show.className = 'link time';
      show.textContent = `${clock(moment.start)} – ${clock(moment.end)}`;
      show.addEventListener('click', () => {
        timeline.show(moment.start, moment.end);
        player.seek(moment.start);
        changed(true);
      });
      const sure = document.createElement('span');
      sure.className = 'quiet time';
      sure.textContent = `${Math.round(moment.confidence * 100)} %`;
      sure.title = 'How likely this is what you meant';
      const said = document.createElement('p');
      said.dir = 'auto';
      said.textContent = moment.excerpt;
      item.append(box, show, sure, said);
      return item;
    }),
  );
}

at('render').addEventListener('click', async () => {
  const boxes = /** @type {NodeListOf<HTMLInputElement>} */ (at('moments').querySelectorAll('input:checked'));
  const [format, quality] = [value('format'), value('quality')];
  try {
    for (const box of boxes) {
      const { start, end } = moments[Number(box.dataset.number)];
      await make('/v1/clip', { ...location_(), start, end, format, ...(['mp4', 'gif'].includes(format) ? { quality } : {}) });
    }
  } catch (error) {
    told(at('make-error'), error);
  }
});

// --- The transcript -------------------------------------------------------------------------------------------------------

/** @param {any} transcript */
function heard(transcript) {
  lines = transcript.segments;
  at('said').hidden = false;
  const mark = (/** @type {number} */ seconds, /** @type {string} */ dot) => `${String(Math.floor(seconds / 3600)).padStart(2, '0')}:${String(Math.floor(seconds / 60) % 60).padStart(2, '0')}:${(seconds % 60).toFixed(3).padStart(6, '0').replace('.', dot)}`;
  const cues = (/** @type {string} */ dot) => lines.map((line, number) => `${dot === ',' ? `${number + 1}\n` : ''}${mark(line.start, dot)} --> ${mark(line.end, dot)}\n${line.text}\n`).join('\n');
  const files = { srt: cues(','), vtt: `WEBVTT\n\n${cues('.')}`, txt: `${transcript.text}\n` };
  for (const [kind, text] of Object.entries(files)) {
    at(`words-${kind}`, HTMLAnchorElement).href = URL.createObjectURL(new Blob([text], { type: 'text/plain;charset=utf-8' }));
  }
  at('copy-words').onclick = () => void navigator.clipboard.writeText(transcript.text);
  spoken();
}

/** From which line the range was begun, with Shift to where. @type {number | null} */
let first = null;

function spoken() {
  const wanted = value('search').trim().toLowerCase();
  const shown = lines.map((line, number) => ({ line, number })).filter(({ line }) => line.text.toLowerCase().includes(wanted));
  at('lines').replaceChildren(
    ...shown.map(({ line, number }) => {
      const item = document.createElement('li');
      const button = document.createElement('button');
      button.type = 'button';
      const time = document.createElement('span');
      time.className = 'time';
      time.textContent = about(line.start);
      button.append(time, line.text);
      button.addEventListener('click', (event) => {
        if (!event.shiftKey || first === null) first = number;
        const [from, to] = [Math.min(first, number), Math.max(first, number)];
        timeline.show(lines[from].start, lines[to].end);
        player.seek(line.start);
        changed(true);
      });
      item.append(button);
      return item;
    }),
  );
}
at('search').addEventListener('input', spoken);

// --- Tabs, code, address --------------------------------------------------------------------------------------------------

const WORDS = { clip: 'Clip it', ai: 'Find moments', transcript: 'Get the transcript', download: 'Download it' };

/**
 * A list of tabs: one is chosen, arrows go from one to the next (APG).
 * @param {string} prefix @param {string[]} names @param {(name: string) => void} chosen
 */
function tabs(prefix, names, chosen) {
  const all = names.map((name) => at(`${prefix}-${name}`));
  const choose = (/** @type {number} */ number) => {
    all.forEach((one, at_) => {
      one.setAttribute('aria-selected', String(at_ === number));
      one.tabIndex = at_ === number ? 0 : -1;
    });
    chosen(names[number]);
  };
  all.forEach((one, number) => {
    one.addEventListener('click', () => choose(number));
    one.addEventListener('keydown', (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      const next = (number + by + all.length) % all.length;
      choose(next);
      all[next].focus();
    });
  });
  return (/** @type {string} */ name) => choose(Math.max(0, names.indexOf(name)));
}

const choose = tabs('tab', ['clip', 'ai', 'transcript', 'download'], (name) => {
  tab = /** @type {typeof tab} */ (name);
  at('panel').setAttribute('aria-labelledby', `tab-${name}`);
  for (const element of document.querySelectorAll('[data-for]')) {
    /** @type {HTMLElement} */ (element).hidden = !(/** @type {HTMLElement} */ (element).dataset.for ?? '').split(' ').includes(name);
  }
  const format = at('format', HTMLSelectElement);
  if (format.selectedOptions[0]?.hidden) format.value = 'mp4';
  at('go-word').textContent = WORDS[tab];
  at('found').hidden = tab !== 'ai' || !moments.length;
  at('said').hidden = tab !== 'transcript' || !lines.length;
  told(at('make-error'));
  timeline.longest = longest();
  if (source) changed();
  else code();
});

let language = 'python';
const speak = tabs('lang', Object.keys(SAMPLES), (name) => {
  language = name;
  at('code').setAttribute('aria-labelledby', `lang-${name}`);
  code();
});

function code() {
  const { path, body } = ask();
  // Answered at once or, as here, followed: the sample is that of a job.
  const isJob = tab === 'clip' || tab === 'download';
  at('code-text').textContent = SAMPLES[language]({ base, path: isJob ? path : '/v1/clip/auto', body: isJob ? body : { ...location_(), query: value('query') || 'the best moments' } });
}
at('code-copy').addEventListener('click', async () => {
  await navigator.clipboard.writeText(at('code-text').textContent ?? '');
  at('code-copy').textContent = 'Copied';
  setTimeout(() => (at('code-copy').textContent = 'Copy'), 1500);
});

for (const id of ['format', 'quality', 'keep', 'query']) {
  at(id).addEventListener('input', () => {
    timeline.longest = longest();
    if (timeline.end - timeline.start > timeline.longest) timeline.show(timeline.start, timeline.start + timeline.longest);
    const isPicture = ['mp4', 'gif'].includes(value('format'));
    at('quality', HTMLSelectElement).disabled = !isPicture;
    changed();
  });
}
for (const radio of document.querySelectorAll('[name=precision]')) {
  radio.addEventListener('change', () => {
    at('precision-said').textContent =
      precision() === 'exact'
        ? 'Exactly the frames between start and end.'
        : 'All frames are copied: it may begin a few seconds earlier, at a key frame.';
    changed();
  });
}

/** The fragment never leaves the browser: no log has anybody's links. */
function remember() {
  if (!source?.url) return;
  const state = new URLSearchParams({ url: source.url, start: timeline.start.toFixed(3), end: timeline.end.toFixed(3), tab });
  history.replaceState(null, '', `#${state}`);
}

function recalled() {
  const state = new URLSearchParams(location.hash.slice(1));
  const url = state.get('url');
  if (!url) return;
  at('url', HTMLInputElement).value = url;
  choose(state.get('tab') ?? 'clip');
  const [start, end] = [Number(state.get('start')), Number(state.get('end'))];
  void open({ url }, end > start ? { start, end } : {});
}

choose('clip');
speak('python');
document.addEventListener('person', () => price());
void begin();
recalled();
