// The pipeline's last hour, with a line wherever a version of the plugins began.

import { el } from './dom.js';
import { Tile } from './tiles.js';

const CHARTS = [
  ['rates', 'Rows in and out', 'Rows a second that were read, and that are in the table.', 'count', ['rows_in', 'rows_out']],
  ['rejected', 'Rejected', 'Rows a second that became dead letters. A jump at a line came with that version.', 'count', ['rows_rejected']],
  ['in_hand', 'Rows in hand', 'Rows that were read and are not acknowledged yet.', 'count', ['rows_in_hand']],
  ['freshness', 'Freshness', 'How far the table is behind, and how long the oldest row has been in hand.', 'seconds', ['freshness_secs', 'oldest_unacknowledged_secs']],
];
const PLUGIN_CHARTS = [
  ['seconds', 'Time per million rows', 'What each plugin takes for a million rows.', 'seconds', 'seconds_per_million'],
  ['fuel', 'Fuel per million rows', 'What each plugin burns for a million rows.', 'count', 'fuel_per_million'],
];

export class OverTime {
  constructor() {
    this.tiles = [...CHARTS, ...PLUGIN_CHARTS].map(([name, title, about, unit]) =>
      new Tile({ name: `pipeline_${name}`, title, about, unit, chart: 'line', parameters: [] }, { newest: true }));
    this.element = el('section', { 'aria-labelledby': 'hour-title' },
      el('h2', { id: 'hour-title' }, 'Last hour'),
      el('div', { class: 'charts' }, this.tiles.map(({ element }) => element)));
  }

  /** Shows the samples, and where versions began. */
  show(series, marks) {
    const ends = series.times.length > 1 ? [series.times[0], series.times.at(-1)] : null;
    const look = { window: ends, marks, revision: 'hour' };
    const answers = [
      ...CHARTS.map(([, , , , names]) => answer(series.times, names.map((name) => [name.replace('_secs', ''), series[name] ?? []]))),
      ...PLUGIN_CHARTS.map(([, , , , name]) => answer(series.times, Object.entries(series.plugins ?? {}).map(([stage, of]) => [stage, of[name] ?? []]))),
    ];
    this.tiles.forEach((tile, at) => tile.show(answers[at], look));
  }

  drop() {
    for (const tile of this.tiles) tile.drop();
  }
}

/** Columns as an answer's rows, which is what tiles show. */
function answer(times, columns) {
  return {
    columns: [{ name: 'time', type: 'timestamp' }, ...columns.map(([name]) => ({ name, type: 'number' }))],
    rows: columns.length === 0 ? [] : times.map((time, at) => [time, ...columns.map(([, values]) => values[at] ?? null)]),
  };
}
