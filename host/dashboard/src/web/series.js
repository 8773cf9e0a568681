// What an answer's columns mean, by the conventions for tiles: the first column is x or a label; a text
// column after it names the series, and the third is the value; else each further number is a series.

import { count, label, short, timeOf, dateTime } from './format.js';

/** `{ time, type, long, xs, series: [{ name, values }] }`, or null where there is nothing to draw. */
export function shape({ columns, rows }) {
  const [x, second] = columns;
  if (!x || !second) return null;
  const type = x.type;
  const time = type === 'timestamp' || type === 'date';
  if (second.type === 'text' && columns[2]?.type === 'number') return long(rows, type, time);
  const series = columns
    .map((column, at) => ({ column, at }))
    .filter(({ column, at }) => at > 0 && column.type === 'number')
    .map(({ column, at }) => ({ name: readable(column.name), values: rows.map((row) => row[at]) }));
  return series.length === 0 ? null : { type, time, long: false, xs: rows.map(([value]) => value), series };
}

/** `events_per_hour` as people write it. */
export const readable = (name) => name.replaceAll('_', ' ');

function long(rows, type, time) {
  const places = new Map();
  const named = new Map();
  for (const [x] of rows) if (!places.has(x)) places.set(x, places.size);
  for (const [x, name, value] of rows) {
    const key = label(name, 'text');
    if (!named.has(key)) named.set(key, new Array(places.size).fill(null));
    named.get(key)[places.get(x)] = value;
  }
  return { type, time, long: true, xs: [...places.keys()], series: [...named].map(([name, values]) => ({ name, values })) };
}

/** The usual distance of neighbours on a time axis, in milliseconds; null where there are none. */
export function step(xs) {
  let least = Infinity;
  for (let at = 1; at < xs.length; at += 1) {
    const far = Math.abs(Date.parse(xs[at]) - Date.parse(xs[at - 1]));
    if (far > 0 && far < least) least = far;
  }
  return least === Infinity ? null : least;
}

/**
 * Without the first and the last bucket, where the range begins or ends within them: an area that drops to
 * nothing at its end would look as if the events had.
 */
export function wholeBuckets(shaped, window) {
  const width = shaped.type === 'timestamp' && window ? step(shaped.xs) : null;
  if (width === null) return shaped;
  const [from, to] = window.map(Date.parse);
  const kept = [...shaped.xs.keys()].filter((at) => Date.parse(shaped.xs[at]) >= from && Date.parse(shaped.xs[at]) + width <= to);
  if (kept.length === shaped.xs.length || kept.length < 3) return shaped;
  return {
    ...shaped,
    xs: kept.map((at) => shaped.xs[at]),
    series: shaped.series.map(({ name, values }) => ({ name, values: kept.map((at) => values[at]) })),
  };
}

/**
 * The same with a point on either side of each gap. A bucket without rows is not in the answer, and a line
 * drawn across it would claim something: it is zero for an area and no line for a line.
 */
export function withGaps(shaped, value) {
  const width = shaped.time ? step(shaped.xs) : null;
  if (width === null) return shaped;
  const xs = [];
  const from = [];
  shaped.xs.forEach((x, at) => {
    const before = at > 0 ? Date.parse(shaped.xs[at - 1]) : null;
    if (before !== null && Date.parse(x) - before > 1.5 * width) {
      for (const edge of new Set([before + width, Date.parse(x) - width])) {
        xs.push(shaped.type === 'date' ? new Date(edge).toISOString().slice(0, 10) : new Date(edge).toISOString());
        from.push(null);
      }
    }
    xs.push(x);
    from.push(at);
  });
  const series = shaped.series.map(({ name, values }) => ({
    name,
    values: from.map((at) => (at === null ? value : values[at] ?? value)),
  }));
  return { ...shaped, xs, series };
}

/** What a chart shows, in words: its label for those who can't see it. */
export function inWords(tile, answer, window = null) {
  const all = shape(answer);
  const shaped = all && tile.chart === 'area' ? wholeBuckets(all, window) : all;
  if (!shaped) return `${tile.title}: a table of ${count(answer.rows.length)} rows.`;
  const names = shaped.series.length;
  const value = (of) => short(of, tile.unit);
  if (shaped.time || tile.chart === 'line' || tile.chart === 'area') {
    const at = (x) => (shaped.type === 'timestamp' ? dateTime(x) : label(x, shaped.type));
    const last = shaped.xs.at(-1);
    const about = shaped.series.slice(0, 6).map(({ name, values }) => {
      const known = values.filter((of) => of !== null && of !== undefined);
      if (known.length === 0) return `${name}: no values`;
      const ends = `lowest ${value(least(known))}, highest ${value(most(known))}`;
      return `${name}: ${ends}, last ${value(known.at(-1))}`;
    });
    return `${kind(tile.chart)} of ${tile.title}, ${shaped.xs.length} points from ${at(shaped.xs[0])} to ${
      shaped.type === 'timestamp' && sameDay(shaped.xs[0], last) ? timeOf(last) : at(last)
    }. ${about.join('; ')}${more(names - 6)}.`;
  }
  const about = shaped.xs.slice(0, 6).map((x, at) => {
    const values = shaped.series.slice(0, 4).map((of) => (names > 1 ? `${of.name} ` : '') + value(of.values[at]));
    return `${label(x, shaped.type)}: ${values.join(', ')}`;
  });
  return `${kind(tile.chart)} of ${tile.title}, ${shaped.xs.length} values. ${about.join('; ')}${more(shaped.xs.length - 6)}.`;
}

const least = (values) => values.reduce((a, b) => Math.min(a, b));
const most = (values) => values.reduce((a, b) => Math.max(a, b));

const more = (left) => (left > 0 ? `; and ${left} more` : '');

const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

const kind = (chart) =>
  ({ line: 'Line chart', area: 'Area chart', column: 'Column chart', bar: 'Bar chart', donut: 'Donut chart', funnel: 'Funnel' })[chart]
  ?? 'Chart';
