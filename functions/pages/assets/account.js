// The account's page: clips, keys, money.

import { Refused, at, call, told } from './api.js';
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
const TYPES = { signup_bonus: 'Gift for signing up', reservation: 'Set aside', charge: 'Charged', refund: 'Given back', purchase: 'Paid in', deposit_refund: 'Sent back to the card', dispute: 'Disputed by the card’s bank', gift: 'Gift' };

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

// --- Payments -----------------------------------------------------------------------------------------------------------

/** Hidden where the operator takes no payments. */
async function pay() {
  try {
    const [{ cards }, settings, { payments }] = await Promise.all([
      call('GET', '/v1/cards'),
      call('GET', '/v1/account/reload'),
      call('GET', '/v1/payments'),
    ]);
    at('pay').hidden = false;
    showCards(cards);
    showReload(settings);
    showPayments(payments);
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== 'payments_off') told(at('end-error'), error);
  }
}

/** @param {any[]} cards */
function showCards(cards) {
  at('cards-none').hidden = cards.length > 0;
  at('cards').replaceChildren(
    ...cards.map((card) => {
      const row = document.createElement('li');
      const words = document.createElement('div');
      const month = String(card.exp_month).padStart(2, '0');
      const usual = card.is_default ? ' · the one that is charged' : '';
      words.append(
        made('h3', '', `${card.brand} ···· ${card.last4}`),
        made('p', 'quiet time', `expires ${month}/${card.exp_year}${usual}`),
      );
      const deeds = made('div', 'deeds', '');
      if (!card.is_default) {
        deeds.append(deed('Make it the one', async () => {
          await call('POST', `/v1/cards/${card.id}/default`);
          await pay();
        }));
      }
      deeds.append(
        deed('Remove', async () => {
          if (!confirm(`Remove the card that ends in ${card.last4}?`)) return;
          await call('DELETE', `/v1/cards/${card.id}`);
          await pay();
        }),
      );
      row.append(words, deeds);
      return row;
    }),
  );
}

/** @param {any} settings */
function showReload(settings) {
  at('reload-enabled', HTMLInputElement).checked = settings.enabled;
  at('reload-confirm', HTMLInputElement).checked = settings.confirm_by_email;
  at('reload-password', HTMLInputElement).value = '';
  at('reload-remove').hidden = !settings.has_password;
  at('reload-password-word').textContent = settings.has_password ? 'Another reload password' : 'Reload password, 8 characters or more';
  if (settings.locked_until) {
    at('reload-said').textContent = `Too many wrong passwords: locked until ${day(settings.locked_until)}.`;
  }
}

/** @param {any[]} payments */
function showPayments(payments) {
  at('payments-none').hidden = payments.length > 0;
  at('payments').replaceChildren(
    ...payments.map((payment) => {
      const row = document.createElement('li');
      const words = document.createElement('div');
      const back = payment.taken_back ? ` · ${money(payment.taken_back / 100)} went back` : '';
      const when = payment.created ? `${day(payment.created)} · ` : '';
      words.append(made('h3', 'time', money(payment.amount / 100)), made('p', 'quiet', `${when}${payment.kind}, ${payment.status}${back}`));
      row.append(words);
      if (payment.receipt_url) {
        const receipt = /** @type {HTMLAnchorElement} */ (made('a', 'button plain', 'Receipt'));
        receipt.href = payment.receipt_url;
        receipt.target = '_blank';
        receipt.rel = 'noopener';
        row.append(receipt);
      }
      return row;
    }),
  );
}

/**
 * Sends a form without leaving the page; what goes wrong is said at `place`.
 * @param {string} place @param {() => Promise<void>} act
 */
async function tried(place, act) {
  told(at(place));
  try {
    await act();
  } catch (error) {
    told(at(place), error);
  }
}

at('deposit').addEventListener('submit', (event) => {
  event.preventDefault();
  void tried('deposit-error', async () => {
    const amount = Math.round(Number(at('deposit-amount', HTMLInputElement).value.trim().replace('$', '')) * 100);
    if (!(amount >= 500 && amount <= 50000)) throw new Error('Choose an amount from $5 to $500.');
    const ask = { amount, save_card: at('deposit-save', HTMLInputElement).checked };
    location.href = (await call('POST', '/v1/deposits', ask)).url;
  });
});
at('card-add').addEventListener('click', () => {
  void tried('deposit-error', async () => {
    location.href = (await call('POST', '/v1/cards', {})).url;
  });
});

/** @param {Record<string, unknown>} more */
function settings(more) {
  void tried('reload-error', async () => {
    const enabled = at('reload-enabled', HTMLInputElement).checked;
    const confirm_by_email = at('reload-confirm', HTMLInputElement).checked;
    showReload(await call('POST', '/v1/account/reload', { enabled, confirm_by_email, ...more }));
    at('reload-said').textContent = 'Saved.';
  });
}
at('reload').addEventListener('submit', (event) => {
  event.preventDefault();
  const password = at('reload-password', HTMLInputElement).value;
  settings(password ? { password } : {});
});
at('reload-remove').addEventListener('click', () => settings({ remove_password: true }));

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
  await Promise.all([balance, storage(), pay(), clips(false), keys(), entries(false)]).catch((error) => told(at('end-error'), error));
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
