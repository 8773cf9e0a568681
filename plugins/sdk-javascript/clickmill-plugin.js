// Write clickmill plugins in JavaScript: one function over a row, or over whole columns where speed matters.
// `clickmill-plugin.d.ts` documents what is exported.

/** What the component gives: functions of the contract. Tests play its part. */
const host = { log: undefined, lookup: undefined };

/** Puts somebody in the host's place. */
export function setHost(log, lookup) {
  Object.assign(host, { log, lookup });
}

// Refusals, and what a configuration is refused by.

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

// Exact numbers.

const ONE = 1_000_000_000n;
const LIMIT = 10n ** 38n;

export class Decimal {
  constructor(scaled) {
    if (scaled <= -LIMIT || scaled >= LIMIT) throw new RangeError("a number of more than 38 digits");
    this.scaled = scaled;
    Object.freeze(this);
  }

  static of(value) {
    if (value instanceof Decimal) return value;
    if (typeof value === "bigint" || Number.isInteger(value)) return new Decimal(BigInt(value) * ONE);
    const parts = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d{1,6}))?$/.exec(value);
    if (typeof value !== "string" || !parts || !(parts[2] || parts[3])) {
      throw new RangeError(`${told(value)} is no exact number: give its text`);
    }
    const [, sign, whole, fraction, exponent] = parts;
    const places = 9 - fraction.length + Number(exponent ?? 0);
    let digits = (whole + fraction).replace(/^0+(?=\d)/, "");
    if (digits === "0" || digits === "") return new Decimal(0n);
    if (places > 38) throw new RangeError("a number of more than 38 digits");
    if (places >= 0) {
      digits += "0".repeat(places);
    } else {
      const kept = digits.slice(0, places) || "0";
      if (/[1-9]/.test(digits.slice(-Math.min(-places, digits.length)))) {
        throw new RangeError(`${told(value)} has more than 9 digits after the point`);
      }
      digits = kept;
    }
    return new Decimal(sign === "-" ? -BigInt(digits) : BigInt(digits));
  }

  plus(other) {
    return new Decimal(this.scaled + Decimal.of(other).scaled);
  }

  minus(other) {
    return new Decimal(this.scaled - Decimal.of(other).scaled);
  }

  times(integer) {
    return new Decimal(this.scaled * BigInt(integer));
  }

  compare(other) {
    const { scaled } = Decimal.of(other);
    return this.scaled < scaled ? -1 : this.scaled > scaled ? 1 : 0;
  }

  toString() {
    const size = this.scaled < 0n ? -this.scaled : this.scaled;
    const fraction = (size % ONE).toString().padStart(9, "0").replace(/0+$/, "");
    return (this.scaled < 0n ? "-" : "") + size / ONE + (fraction && "." + fraction);
  }

  toJSON() {
    return this.toString();
  }
}

// Values: how one becomes one of the contract, or throws, and how it is read of one. Integers of 64 bits cross the
// boundary as two halves, the low one first, since a number is exact up to 53 bits; texts as strings of their bytes.
// Halves have a sign, whatever they are of: the engine takes none above 2 ** 31.

const HIGH = 4_294_967_296;

function wrongType(value) {
  const error = new TypeError(told(value));
  error.of = value;
  return error;
}

function told(value) {
  if (typeof value === "bigint") return `${value}n`;
  let text;
  try {
    text = value instanceof Error ? String(value) : JSON.stringify(value);
  } catch {
    // It has a circle, or a BigInt in it.
  }
  text ??= String(value);
  return text.length > 80 ? text.slice(0, 79) + "…" : text;
}

function halves(value) {
  if (Number.isSafeInteger(value)) {
    const high = Math.floor(value / HIGH);
    return [(value - high * HIGH) | 0, high | 0];
  }
  if (typeof value !== "bigint") throw wrongType(value);
  if (value !== BigInt.asIntN(64, value)) throw new RangeError(`${value} is beyond 64 bits`);
  return [half(value, 0n), half(value, 32n)];
}

function half(value, from) {
  return Number(BigInt.asIntN(32, value >> from));
}

function whole([low, high]) {
  low >>>= 0;
  high |= 0;
  if (high >= -0x20_0000 && high < 0x20_0000 && (high !== -0x20_0000 || low !== 0)) return high * HIGH + low;
  return (BigInt(high) << 32n) | BigInt(low);
}

// The engine makes an expression anew wherever it meets one.
const NOT_ASCII = /[^\x00-\x7f]/;

