// The audit log: who changed what, newest first.

import { Refused, TokenWanted, Unreachable, ask } from './api.js';
import { el, fill } from './dom.js';
import { dateTime, digest } from './format.js';
import { line, table } from './tables.js';

const PAGE = 50;
const HEADS = [
  { title: 'No.', number: true }, { title: 'Time' }, { title: 'Who' }, { title: 'Action' }, { title: 'Plugin set' }, { title: 'Outcome' }, { title: 'Detail' },
];
const TONE = { done: 'good', refused: 'bad', failed: 'bad' };

export class Audit {
  /** `pipeline` is the one whose entries are shown; null shows those of all. */
  constructor(again, pipeline) {
    this.again = again;
    this.pipeline = pipeline;
    this.body = el('div', {});
    this.says = el('p', { class: 'about', role: 'status', id: 'audit-says' });
    this.more = el('button', { type: 'button', id: 'audit-more', hidden: true, on: { click: () => this.load() } }, 'More');
    this.newest = el('button', { type: 'button', id: 'audit-newest', on: { click: () => {
      this.entries = null;
      this.load();
    } } }, 'Read again');
    this.element = el('section', { 'aria-labelledby': 'audit-title', data: { state: 'loading' } },
      el('h2', { id: 'audit-title' }, 'Audit log'), this.says, this.body, el('div', { class: 'buttons' }, this.more, this.newest));
  }

  first(signal) {
    const settled = this.entries?.length > 0 || (this.entries && this.element.dataset.state === 'error');
    return settled ? null : this.load(signal);
  }

  async load(signal) {
    const after = this.entries?.length > 0 ? this.next : null;
    this.more.disabled = true;
    try {
      const { entries, next } = await ask('v1/audit', { pipeline: this.pipeline, limit: PAGE, after }, signal);
      this.next = next;
      if (!after) {
        this.entries = [];
        fill(this.body, table('Audit log, newest first', HEADS, [], { id: 'audit' }));
      }
      this.entries.push(...entries);
      this.body.querySelector('tbody').append(...entries.map((entry) => line(HEADS, row(entry))));
      this.body.hidden = this.entries.length === 0;
      this.more.hidden = !next;
      this.element.dataset.state = this.entries.length === 0 ? 'empty' : 'ready';
      this.says.textContent = this.entries.length === 0 ? 'Nothing was changed yet.' : '';
    } catch (error) {
      if (error instanceof Refused) {
        this.entries ??= [];
        this.element.dataset.state = 'error';
        this.says.textContent = `The audit log could not be read: ${error.message}${error.hint ? `; ${error.hint}` : ''}`;
      } else if (signal) throw error;
      else if (error instanceof TokenWanted || error instanceof Unreachable) this.again();
    } finally {
      this.more.disabled = false;
    }
  }
}

function row(entry) {
  const sets = [entry.old_plugin_set, entry.new_plugin_set];
  return [
    String(entry.sequence),
    dateTime(entry.time),
    [el('div', {}, entry.actor), el('div', { class: 'about' }, entry.pipeline)],
    [entry.action, entry.subject && ` ${entry.subject}`],
    sets.some(Boolean) ? [el('code', { title: sets[0] }, digest(sets[0]).slice(0, 8)), ' → ', el('code', { title: sets[1] }, digest(sets[1]).slice(0, 8))] : '–',
    el('span', { class: `badge ${TONE[entry.outcome] ?? ''}` }, entry.outcome),
    entry.detail ?? '',
  ];
}
