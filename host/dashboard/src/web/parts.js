// Which parts of an answer are drawn, and in which colours. Pure: nothing here touches the page.

/** Colours that are told apart; `--chart-1` and on in the style sheet. More parts than these share none. */
export const COLOURS = 8;
/** Those that are for parts with a name. The last one, a grey, is for the others, or for an eighth part. */
const NAMED = COLOURS - 1;

/** The key of what stands for the other parts: no value, since any may be the name of a part. */
export const OTHERS = Object.freeze(['others']);

/**
 * `{ series, left }`: where there are more series than colours, the largest of them, in their order. What is
 * left is added up to one series where `adds` says that it can be, else it is counted only.
 */
export function fewest(series, xs, adds) {
  if (series.length <= COLOURS) return { series, left: 0 };
  const total = ({ values }) => values.reduce((sum, value) => sum + Math.abs(value ?? 0), 0);
  const ranked = series.map((of) => [of, total(of)]).sort(([, a], [, b]) => b - a).map(([of]) => of);
  const most = new Set(ranked.slice(0, NAMED));
  const [shown, rest] = [series.filter((of) => most.has(of)), series.filter((of) => !most.has(of))];
  if (!adds) return { series: shown, left: rest.length };
  const known = (at) => rest.map(({ values }) => values[at]).filter((value) => value !== null && value !== undefined).map(Number);
  const values = xs.map((_, at) => (known(at).length === 0 ? null : known(at).reduce((a, b) => a + b)));
  return { series: [...shown, { name: 'other', key: OTHERS, note: String(rest.length), values }], left: rest.length };
}

/**
 * Gives each of `keys`, which are as many as there are colours at most, a place of its own in `places`, those
 * of one chart. A key keeps its place, also while it is away, unless there is no other to give. `shared` has
 * the places that keys got first in any chart: there they go again where they can. A key that is seen nowhere
 * yet has one by its name, whatever comes beside it or before it.
 */
export function place(places, keys, shared = new Map()) {
  const onwards = (at) => Array.from({ length: NAMED }, (_, of) => (at + of) % NAMED);
  const take = (key, at) => {
    for (const [other, of] of places) if (of === at) places.delete(other);
    places.set(key, at);
  };
  if (keys.includes(OTHERS)) take(OTHERS, NAMED);
  // Not in the order of an answer, which is by size or time, and another tomorrow.
  const fresh = keys.filter((key) => !places.has(key)).sort((a, b) => (String(a) < String(b) ? -1 : 1));
  for (const key of fresh) {
    const shown = new Set(keys.map((of) => places.get(of)));
    const held = new Set(places.values());
    const all = onwards(hash(String(key)) % NAMED);
    const wanted = shared.get(key) ?? all.find((at) => !held.has(at)) ?? all[0];
    const at = [wanted, ...all, NAMED].find((of) => !shown.has(of));
    take(key, at);
    if (!shared.has(key)) shared.set(key, at);
  }
}

/** FNV-1a. */
function hash(text) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