function bytesOf(value) {
  if (typeof value !== "string") throw wrongType(value);
  return NOT_ASCII.test(value) ? unescape(encodeURIComponent(value)) : value;
}

function textOf(bytes) {
  return NOT_ASCII.test(bytes) ? decodeURIComponent(escape(bytes)) : bytes;
}

const CHUNK = 4096;

function stringOf(bytes) {
  if (bytes.length <= CHUNK) return String.fromCharCode.apply(null, bytes);
  let made = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    made += String.fromCharCode.apply(null, bytes.subarray(at, at + CHUNK));
  }
  return made;
}

function arrayOf(bytes) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(btoa(bytes));
  const made = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at++) made[at] = bytes.charCodeAt(at);
  return made;
}

const integer = { encode: halves, decode: whole, none: [0, 0] };
const text = { encode: bytesOf, decode: textOf, none: "" };

const KINDS = {
  boolean: {
    case: "booleans",
    encode(value) {
      if (typeof value !== "boolean") throw wrongType(value);
      return value ? 1 : 0;
    },
    decode: (value) => value === 1,
    none: 0,
  },
  int64: { case: "int64s", ...integer },
  float64: {
    case: "float64s",
    encode(value) {
      if (typeof value !== "number") throw wrongType(value);
      return value;
    },
    decode: (value) => value,
    none: 0,
  },
  decimal: {
    case: "decimals",
    encode: (value) => {
      if (!(value instanceof Decimal)) throw wrongType(value);
      return value.scaled;
    },
    decode: (scaled) => new Decimal(scaled),
    none: 0n,
  },
  date: {
    case: "dates",
    encode(value) {
      if (value !== (value | 0)) throw wrongType(value);
      return value;
    },
    decode: (value) => value,
    none: 0,
  },
  time: { case: "times", ...integer },
  datetime: { case: "datetimes", ...integer },
  timestamp: { case: "timestamps", ...integer },
  text: { case: "texts", ...text },
  json: { case: "jsons", ...text },
  blob: {
    case: "blobs",
    encode(value) {
      if (!(value instanceof Uint8Array)) throw wrongType(value);
      return stringOf(value);
    },
    decode: arrayOf,
    none: "",
  },
  record: { case: "records", none: null },
};
const TYPES = { dictionary: "text" };
for (const [type, kind] of Object.entries(KINDS)) TYPES[kind.case] = type;

/** Texts of the contract, of strings of their bytes. */
function texts(values) {
  const offsets = [0];
  let end = 0;
  for (const value of values) offsets.push((end += value.length));
  return { offsets, bytes: arrayOf(values.join("")) };
}

// Columns that are read.

class Reader {
  constructor(column) {
    this.column = column;
    this.offsets = column.offsets;
    this.type = TYPES[column.values.tag];
    this.validity = column.validity;
    this.fields = new Map();
    this.decode = KINDS[this.type].decode;
    this.raw = this.type === "record" ? undefined : raw(column.values);
  }

  isValid(at) {
    return this.validity === null || ((this.validity[at >> 3] >> (at & 7)) & 1) === 1;
  }

  element(at) {
    const { validity } = this;
    if (validity !== null && ((validity[at >> 3] >> (at & 7)) & 1) === 0) return null;
    if (this.raw !== undefined) return this.decode(this.raw(at));
    const record = {};
    for (const [name, field] of this.fields) record[name] = field.value(at);
    return record;
  }

  value(at) {
    const { offsets } = this;
    if (offsets === null) return this.element(at);
    const list = [];
    for (let one = offsets[at]; one < offsets[at + 1]; one++) list.push(this.element(one));
    return list;
  }

  /** The values, from and up to, that belong to those of what the column lies in. */
  below([from, to]) {
    return this.offsets === null ? [from, to] : [this.offsets[from], this.offsets[to]];
  }
}

function raw({ tag, val }) {
  if (tag === "dictionary") {
    const value = slices(val.values);
    return (at) => value(val.indices[at]);
  }
  if (tag === "decimals") {
    return (at) => {
      const [[a, b], [c, d]] = [val[2 * at], val[2 * at + 1]];
      return (BigInt(d | 0) << 96n) | (BigInt(c >>> 0) << 64n) | (BigInt(b >>> 0) << 32n) | BigInt(a >>> 0);
    };
  }
  return KINDS[TYPES[tag]].none === "" ? slices(val) : (at) => val[at];
}

