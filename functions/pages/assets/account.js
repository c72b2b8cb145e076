// The account's page: clips, keys, money.

import { at, call, told } from './api.js';
import { about, money, size } from './format.js';
import { begin, signedIn, who } from './sign-in.js';

/** @param {string} text */
function news(text) {
  at('news').textContent = text;
}

/** @param {string} time */
const day = (time) => new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** @param {string} tag @param {string} kind @param {string} text */
function made(tag, kind, text) {
  const element = document.createElement(tag);
  element.className = kind;
  element.textContent = text;
  return element;
}

/** @param {string} text @param {() => Promise<void>} act */
function deed(text, act) {
  const button = /** @type {HTMLButtonElement} */ (made('button', 'plain', text));
  button.type = 'button';
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      await act();
    } catch (error) {
      news(error instanceof Error ? error.message : 'It did not work.');
      button.title = button.textContent = error instanceof Error ? error.message : text;
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

// --- Clips --------------------------------------------------------------------------------------------------------------

/** @type {string | undefined} */
let clipsBehind;

/** @param {boolean} more */
async function clips(more) {
  const cursor = more && clipsBehind ? `&cursor=${encodeURIComponent(clipsBehind)}` : '';
  const page = await call('GET', `/v1/clips?per_page=20${cursor}`);
  clipsBehind = page.next_cursor;
  const rows = page.clips.map(clip);
  if (more) at('clips').append(...rows);
  else at('clips').replaceChildren(...rows);
  at('clips-more').hidden = !clipsBehind;
  at('clips-none').hidden = at('clips').childElementCount > 0;
  filter();
}

/** @param {any} clip */
function clip(clip) {
  const row = document.createElement('li');
  const words = document.createElement('div');
  const name = made('h3', '', clip.name);
  name.dir = 'auto';
  const lasts = made('p', 'quiet time', '');
  const facts = [clip.format.toUpperCase(), clip.quality, about(clip.duration), size(clip.file_size)].filter(Boolean).join(' · ');
  const show = () => {
    const left = clip.pinned ? 'pinned' : `expires ${day(clip.expires_at)}`;
    lasts.textContent = `${facts} · ${left}`;
  };
  show();
  words.append(name, lasts);
  const deeds = made('div', 'deeds', '');
  const open = /** @type {HTMLAnchorElement} */ (made('a', 'button plain', 'Open'));
  open.href = clip.share_url;
  const load = /** @type {HTMLAnchorElement} */ (made('a', 'button plain', 'Download'));
  load.href = clip.download_url;
  const pin = deed(clip.pinned ? 'Unpin' : 'Pin', async () => {
    const answer = await call('POST', `/v1/clips/${clip.id}/${clip.pinned ? 'unpin' : 'pin'}`);
    clip.pinned = !clip.pinned;
    clip.expires_at = answer.expires_at ?? clip.expires_at;
    pin.textContent = clip.pinned ? 'Unpin' : 'Pin';
    show();
    await storage();
  });
  const gone = deed('Delete', async () => {
    if (!confirm(`Delete ${clip.name}? Its link stops working.`)) return;
    await call('DELETE', `/v1/clips/${clip.id}`);
    row.remove();
    news(`${clip.name} is deleted.`);
    await storage();
  });
  deeds.append(open, load, pin, gone);
  row.append(words, deeds);
  return row;
}

function filter() {
  const wanted = at('clips-search', HTMLInputElement).value.trim().toLowerCase();
  for (const row of at('clips').children) {
    /** @type {HTMLElement} */ (row).hidden = !(row.querySelector('h3')?.textContent ?? '').toLowerCase().includes(wanted);
  }
}

// --- Money --------------------------------------------------------------------------------------------------------------

async function storage() {
  const { used, quota } = await call('GET', '/v1/storage');
  at('storage').textContent = `${size(used)} of ${size(quota)} used by pinned clips`;
  at('storage-bar', HTMLProgressElement).value = Math.min(1, used / Math.max(1, quota));
}

/** @type {string | undefined} */
let entriesBehind;

/** @type {Record<string, string>} */
const TYPES = { signup_bonus: 'Gift for signing up', reservation: 'Set aside', charge: 'Charged', refund: 'Given back', deposit: 'Deposit', reload: 'Reload', purchase: 'Purchase', gift: 'Gift' };

/** @param {boolean} more */
async function entries(more) {
  const cursor = more && entriesBehind ? `&cursor=${encodeURIComponent(entriesBehind)}` : '';
  const page = await call('GET', `/v1/transactions?wallet=usd&limit=20${cursor}`);
  entriesBehind = page.next_cursor;
  const rows = page.transactions.map((/** @type {any} */ entry) => {
    const row = document.createElement('tr');
    const sign = entry.amount < 0 ? '−' : '';
    row.append(
      made('td', 'time', day(entry.created)),
      made('td', '', TYPES[entry.type] ?? entry.type),
      made('td', 'time', `${sign}${money(Math.abs(entry.amount))}`),
      made('td', 'time', money(entry.balance_after)),
    );
    return row;
  });
  if (more) at('entries').append(...rows);
  else at('entries').replaceChildren(...rows);
  at('entries-more').hidden = !entriesBehind;
}

// --- Keys ---------------------------------------------------------------------------------------------------------------

async function keys() {
  const { keys } = await call('GET', '/v1/keys');
  const rows = keys.map((/** @type {any} */ key) => {
    const row = document.createElement('li');
    const words = document.createElement('div');
    const cap = key.daily_cap ? ` · ${money(key.daily_cap)} a day at most` : '';
    const used = key.last_used ? `last used ${day(key.last_used)}` : 'never used';
    words.append(made('h3', '', key.name), made('p', 'quiet time', `${key.prefix}…${key.last_four} · ${used}${cap}`));
    row.append(
      words,
      deed('Delete', async () => {
        if (!confirm(`Delete ${key.name}? Programs that use it stop working.`)) return;
        await call('DELETE', `/v1/keys/${key.id}`);
        row.remove();
      }),
    );
    return row;
  });
  at('keys-list').replaceChildren(...rows);
}

at('key-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  told(at('key-error'));
  const cap = at('key-cap', HTMLInputElement).value.trim();
  try {
    if (cap && !(Number(cap) > 0)) throw new Error('The bound is a number of dollars, such as 5.');
    const ask = { name: at('key-name', HTMLInputElement).value, ...(cap ? { daily_cap: Number(cap) } : {}) };
    const made = await call('POST', '/v1/keys', ask);
    at('key-secret').textContent = made.key;
    at('key-made').hidden = false;
    at('key-form', HTMLFormElement).reset();
    await keys();
  } catch (error) {
    told(at('key-error'), error);
  }
});
at('key-copy').addEventListener('click', async () => {
  await navigator.clipboard.writeText(at('key-secret').textContent ?? '');
  at('key-copy').textContent = 'Copied';
});

