// Numbers and times as the reader's own language writes them, times in their own zone.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const exact = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });
const significant = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 });
const brief = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 2 });
const power = new Intl.NumberFormat(undefined, { notation: 'scientific', maximumFractionDigits: 3 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeZone: 'UTC' });
const both = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** The reader's time zone, which the page says once. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** From here on a number is written short, the whole of it in its title. */
const LONG = 1_000_000;

/** Beyond these, digits are counted, not read. */
const HUGE = 1e15;
const TINY = 1e-6;
const isTiny = (value) => value !== 0 && Math.abs(value) < TINY;

/** A number in its unit: short enough for a card. */
export function short(value, unit) {
  if (value === null || value === undefined) return '–';
  if (unit === 'percent') return `${fraction(value)} %`;
  if (unit === 'ms') return Math.abs(value) < 1_000 ? `${fraction(value)} ms` : span(value / 1_000);
  if (unit === 'seconds') return span(value);
  if (unit && unit !== 'count') return money(value, unit, Math.abs(value) >= LONG);
  return Math.abs(value) >= LONG && Math.abs(value) < HUGE ? brief.format(value) : fraction(value);
}

/** A number in its unit, with all its digits. */
export function full(value, unit) {
  if (value === null || value === undefined) return 'no data';
  const all = digits(value);
  if (unit === 'percent') return `${all} %`;
  if (unit === 'ms') return `${all} ms`;
  if (unit === 'seconds') return `${all} s`;
  if (unit && unit !== 'count') return money(value, unit, false);
  return all;
}

/** A whole number has all its digits, whatever it counts. */
function digits(value) {
  return isTiny(value) || Math.abs(value) >= 1e21 ? power.format(value) : (Math.abs(value) < 1 ? significant : exact).format(value);
}

/** What a unit is called beside a title; a count needs no word. */
export function unitName(unit) {
  if (!unit || unit === 'count') return '';
  return { percent: '%', ms: 'ms', seconds: 's' }[unit] ?? unit;
}

/** Three digits are enough for the eye. */
function fraction(value) {
  const size = Math.abs(value);
  if (size >= HUGE || isTiny(value)) return power.format(value);
  const digits = Number.isInteger(value) || size >= 1_000 ? 0 : size >= 100 ? 1 : 2;
  return new Intl.NumberFormat(undefined, size < 1 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: digits }).format(value);
}

function money(value, currency, compact) {
  const size = Math.abs(value);
  const notation = (compact && size >= HUGE) || size >= 1e21 || isTiny(value) ? 'scientific' : compact ? 'compact' : 'standard';
  const options = { notation, ...(value !== 0 && size < 0.005 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 2 }) };
  try {
    return new Intl.NumberFormat(undefined, { style: 'currency', currency, ...options }).format(value);
  } catch {
    // Not a currency: a unit that the page does not know is written after the number.
    return `${compact ? brief.format(value) : exact.format(value)} ${currency}`;
  }
}

/** Characters that are written from right to left, or that have others written so. */
const TURNS = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** A text of any direction, so that what is written before and behind it stays there. */
export const isolated = (text) => (TURNS.test(text) ? `\u2068${text}\u2069` : text);

/** A length of time, in the unit that suits it. */
export function span(secs) {
  if (secs === null || secs === undefined) return '–';
  const size = Math.abs(secs);
  if (size < 1) return `${fraction(secs * 1_000)} ms`;
  if (size < 120) return `${fraction(secs)} s`;
  if (size < 7_200) return `${fraction(secs / 60)} min`;
  if (size < 172_800) return `${fraction(secs / 3_600)} h`;
  return `${fraction(secs / 86_400)} d`;
}

export const count = (value) => short(value, 'count');
export const integer = (value) => whole.format(value);
export const rate = (value) => `${value === null || value === undefined ? '–' : fraction(value)}/s`;
export const timeOf = (at) => written(clock, at);
export const dateTime = (at) => written(both, at);

/** What is not a time is written as it is. */
function written(format, at, otherwise = at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(otherwise) : format.format(date);
}

/** A part of a whole, in percent. */
export const share = (part, all) => (all > 0 ? short((100 * part) / all, 'percent') : '–');

/** How a digest begins: enough to tell it from the others, and to name it on the command line. */
export const digest = (hex) => (hex ? hex.slice(0, 12) : '–');

/** A value of a column, as a table shows it. */
export function cell(value, type, unit) {
  if (value === null || value === undefined) return '–';
  if (type === 'timestamp') return dateTime(value);
  if (type === 'date') return written(day, `${value}T00:00:00Z`, value);
  if (type === 'number') return full(value, unit);
  if (type === 'boolean') return value ? 'yes' : 'no';
  if (type === 'json') return typeof value === 'string' ? value : JSON.stringify(value);
  return String(value);
}

/** A value of a column, as a chart's label. */
export function label(value, type) {
  if (value === null || value === undefined || value === '') return '(none)';
  // A number that names something (a model, a position) is not grouped by thousands.
  return type === 'number' ? String(value) : cell(value, type);
}

/** Decimal and thousands marks of the reader's language, as the charts want them. */
export function separators() {
  const parts = new Intl.NumberFormat().formatToParts(12_345.6);
  const mark = (kind, usual) => parts.find(({ type }) => type === kind)?.value ?? usual;
  return mark('decimal', '.') + mark('group', ' ');
}

/** A moment in the reader's zone, in the form that a chart's axis takes for local time. */
export function local(at) {
  const date = new Date(at);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().replace('T', ' ').replace('Z', '');
}