function slices({ offsets, bytes }) {
  let all;
  return (at) => (all ??= stringOf(bytes)).slice(offsets[at], offsets[at + 1]);
}

/** The columns of a batch itself by name, with the fields of records below them. */
function readers(columns) {
  const roots = new Map();
  const made = [];
  for (const column of columns) {
    const reader = new Reader(column);
    made.push(reader);
    (column.parent === null ? roots : made[column.parent].fields).set(column.name, reader);
  }
  return roots;
}

/** The column of a path that leads through no list. */
function find(roots, path) {
  const own = roots.get(path);
  if (own !== undefined) return own;
  let found;
  for (const name of path.split(".")) {
    if (found !== undefined && found.offsets !== null) return undefined;
    found = (found === undefined ? roots : found.fields).get(name);
    if (found === undefined) return undefined;
  }
  return found;
}

// Columns in the making.

const parentOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf(".")));
const nameOf = (path) => path.slice(path.lastIndexOf(".") + 1);

class Node {
  constructor(spec, writes) {
    this.path = spec.path;
    this.name = nameOf(spec.path);
    this.type = spec.dataType;
    this.kind = KINDS[spec.dataType];
    this.offsets = spec.repeated ? [0] : null;
    /** As the contract has them; null where there is none; of a record whether it is there. */
    this.values = [];
    this.fields = writes.filter((one) => parentOf(one.path) === spec.path).map((one) => new Node(one, writes));
  }

  /** A value, or a list of them, as `push` takes it; throws where it is none of the column. */
  encode(value) {
    const none = value === null || value === undefined;
    if (this.offsets === null) return none ? null : this.one(value);
    if (none) return [];
    if (!Array.isArray(value)) throw this.unlike(value);
    return value.map((element) => {
      if (element === null || element === undefined) throw new TypeError(`\`${this.path}\` is a list: its elements are not null`);
      return this.one(element);
    });
  }

  one(value) {
    if (this.type === "record") return this.record(value);
    try {
      return this.kind.encode(value);
    } catch (error) {
      throw "of" in error ? this.unlike(value) : error;
    }
  }

  record(value) {
    if (typeof value !== "object" || Array.isArray(value)) throw this.unlike(value);
    for (const name of Object.keys(value)) {
      if (!this.fields.some((field) => field.name === name)) {
        throw new TypeError(`\`${this.path}.${name}\` is set but not announced: add it to \`writes\``);
      }
    }
    return this.fields.map((field) => field.encode(value[field.name]));
  }

  unlike(value) {
    const wanted = this.offsets === null ? this.type : `a list of ${this.type}`;
    return new TypeError(`\`${this.path}\` is announced as ${wanted} but set to ${told(value)}`);
  }

  push(encoded) {
    if (this.offsets === null) {
      this.pushOne(encoded);
    } else {
      for (const element of encoded) this.pushOne(element);
      this.offsets.push(this.values.length);
    }
  }

  pushOne(encoded) {
    if (this.type === "record") {
      this.fields.forEach((field, at) => {
        field.push(encoded === null ? (field.offsets === null ? null : []) : encoded[at]);
      });
      encoded = encoded === null ? null : true;
    }
    this.values.push(encoded);
  }

  finish(parent, columns) {
    const { name, offsets, values } = this;
    const validity = values.includes(null) ? bits(values) : null;
    columns.push({ name, parent, offsets, values: { tag: this.kind.case, val: this.made() }, validity });
    const at = columns.length - 1;
    for (const field of this.fields) field.finish(at, columns);
  }

  made() {
    const { none } = this.kind;
    if (this.type === "record") return undefined;
    const values = this.values.map((value) => (value === null ? none : value));
    if (none === "") return texts(values);
    if (this.type === "boolean") return new Uint8Array(values);
    if (this.type !== "decimal") return values;
    const words = [];
    for (const value of values) {
      words.push([half(value, 0n), half(value, 32n)], [half(value, 64n), half(value, 96n)]);
    }
    return words;
  }
}

function bits(values) {
  const made = new Uint8Array((values.length + 7) >> 3);
  values.forEach((value, at) => {
    if (value !== null) made[at >> 3] |= 1 << (at & 7);
  });
  return made;
}

