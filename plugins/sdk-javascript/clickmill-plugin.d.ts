/**
 * Write clickmill plugins in JavaScript or TypeScript: one function over a row, or over whole columns where speed
 * matters.
 *
 *     import { plugin, reject } from "./sdk/clickmill-plugin.js";
 *
 *     export default plugin({
 *       config: { properties: { keep: { type: "array", items: { type: "string" } } }, required: ["keep"] },
 *       reads: { country: "text" },
 *       writes: { country: "text" },
 *       row(row, config) {
 *         const country = row.requireText("country").toUpperCase();
 *         if (!config.keep.includes(country)) row.filterOut();
 *         row.set("country", country);
 *       },
 *     });
 *
 * `clickmill plugin build` makes a component of the project; `node --test` tests it natively, with `sdk/testing.js` in
 * the host's place.
 */

/** The type of a column's values. */
export type DataType =
  | "boolean"
  | "int64"
  | "float64"
  | "decimal"
  | "date"
  | "time"
  | "datetime"
  | "timestamp"
  | "text"
  | "json"
  | "blob"
  | "record";

/** Columns by path, with their types: `["text"]` is a column of lists. */
export type Columns = { [path: string]: DataType | [DataType] };

/** An integer of 64 bits: a number where that is exact, up to 2 ** 53, and a BigInt beyond. */
export type Integer = number | bigint;

/**
 * A value. `int64` is an `Integer`, `date` days since 1970-01-01, `time` microseconds since midnight, `datetime` and
 * `timestamp` microseconds since 1970-01-01T00:00:00, `json` the value's text, a record an object, a list an array.
 */
export type Value =
  | null
  | boolean
  | Integer
  | Decimal
  | string
  | Uint8Array
  | Value[]
  | { [field: string]: Value | undefined };

/** An exact number of at most 38 digits, 9 of them after the point. */
export class Decimal {
  /** The number that `scaled` is 1,000,000,000 times of. Throws a TypeError where that is no BigInt. */
  constructor(scaled: bigint);
  /**
   * The number of a text such as `19.90`, or of an integer. Throws a RangeError where it has too many digits, and for a
   * number that may not be exact: one with a fraction, or beyond 2 ** 53.
   */
  static of(value: string | Integer | Decimal): Decimal;
  /** The number times 1,000,000,000. */
  readonly scaled: bigint;
  plus(other: Decimal | string | Integer): Decimal;
  minus(other: Decimal | string | Integer): Decimal;
  /** Throws a RangeError where the integer is a number with a fraction, or beyond 2 ** 53, or the product too great. */
  times(integer: Integer): Decimal;
  /** -1, 0 or 1. */
  compare(other: Decimal | string | Integer): number;
  toString(): string;
  toJSON(): string;
}

/** Why a row is refused. `reject` makes one, to be thrown. */
export class Refusal extends Error {
  readonly code: string;
  readonly column: string | null;
}

/**
 * What refuses a row when it is thrown: `throw reject("bad_country", …)`. `code` is a stable word for counting (`a-z`,
 * `0-9`, `_`; not one that begins with `plugin_`, as the host's own do), `message` tells a person what is wrong. `column`
 * is the path of the column at fault, one that the plugin reads or writes; elements of a list by their number, from 0:
 * `items[3].price`.
 */
export function reject(code: string, message: string, column?: string): Refusal;

/** Everything that is wrong with a configuration. */
export class Problems extends Error {
  readonly problems: string[];
}

/**
 * One row of a batch. Fields of records are named by path: `user.email`. What is null is null; a column that is not
 * read, or of another type, is a TypeError. A column that the plugin writes and does not set keeps what was read, or is
 * null; a record keeps the fields that are announced.
 */
