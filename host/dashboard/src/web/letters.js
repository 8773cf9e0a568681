// Dead letters: what was rejected, why, and the record itself where the reader may see it.

import { Refused, TokenWanted, Unreachable, ask } from './api.js';
import { el, fill } from './dom.js';
import { dateTime, digest } from './format.js';
import { hashOf } from './route.js';

const PAGE = 50;
const NAMES = { stage: 'Stage', code: 'Code', text: 'Text' };

export class Letters {
  /** `pipeline` is the one whose letters are shown; null shows those of all. */
  constructor(again, pipeline) {
    this.again = again;
    this.pipeline = pipeline;
    this.inputs = Object.fromEntries(Object.entries(NAMES).map(([name, title]) => [name, el('input', {
      type: name === 'text' ? 'search' : 'text', name, id: `letters-${name}`, autocomplete: 'off', spellcheck: 'false',
      list: name === 'text' ? null : `letters-${name}-list`, placeholder: name === 'text' ? 'in the message' : 'any', 'aria-label': title,
    })]));
    this.lists = { stage: el('datalist', { id: 'letters-stage-list' }), code: el('datalist', { id: 'letters-code-list' }) };
    const fields = Object.entries(NAMES).map(([name, title]) => el('label', { class: 'field' }, el('span', {}, title), this.inputs[name]));
    this.form = el('form', { class: 'filters', id: 'letters-filter', 'aria-label': 'Filter dead letters', on: { submit: (event) => {
      event.preventDefault();
      this.go();
    } } }, fields, Object.values(this.lists), el('button', { type: 'submit' }, 'Show'), el('a', { class: 'reset', href: '#/pipeline', id: 'letters-reset' }, 'Reset'));
    this.list = el('div', { class: 'letters', id: 'letters' });
    this.says = el('p', { class: 'about', role: 'status', id: 'letters-says' });
    this.more = el('button', { type: 'button', id: 'letters-more', hidden: true, on: { click: () => this.load() } }, 'More');
    this.element = el('section', { 'aria-labelledby': 'letters-title', data: { state: 'loading' } },
      el('h2', { id: 'letters-title' }, 'Dead letters'), this.form, this.says, this.list, this.more);
    this.filters = null;
  }

  /** Shows what the address asks for. */
  follow({ filters }) {
    const wanted = Object.fromEntries(Object.keys(NAMES).map((name) => [name, filters[name] ?? '']));
    if (JSON.stringify(wanted) === JSON.stringify(this.filters)) return;
    this.filters = wanted;
    for (const [name, input] of Object.entries(this.inputs)) input.value = wanted[name];
    this.letters = null;
    this.form.querySelector('.reset').hidden = Object.values(wanted).every((value) => value === '');
  }

  go() {
    const filters = Object.fromEntries(Object.entries(this.inputs).map(([name, input]) => [name, input.value.trim()]));
    const hash = hashOf({ page: 'pipeline', range: '1h', filters });
    if (hash !== location.hash) location.hash = hash;
    else {
      // The same again: to see what came since.
      this.letters = null;
      this.load();
    }
  }

  /** What there is to choose from, as far as it is known. */
  known(rejectedBy) {
    for (const name of ['stage', 'code']) {
      const values = [...new Set(rejectedBy.map((of) => of[name]))].sort();
      if (values.length !== this.lists[name].childElementCount) fill(this.lists[name], values.map((value) => el('option', { value })));
    }
  }

  /** Loads the newest once there are some; whoever wants newer ones asks. */
  first(signal) {
    const settled = this.letters?.length > 0 || (this.letters && this.element.dataset.state === 'error');
    return settled ? null : this.load(signal);
  }

  async load(signal) {
    const after = this.letters?.length > 0 ? this.next : null;
    const filters = this.filters;
    if (!this.letters) this.element.dataset.state = 'loading';
    if (!this.letters) fill(this.list, el('div', { class: 'bone wide' }));
    this.more.disabled = true;
    try {
      const { letters, next } = await ask('v1/dead-letters', { ...filters, pipeline: this.pipeline, limit: PAGE, after }, signal);
      if (filters !== this.filters) return;
      this.letters = after ? [...this.letters, ...letters] : letters;
      this.next = next;
      if (!after) fill(this.list);
      this.list.append(...letters.map(letter));
      this.more.hidden = !next;
      this.element.dataset.state = this.letters.length === 0 ? 'empty' : 'ready';
      this.says.textContent = this.letters.length > 0
        ? `${this.letters.length} letters, newest first${next ? '; there are more' : ''}.`
        : this.inWords().length > 0 ? 'No dead letters fit these filters.' : 'No dead letters: no row was rejected.';
    } catch (error) {
      if (error instanceof Refused) this.failed(error);
      else if (signal) throw error;
      else if (error instanceof TokenWanted || error instanceof Unreachable) this.again();
    } finally {
      this.more.disabled = false;
    }
  }

  failed(error) {
    // Not asked for again with each round: the reader does.
    this.letters ??= [];
    this.element.dataset.state = 'error';
    this.says.textContent = '';
    if (this.letters.length === 0) fill(this.list);
    this.more.hidden = true;
    const retry = el('button', { type: 'button', on: { click: () => {
      notice.remove();
      if (this.letters.length === 0) this.letters = null;
      this.load();
    } } }, 'Retry');
    const missing = error.code === 'missing_table';
    const notice = el(missing ? 'p' : 'div', { class: missing ? 'notice' : 'notice bad' },
      el('strong', {}, missing ? 'There is no table yet: ' : 'The dead letters could not be read: '), error.message, error.hint && `; ${error.hint}`, ' ', retry);
    this.list.append(notice);
  }

  inWords() {
    return Object.entries(NAMES).filter(([name]) => this.filters?.[name]).map(([name, title]) => `${title}: ${this.filters[name]}`);
  }
}

function letter(of) {
  const inside = el('div', { class: 'inside' });
  const open = () => inside.firstChild || fill(inside, all(of));
  return el('details', { class: 'letter', data: { letter: of.letter_id }, on: { toggle: open } },
    el('summary', {},
      el('time', { datetime: of.timestamp }, dateTime(of.timestamp)),
      el('span', { class: 'why' }, `${of.stage}: ${of.code}`),
      of.resolved_at && el('span', { class: 'badge good' }, 'replayed'),
      el('span', { class: 'what' }, of.message)),
    inside);
}

function all(of) {
  const facts = [
    ['Letter', el('code', {}, of.letter_id)],
    ['Pipeline', of.pipeline],
    ['Message', of.message],
    ['Refused by', `${of.stage}, code ${of.code}`],
    ['Column', of.column ?? '–'],
    ['Source', of.source + (of.source_line === null || of.source_line === undefined ? '' : `, line ${of.source_line}`)],
    ['Row of its record', of.record_index > 0 ? `number ${of.record_index}` : 'the first, or the only one'],
    ['Plugin set', el('code', { title: of.plugin_set }, digest(of.plugin_set))],
    ['Attempts', String(of.attempts)],
    ['Replayed', of.resolved_at ? dateTime(of.resolved_at) : 'not yet'],
  ];
  const show = `clickmill dead-letter show ${of.letter_id}`;
  return [
    el('dl', { class: 'facts wide' }, facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)))),
    of.payload_hidden
      ? el('p', { class: 'notice' }, 'The record may hold personal data, which this page has no grant to show. On a machine that has it: ', el('code', { class: 'command' }, show))
      : el('pre', { tabindex: '0', role: 'group', 'aria-label': 'The record as it came' }, of.payload ?? '(not text, or with the letter of another row of the record)'),
  ];
}