/** A column that is written: one of the batch itself, or of a record of the batch that stays. */
class Root {
  constructor(spec, writes, read, number) {
    this.path = spec.path;
    this.number = number;
    this.node = new Node(spec, writes);
    /** The records that it is a field of, outermost first. */
    this.records = [];
    let fields = read;
    for (const name of spec.path.split(".").slice(0, -1)) {
      const record = fields.get(name);
      if (record === undefined) {
        throw new TypeError(`\`${spec.path}\` is written, but there is no record to write it to: read that`);
      }
      this.records.push(record);
      fields = record.fields;
    }
    this.inList = this.records.some((record) => record.offsets !== null);
    const kept = fields.get(this.node.name);
    const isSame = kept?.type === spec.dataType && (kept.offsets !== null) === spec.repeated;
    this.kept = isSame ? kept : undefined;
    this.isFlat = this.records.length === 0 && !spec.repeated && spec.dataType !== "record";
  }

  places(row) {
    return this.records.reduce((places, record) => record.below(places), [row, row + 1]);
  }

  encode(value, row) {
    if (this.isFlat) return value === null || value === undefined ? null : this.node.one(value);
    if (this.records.length === 0) return this.node.encode(value);
    const none = value === null || value === undefined;
    if (this.inList) {
      const [from, to] = this.places(row);
      const values = none ? new Array(to - from).fill(null) : value;
      if (!Array.isArray(values) || values.length !== to - from) {
        throw new TypeError(`\`${this.path}\` lies in a list: set a list with a value for each of ${to - from} elements`);
      }
      return values.map((element) => this.node.encode(element));
    }
    if (!none && !this.records.every((record) => record.isValid(row))) {
      throw new TypeError(`\`${this.path}\` is set where its record is null`);
    }
    return this.node.encode(value);
  }

  push(encoded) {
    if (this.isFlat) this.node.values.push(encoded);
    else if (this.inList) encoded.forEach((element) => this.node.push(element));
    else this.node.push(encoded);
  }

  /** Adds what was read of a row, or null. */
  keep(row) {
    const { kept } = this;
    if (this.isFlat) {
      this.node.values.push(kept !== undefined && kept.isValid(row) ? kept.raw(row) : null);
      return;
    }
    const [from, to] = this.places(row);
    for (let at = from; at < to; at++) this.node.push(this.node.encode(kept?.value(at)));
  }

  finish(cameFrom, columns) {
    let parent = null;
    this.records.forEach((record, depth) => {
      const { name } = record.column;
      let at = columns.findIndex((column) => column.parent === parent && column.name === name);
      if (at < 0) {
        const repeated = cameFrom === null ? {} : this.repeated(depth, cameFrom);
        columns.push({ ...record.column, ...repeated, parent });
        at = columns.length - 1;
      }
      parent = at;
    });
    this.node.finish(parent, columns);
  }

  /** What rows hold of a record, for each of those given. */
  repeated(depth, cameFrom) {
    const record = this.records[depth];
    const [offsets, there] = [[0], []];
    for (const row of cameFrom) {
      const outer = this.records.slice(0, depth);
      const [from, to] = outer.reduce((places, each) => each.below(places), [row, row + 1]);
      for (let at = from; at < to; at++) {
        const [begin, end] = record.below([at, at + 1]);
        offsets.push(offsets.at(-1) + end - begin);
        for (let value = begin; value < end; value++) there.push(record.isValid(value) ? true : null);
      }
    }
    return {
      offsets: record.offsets === null ? null : offsets,
      validity: there.includes(null) ? bits(there) : null,
    };
  }
}

/** The columns that are written, by path: without those of which the record is written too. */
function rootsOf(writes, read) {
  const paths = new Set(writes.map((spec) => spec.path));
  const own = writes.filter((spec) => !paths.has(parentOf(spec.path)));
  return new Map(own.map((spec, number) => [spec.path, new Root(spec, writes, read, number)]));
}

// Rows and batches.

/** What becomes of a row. */
class Made {
  at = 0;
  /** What is set, by the number of the column that is written. */
  values = [];
  dropped = false;
  refusal = null;
  /** Those that were emitted. */
  rows = [];
}

class Row {
  #read;
  #roots;
  #ingestTime;
  #multiplies;
  #made;

  constructor(read, roots, ingestTime, multiplies, made) {
    this.#read = read;
    this.#roots = roots;
    this.#ingestTime = ingestTime;
    this.#multiplies = multiplies;
    this.#made = made;
  }

  #column(path) {
    const column = find(this.#read, path);
    if (column === undefined) throw new TypeError(`\`${path}\` is not read: add it to \`reads\``);
    return column;
  }

