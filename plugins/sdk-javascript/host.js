// The log, reference data, and what a component lacks.

import { Reader } from "./columns.js";
import { exception, told, wellFormed } from "./errors.js";
import { bytesOf, texts } from "./values.js";

/** What the component gives: functions of the contract. Tests play its part. */
const host = { log: undefined, lookup: undefined };

/** Puts somebody in the host's place. */
export function setHost(log, lookup) {
  Object.assign(host, { log, lookup });
}

/** Sees to it that what a component lacks is told by an exception, and that what is printed goes to the log. */
export function alone() {
  // An error is told with the plugin's own line, which may be a long way out of a package.
  Error.stackTraceLimit = 100;
  const noClock = () => {
    throw new Error("a plugin has no clock: `row.ingestTime` is its now");
  };
  const System = Date;
  globalThis.Date = class Date extends System {
    constructor(...parts) {
      if (parts.length === 0) noClock();
      super(...parts);
    }
    static now = noClock;
  };
  globalThis.performance = { now: noClock };
  const print = (write) => (...values) => write(values.map((one) => (typeof one === "string" ? one : told(one))).join(" "));
  globalThis.console = {
    debug: print(log.debug),
    log: print(log.info),
    info: print(log.info),
    warn: print(log.warn),
    error: print(log.error),
  };
}

const line = (level) => (message) => host.log.write(level, wellFormed(message));

export const log = {
  debug: line("debug"),
  info: line("info"),
  warn: line("warn"),
  error: line("error"),
  unreadable(column, values = 1) {
    host.log.unreadable(wellFormed(column), values);
  },
};

const known = new Map();

export const lookup = {
  find(table, field, keys) {
    if (!Array.isArray(keys)) throw new TypeError(`the keys of \`${table}\` are ${told(keys)}, wanted an array of them`);
    let column;
    try {
      column = host.lookup.find(table, field, texts(keys.map(bytesOf)));
    } catch (error) {
      throw new Error(lookupProblem(table, field, error));
    }
    const reader = new Reader(column);
    return keys.map((_, at) => reader.value(at));
  },
  get(table, field, key) {
    const asked = JSON.stringify([table, field, key]);
    if (!known.has(asked)) known.set(asked, lookup.find(table, field, [key])[0]);
    return known.get(asked);
  },
};

function lookupProblem(table, field, error) {
  const { tag, val } = error?.payload ?? error ?? {};
  if (tag === "unknown-table") return `no lookup table \`${val}\`: name it under \`lookups\` in the pipeline file`;
  if (tag === "unknown-field") return `lookup table \`${table}\` has no field \`${field}\`, only: ${val.join(", ")}`;
  return `malformed lookup keys: ${val ?? exception(error)}`;
}

/** Forgets what was asked of lookups: a call begins. */
export function forget() {
  known.clear();
}
