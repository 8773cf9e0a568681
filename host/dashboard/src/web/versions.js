// The versions of the plugins since the start: who swapped what, and how it went.

import { el, fill } from './dom.js';
import { count, dateTime, digest, integer, share } from './format.js';
import { table } from './tables.js';

const HEADS = [
  { title: 'Version' }, { title: 'Stages' }, { title: 'Changes' }, { title: 'By' }, { title: 'Since' },
  { title: 'Rows', number: true }, { title: 'Rejected', number: true }, { title: 'Faults', number: true }, { title: 'Fuel a row', number: true },
];
const REPLICA_HEADS = [
  { title: 'Replica' }, { title: 'Plugin set' }, { title: 'Entry', number: true }, { title: 'Since' }, { title: 'Last sign of life' },
];
const TONE = { current: 'good', canary: 'warn', 'rolled back': 'bad' };

export class Versions {
  constructor() {
    this.body = el('div', {});
    this.before = '';
    this.fleet = el('div', {});
    this.element = el('section', { 'aria-labelledby': 'versions-title' }, el('h2', { id: 'versions-title' }, 'Versions and swaps'), this.fleet, this.body);
  }

  /** What each replica of the fleet runs; nothing where the process is of none. */
  showFleet(fleet) {
    if (!fleet) {
      fill(this.fleet);
      return;
    }
    const replicas = fleet.replicas.map((replica) => [
      [replica.replica, replica.replica === fleet.replica && el('span', { class: 'badge' }, 'this one')],
      [el('code', { title: replica.plugin_set }, digest(replica.plugin_set)),
        replica.canary && el('div', { class: 'about' }, 'canary ', el('code', { title: replica.canary }, digest(replica.canary))),
        replica.problem && el('p', { class: 'error' }, replica.problem)],
      integer(replica.entry),
      replica.since,
      `${count(replica.silent_secs)} s before the newest`,
    ]);
    renew(this.fleet, table('Replicas of the fleet and what they run', REPLICA_HEADS, replicas, { id: 'replicas' }));
  }

  show(versions) {
    const text = JSON.stringify(versions);
    if (text === this.before) return;
    this.before = text;
    const newest = [...versions].sort((a, b) => b.number - a.number);
    renew(this.body, table('Versions of the plugins, newest first', HEADS, newest.map(row), { id: 'versions' }));
  }

  /** Where versions began and were taken back, for the charts. */
  marks(versions) {
    return versions.flatMap((version) => [
      version.number > 1 && { at: version.since / 1_000, text: `v${version.number}`, bad: false },
      version.standing === 'rolled back' && version.until && { at: version.until / 1_000, text: `v${version.number} back`, bad: true },
    ]).filter(Boolean).sort((a, b) => a.at - b.at);
  }
}

/** Puts a table in place of the one before. It scrolls by itself: where it was scrolled to stays, and so does the focus. */
function renew(place, made) {
  const left = place.firstChild?.scrollLeft ?? 0;
  const held = place.contains(document.activeElement);
  fill(place, made);
  made.scrollLeft = left;
  if (held) made.focus();
}

function row(version) {
  return [
    [el('span', { class: 'number-of' }, `v${version.number}`), ' ', el('span', { class: `badge ${TONE[version.standing] ?? ''}` }, version.standing),
      el('div', { class: 'about' }, el('code', { title: version.plugin_set }, digest(version.plugin_set)))],
    el('ul', { class: 'plain' }, version.stages.map(({ stage, plugin, version: of, component }) =>
      el('li', {}, stage === plugin ? stage : `${stage} (${plugin})`, ` ${of} `, el('code', { title: component }, digest(component).slice(0, 8))))),
    [version.changes.length > 0 && el('ul', { class: 'plain' }, version.changes.map((change) => el('li', {}, change))),
      version.note && el('p', { class: 'quote' }, version.note),
      version.reason && el('p', { class: 'error' }, `Rolled back: ${version.reason}`)],
    version.actor || '–',
    [el('div', {}, dateTime(version.since / 1_000)), version.until && el('div', { class: 'about' }, `until ${dateTime(version.until / 1_000)}`)],
    el('span', { title: integer(version.rows) }, count(version.rows)),
    el('span', { title: integer(version.rejected) }, share(version.rejected, version.rows)),
    el('span', { class: version.faults > 0 ? 'error' : null }, count(version.faults)),
    count(version.fuel_per_row),
  ];
}
