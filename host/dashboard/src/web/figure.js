// From a tile and its answer to what plotly draws. Pure: nothing here touches the page.
//
// Plotly takes labels for a small kind of HTML and hover templates for templates, so all data that goes
// into either is escaped, and values reach hover labels only as `customdata`.

import { cell, full, isolated, label, local, separators, short } from './format.js';
import { COLOURS, OTHERS, fewest } from './parts.js';
import { closed, shape, wholeBuckets, withGaps } from './series.js';

/** Bars beyond these are left to the table, and slices and series beyond the colours. */
const MAX_BARS = 15;
const MAX_COLUMNS = 30;
const MAX_SLICES = COLOURS;
/** Whole numbers up to this have a tick each. */
const FEW = 5;
const MAX_LABEL = 28;
const MAX_LABEL_NARROW = 16;
/** Of a bar's label. On paper nobody can point at it to see the rest. */
const LABEL_LINES = 2;
const LABEL_LINES_PAPER = 5;
const NARROW = 420;
const MARGIN_LEFT = 44;
const MARGIN_RIGHT = 16;
const DASHES = ['solid', 'dash', 'dot', 'dashdot', 'longdash', 'longdashdot'];

/**
 * `{ data, layout, legend, note }`, or null where the answer can only be a table. `legend` names the parts
 * with their colours and keys; `note` says what is not drawn.
 * `look` has colours (`paint` gives those of the keys of parts, which may be values) and `hidden` (keys of parts switched off),
 * `width` in pixels, `window` the ends of the time axis, `zoom` those that the reader chose, `covered` where
 * the page has rows, `marks` the moments to draw a line at.
 */
export function figure(tile, answer, look) {
  const shaped = shape(answer);
  if (!shaped || shaped.xs.length === 0) return null;
  if (tile.chart === 'donut') return donut(tile, shaped, look);
  if (tile.chart === 'bar' || tile.chart === 'funnel') return bars(tile, shaped, look);
  return overX(tile, shaped, look);
}

function overX(tile, answered, look) {
  const [lines, area] = [tile.chart !== 'column', tile.chart === 'area'];
  // Parts of a moment add up; measures of a thing stand beside each other.
  const stacked = area || (!lines && (answered.time || answered.long));
  const category = !answered.time && (answered.type !== 'number' || (!lines && answered.xs.length <= 20));
  const whole = area ? wholeBuckets(answered, look.window) : category ? first(answered, MAX_COLUMNS) : answered;
  const { series, left: more } = fewest(whole.series, whole.xs, stacked || addUp(tile, answered));
  const shaped = { ...whole, series };
  // A bucket has one number: it is a step where its width is known, and no slope to the next.
  const steps = area && shaped.counted;
  const line = lines ? withGaps(shaped, tile, look) : shaped;
  const drawn = steps ? closed(line) : line;
  const few = shaped.xs.length <= 40 && !steps;
  const width = barWidth(shaped, look.window);
  const xs = drawn.xs.map((x, at) => (category ? at : shaped.type === 'timestamp' ? local(x) : x));
  const when = drawn.xs.map((x) => escaped(cell(x, category ? 'text' : shaped.type)));
  const paint = look.paint(series.map(({ key }) => key), shaped.long);
  const data = drawn.series.map((part, at) => {
    const { values } = part;
    const colour = paint[at];
    const trace = {
      ...common(part, look),
      x: xs,
      y: values,
      customdata: values.map((value, row) => [escaped(full(value, tile.unit)), when[row]]),
      hovertemplate: drawn.series.length > 1 ? '%{fullData.name}: %{customdata[0]}<extra></extra>' : '%{customdata[0]}<extra></extra>',
    };
    if (!lines) return { ...trace, type: 'bar', marker: { color: colour, line: { width: 0 } }, ...(width && { width, offset: 0 }) };
    // A point alone between two gaps has no line.
    const points = few || (!steps && alone(values));
    return {
      ...trace,
      type: 'scatter',
      mode: points ? 'lines+markers' : 'lines',
      // One at the end of the axis is whole.
      cliponaxis: !points,
      marker: { size: 4, color: colour },
      // A second sign beside the colour.
      line: { color: colour, width: 2, dash: tile.chart === 'line' ? DASHES[at % DASHES.length] : 'solid' },
      connectgaps: false,
      ...(area && { stackgroup: 'all', fillcolor: `${colour}99`, line: { color: colour, width: 1, shape: steps ? 'hv' : 'linear' } }),
    };
  });
  const layout = base(look);
  layout.barmode = stacked ? 'stack' : 'group';
  layout.hovermode = 'x unified';
  layout.xaxis = { ...axis(look), showgrid: false, ...(shaped.time && { type: 'date' }), ...(category && ticks(drawn.xs.map((x) => escaped(cut(label(x, shaped.type), longest(look)))))) };
  if (!category) Object.assign(layout.xaxis, { tickangle: 0, nticks: Math.max(2, Math.floor(look.width / 80)) });
  if (shaped.type === 'timestamp' && look.window) layout.xaxis.range = axisEnds(shaped, look.window, lines ? 0 : width);
  layout.yaxis = { ...axis(look), rangemode: 'tozero', ...number(tile, series, stacked) };
  // On paper, all of it.
  if (look.zoom && !look.paper) {
    if (look.zoom.x) layout.xaxis.range = look.zoom.x;
    if (look.zoom.y) layout.yaxis.range = look.zoom.y;
  }
  mark(layout, look);
  const notes = [
    whole !== answered && (category ? left(answered.xs.length - whole.xs.length) : 'Without buckets that the range cuts: they are in the table.'),
    rest(series, more),
  ];
  return { data, layout, legend: legend(series, paint), note: notes.filter(Boolean).join(' ') };
}

