// Write clickmill plugins in JavaScript: one function over a row, or over whole columns where speed matters.
// `clickmill-plugin.d.ts` documents what is exported.

import { readers, rootsOf } from "./columns.js";
import { readConfig } from "./config.js";
import { Problems, Refusal, exception, setTyped, told, wellFormed } from "./errors.js";
import { forget } from "./host.js";
import { Batch, Made, Row, rejection } from "./row.js";
import { KINDS } from "./values.js";

export { Decimal } from "./decimal.js";
export { Problems, Refusal, reject } from "./errors.js";
export { alone, log, lookup, setHost } from "./host.js";

const KNOWN = ["config", "reads", "writes", "lookups", "secrets", "multiplies", "check", "row", "columns"];

export function plugin(definition) {
  const unknown = Object.keys(definition).find((key) => !KNOWN.includes(key));
  if (unknown !== undefined) throw new TypeError(`a plugin has no \`${unknown}\`, only: ${KNOWN.join(", ")}`);
  if ((typeof definition.row === "function") === (typeof definition.columns === "function")) {
    throw new TypeError("a plugin has a function `row`, or one over `columns`");
  }
  for (const name of ["row", "columns", "check"]) {
    if (/^\[object (Async|Generator)/.test(Object.prototype.toString.call(definition[name]))) {
      throw new TypeError(`\`${name}\` waits or yields: a plugin waits for nothing, its functions are not async`);
    }
  }
  for (const key of ["lookups", "secrets"]) listed(key, definition[key]);
  const config = { type: "object", additionalProperties: false, ...definition.config };
  for (const secret of definition.secrets ?? []) {
    const name = secret.name ?? secret;
    if (config.additionalProperties === false && !Object.hasOwn(config.properties ?? {}, name)) {
      const told = `the secret \`${name}\` comes as a field of the configuration`;
      throw new TypeError(`${told}: declare \`${name}\` in \`config.properties\``);
    }
  }
  return Object.freeze({ lookups: [], secrets: [], multiplies: false, ...definition, config });
}

/** Columns as the contract has them. */
export function specs(columns = {}) {
  return Object.entries(columns).map(([path, type]) => {
    const repeated = Array.isArray(type);
    const dataType = repeated ? type[0] : type;
    if (!Object.hasOwn(KINDS, dataType)) throw new TypeError(`\`${path}\` has a type ${told(type)}, which is none`);
    return { path, dataType, repeated };
  });
}

/** Names, unless they are a single text, which would be one for each of its letters. */
function listed(key, names) {
  if (typeof names === "string") throw new TypeError(`\`${key}\` is ${told(names)}, wanted an array of such`);
  return names;
}

/** The configuration that a JSON text is, and what the plugin needs with it; throws `Problems`. */
export function configure(own, config) {
  const problems = [];
  const read = readConfig(own.config, JSON.parse(config), "", problems);
  if (problems.length === 0) problems.push(...(own.check?.(read) ?? []));
  if (problems.length > 0) throw new Problems(problems);
  const of = (value) => (typeof value === "function" ? value(read) : value);
  const needs = {
    reads: specs(of(own.reads)),
    writes: specs(of(own.writes)),
    lookups: [...listed("lookups", of(own.lookups))],
    multiplies: own.multiplies,
  };
  return { config: read, needs };
}

/** What a plugin's function returns would be lost without a word. */
function returnsNothing(returned, over) {
  if (returned instanceof Promise) throw new TypeError("a plugin waits for nothing: its function is not async");
  if ((returned ?? over) !== over) {
    throw new TypeError("the plugin's function returns a value, which would be lost: set columns with `set`");
  }
}

/** Transforms one batch. */
export function process(own, { config, needs }, batch) {
  const read = readers(batch.columns);
  const roots = rootsOf(needs.writes, read);
  if (own.columns) {
    const columns = new Batch(batch, read, roots);
    returnsNothing(own.columns(columns, config), columns);
    return Batch.answer(columns);
  }
  const output = { cameFrom: needs.multiplies ? [] : null, columns: [], rejections: [], dropped: [] };
  const written = [...roots.values()];
  let count = 0;
  const end = ({ values, dropped, refusal }, at) => {
    if (refusal !== null) output.rejections.push(rejection(count, refusal));
    else if (dropped) output.dropped.push(count);
    for (const root of written) {
      const value = values[root.number];
      if (value === undefined) root.keep(at);
      else root.push(value);
    }
    output.cameFrom?.push(at);
    count++;
  };
  const made = new Made();
  const row = new Row(read, roots, batch.ingestTime, needs.multiplies, made);
  for (let at = 0; at < batch.rows; at++) {
    made.at = at;
    made.values = [];
    made.dropped = false;
    made.refusal = null;
    try {
      returnsNothing(own.row(row, config), row);
      if (made.rows.length > 0 && (made.values.length > 0 || made.dropped)) {
        throw new TypeError("a row is set or filtered out after the last one was emitted");
      }
    } catch (error) {
      made.refusal = error instanceof Refusal ? error : new Refusal("exception", exception(error));
      made.values = [];
      made.rows = [];
    }
    if (made.rows.length === 0) {
      end(made, at);
    } else {
      for (const one of made.rows) end(one, at);
      made.rows = [];
    }
  }
  for (const root of written) root.finish(output.cameFrom, output.columns);
  return output;
}

/** The exports of the component. */
export function world(own, { name, version, description, typed = [] }) {
  setTyped(typed);
  if (!own?.reads) throw new TypeError("`plugin.js` has no plugin: `export default plugin({…})`");
  let ready;
  return {
    describe() {
      const schema = { $schema: "https://json-schema.org/draft/2020-12/schema", ...own.config };
      const secrets = own.secrets.map((secret) => {
        return typeof secret === "string" ? { name: secret, minBytes: 16 } : { minBytes: 16, ...secret };
      });
      return { name, version, description, configSchema: JSON.stringify(schema), secrets };
    },
    configure(config) {
      try {
        return { needs: configure(own, config).needs, prepared: new Uint8Array(0) };
      } catch (error) {
        throw (error instanceof Problems ? error.problems : [exception(error)]).map(wellFormed);
      }
    },
    process(config, _prepared, input) {
      forget();
      try {
        // An instance that the pipeline reuses is configured once.
        if (ready?.of !== config) ready = { of: config, ...configure(own, config) };
        return process(own, ready, input);
      } catch (error) {
        throw { message: wellFormed(error instanceof Problems ? error.message : exception(error)) };
      }
    },
  };
}
