// The row of filters over a page of tiles. What is chosen goes into the hash; the page follows the hash.

import { el, fill } from './dom.js';
import { RANGES, hashOf, second } from './route.js';
import { local } from './format.js';

/** The filters of a page, for its route. `defined` are those that the server knows for the page. */
export class Filters {
  constructor(defined) {
    this.defined = defined;
    this.element = el('form', { class: 'filters', id: 'filters', 'aria-label': 'Filters', on: { submit: (event) => {
      event.preventDefault();
      this.go();
    } } });
    this.range = this.select('range', 'Time range', RANGES.map(({ name, title }) => [name, title]));
    this.from = this.moment('from', 'From');
    this.to = this.moment('to', 'To');
    this.selects = defined.map(({ name, title, values }) => [name, this.select(name, title, [['', 'All'], ...values.map((value) => [value, value])])]);
    this.reset = el('a', { class: 'reset', id: 'reset', hidden: true }, 'Reset');
    fill(this.element,
      this.range.label, this.from.label, this.to.label,
      this.selects.map(([, { label }]) => label),
      this.reset);
  }

  select(name, title, options) {
    const input = el('select', { name, id: `filter-${name}`, on: { change: () => this.go() } },
      options.map(([value, text]) => el('option', { value, title: text }, text)));
    return { input, label: el('label', { class: 'field' }, el('span', {}, title), input) };
  }

  moment(name, title) {
    const input = el('input', { type: 'datetime-local', step: '1', name, id: `filter-${name}`, on: { change: () => this.go() } });
    return { input, label: el('label', { class: 'field', hidden: true }, el('span', {}, title), input) };
  }

  /** Shows a route. */
  show(route) {
    this.route = route;
    this.range.input.value = route.range;
    const custom = route.range === 'custom';
    for (const [field, at] of [[this.from, route.from], [this.to, route.to]]) {
      field.label.hidden = !custom;
      // Not while it is being typed into: half a date has no value.
      if (document.activeElement !== field.input) field.input.value = at ? local(at).slice(0, 19).replace(' ', 'T') : '';
    }
    for (const [name, { input }] of this.selects) {
      const value = route.filters[name] ?? '';
      // A link may name a value that is not among the most frequent.
      if (![...input.options].some((option) => option.value === value)) input.append(el('option', { value }, value));
      input.value = value;
    }
    const usual = hashOf({ page: route.page });
    this.reset.href = usual;
    this.reset.hidden = hashOf(route) === usual;
  }

  go() {
    const at = (field) => (field.input.value ? second(new Date(field.input.value).getTime()) : null);
    const filters = Object.fromEntries(this.selects.map(([name, { input }]) => [name, input.value]));
    const range = this.range.input.value;
    let from = at(this.from);
    const to = at(this.to);
    // The bounds start from the last day, so that there is something to change.
    if (range === 'custom' && this.route.range !== 'custom' && !from && !to) from = second(Date.now() - 86_400_000);
    const turned = from && to && from >= to;
    this.to.input.setCustomValidity(turned ? 'The end is to be after the beginning.' : '');
    if (turned) {
      this.to.input.reportValidity();
      return;
    }
    location.hash = hashOf({ page: this.route.page, range, from, to, filters });
  }

  /** The filters that are set, for a tile's question. */
  values(route) {
    return Object.fromEntries(this.defined.map(({ name }) => [name, route.filters[name]]));
  }

  /** The set filters in words. */
  inWords(route) {
    return this.defined.filter(({ name }) => route.filters[name]).map(({ name, title }) => `${title}: ${route.filters[name]}`);
  }
}
