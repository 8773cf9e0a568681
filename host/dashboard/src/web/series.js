// What an answer's columns mean, by the conventions for tiles: the first column is x or a label; a text
// column after it names the series, and the third is the value; else each further number is a series.

import { count, label, short, timeOf, dateTime } from './format.js';

/**
 * `{ time, type, long, xs, width, counted, series: [{ key, name, values }] }`, or null where there is
 * nothing to draw. Keys differ where names look the same, as those of NULL and an empty text do. `width` is
 * that of a bucket of time in milliseconds, null where it is not known; `counted` says that it is the
 * question's own, so that a bucket without rows is known to be one.
 */
export function shape(answer) {
  const { columns } = answer;
  const [x, second] = columns;
  if (!x || !second) return null;
  const { type } = x;
  const time = type === 'timestamp' || type === 'date';
  // What is at no moment has no place on the axis, and no question has to be asked in its order.
  const rows = time
    ? answer.rows.filter(([at]) => !Number.isNaN(Date.parse(at))).sort(([a], [b]) => Date.parse(a) - Date.parse(b))
    : answer.rows;
  const shaped = second.type === 'text' && columns[2]?.type === 'number' ? long(rows) : wide(columns, rows);
  if (shaped.series.length === 0) return null;
  const counted = time && answer.bucket_secs > 0;
  const width = counted ? 1_000 * answer.bucket_secs : time ? step(shaped.xs) : null;
  return { ...shaped, type, time, counted, width };
}

/** Whether there is a value in it to draw. */
export const hasValues = ({ series }) => series.some(({ values }) => values.some((of) => of !== null && of !== undefined));

/** `events_per_hour` as people write it. */
export const readable = (name) => name.replaceAll('_', ' ');

function wide(columns, rows) {
  const series = columns
    .map((column, at) => ({ column, at }))
    .filter(({ column, at }) => at > 0 && column.type === 'number')
    .map(({ column, at }) => ({ key: column.name, name: readable(column.name), values: rows.map((row) => row[at]) }));
  return { long: false, xs: rows.map(([value]) => value), series };
}

function long(rows) {
  const places = new Map();
  const named = new Map();
  for (const [x] of rows) if (!places.has(x)) places.set(x, places.size);
  for (const [x, key, value] of rows) {
    if (!named.has(key)) named.set(key, new Array(places.size).fill(null));
    named.get(key)[places.get(x)] = value;
  }
  return { long: true, xs: [...places.keys()], series: [...named].map(([key, values]) => ({ key, name: label(key, 'text'), values })) };
}

/**
 * The usual distance of neighbours on a time axis, in milliseconds; null where there are none. It is one of
 * the small ones, since gaps are larger; not the smallest, which a clock that was put right may have made.
 */
export function step(xs) {
  const far = xs.slice(1).map((x, at) => Math.abs(Date.parse(x) - Date.parse(xs[at]))).filter((of) => of > 0).sort((a, b) => a - b);
  return far.length === 0 ? null : far[Math.floor(far.length / 4)];
}

/**
 * Without the first and the last bucket, where the range begins or ends within them: an area that drops to
 * nothing at its end would look as if the events had.
 */
export function wholeBuckets(shaped, window) {
  const { width } = shaped;
  if (shaped.type !== 'timestamp' || !window || width === null) return shaped;
  const [from, to] = window.map(Date.parse);
  const kept = [...shaped.xs.keys()].filter((at) => Date.parse(shaped.xs[at]) >= from && Date.parse(shaped.xs[at]) + width <= to);
  if (kept.length === shaped.xs.length || kept.length < 3) return shaped;
  return {
    ...shaped,
    xs: kept.map((at) => shaped.xs[at]),
    series: shaped.series.map(({ values, ...part }) => ({ ...part, values: kept.map((at) => values[at]) })),
  };
}

/**
 * What is drawn as a line, with a point on either side of each gap, since a line across it would claim
 * something. In a bucket without rows, which is not in the answer, nothing happened: it is zero where parts
 * are stacked or counted. A measure has no value then, and nor has a moment at which nobody looked. Buckets
 * of zero go on to the ends of what is `covered`, as far as they are whole in the `window`.
 */
export function withGaps(shaped, tile, { covered = null, window = null } = {}) {
  const { width, counted, type } = shaped;
  const value = tile.chart === 'area' || (counted && tile.unit === 'count') ? 0 : null;
  if (width === null || shaped.xs.length === 0) return shaped;
  const times = shaped.xs.map((x) => Date.parse(x));
  const points = new Map();
  const gap = (from, to) => {
    if (to - from > 1.5 * width) for (const at of [from + width, to - width]) points.set(at, null);
  };
  times.forEach((time, at) => {
    if (at > 0) gap(times[at - 1], time);
    points.set(time, at);
  });
  if (value === 0 && counted && covered) {
    const [first, last] = [times[0], times.at(-1)];
    const [from, to] = window ? window.map((end) => Date.parse(end)) : [-Infinity, Infinity];
    // Where the covered time begins or ends within a bucket, all of what is known of it is none; one that the
    // window cuts is not known.
    const before = Math.min(Math.ceil((first - covered[0]) / width), Math.floor((first - from) / width));
    const after = Math.min(Math.floor((covered[1] - last) / width), Math.floor((to - last) / width) - 1);
    gap(first - width * (Math.max(0, before) + 1), first);
    gap(last, last + width * (Math.max(0, after) + 1));
  }
  const order = [...points.keys()].sort((a, b) => a - b);
  const series = shaped.series.map(({ values, ...part }) => ({ ...part, values: order.map((time) => values[points.get(time)] ?? value) }));
  return { ...shaped, xs: order.map((time) => shaped.xs[points.get(time)] ?? written(time, type)), series };
}

/** The same with the end of its last bucket, up to which a step is drawn. */
export function closed(shaped) {
  const end = written(Date.parse(shaped.xs.at(-1)) + shaped.width, shaped.type);
  return { ...shaped, xs: [...shaped.xs, end], series: shaped.series.map(({ values, ...part }) => ({ ...part, values: [...values, values.at(-1)] })) };
}

const written = (ms, type) => (type === 'date' ? new Date(ms).toISOString().slice(0, 10) : new Date(ms).toISOString());

/** What a chart shows, in words: its label for those who can't see it. */
export function inWords(tile, answer, look = {}) {
  const all = shape(answer);
  const shaped = all && tile.chart === 'area' ? wholeBuckets(all, look.window) : all;
  if (!shaped) return `${tile.title}: a table of ${count(answer.rows.length)} rows.`;
  const names = shaped.series.length;
  const value = (of) => short(of, tile.unit);
  if (shaped.time || tile.chart === 'line' || tile.chart === 'area') {
    const at = (x) => (shaped.type === 'timestamp' ? dateTime(x) : label(x, shaped.type));
    const last = shaped.xs.at(-1);
    const lines = tile.chart === 'line' || tile.chart === 'area';
    const { series } = lines ? withGaps(shaped, tile, look) : shaped;
    const about = series.slice(0, 6).map(({ name, values }) => {
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
