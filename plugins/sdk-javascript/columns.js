// Columns of the contract: read as values, and made of values, with records and lists.

import { told } from "./errors.js";
import { KINDS, TYPES, half, stringOf, texts } from "./values.js";

export class Reader {
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
    // Any object has a `__proto__`, which is no value, unless it is made with one of its own.
    const record = this.fields.has("__proto__") ? { ["__proto__"]: null } : {};
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
export function readers(columns) {
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
export function find(roots, path) {
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

/** What an object holds by a name, itself or by its class. Every object has a `constructor`: such have to be its own. */
export const held = (object, name) =>
  Object.hasOwn(object, name) || !(name in Object.prototype) ? object[name] : undefined;

/** Whether a value has fields by name. A Map, a Date or a list has none, and would be a record of nulls. */
function isRecord(value) {
  if (typeof value !== "object") return false;
  const of = Object.getPrototypeOf(value);
  if (of === Object.prototype || of === null) return true;
  return !(Symbol.iterator in value) && Object.prototype.toString.call(value) === "[object Object]";
}

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
    const made = [];
    // By number, since `map` would leave holes as they are.
    for (let at = 0; at < value.length; at++) {
      const element = value[at];
      if (element === null || element === undefined) {
        throw new TypeError(`\`${this.path}\` is a list: its elements are not null, as number ${at} is`);
      }
      made.push(this.one(element));
    }
    return made;
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
    if (!isRecord(value)) throw this.unlike(value);
    for (const name of Object.keys(value)) {
      if (!this.fields.some((field) => field.name === name)) {
        throw new TypeError(`\`${this.path}.${name}\` is set but not announced: add it to \`writes\``);
      }
    }
    return this.fields.map((field) => field.encode(held(value, field.name)));
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

/** Which are not null, a bit each. */
export function bits(values) {
  const made = new Uint8Array((values.length + 7) >> 3);
  values.forEach((value, at) => {
    if (value !== null) made[at >> 3] |= 1 << (at & 7);
  });
  return made;
}

/**
 * What was read of a column that is written, where that is of the same type: of a record the fields that are announced
 * and of the same type, since it is written without its others.
 */
function alike(read, node) {
  if (read?.type !== node.type || (read.offsets === null) !== (node.offsets === null)) return undefined;
  if (read.type !== "record") return read;
  const fields = node.fields.map((field) => [field.name, alike(read.fields.get(field.name), field)]);
  const kept = new Reader(read.column);
  kept.fields = new Map(fields.filter(([, field]) => field !== undefined));
  return kept;
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
    this.kept = alike(fields.get(this.node.name), this.node);
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
      return Array.from(values, (element) => this.node.encode(element));
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
export function rootsOf(writes, read) {
  const paths = new Set(writes.map((spec) => spec.path));
  const own = writes.filter((spec) => !paths.has(parentOf(spec.path)));
  return new Map(own.map((spec, number) => [spec.path, new Root(spec, writes, read, number)]));
}
