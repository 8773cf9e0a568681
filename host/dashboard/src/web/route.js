// Where the reader is, as the address says it: page, time range and filters are all in the hash, so that a
// link shows another reader the same.

import { serverNow } from './api.js';

/** Time ranges, by their name in the hash; in seconds. */
export const RANGES = [
  { name: '15m', title: 'Last 15 minutes', secs: 900 },
  { name: '1h', title: 'Last hour', secs: 3_600 },
  { name: '24h', title: 'Last 24 hours', secs: 86_400 },
  { name: '7d', title: 'Last 7 days', secs: 7 * 86_400 },
  { name: '30d', title: 'Last 30 days', secs: 30 * 86_400 },
  { name: 'all', title: 'All time' },
  { name: 'custom', title: 'From … to …' },
];

/** What counts where the hash says nothing: a stream is watched, a load is looked at as a whole. */
const usual = (page) => (page === 'stream' ? '1h' : 'all');

/** Reads the hash: `#/stream?range=24h&country=US`. */
export function readRoute(hash = location.hash) {
  const [path, query = ''] = hash.replace(/^#\/?/, '').split('?');
  const values = new URLSearchParams(query);
  const page = decodeURIComponentOr(path);
  const asked = values.get('range');
  const range = RANGES.some(({ name }) => name === asked) ? asked : usual(page);
  const from = instant(values.get('from'));
  const to = instant(values.get('to'));
  const filters = {};
  for (const [name, value] of values) {
    if (!['range', 'from', 'to'].includes(name) && value !== '') filters[name] = value;
  }
  return { page, range, from, to, filters };
}

/** The code of a link that opens the page, `#open=…`; null in any other hash. */
export const codeIn = (hash) => (hash.startsWith('#open=') ? hash.slice('#open='.length) : null);

/** The hash of a route; what is usual is left out. */
export function hashOf({ page, range, from, to, filters = {} }) {
  const values = new URLSearchParams();
  if (range && range !== usual(page)) values.set('range', range);
  if (range === 'custom') {
    if (from) values.set('from', from);
    if (to) values.set('to', to);
  }
  for (const [name, value] of Object.entries(filters)) if (value) values.set(name, value);
  const query = values.toString();
  return `#/${encodeURIComponent(page)}${query ? `?${query}` : ''}`;
}

/** The bounds of a route's range, as the server wants them. No bound is no parameter. */
export function bounds(route, refreshSecs) {
  if (route.range === 'all') return {};
  if (route.range === 'custom') return { from: route.from ?? undefined, to: route.to ?? undefined };
  // Up to the next refresh: readers who look at the same time ask the same question, which can be answered once.
  // That is never far off, or there would be little of the range in what is past.
  const { secs } = RANGES.find(({ name }) => name === route.range);
  const step = Math.min(Math.max(1, refreshSecs), secs / 10) * 1_000;
  const to = Math.ceil((serverNow() + 1) / step) * step;
  return { from: second(to - secs * 1_000), to: second(to) };
}

/** A range in words, for the reader of a print. */
export function rangeInWords(route, dateTime) {
  if (route.range !== 'custom') return RANGES.find(({ name }) => name === route.range).title;
  const from = route.from ? `from ${dateTime(route.from)}` : 'from the beginning';
  return `${from} ${route.to ? `to ${dateTime(route.to)}` : 'until now'}`;
}

/** RFC 3339 with whole seconds. */
export const second = (ms) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

function instant(text) {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? null : second(ms);
}

function decodeURIComponentOr(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