  #typed(path, type) {
    const column = this.#column(path);
    if (column.type !== type || column.offsets !== null) {
      throw new TypeError(`\`${path}\` is ${column.offsets === null ? "" : "a list of "}${column.type}, not ${type}`);
    }
    return column.element(this.#made.at);
  }

  #required(path, value) {
    if (value === null) throw new Refusal("required", `\`${path}\` is missing`, path);
    return value;
  }

  value(path) {
    return this.#column(path).value(this.#made.at);
  }

  require(path) {
    return this.#required(path, this.value(path));
  }

  text(path) {
    return this.#typed(path, "text");
  }

  requireText(path) {
    return this.#required(path, this.text(path));
  }

  int64(path) {
    return this.#typed(path, "int64");
  }

  requireInt64(path) {
    return this.#required(path, this.int64(path));
  }

  float64(path) {
    return this.#typed(path, "float64");
  }

  decimal(path) {
    return this.#typed(path, "decimal");
  }

  requireDecimal(path) {
    return this.#required(path, this.decimal(path));
  }

  boolean(path) {
    return this.#typed(path, "boolean");
  }

  date(path) {
    return this.#typed(path, "date");
  }

  time(path) {
    return this.#typed(path, "time");
  }

  datetime(path) {
    return this.#typed(path, "datetime");
  }

  timestamp(path) {
    return this.#typed(path, "timestamp");
  }

  json(path) {
    return this.#typed(path, "json");
  }

  blob(path) {
    return this.#typed(path, "blob");
  }

  record(path) {
    return this.#typed(path, "record");
  }

  list(path) {
    const column = this.#column(path);
    if (column.offsets === null) throw new TypeError(`\`${path}\` is no list`);
    return column.value(this.#made.at);
  }

  get ingestTime() {
    return this.#ingestTime;
  }

  set(path, value) {
    const root = this.#roots.get(path);
    if (root === undefined) {
      throw new TypeError(`\`${path}\` is set but not announced: add it to \`writes\`, or set its record`);
    }
    this.#made.values[root.number] = root.encode(value, this.#made.at);
  }

  filterOut() {
    this.#made.dropped = true;
  }

  emit() {
    this.#emit(null);
  }

  emitRefused(refusal) {
    this.#emit(refusal);
  }

  #emit(refusal) {
    if (!this.#multiplies) throw new TypeError("a row is emitted, but the plugin has no `multiplies: true`");
    const { values, dropped, rows } = this.#made;
    rows.push({ values, dropped, refusal });
    this.#made.values = [];
    this.#made.dropped = false;
  }
}

class Batch {
  #read;
  #roots;
  #set = new Map();
  #output = { cameFrom: null, columns: [], rejections: [], dropped: [] };

  constructor(raw, read, roots) {
    this.raw = raw;
    this.#read = read;
    this.#roots = roots;
  }

  get length() {
    return this.raw.rows;
  }

  get ingestTime() {
    return this.raw.ingestTime;
  }

  get(path) {
    const column = find(this.#read, path);
    if (column === undefined) throw new TypeError(`\`${path}\` is not read: add it to \`reads\``);
    return Array.from({ length: this.length }, (_, row) => column.value(row));
  }

  set(path, values) {
    const root = this.#roots.get(path);
    if (root === undefined) {
      throw new TypeError(`\`${path}\` is set but not announced: add it to \`writes\`, or set its record`);
    }
    if (values.length !== this.length) {
      throw new TypeError(`\`${path}\` is set to ${values.length} values, wanted ${this.length}`);
    }
    this.#set.set(path, Array.from(values, (value, row) => root.encode(value, row)));
  }

  reject(row, code, message, column) {
    this.#output.rejections.push(rejection(row, reject(code, message, column)));
  }

  filterOut(row) {
    this.#output.dropped.push(row);
  }

  /** What the host is answered. */
  static answer(batch) {
    return batch.#answer();
  }

  #answer() {
    for (const [path, root] of this.#roots) {
      const set = this.#set.get(path);
      for (let row = 0; row < this.length; row++) set === undefined ? root.keep(row) : root.push(set[row]);
      root.finish(null, this.#output.columns);
    }
    return this.#output;
  }
}

const rejection = (row, { code, message, column }) => ({ row, code, message, column });

/** An error, with the line of the plugin that it left from. */
function exception(error) {
  if (!(error instanceof Error)) return told(error);
  const text = `${error.name}: ${error.message}`.replace(/: $/, "");
  const lines = (error.stack ?? "").split("\n");
  for (const line of lines) {
    const place = /([^/(\s]+\.[cm]?[jt]s):(\d+)(?::\d+)?\)?$/.exec(line);
    if (place && place[1] !== "clickmill-plugin.js") return `${text} (${place[1]}, line ${place[2]})`;
  }
  return text;
}

// Configurations: read by their schema.

const NAMES = { integer: "an integer", number: "a number", string: "a text", boolean: "true or false", array: "a list", object: "a table" };

function isOf(type, value) {
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "null") return value === null;
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}

