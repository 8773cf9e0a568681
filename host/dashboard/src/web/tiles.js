// One tile: a key number or a chart, in one of its states. `loading` shows bones the first time and the old
// numbers, faded, after that; `ready`, `empty` and `error` say what they are in words too.

import { Chart, whenNear } from './charts.js';
import { el, fill, say } from './dom.js';
import { full, short, unitName } from './format.js';
import { hasValues, inWords, shape } from './series.js';
import { answerTable } from './tables.js';

/** A tile of the page. `meta` is what the server says of it. */
export class Tile {
  constructor(meta, { retry, newest = false } = {}) {
    this.meta = meta;
    this.retry = retry;
    this.newest = newest;
    this.answer = null;
    const number = meta.chart === 'number';
    this.title = el('h3', {}, meta.title, unitName(meta.unit) && !number && el('span', { class: 'unit' }, ` in ${unitName(meta.unit)}`));
    this.about = el('p', { class: 'about' }, meta.about);
    this.note = el('p', { class: 'note', hidden: true });
    this.body = el('div', { class: 'body' });
    this.message = el('div', { class: 'message', hidden: true });
    this.element = el('article', {
      class: number ? 'card number' : `card ${meta.chart}`, data: { tile: meta.name, chart: meta.chart },
    }, this.title, this.body, this.message, this.about, this.note);
    if (number) this.value = el('data', { class: 'value', value: '' });
    else if (meta.chart === 'table') this.body.classList.add('tabled');
    else this.chart = new Chart(meta);
    if (!number) this.table = this.chart && this.tableBelow();
    // The sentence belongs above a chart and below a number.
    if (!number) this.title.after(this.about, this.note);
    if (this.chart) fill(this.body, this.chart.element, this.table);
    this.state('loading');
    this.visible = false;
    this.forget = whenNear(this.element, (near) => {
      this.visible = near;
      if (near && this.stale) this.retry?.();
    });
  }

  /** The same numbers as the chart's, made when they are asked for. */
  tableBelow() {
    this.held = el('div', {});
    return el('details', { on: { toggle: () => this.fillTable() } }, el('summary', {}, 'Show as table', el('span', { class: 'unseen' }, `: ${this.meta.title}`)), this.held);
  }

  fillTable() {
    if (this.table.open && this.answer) fill(this.held, answerTable(this.meta, this.answer, this.newest));
  }

  state(state) {
    const { dataset } = this.element;
    this.element.setAttribute('aria-busy', String(state === 'loading'));
    dataset.fresh = String(Boolean(this.answer));
    if (dataset.state !== state) dataset.state = state;
  }

  /** Another question is on its way: what is shown does not answer it. */
  wait() {
    this.message.hidden = true;
    this.state('loading');
  }

  /** Says which of the filters that are set it does not follow. */
  ignores(names) {
    this.note.hidden = names.length === 0;
    say(this.note, names.length === 0 ? '' : `Not filtered by ${names.join(', ')}.`);
  }

  /** Shows an answer. `look` is for the chart: `window`, `marks`, `revision`. */
  show(answer, look = {}) {
    this.answer = answer;
    this.stale = false;
    const shaped = this.chart && shape(answer);
    const none = answer.rows.length === 0 || (this.value && (answer.rows[0][0] ?? null) === null) || (shaped && !hasValues(shaped));
    if (none) return this.empty(look);
    this.message.hidden = true;
    if (this.value) this.number(answer.rows[0][0], answer.columns[0].type);
    else if (shaped) {
      this.state('ready');
      this.chart.show(answer, look, inWords(this.meta, answer, look));
      this.fillTable();
      return;
    } else fill(this.body, answerTable(this.meta, answer));
    this.state('ready');
  }

  /** A number that is more exact than the page's own is text. */
  number(value, type) {
    if (!this.value.isConnected) fill(this.body, this.value);
    this.element.dataset.value = value;
    if (type !== 'number') {
      say(this.value, String(value));
      return;
    }
    this.value.value = String(value);
    this.value.title = full(value, this.meta.unit);
    say(this.value, short(value, this.meta.unit));
  }

  empty({ bounded = false }) {
    delete this.element.dataset.value;
    const what = this.value ? 'No data' : this.answer.rows.length > 0 ? 'No values in this range' : 'No rows in this range';
    const advice = bounded ? 'Choose a longer time range or fewer filters.' : 'Nothing to show yet.';
    this.says(el('strong', {}, what), el('span', {}, advice));
    this.state('empty');
  }

  /** Shows why there is no answer. */
  fail(error) {
    this.stale = false;
    this.answer = null;
    delete this.element.dataset.value;
    // Before the first run there is no table, and nothing is wrong; or its name in the tile is.
    const missing = error.code === 'missing_table';
    this.message.classList.toggle('calm', missing);
    this.says(
      el('strong', {}, missing ? 'There is no table yet' : 'This could not be answered'),
      el('span', { class: 'cause' }, error.message),
      error.hint && el('span', {}, error.hint),
      this.retry && el('button', { type: 'button', on: { click: () => this.retry() }, 'aria-label': `Retry ${this.meta.title}` }, 'Retry'),
    );
    this.state('error');
  }

  says(...parts) {
    const text = parts.map((part) => (part ? part.textContent : '')).join(' ');
    this.message.hidden = false;
    // Not rebuilt while it says the same: the Retry button may be in use.
    if (this.message.textContent !== text) fill(this.message, parts);
  }

  /** Draws again where the look has changed. */
  adjust(look) {
    if (this.chart && this.answer && this.element.dataset.state === 'ready') this.show(this.answer, look);
  }

  drop() {
    this.forget();
    this.chart?.drop();
  }
}
