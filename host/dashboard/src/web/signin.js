// The form that asks for a token.

import { keepToken } from './api.js';
import { el } from './dom.js';

/** The form. `refused` says that a token was tried and is not the one; `tried` is called with one kept. */
export function signIn({ refused, tried }) {
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
  const form = el('form', { class: 'card sign-in', id: 'sign-in', on: { submit } },
    el('h1', {}, 'Sign in'),
    el('p', {}, 'This dashboard wants its token.'),
    el('label', { class: 'field' }, el('span', {}, 'Token'), input),
    el('p', { class: 'error', id: 'token-error', role: 'alert', hidden: !refused }, refused ? 'This token is not the one that is wanted.' : ''),
    el('button', { type: 'submit', class: 'main' }, 'Sign in'),
    el('p', { class: 'about', id: 'token-hint' }, 'The pipeline file, under [admin], or the command that started the dashboard names the file or variable that holds it. This tab remembers it until you close it.'));
  queueMicrotask(() => input.focus());
  return form;
}
