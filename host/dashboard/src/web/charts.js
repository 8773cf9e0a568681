// Draws figures. Plotly is 4.6 MB: it is asked for once, after the key numbers, and charts are drawn when
// they come near the reader's eyes or the printer.

import { el, fill } from './dom.js';
import { figure } from './figure.js';
import { COLOURS, place } from './parts.js';

const CONFIG = { displayModeBar: false, responsive: false, showTips: false, scrollZoom: false, doubleClick: false };
const NEAR = '300px';

let wanted = null;
let plotly = null;

/** Plotly, once it is here. A classic script, since browsers read those in beside the page's own work. */
export function loadPlotly() {
  wanted ??= new Promise((resolve, reject) => {
    const script = el('script', { src: new URL('plotly.js', import.meta.url).href, on: {
      load: () => {
        plotly = window.Plotly;
        resolve(plotly);
      },
      error: () => {
        wanted = null;
        script.remove();
        reject(new Error('the drawing library did not load'));
      },
    } });
    document.head.append(script);
  });
  return wanted;
}

/** Has the browser fetch plotly while it has nothing better to do. */
export function expectPlotly() {
  document.head.append(el('link', { rel: 'preload', as: 'script', fetchpriority: 'low', href: new URL('plotly.js', import.meta.url).href }));
}

/** Colours and font, from the style sheet. */
function palette() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    colours: Array.from({ length: COLOURS }, (_, at) => read(`chart-${at + 1}`)),
    text: read('text'), muted: read('muted'), line: read('line'), card: read('card'), bad: read('bad'), font: read('font'),
    coarse: matchMedia('(pointer: coarse)').matches,
  };
}

let colours = null;
const all = new Set();
/** Where parts have their colours, on all pages: while the reader is here, a part keeps its own. */
const places = new Map();

/** The drawing of one tile: a figure with its legend. */
export class Chart {
  constructor(tile) {
    this.tile = tile;
    this.plot = el('div', { class: 'plot', role: 'img', 'aria-label': `${tile.title}: not drawn yet` });
    this.legend = el('ul', { class: 'legend', 'aria-label': `Parts of ${tile.title}` });
    this.note = el('p', { class: 'about', hidden: true });
    this.element = el('div', { class: 'chart' }, this.plot, this.legend, this.note);
    this.places = new Map();
    this.hidden = new Set();
    this.near = false;
    this.drawn = '';
    this.parts = '';
    all.add(this);
    near.observe(this.element);
    sizes.observe(this.plot);
  }

  /**
   * Shows an answer: now where it is near, else once it is. `look` adds `window` and
   * `marks`, and `revision`: another one ends a zoom.
   */
  show(answer, look, words) {
    if (look.revision !== this.look?.revision) this.zoom = null;
    this.answer = answer;
    this.look = look;
    this.plot.setAttribute('aria-label', words);
    if (this.near) this.draw().catch(() => {});
  }

  async draw() {
    if (!plotly) await loadPlotly().catch((error) => this.failed(error));
    if (plotly && this.answer && all.has(this)) this.drawNow();
  }

  /** `size` fixes the width, for paper. */
  drawNow(size = undefined) {
    colours ??= palette();
    const width = size ?? this.plot.clientWidth;
    const made = figure(this.tile, this.answer, { ...colours, ...this.look, width, zoom: this.zoom, paper: Boolean(size), hidden: this.hidden, paint: (keys, values) => this.paint(keys, values) });
    if (!made) return;
    if (width > 0) Object.assign(made.layout, { width, autosize: false });
    const drawn = JSON.stringify(made);
    // Drawing costs more than comparing, and most numbers of a quiet hour stay what they are.
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.plot.style.height = `${made.layout.height}px`;
    plotly.react(this.plot, made.data, made.layout, CONFIG);
    this.listen();
    this.keys(made);
  }

  /** Plotly forgets a zoom when the range it was given moves on, and that of a live chart always does. */
  listen() {
    if (this.plot.dataset.drawn) return;
    this.plot.dataset.drawn = 'yes';
    this.plot.on('plotly_relayout', (change) => {
      const ends = (axis) => (change[`${axis}.range[0]`] === undefined ? null : [change[`${axis}.range[0]`], change[`${axis}.range[1]`]]);
      if (ends('xaxis') || ends('yaxis')) this.zoom = { x: ends('xaxis') ?? this.zoom?.x, y: ends('yaxis') ?? this.zoom?.y };
    });
    this.plot.on('plotly_doubleclick', () => {
      this.zoom = null;
      this.drawn = 'old';
      this.drawNow();
    });
  }