/** Counts of the values of a column are parts of a whole. */
const addUp = (tile, shaped) => shaped.long && tile.unit === 'count';

/** What is told of series that have no colour of their own. */
const rest = (series, more) => (series.at(-1)?.key === OTHERS ? `“other” is ${more} more, each in the table.` : more > 0 && `${more} more series are in the table.`);

function first(shaped, most) {
  if (shaped.xs.length <= most) return shaped;
  return { ...shaped, xs: shaped.xs.slice(0, most), series: shaped.series.map(({ values, ...part }) => ({ ...part, values: values.slice(0, most) })) };
}

const alone = (values) => values.some((value, at) => value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null);

/** The window, and the whole of the last column. */
function axisEnds(shaped, window, width) {
  const last = Date.parse(shaped.xs.at(-1)) + width;
  return [window[0], Math.max(Date.parse(window[1]), last)].map(local);
}

/** Columns stand on their bucket, which begins at x. One alone does not say how wide it is. */
function barWidth(shaped, window) {
  if (shaped.type === 'date') return shaped.xs.length === 1 ? 86_400_000 : null;
  if (shaped.type !== 'timestamp') return null;
  const ends = window ? Date.parse(window[1]) - Date.parse(window[0]) : 3_600_000;
  return 0.85 * (shaped.width ?? ends / 60);
}

