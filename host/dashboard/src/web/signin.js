// What is shown to whoever may not look yet: how to get a link, and a form for a token.

import { keepToken } from './api.js';
import { el } from './dom.js';

/** What to run for a link: another port may be another pipeline's. By another name than these it is a proxy's. */
const isHere = ['127.0.0.1', '[::1]', 'localhost'].includes(location.hostname);
const COMMAND = `clickmill dashboard --link${isHere ? ` --admin ${location.host}` : ''}`;

/**
 * The form. `refused` says that a token was tried, or had until now, and is not one; `stale` that a link was;
 * `tried` is called with a token kept.
 */
export function signIn({ refused, stale, tried }) {
  const input = el('input', {
    type: 'password', id: 'token', name: 'token', required: true, autocomplete: 'current-password', spellcheck: 'false',
    'aria-describedby': refused ? 'token-hint token-error' : 'token-hint', 'aria-invalid': refused ? 'true' : null,
  });
  const submit = (event) => {
    event.preventDefault();
    if (input.value.trim() === '') return;
    keepToken(input.value.trim());
    tried();
  };
  // By it a browser that keeps tokens tells them apart.
  const user = el('input', { type: 'text', name: 'username', autocomplete: 'username', value: location.host, hidden: true });
  const form = el('form', { class: 'card sign-in', id: 'sign-in', on: { submit } },
    el('h1', {}, 'Sign in'),
    el('p', { class: 'error', id: 'link-error', role: 'alert', hidden: !stale }, stale ? 'This link was opened before, or is too old. If it was not you who opened it, nobody can look by it any more.' : ''),
    el('p', {}, 'Run this on the machine that serves the dashboard, and open the link that it prints:'),
    el('pre', { id: 'link-command' }, el('code', { class: 'command' }, COMMAND)),
    user,
    el('label', { class: 'field' }, el('span', {}, 'Or enter a token'), input),
    el('p', { class: 'error', id: 'token-error', role: 'alert', hidden: !refused }, refused ? 'The token of this tab is not one that is wanted. If the process was started anew, so were its tokens.' : ''),
    el('button', { type: 'submit', class: 'main' }, 'Sign in'),
    el('p', { class: 'about', id: 'token-hint' }, 'The pipeline file, under [admin], or the command that started the dashboard names the file or variable that holds one. This tab remembers it until you close it.'));
  queueMicrotask(() => input.focus());
  return form;
}
