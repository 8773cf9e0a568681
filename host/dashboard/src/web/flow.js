// What runs now: from the source over the plugins to the sink, with the branch to the dead letters.

import { el, fill } from './dom.js';
import { count, dateTime, digest, integer, rate, share, short, span } from './format.js';
import { hashOf } from './route.js';

/** Queues belong to the step they are in front of. Other names are listed under the flow. */
const BEFORE = { source: 'source', decode: 'decode', chain: 'plugins', plugins: 'plugins', write: 'sink', writer: 'sink', sink: 'sink', delivery: 'sink' };

const LONG = { 'Time per M': 'Time per million rows', 'Fuel per M': 'Fuel per million rows' };

export class Flow {
  constructor() {
    this.unready = el('div', { class: 'notice bad', id: 'unready', hidden: true });
    this.numbers = el('div', { class: 'numbers' });
    this.steps = el('ol', { class: 'flow', id: 'flow', 'aria-label': 'From the source to the sink' });
    this.queues = el('div', { class: 'queues' });
    this.since = el('p', { class: 'about' });
    this.element = el('section', { 'aria-labelledby': 'flow-title', class: 'flow-section' },
      this.unready, el('h2', { class: 'unseen' }, 'Now'), this.numbers,
      el('h2', { id: 'flow-title' }, 'Flow'), this.since, this.steps, this.queues);
  }

  show(status) {
    fill(this.unready, el('strong', {}, 'Not ready'), el('ul', {}, status.problems.map((problem) => el('li', {}, problem))));
    this.unready.hidden = status.ready && status.problems.length === 0;
    fill(this.numbers, numbers(status));
    fill(this.since, conserved(status));
    // Made anew, but what the reader has a hand on is given back.
    const held = this.steps.contains(document.activeElement) ? document.activeElement.id : null;
    fill(this.steps, steps(status));
    if (held) document.getElementById(held)?.focus();
    fill(this.queues, others(status.queues, status.plugins));
  }
}

function numbers(status) {
  const { rates } = status;
  const cards = [
    ['rows_in', 'Rows in', rates?.rows_in, rate, `${count(status.rows_in)} since the start`],
    ['rows_out', 'Rows out', rates?.rows_out, rate, `${count(status.rows_out)} since the start`],
    ['rows_rejected', 'Rejected', rates?.rows_rejected, rate,
      `${count(status.rows_rejected)} since the start, ${share(status.rows_rejected, status.rows_in + (status.rows_made ?? 0))}`],
    ['rows_in_hand', 'Rows in hand', status.rows_in_hand, count, (status.oldest_unacknowledged_secs ?? null) === null ? 'none waits to be acknowledged' : `${span(status.oldest_unacknowledged_secs)} the oldest not acknowledged`],
    ['freshness', 'Freshness', status.freshness_secs, span, 'since the newest event in the table'],
    ['latency', 'Latency, p99', status.latency_ms?.p99, (value) => short(value, 'ms'), `p50 ${short(status.latency_ms?.p50, 'ms')}, from publishing to durable`],
  ];
  return cards.map(([name, title, value, write, about]) => el('article', { class: 'card number', data: { status: name, value: value ?? '' } },
    el('h3', {}, title),
    el('data', { class: 'value', value: String(value ?? ''), title: value === null || value === undefined ? 'no data' : String(value) }, value === undefined ? '–' : write(value)),
    el('p', { class: 'about' }, about)));
}

/** Rows are conserved, and the page shows the sum; beside it the records, where some of them are several rows. */
function conserved(status) {
  const part = (value, words) => [el('b', { title: integer(value) }, count(value)), ` ${words}`];
  return [
    'Since ', dateTime(status.started_at), ': ',
    part(status.rows_in, 'in'), status.records && [' + ', part(status.rows_made, 'made of them')], ' = ', part(status.rows_out, 'out'), ' + ', part(status.rows_rejected, 'rejected'), ' + ',
    part(status.rows_filtered, 'filtered'), ' + ', part(status.rows_in_hand, 'in hand'),
    status.records && ['. Of the records ', part(status.records.with_rows, 'have rows, '),
      part(status.records.with_letters_only, 'dead letters only, '), part(status.records.filtered_whole, 'were filtered whole')],
  ];
}