// --- Leaving ------------------------------------------------------------------------------------------------------------

at('sign-out').addEventListener('click', async () => {
  try {
    await call('POST', '/v1/auth/logout');
    location.href = '/';
  } catch (error) {
    told(at('end-error'), error);
  }
});
at('close-account').addEventListener('click', () => at('close-dialog', HTMLDialogElement).showModal());
at('close-dialog').addEventListener('close', async () => {
  if (at('close-dialog', HTMLDialogElement).returnValue !== 'yes') return;
  try {
    await call('DELETE', '/v1/account');
    location.href = '/';
  } catch (error) {
    told(at('end-error'), error);
  }
});

// --- All of it ----------------------------------------------------------------------------------------------------------

async function show() {
  const person = who();
  at('stranger').hidden = !!person;
  at('sheet').hidden = !person;
  if (!person) return;
  at('address').textContent = person.email;
  const balance = call('GET', '/v1/balance').then((answer) => (at('balance').textContent = money(answer.balance)));
  await Promise.all([balance, storage(), clips(false), keys(), entries(false)]).catch((error) => told(at('end-error'), error));
}

at('clips-search').addEventListener('input', filter);
at('clips-more').addEventListener('click', () => void clips(true));
at('entries-more').addEventListener('click', () => void entries(true));
at('entries-csv').addEventListener('click', async (event) => {
  event.preventDefault();
  const answer = await fetch('/v1/transactions?wallet=usd&limit=100', { headers: { accept: 'text/csv' } });
  const file = /** @type {HTMLAnchorElement} */ (document.createElement('a'));
  file.href = URL.createObjectURL(await answer.blob());
  file.download = 'transactions.csv';
  file.click();
});
at('stranger-sign-in').addEventListener('click', () => void signedIn());
document.addEventListener('person', () => void show());
void begin();