function readConfig(schema, value, path, problems) {
  const refuse = (wanted) => void problems.push(`\`${path}\` is ${told(value)}, wanted ${wanted}`);
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some((type) => isOf(type, value))) {
    return refuse(types.map((type) => NAMES[type] ?? type).join(" or "));
  }
  if (schema.enum && !schema.enum.includes(value)) return refuse("one of " + schema.enum.map(told).join(", "));
  if (value < schema.minimum) return refuse(`at least ${schema.minimum}`);
  if (value > schema.maximum) return refuse(`at most ${schema.maximum}`);
  if (Array.isArray(value)) {
    return schema.items ? value.map((one, at) => readConfig(schema.items, one, `${path}[${at}]`, problems)) : value;
  }
  return isOf("object", value) ? readFields(schema, value, path, problems) : value;
}

function readFields({ properties = {}, required = [], additionalProperties = true }, value, path, problems) {
  const below = (name) => (path ? `${path}.${name}` : name);
  const made = {};
  for (const [name, one] of Object.entries(value)) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (schema === false) {
      const known = Object.keys(properties).map((each) => `\`${each}\``).join(", ") || "none";
      problems.push(`unknown field \`${below(name)}\`, expected one of: ${known}`);
    } else {
      made[name] = schema === true ? one : readConfig(schema, one, below(name), problems);
    }
  }
  for (const [name, schema] of Object.entries(properties)) {
    if (name in made) continue;
    if ("default" in schema) made[name] = structure(schema.default);
    else if (required.includes(name)) problems.push(`missing field \`${below(name)}\``);
  }
  return made;
}

const structure = (value) => JSON.parse(JSON.stringify(value));

// Plugins.

const KNOWN = ["config", "reads", "writes", "lookups", "secrets", "multiplies", "check", "row", "columns"];

export function plugin(definition) {
  const unknown = Object.keys(definition).find((key) => !KNOWN.includes(key));
  if (unknown !== undefined) throw new TypeError(`a plugin has no \`${unknown}\`, only: ${KNOWN.join(", ")}`);
  if ((typeof definition.row === "function") === (typeof definition.columns === "function")) {
    throw new TypeError("a plugin has a function `row`, or one over `columns`");
  }
  const config = { type: "object", additionalProperties: false, ...definition.config };
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
    lookups: [...of(own.lookups)],
    multiplies: own.multiplies,
  };
  return { config: read, needs };
}

/** Transforms one batch. */
export function process(own, { config, needs }, batch) {
  const read = readers(batch.columns);
  const roots = rootsOf(needs.writes, read);
  if (own.columns) {
    const columns = new Batch(batch, read, roots);
    own.columns(columns, config);
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
      if (own.row(row, config) instanceof Promise) {
        throw new TypeError("a plugin waits for nothing: its function is not async");
      }
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
export function world(own, { name, version, description }) {
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
        throw error instanceof Problems ? error.problems : [exception(error)];
      }
    },
    process(config, _prepared, input) {
      forget();
      try {
        // An instance that the pipeline reuses is configured once.
        if (ready?.of !== config) ready = { of: config, ...configure(own, config) };
        return process(own, ready, input);
      } catch (error) {
        throw { message: error instanceof Problems ? error.message : exception(error) };
      }
    },
  };
}

/** Sees to it that what a component lacks is told by an exception, and that what is printed goes to the log. */
export function alone() {
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

// The log, and reference data.

const line = (level) => (message) => host.log.write(level, String(message));

export const log = {
  debug: line("debug"),
  info: line("info"),
  warn: line("warn"),
  error: line("error"),
  unreadable(column, values = 1) {
    host.log.unreadable(column, values);
  },
};

const known = new Map();

export const lookup = {
  find(table, field, keys) {
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

/** For tests: columns made of rows and rows of columns. */
export const columns = { readers, rootsOf };