  /** The colours of parts: of values, which may come in any chart, their own; of measures, one after the other. */
  paint(keys, values) {
    if (values) place(this.places, keys, places);
    return keys.map((key, at) => colours.colours[values ? this.places.get(key) : at]);
  }

  keys({ legend, note }) {
    this.note.hidden = note === '';
    this.note.textContent = note;
    const shown = legend.length > 1 || this.tile.chart === 'donut' ? legend : [];
    const parts = JSON.stringify([shown, [...this.hidden]]);
    if (parts === this.parts) return;
    this.parts = parts;
    // Rebuilt only where it differs, and the reader's place in it stays.
    const held = this.legend.contains(document.activeElement) ? document.activeElement.dataset.part : null;
    fill(this.legend, shown.map((part) => this.key(part)));
    if (held !== null) [...this.legend.querySelectorAll('button')].find((key) => key.dataset.part === held)?.focus();
  }

  key({ name, key, note, colour, dash }) {
    const off = this.hidden.has(key);
    const flip = () => {
      if (!this.hidden.delete(key)) this.hidden.add(key);
      this.drawNow();
    };
    const line = this.tile.chart === 'line' ? { solid: 'solid', dot: 'dotted' }[dash] ?? 'dashed' : 'block';
    const swatch = el('span', { class: 'swatch', 'aria-hidden': 'true', data: { line } });
    swatch.style.setProperty('--colour', colour);
    return el('li', {}, el('button', {
      type: 'button', class: 'key', 'aria-pressed': String(!off), title: name, data: { part: JSON.stringify(key) }, on: { click: flip },
    }, swatch, el('span', { class: 'name' }, name), note && el('span', { class: 'note' }, note)));
  }

  failed(error) {
    const again = el('button', { type: 'button', on: { click: () => {
      fill(this.note);
      this.note.hidden = true;
      this.draw().catch(() => {});
    } } }, 'Retry');
    fill(this.note, `No chart: ${error.message}. The numbers are in the table. `, again);
    this.note.hidden = false;
  }

  resize() {
    if (!this.drawn || document.documentElement.dataset.print) return;
    // Drawn anew, not stretched: how many labels fit depends on the width.
    if (this.plot.clientWidth > 0) this.drawNow();
  }

  drop() {
    all.delete(this);
    near.unobserve(this.element);
    sizes.unobserve(this.plot);
    if (this.drawn) plotly.purge(this.plot);
  }
}

/** Draws all again, since the colours are others. */
function restyle() {
  colours = null;
  for (const chart of all) {
    chart.drawn &&= 'old';
    if (chart.drawn) chart.drawNow();
  }
}

const listeners = new Map();

/** Calls `heard` when `element` comes near the reader's eyes. */
export function whenNear(element, heard) {
  listeners.set(element, heard);
  near.observe(element);
  return () => {
    listeners.delete(element);
    near.unobserve(element);
  };
}

const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    listeners.get(target)?.(isIntersecting);
    for (const chart of all) {
      if (chart.element !== target) continue;
      chart.near = isIntersecting;
      if (isIntersecting) chart.draw().catch(() => {});
    }
  }
}, { rootMargin: NEAR });

const sizes = new ResizeObserver((entries) => {
  requestAnimationFrame(() => {
    for (const { target } of entries) for (const chart of all) if (chart.plot === target) chart.resize();
  });
});

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', restyle);

/** What half an A4 sheet leaves a chart, in CSS pixels, and the whole of it; a phone's layout prints the same. */
const PAPER = 320;
const PAPER_WIDE = 656;

/** On paper two charts stand beside each other, and a table is as wide as both: a chart without a neighbour is too. */
function placeOnPaper() {
  for (const charts of document.querySelectorAll('.charts')) {
    let open = null;
    for (const card of charts.children) {
      delete card.dataset.wide;
      const wide = card.dataset.chart === 'table';
      if (wide && open) open.dataset.wide = 'yes';
      open = wide || open ? null : card;
    }
    if (open) open.dataset.wide = 'yes';
  }
}

addEventListener('beforeprint', () => {
  document.documentElement.dataset.print = 'yes';
  placeOnPaper();
  if (!plotly) return;
  colours = palette();
  for (const chart of all) if (chart.answer) chart.drawNow(chart.element.closest('[data-wide]') ? PAPER_WIDE : PAPER);
});

addEventListener('afterprint', () => {
  delete document.documentElement.dataset.print;
  restyle();
});