export interface Row {
  /** The value of a column, whatever it is. */
  value(path: string): Value;
  /** The same; null refuses the row with code `required`. */
  require(path: string): NonNullable<Value>;
  text(path: string): string | null;
  requireText(path: string): string;
  int64(path: string): Integer | null;
  requireInt64(path: string): Integer;
  float64(path: string): number | null;
  decimal(path: string): Decimal | null;
  requireDecimal(path: string): Decimal;
  boolean(path: string): boolean | null;
  /** Days since 1970-01-01. */
  date(path: string): number | null;
  /** Microseconds since midnight. */
  time(path: string): number | null;
  /** Microseconds since 1970-01-01T00:00:00, in no zone. */
  datetime(path: string): Integer | null;
  /** Microseconds since 1970-01-01T00:00:00Z. */
  timestamp(path: string): Integer | null;
  /** The JSON of a column, as its text. */
  json(path: string): string | null;
  blob(path: string): Uint8Array | null;
  record(path: string): { [field: string]: Value } | null;
  list(path: string): Value[];
  /** When the host took the row in, in microseconds since 1970-01-01T00:00:00Z: the plugin's "now". */
  readonly ingestTime: number;
  /**
   * Sets a column that `writes` announces. A record that is announced is set as a whole, with an object, and a list with
   * an array, whose elements are not null and not left out. A field that the object leaves out is null. One that is not
   * announced is a TypeError, and so is what has no fields by name, such as a Map. A field that is announced without its
   * record is set by path; where that leads through a list, with an array that has a value for each element, in their
   * order.
   */
  set(path: string, value: Value | undefined): void;
  /** Filters the row out: counted, not dead-lettered. */
  filterOut(): void;
  /**
   * Ends a row of those that become of this one, with what is set. What is set for one is not for the next. Without any
   * call of it one row becomes one row. `multiplies: true` announces it.
   */
  emit(): void;
  /** Ends a row as `emit` does, and refuses it alone. */
  emitRefused(refusal: Refusal): void;
}

/** Whole columns. A column that is not set keeps what was read. */
export interface Batch {
  /** How many rows. */
  readonly length: number;
  readonly ingestTime: number;
  /** The batch as the contract has it. */
  readonly raw: unknown;
  /** A column's values, one per row. */
  get(path: string): Value[];
  /** Sets a column, with an array of a value for each row: what is left out is null. Another length is a TypeError. */
  set(path: string, values: (Value | undefined)[]): void;
  /** Refuses a row: see `reject`. */
  reject(row: number, code: string, message: string, column?: string): void;
  /** Filters a row out: counted, not dead-lettered. */
  filterOut(row: number): void;
}

/**
 * A secret that a plugin wants, of 16 bytes at least. It arrives as the field of that name in the configuration, which
 * `config.properties` declares.
 */
export type Secret = string | { name: string; minBytes: number };

/** What a plugin is. */
export interface Definition<Config> {
  /**
   * The JSON Schema of the configuration, an object: its `properties`, which of them are `required`, and their
   * `description`s, which are its documentation. `type`, `enum`, `minimum`, `maximum`, `items`, `additionalProperties`
   * and `default` are heeded. An integer beyond 2 ** 53 would be rounded, and is refused but where `type` is `number`.
   */
  config?: object;
  /** Columns that it reads. Of a record all below it are. */
  reads: Columns | ((config: Config) => Columns);
  /** Columns that it writes. A record is followed by its fields. */
  writes: Columns | ((config: Config) => Columns);
  /** Lookup tables that it asks. */
  lookups?: string[] | ((config: Config) => string[]);
  secrets?: Secret[];
  /** Whether one row may become several. */
  multiplies?: boolean;
  /** What is wrong with a configuration that fits its schema, a line each. */
  check?(config: Config): string[];
  /** Transforms one row. An error that leaves it refuses the row, with code `exception`, its message and its line. */
  row?(row: Row, config: Config): void;
  /** Transforms whole columns, in place of `row`. An error that leaves it makes the host look for the guilty rows. */
  columns?(batch: Batch, config: Config): void;
}

/** A plugin: the default export of `plugin.js`. */
export type Plugin = Readonly<Definition<any>>;

/** Makes a plugin. */
export function plugin<Config = any>(definition: Definition<Config>): Plugin;

/** What a configured plugin needs. */
export interface Needs {
  reads: { path: string; dataType: DataType; repeated: boolean }[];
  writes: { path: string; dataType: DataType; repeated: boolean }[];
  lookups: string[];
  multiplies: boolean;
}

/** Lines for the operator's log. What is printed with `console` goes there too. */
export const log: {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
  /** Says that so many values of a column that this plugin writes could not be read and are null instead. */
  unreadable(column: string, values?: number): void;
};

/** Reference data by key: the files that the pipeline file names under `lookups`. */
export const lookup: {
  /** A field for each of the keys, null where the table has no such key. One call to the host. */
  find(table: string, field: string, keys: string[]): (string | null)[];
  /** The same for one key. What was asked before is remembered for the batch. */
  get(table: string, field: string, key: string): string | null;
};
