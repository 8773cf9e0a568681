// Rows and batches: what a plugin reads and sets.

import { find } from "./columns.js";
import { Refusal, reject, told, wellFormed } from "./errors.js";

/** What becomes of a row. */
export class Made {
  at = 0;
  /** What is set, by the number of the column that is written. */
  values = [];
  dropped = false;
  refusal = null;
  /** Those that were emitted. */
  rows = [];
}

export class Row {
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

export class Batch {
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
    // A text and bytes have a length too, of letters and bytes.
    if (!(Array.isArray(values) || ArrayBuffer.isView(values)) || values instanceof Uint8Array) {
      throw new TypeError(`\`${path}\` is set to ${told(values)}, wanted an array with a value for each row`);
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

export const rejection = (row, { code, message, column }) => {
  return { row, code, message: wellFormed(message), column: column == null ? null : wellFormed(column) };
};
