// The host's part, for native tests of a plugin: `node --test`, no Wasm in sight.

import * as sdk from "./clickmill-plugin.js";
import { bits, held, readers, rootsOf } from "./columns.js";
import { forget } from "./host.js";
import { bytesOf, texts } from "./values.js";

const lines = [];
let tables = {};

sdk.setHost(
  {
    write: (level, message) => void lines.push(`${level}: ${message}`),
    unreadable: (column, values) => void lines.push(`unreadable: ${values} ${column}`),
  },
  {
    find(table, field, { offsets, bytes: data }) {
      const rows = held(tables, table);
      if (rows === undefined) throw { tag: "unknown-table", val: table };
      const fields = [...new Set(Object.values(rows).flatMap(Object.keys))];
      if (!fields.includes(field)) throw { tag: "unknown-field", val: fields };
      const key = (at) => Buffer.from(data.subarray(offsets[at], offsets[at + 1])).toString();
      const found = offsets.slice(1).map((_, at) => held(held(rows, key(at)) ?? {}, field) ?? null);
      const val = texts(found.map((value) => bytesOf(value ?? "")));
      return { name: field, parent: null, offsets: null, values: { tag: "texts", val }, validity: bits(found) };
    },
  },
);

export function configure(plugin, config = {}) {
  return sdk.configure(plugin, JSON.stringify(config)).needs;
}

export function run(plugin, rows, config = {}, { lookups = {}, ingestTime = 0, fields = {} } = {}) {
  const ready = sdk.configure(plugin, JSON.stringify(config));
  lines.length = 0;
  tables = lookups;
  forget();
  const batch = { rows: rows.length, ingestTime, columns: made([...ready.needs.reads, ...sdk.specs(fields)], rows) };
  const output = sdk.process(plugin, ready, batch);
  const cameFrom = output.cameFrom ?? rows.map((_, at) => at);
  const read = readers(output.columns);
  const refusals = output.rejections.map(({ row, ...refusal }) => [row, refusal]);
  return {
    rows: cameFrom.map((_, at) => Object.fromEntries([...read].map(([name, one]) => [name, one.value(at)]))),
    cameFrom,
    rejections: Object.fromEntries(refusals),
    dropped: output.dropped,
    log: [...lines],
  };
}

/** Columns of these types. A field that is read without its record brings a record with it. */
function made(reads, rows) {
  const specs = new Map(reads.map((spec) => [spec.path, spec]));
  for (const { path } of reads) {
    const names = path.split(".");
    for (let end = 1; end < names.length; end++) {
      const record = names.slice(0, end).join(".");
      if (!specs.has(record)) specs.set(record, { path: record, dataType: "record", repeated: false });
    }
  }
  const depth = (spec) => spec.path.split(".").length;
  const ordered = [...specs.values()].sort((a, b) => depth(a) - depth(b));
  const roots = rootsOf(ordered, new Map());
  const columns = [];
  for (const [name, root] of roots) {
    rows.forEach((row, at) => root.push(root.encode(held(row, name), at)));
    root.finish(null, columns);
  }
  return columns;
}
