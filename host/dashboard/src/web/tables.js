// Tables of what was asked: answers of tiles, and anything else that comes in rows.

import { el } from './dom.js';
import { cell } from './format.js';
import { readable } from './series.js';

/** More than anyone reads; a longer answer says how much is left. */
const MAX_ROWS = 500;

/** The table of an answer. Its newest rows where it is cut, if `newest` says so. */
export function answerTable(tile, { columns, rows }, newest = false) {
  const cut = newest ? rows.slice(-MAX_ROWS) : rows.slice(0, MAX_ROWS);
  const heads = columns.map(({ name, type }) => ({ title: readable(name), number: type === 'number' }));
  // The unit is that of the values, and a table's columns have units of their own.
  const unit = (at) => (at > 0 && tile.chart !== 'table' ? tile.unit : undefined);
  const body = cut.map((row) => row.map((value, at) => cell(value, columns[at].type, unit(at))));
  const left = rows.length - cut.length;
  return [
    table(tile.title, heads, body),
    left > 0 && el('p', { class: 'about' }, `${left} more rows are not shown.`),
  ];
}

/** A table that scrolls by itself where it is wider than its place. Cells are text or elements. */
export function table(caption, heads, rows, { id, seen = false } = {}) {
  return el('div', { class: 'scroll', role: 'region', 'aria-label': caption, tabindex: '0' },
    el('table', { id },
      el('caption', { class: seen ? null : 'unseen' }, caption),
      el('thead', {}, el('tr', {}, heads.map(({ title, number }) => el('th', { scope: 'col', class: number && 'digits' }, title)))),
      el('tbody', {}, rows.map((row) => line(heads, row)))));
}

/** One line of it. */
export function line(heads, row) {
  return el('tr', {}, row.map((value, at) => (at === 0
    ? el('th', { scope: 'row', class: heads[at].number && 'digits' }, value)
    : el('td', { class: heads[at].number && 'digits' }, value))));
}