function steps(status) {
  const stages = [...new Set(status.plugins.map(({ stage }) => stage))];
  const queue = (step) => status.queues.filter(({ name }) => place(name, stages) === step).map(gauge);
  return [
    step('source', 'Source', status.source, [['In', rate(status.rates?.rows_in)], ['Read', bytes(status.bytes)], ['Batches', count(status.batches)], ['Repeated', count(status.repeated)]], queue('source')),
    step('decode', 'Decode', null, [['In', rate(status.rates?.rows_in)], ['In hand', count(status.rows_in_hand)]], queue('decode')),
    stages.map((stage, at) => plugin(stage, status.plugins.filter((of) => of.stage === stage), [...(at === 0 ? queue('plugins') : []), ...queue(stage)])),
    step('sink', 'Sink', status.sink, [['Out', rate(status.rates?.rows_out)], ['Retries', count(status.retries)], ['Freshness', span(status.freshness_secs)]],
      queue('sink'), tables(status)),
    letters(status),
  ];
}

/** The pipeline's own table; where it has routes, each table with its rows. */
function tables(status) {
  if (!(status.tables?.length > 1)) return el('p', { class: 'about' }, 'Table ', el('code', {}, status.table));
  return el('ul', { class: 'reasons', id: 'tables' }, status.tables.map(({ table, rows }) =>
    el('li', {}, el('code', {}, table), ' ', el('b', { title: integer(rows) }, count(rows)))));
}

function step(kind, title, about, facts, queues, extra) {
  return el('li', { class: `step ${kind}`, data: { step: kind } },
    el('h3', {}, title), about && el('p', { class: 'about' }, about), list(facts), queues, extra);
}

/** A stage with the version that runs and, while there is one, the canary beside it. */
function plugin(stage, versions, queues) {
  return el('li', { class: 'step plugin', data: { step: stage } },
    el('h3', {}, stage),
    versions.map((of) => el('div', { class: `version ${of.standing}` },
      el('p', { class: 'about' }, `${of.plugin} ${of.version}`, of.standing !== 'current' && el('span', { class: 'badge warn' }, of.standing),
        el('span', { class: 'unseen' }, ', plugin set '), ' ', el('code', { title: of.plugin_set }, digest(of.plugin_set).slice(0, 8))),
      list([
        ['Rows', count(of.rows)],
        ['Time per M', of.rows > 0 ? span((1e6 * of.seconds) / of.rows) : '–'],
        ['Fuel per M', of.rows > 0 ? count((1e6 * of.fuel) / of.rows) : '–'],
        ['Memory', bytes(of.memory_bytes)],
        ['Rejected', `${count(of.rejected)} (${share(of.rejected, of.rows)})`, of.rejected > 0 && 'warned'],
        ['Filtered', count(of.filtered)],
        ['Faults', count(of.faults), of.faults > 0 && 'bad'],
      ]))),
    queues);
}

function letters(status) {
  const most = [...status.rejected_by].sort((a, b) => b.rows - a.rows);
  return el('li', { class: 'step letters', data: { step: 'dead_letter' } },
    el('h3', {}, 'Dead letters'),
    el('p', { class: 'about' }, `${count(status.rows_rejected)} rows rejected, ${rate(status.rates?.rows_rejected)}`,
      status.spooled > 0 && ` · ${count(status.spooled)} wait on disk`),
    most.length === 0 ? el('p', { class: 'about' }, 'Nothing was rejected.') : el('ul', { class: 'reasons' }, most.slice(0, 12).map(({ stage, code, rows }, at) =>
      el('li', {}, el('a', { id: `reason-${at}`, href: hashOf({ page: 'pipeline', range: '1h', filters: { stage, code } }), title: `${integer(rows)} rows` },
        `${stage}: ${code}`), ` ${count(rows)}`))),
    most.length > 12 && el('p', { class: 'about' }, `and ${most.length - 12} more reasons`));
}

/** Facts with their names; the short ones are written out where someone asks. */
function list(facts) {
  return el('dl', { class: 'facts' }, facts.map(([name, value, tone]) => el('div', { class: tone || null }, el('dt', { title: LONG[name] }, name), el('dd', {}, value))));
}

function gauge({ name, length, capacity }) {
  return el('label', { class: 'queue' }, el('span', {}, `Queue ${name}: ${length} of ${capacity}`),
    el('meter', { min: 0, max: capacity, high: 0.9 * capacity, optimum: 0, value: String(length) }));
}

function others(queues, plugins) {
  const stages = plugins.map(({ stage }) => stage);
  return queues.filter(({ name }) => !place(name, stages)).map(gauge);
}

const place = (name, stages) => (stages.includes(name) ? name : BEFORE[name]);

function bytes(size) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, size)) / 10));
  return `${count(Math.round((10 * size) / 1024 ** power) / 10)} ${units[power]}`;
}
