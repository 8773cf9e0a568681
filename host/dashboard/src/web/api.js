// What the server is asked. At most six requests run at once, as many as browsers send to a server anyway:
// it goes on answering while the page draws, and what waits here can still be called off.

const AT_ONCE = 6;
const PATIENCE_MS = 60_000;
const TOKEN = 'clickmill-token';

/** The server did not answer at all. */
export class Unreachable extends Error {}

/** The server wants a token, or another one. */
export class TokenWanted extends Error {}

/** The server answered that it can't. */
export class Refused extends Error {
  constructor(status, message, hint, code) {
    super(message);
    this.status = status;
    this.hint = hint;
    this.code = code;
  }
}

let running = 0;
const waiting = [];
/** What the server's clock is ahead of ours, in milliseconds. Ranges are counted by the server's. */
let ahead = 0;

/** The time at the server. */
export const serverNow = () => Date.now() + ahead;

/** Asks for `path` and returns what the JSON says. Parameters that are null, undefined or empty are left out. */
export async function ask(path, parameters = {}, signal = undefined) {
  await turn(signal);
  try {
    return await get(address(path, parameters), signal);
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

function address(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

function turn(signal) {
  const go = () => {
    running += 1;
  };
  if (running < AT_ONCE) return go();
  return new Promise((resolve, reject) => {
    const next = () => {
      signal?.removeEventListener('abort', leave);
      go();
      resolve();
    };
    const leave = () => {
      waiting.splice(waiting.indexOf(next), 1);
      reject(signal.reason);
    };
    if (signal?.aborted) return reject(signal.reason);
    signal?.addEventListener('abort', leave, { once: true });
    waiting.push(next);
  });
}

/**
 * Opens the page by the code of a link: this tab gets a token for it. `false` where the code is no longer
 * one.
 */
export async function open(code) {
  const answer = await fetch('v1/sessions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ code }),
    cache: 'no-store',
  }).catch((error) => {
    throw new Unreachable(error.message);
  });
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) keepToken(body.token);
  return answer.ok;
}

async function get(url, signal) {
  signal?.throwIfAborted();
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  const leave = () => patience.abort();
  signal?.addEventListener('abort', leave, { once: true });
  try {
    const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
    const answer = await fetch(url, { headers, signal: patience.signal, cache: 'no-store' });
    const date = Date.parse(answer.headers.get('date') ?? '');
    // The header has whole seconds: less than two of difference is none.
    if (!Number.isNaN(date)) ahead = Math.abs(date - Date.now()) < 2_000 ? 0 : date - Date.now();
    if (answer.ok) return await answer.json();
    const body = await answer.json().catch(() => ({}));
    if (answer.status === 401) throw new TokenWanted(body.error ?? 'a token is wanted');
    throw new Refused(answer.status, body.error ?? `the server answered ${answer.status}`, body.hint, body.code);
  } catch (error) {
    signal?.throwIfAborted();
    if (error.name === 'AbortError') {
      throw new Refused(0, `no answer within ${PATIENCE_MS / 1000} s`, 'Ask for a shorter time range.');
    }
    if (error instanceof SyntaxError) throw new Refused(0, 'the answer is not JSON');
    // `fetch` says a lost connection with a TypeError, and says it while reading the body too.
    throw error instanceof TypeError ? new Unreachable(error.message) : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', leave);
  }
}

/** The token of this tab, which ends with it. */
export function token() {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch {
    return kept;
  }
}

/** Remembers a token, or forgets it. */
export function keepToken(text) {
  kept = text;
  try {
    if (text) sessionStorage.setItem(TOKEN, text);
    else sessionStorage.removeItem(TOKEN);
  } catch {
    // Storage is switched off: the token lasts as long as the page.
  }
}

let kept = null;
