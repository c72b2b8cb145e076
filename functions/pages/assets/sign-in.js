// Signing in: an address, then the digits of a mail. Who is signed in is told to everybody who asks.

import { Refused, at, call, told } from './api.js';

/** A code is sent as soon as it is whole. */
const CODE_DIGITS = 8;

/** @type {{ email: string } | null} */
let person = null;
/** @type {(() => void) | null} */
let waiting = null;

export const who = () => person;

/** Looks whether somebody is signed in. */
export async function recall() {
  try {
    person = await call('GET', '/v1/account');
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 401) console.warn(error);
    person = null;
  }
  show();
  return person;
}

function show() {
  at('account-link').hidden = !person;
  at('sign-in-button').hidden = !!person;
  document.dispatchEvent(new CustomEvent('person', { detail: person }));
}

/**
 * Asks to sign in, unless somebody is; true when somebody is.
 * @returns {Promise<boolean>}
 */
export async function signedIn() {
  if (person) return true;
  const dialog = at('sign-in', HTMLDialogElement);
  first();
  dialog.showModal();
  at('email', HTMLInputElement).focus();
  await new Promise((done) => {
    waiting = () => done(undefined);
  });
  return !!person;
}

/** Back to the first step. */
function first() {
  at('sign-in-mail').hidden = false;
  at('sign-in-code').hidden = true;
  at('sign-in-go').textContent = 'Send the code';
  at('code-digits', HTMLInputElement).value = '';
  told(at('sign-in-error'));
}

/** @param {Event} event */
async function send(event) {
  event.preventDefault();
  const go = at('sign-in-go', HTMLButtonElement);
  const email = at('email', HTMLInputElement).value.trim();
  const digits = at('code-digits', HTMLInputElement).value.replace(/\D/g, '');
  const isCode = !at('sign-in-code').hidden;
  told(at('sign-in-error'));
  go.disabled = true;
  try {
    if (isCode) {
      await call('POST', '/v1/auth/verify', { email, code: digits });
      await recall();
      at('sign-in', HTMLDialogElement).close();
    } else {
      await call('POST', '/v1/auth/signup', { email });
      at('sign-in-said').textContent = `A code is on its way to ${email}.`;
      at('sign-in-mail').hidden = true;
      at('sign-in-code').hidden = false;
      go.textContent = 'Sign in';
      at('code-digits').focus();
    }
  } catch (error) {
    told(at('sign-in-error'), error);
  } finally {
    go.disabled = false;
  }
}

/** Wires the dialog and the header. */
export function begin() {
  const dialog = at('sign-in', HTMLDialogElement);
  at('sign-in-form').addEventListener('submit', send);
  at('sign-in-close').addEventListener('click', () => dialog.close());
  at('sign-in-button').addEventListener('click', () => void signedIn());
  at('code-digits').addEventListener('input', () => {
    const digits = at('code-digits', HTMLInputElement).value.replace(/\D/g, '');
    if (digits.length === CODE_DIGITS) at('sign-in-form', HTMLFormElement).requestSubmit();
  });
  dialog.addEventListener('close', () => {
    waiting?.();
    waiting = null;
  });
  return recall();
}