function bars(tile, shaped, look) {
  const xs = shaped.xs.slice(0, MAX_BARS);
  // A funnel is one measure: what else its answer has is in the table.
  const share = tile.chart === 'funnel';
  const { series, left: more } = fewest(share ? shaped.series.slice(0, 1) : shaped.series, xs, addUp(tile, shaped));
  const paint = look.paint(series.map(({ key }) => key), shaped.long);
  const names = xs.map((x) => wrapped(label(x, shaped.type), look));
  const lines = Math.max(1, ...names.map((of) => of.length));
  const data = series.map((part, place) => {
    const { values } = part;
    const shown = values.slice(0, MAX_BARS);
    const texts = shown.map((value, at) => {
      const before = at > 0 ? shown[at - 1] : null;
      const of = share && before > 0 && value !== null ? ` (${short((100 * value) / before, 'percent')} of the step before)` : '';
      return escaped(full(value, tile.unit) + of);
    });
    return {
      ...common(part, look),
      type: 'bar',
      orientation: 'h',
      x: shown,
      y: shown.map((_, at) => at),
      text: shown.map((value, at) => {
        const before = at > 0 ? shown[at - 1] : null;
        return escaped(short(value, tile.unit) + (share && before > 0 ? ` · ${short((100 * value) / before, 'percent')}` : ''));
      }),
      textposition: series.length === 1 ? 'auto' : 'none',
      textangle: 0,
      constraintext: 'none',
      cliponaxis: false,
      outsidetextfont: { color: look.text },
      insidetextfont: { color: look.card },
      marker: { color: paint[place] },
      customdata: shown.map((_, at) => [texts[at], escaped(label(xs[at], shaped.type))]),
      hovertemplate: `%{customdata[1]}${series.length > 1 ? '<br>%{fullData.name}' : ''}: %{customdata[0]}<extra></extra>`,
    };
  });
  const layout = base(look);
  layout.barmode = 'group';
  layout.bargap = 0.3;
  layout.height = Math.max(look.paper ? 190 : 240, 40 + xs.length * (12 + 16 * Math.max(series.length, lines)));
  layout.yaxis = { ...axis(look), autorange: 'reversed', showgrid: false, ticks: '', ...ticks(names.map((of) => of.map(escaped).join('<br>'))), fixedrange: true };
  layout.xaxis = { ...axis(look), rangemode: 'tozero', tickangle: 0, nticks: look.width < NARROW ? 3 : 6, fixedrange: true, ...number(tile, series) };
  const notes = [left(shaped.xs.length - xs.length), rest(series, more)];
  return { data, layout, legend: legend(series, paint), note: notes.filter(Boolean).join(' ') };
}

function donut(tile, shaped, look) {
  const [{ values }] = shaped.series;
  const all = shaped.xs
    .map((x, at) => ({ name: label(x, shaped.type), key: x, value: values[at] ?? 0 }))
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value);
  const parts = all.length > MAX_SLICES ? all.slice(0, MAX_SLICES - 1) : all;
  const others = all.slice(parts.length);
  if (others.length > 0) parts.push({ name: `${others.length} others`, key: OTHERS, value: others.reduce((sum, { value }) => sum + value, 0) });
  const shown = parts.filter(({ key }) => !look.hidden.has(key));
  const paint = look.paint(parts.map(({ key }) => key), true);
  const total = shown.reduce((sum, { value }) => sum + value, 0);
  const data = [{
    type: 'pie',
    hole: 0.62,
    // By number: two long labels may look the same once they are cut.
    labels: shown.map((_, at) => at),
    values: shown.map(({ value }) => value),
    sort: false,
    direction: 'clockwise',
    textinfo: 'percent',
    textposition: 'inside',
    insidetextorientation: 'horizontal',
    insidetextfont: { color: look.card },
    marker: { colors: shown.map((part) => paint[parts.indexOf(part)]), line: { color: look.card, width: 2 } },
    customdata: shown.map(({ name, value }) => [escaped(name), escaped(full(value, tile.unit))]),
    hovertemplate: '%{customdata[0][0]}: %{customdata[0][1]} (%{percent})<extra></extra>',
    domain: { x: [0, 1], y: [0, 1] },
  }];
  const layout = base(look);
  layout.margin = { l: 8, r: 8, t: 8, b: 8 };
  layout.annotations = [{
    text: escaped(short(total, tile.unit)), showarrow: false, x: 0.5, y: 0.5, font: { size: 18, color: look.text },
  }];
  const named = parts.map(({ name, key, value }) => ({ name, key, note: short((100 * value) / (total || 1), 'percent') }));
  return { data, layout, legend: legend(named, paint), note: left(shaped.xs.length - all.length + others.length) };
}

