// Which parts of an answer are drawn, and in which colours. Pure: nothing here touches the page.

/** Colours that are told apart; `--chart-1` and on in the style sheet. More parts than these share none. */
export const COLOURS = 8;

/** The key of what stands for the other parts: no value, since any may be the name of a part. */
export const OTHERS = Object.freeze(['others']);

/**
 * `{ series, left }`: no more series than there are colours. The largest stay, in their
 * order. What is left is added up to one series where `adds` says that it can be, else it is counted only.
 */
export function fewest(series, xs, adds) {
  if (series.length <= COLOURS) return { series, left: 0 };
  const total = ({ values }) => values.reduce((sum, value) => sum + Math.abs(value ?? 0), 0);
  const ranked = series.map((of) => [of, total(of)]).sort(([, a], [, b]) => b - a).map(([of]) => of);
  const most = new Set(ranked.slice(0, adds ? COLOURS - 1 : COLOURS));
  const [shown, rest] = [series.filter((of) => most.has(of)), series.filter((of) => !most.has(of))];
  if (!adds) return { series: shown, left: rest.length };
  const known = (at) => rest.map(({ values }) => values[at]).filter((value) => value !== null && value !== undefined).map(Number);
  const values = xs.map((_, at) => (known(at).length === 0 ? null : known(at).reduce((a, b) => a + b)));
  return { series: [...shown, { name: 'other', key: OTHERS, note: String(rest.length), values }], left: rest.length };
}

/**
 * Gives each of `keys`, which are as many as there are colours at most, a place of its own in `places`. A key
 * keeps its place, also while it is away, for as long as there are others to give.
 */
export function place(places, keys) {
  const free = (taken) => Array.from({ length: COLOURS }, (_, at) => at).find((at) => !taken.includes(at));
  for (const key of keys) {
    if (places.has(key)) continue;
    let at = free([...places.values()]);
    if (at === undefined) {
      const away = [...places.keys()].find((other) => !keys.includes(other));
      at = places.get(away);
      places.delete(away);
    }
    places.set(key, at);
  }
}
