// A page of tiles: key numbers on top, charts below, asked for in that order.

import { TokenWanted, Unreachable, ask } from './api.js';
import { loadPlotly } from './charts.js';
import { el } from './dom.js';
import { Filters } from './filters.js';
import { dateTime } from './format.js';
import { bounds, rangeInWords } from './route.js';
import { shape } from './series.js';
import { Tile } from './tiles.js';

/** How long charts wait for the key numbers. */
const PATIENCE_MS = 700;

/** The page that the route names. */
export class TilesPage {
  constructor(meta, page, { again }) {
    this.meta = meta;
    this.filters = new Filters(meta.filters.filter(({ pages }) => pages.includes(page.name)));
    this.tiles = meta.tiles
      .filter((tile) => tile.page === page.name)
      .sort((a, b) => a.order - b.order)
      .map((tile) => new Tile(tile, { retry: () => this.retry(tile.name), newest: tile.chart !== 'table' }));
    const numbers = this.tiles.filter(({ value }) => value);
    const charts = this.tiles.filter(({ value }) => !value);
    this.again = again;
    this.element = el('div', { class: 'page' },
      el('h1', {}, page.title),
      this.filters.element,
      problems(meta.problems),
      numbers.length > 0 && el('section', { 'aria-labelledby': 'numbers-title' },
        el('h2', { class: 'unseen', id: 'numbers-title' }, 'Key numbers'),
        el('div', { class: 'numbers' }, numbers.map(({ element }) => element))),
      charts.length > 0 && el('section', { 'aria-labelledby': 'charts-title' },
        el('h2', { class: 'unseen', id: 'charts-title' }, 'Charts'),
        el('div', { class: 'charts' }, charts.map(({ element }) => element))),
      this.tiles.length === 0 && el('p', { class: 'notice' },
        'This page has no tiles. A tile is an SQL file with a header; sql/README.md says what goes into it.'));
    this.numbers = numbers;
    this.order = [...numbers, ...charts];
    this.done = 0;
  }

  /** Shows a route: what is on the tiles no longer answers it. */
  follow(route) {
    this.route = route;
    this.filters.show(route);
    this.done = 0;
    this.ends = null;
    this.covered = null;
    const set = this.filters.defined.filter(({ name }) => route.filters[name]);
    for (const tile of this.tiles) {
      const { parameters } = tile.meta;
      const ignored = set.filter(({ name }) => !parameters.includes(name)).map(({ title }) => title.toLowerCase());
      if (route.range !== 'all' && !parameters.includes('from') && !parameters.includes('to')) ignored.unshift('time range');
      tile.ignores(ignored);
      tile.wait();
    }
  }

  /** One round: every tile at first, then those in sight; the others when they come there. */
  async round(signal) {
    this.signal = signal;
    this.asked = bounds(this.route, this.meta.refresh_secs);
    const first = this.done === 0;
    const now = this.order.filter((tile) => first || tile.visible || !tile.answer);
    for (const tile of this.order) tile.stale = !now.includes(tile);
    const number = now.filter((tile) => tile.value).map((tile) => this.load(tile));
    // Reading plotly in keeps the page busy for a moment, which is not to be before its numbers are there;
    // nor are the charts to wait for a number that takes long.
    const numbers = Promise.allSettled(number).then(painted);
    const drawn = Promise.race([numbers, pause(PATIENCE_MS)])
      .then(() => this.order.length > this.numbers.length && loadPlotly().catch(() => {}));
    await Promise.all([...number, ...now.filter((tile) => !tile.value).map((tile) => this.load(tile))]);
    await drawn;
    this.done += 1;
    this.align();
  }

  async load(tile) {
    const { signal } = this;
    const given = { ...this.asked, ...this.filters.values(this.route) };
    const wanted = Object.fromEntries(Object.entries(given).filter(([name]) => tile.meta.parameters.includes(name)));
    try {
      const answer = await ask(`v1/dashboard/tiles/${encodeURIComponent(tile.meta.name)}`, wanted, signal);
      if (signal === this.signal) tile.show(answer, this.look());
    } catch (error) {
      if (signal.aborted || error instanceof Unreachable || error instanceof TokenWanted) throw error;
      // A refusal, or an answer that can't be shown: the other tiles have theirs.
      if (signal === this.signal) tile.fail(error);
    }
  }

  /** Asks for one tile alone. What it meets besides a refusal is the next round's to say. */
  retry(name) {
    const tile = this.tiles.find(({ meta }) => meta.name === name);
    if (!this.asked || !tile) return;
    tile.stale = false;
    if (tile.element.dataset.state === 'error') tile.wait();
    this.load(tile).catch(() => this.again());
  }

  /** What the charts of a page have in common: one time axis, and the time of which something is known. */
  look() {
    return {
      window: axis(this.asked, this.ends),
      covered: this.covered,
      bounded: this.route.range !== 'all' || Object.keys(this.route.filters).length > 0,
      revision: JSON.stringify([this.route.range, this.route.from, this.route.to, this.route.filters]),
    };
  }

  /** The server says what is covered, whatever the filters; where it can't, it is what the charts have. */
  align() {
    const charts = this.tiles.filter(({ chart, answer }) => chart && answer?.rows.length > 0);
    const said = charts.find(({ answer }) => answer.covered)?.answer.covered.map(Date.parse);
    const drawn = charts.map(({ answer }) => shape(answer)).filter((of) => of?.type === 'timestamp' && of.xs.length > 0);
    const firsts = drawn.map(({ xs }) => Date.parse(xs[0]));
    const lasts = drawn.map(({ xs, width }) => [Date.parse(xs.at(-1)), width ?? 0]);
    const covered = said ?? (drawn.length > 0 ? [Math.min(...firsts), Math.max(...lasts.map(([at]) => at))] : null);
    const ends = drawn.length > 0 ? [Math.min(...firsts), Math.max(...lasts.map(([at, width]) => at + width))] : null;
    if (String(ends) === String(this.ends) && String(covered) === String(this.covered)) return;
    Object.assign(this, { ends, covered });
    for (const tile of this.tiles) tile.adjust(this.look());
  }

  /** What a print says over the page. */
  inWords() {
    return [rangeInWords(this.route, dateTime), ...this.filters.inWords(this.route)];
  }

  drop() {
    for (const tile of this.tiles) tile.drop();
  }
}

/**
 * The ends of the one time axis: those of the range, and of the charts where it has none. A stream that has
 * only begun fills the charts too; one that has been there for nearly all of the range does anyway.
 */
function axis({ from, to }, ends) {
  if (!ends) return from && to ? [from, to] : null;
  const [first, last] = ends;
  const end = to ? Date.parse(to) : last;
  const late = !from || first - Date.parse(from) > 0.05 * (end - Date.parse(from));
  return [late ? new Date(first).toISOString() : from, to ?? new Date(last).toISOString()];
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Once what is on the page has been painted. */
function painted() {
  return new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(resolve));
  });
}

function problems(list) {
  if (list.length === 0) return null;
  return el('details', { class: 'notice bad', id: 'problems', open: true },
    el('summary', {}, list.length === 1 ? 'A tile file could not be read' : `${list.length} tile files could not be read`),
    el('ul', {}, list.map(({ file, error }) => el('li', {}, el('code', {}, file), ' ', error))));
}