/** A line with a name at each moment at which something else began. */
function mark(layout, look) {
  const [from, to] = (look.window ?? []).map(Date.parse);
  const seen = (look.marks ?? []).filter(({ at }) => at >= from && at <= to);
  layout.shapes = seen.map(({ at, bad }) => ({
    type: 'line', xref: 'x', yref: 'paper', x0: local(at), x1: local(at), y0: 0, y1: 1,
    line: { color: bad ? look.bad : look.text, width: 1, dash: 'dot' },
  }));
  // Names stand right of their line, in as many rows as keep them off each other; three are enough.
  const wide = look.width - MARGIN_LEFT - MARGIN_RIGHT;
  const ends = [];
  layout.annotations = seen.flatMap(({ at, text, bad }) => {
    const x = (wide * (at - from)) / (to - from);
    const size = 8 + 6.5 * text.length;
    const left = x + size > wide ? x - size : x;
    const row = [0, 1, 2].find((row) => left >= (ends[row] ?? -Infinity));
    if (row === undefined) return [];
    ends[row] = left + size;
    return [{
      xref: 'x', yref: 'paper', x: local(at), y: 1, yanchor: 'bottom', yshift: 13 * row, xanchor: left < x ? 'right' : 'left',
      showarrow: false, text: escaped(text), font: { size: 11, color: bad ? look.bad : look.text },
    }];
  });
  layout.margin.t += 13 * ends.length;
}

const common = ({ name, key }, look) => ({
  name: escaped(cut(name)),
  visible: !look.hidden.has(key),
  showlegend: false,
});

function base(look) {
  return {
    autosize: true,
    height: look.paper ? 190 : 260,
    margin: { l: MARGIN_LEFT, r: MARGIN_RIGHT, t: 10, b: 32 },
    paper_bgcolor: 'rgba(0,0,0,0)',
    plot_bgcolor: 'rgba(0,0,0,0)',
    font: { family: look.font, size: 12, color: look.muted },
    hoverlabel: { bgcolor: look.card, bordercolor: look.line, font: { family: look.font, size: 12, color: look.text }, namelength: -1 },
    separators: separators(),
    showlegend: false,
    dragmode: look.coarse ? false : 'zoom',
  };
}

const axis = (look) => ({
  gridcolor: look.line,
  linecolor: look.line,
  zerolinecolor: look.line,
  tickfont: { color: look.muted },
  automargin: true,
  title: { text: '' },
});

/**
 * Thousands and millions as `k` and `M`; of what is smaller than a thousandth, `n` would say nothing. Where there are
 * few whole numbers, ticks between them would say that there are others.
 */
function number(tile, series, stacked = false) {
  const sizes = series.map(({ values }) => values.map((value) => Math.abs(value ?? 0)));
  const largest = Math.max(...sizes.flat());
  const top = stacked ? Math.max(...sizes[0].map((_, at) => sizes.reduce((sum, of) => sum + of[at], 0))) : largest;
  const few = top <= FEW && sizes.flat().every(Number.isInteger);
  return { exponentformat: largest < 0.001 ? 'power' : 'B', separatethousands: true, ...(few && { dtick: 1 }), ...(tile.unit === 'percent' && { ticksuffix: ' %' }) };
}

/** Labels by place, so that two that are cut to the same text stay two. */
const ticks = (texts) => ({ type: 'linear', zeroline: false, tickmode: 'array', tickvals: texts.map((_, at) => at), ticktext: texts });

const longest = (look) => (look.width < NARROW ? MAX_LABEL_NARROW : MAX_LABEL);

/** A label in lines, which end between words where they can. */
function wrapped(text, look) {
  const most = longest(look);
  const lines = text.match(new RegExp(`.{1,${most}}(?:[\\s_-]|$)|.{1,${most}}`, 'gsu')) ?? [text];
  const shown = lines.slice(0, look.paper ? LABEL_LINES_PAPER : LABEL_LINES);
  if (lines.length > shown.length) shown.push(cut(shown.pop() + lines[shown.length + 1], most));
  return shown.map((line) => line.trim());
}

const legend = (parts, paint) => parts.map(({ name, key, note }, at) => ({ name, key, note, colour: paint[at], dash: DASHES[at % DASHES.length] }));

const left = (many) => (many > 0 ? `${many} more are in the table.` : '');

function cut(text, most = MAX_LABEL) {
  const signs = [...text];
  return signs.length > most ? `${signs.slice(0, most - 1).join('')}…` : text;
}

/** Plain text where plotly would read tags and entities, and which turns nothing round that is written beside it. */
const escaped = (text) => isolated(String(text)).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
