// What is thrown, and how it is told.

export class Refusal extends Error {
  constructor(code, message, column) {
    super(message);
    this.name = "Refusal";
    Object.assign(this, { code, column: column ?? null });
  }
}

export function reject(code, message, column) {
  if (!/^[a-z0-9_]{1,64}$/.test(code) || code.startsWith("plugin_")) {
    throw new RangeError(`\`${code}\` is no code: 1 to 64 of a-z, 0-9 and \`_\`, not \`plugin_…\``);
  }
  return new Refusal(code, message, column);
}

export class Problems extends Error {
  constructor(problems) {
    super(problems.join("; "));
    this.name = "Problems";
    this.problems = problems;
  }
}

/** A text for the host, which takes no half of a character: where one is cut, there is a replacement character. */
export const wellFormed = (text) => String(text).toWellFormed();

export function wrongType(value) {
  const error = new TypeError(told(value));
  error.of = value;
  return error;
}

export function told(value) {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") return String(value);
  let text;
  try {
    text = value instanceof Error ? String(value) : JSON.stringify(value);
  } catch {
    // It has a circle, or a BigInt in it.
  }
  // What has nothing that JSON knows, such as a Map, is told by its class.
  const kind = text === "{}" ? value.constructor?.name || value[Symbol.toStringTag] : undefined;
  if (kind && kind !== "Object") return `a ${kind}`;
  text ??= String(value);
  return text.length > 80 ? text.slice(0, 79) + "…" : text;
}

/** Files that had types: they are told by the names that the author gave them. */
const typed = new Set();

/** Says of which files types were taken out, each as it is called without them: `plugin.js`. */
export function setTyped(names) {
  for (const name of names) typed.add(name);
}

/** What has more letters stands behind its line, since the host cuts a long message at its end. */
const LONG = 200;

/** An error, with the last line of the plugin's own that it left from, else with that of a package within which it was. */
export function exception(error) {
  let text = "an error whose text can't be told";
  let lines = [];
  try {
    if (!(error instanceof Error)) return told(error);
    text = `${error.name}: ${error.message}`.replace(/: $/, "");
    lines = `${error.stack ?? ""}`.split("\n");
  } catch {
    // A function of its own says what it is, and fails.
  }
  const places = lines.map((line) => /([^/(\s]*)\/([^/(\s]+\.[cm]?[jt]s):(\d+)(?::\d+)?\)?$/.exec(line));
  // Those of the SDK are not the plugin's.
  const others = places.filter((place) => place && place[1] !== "sdk");
  const place = others.find(({ input }) => !input.includes("/node_modules/")) ?? others[0];
  if (!place) return text;
  const file = typed.has(place[2]) ? place[2].replace(/js$/, "ts") : place[2];
  const at = `(${file}, line ${place[3]})`;
  return text.length > LONG ? `${at} ${text}` : `${text} ${at}`;
}
