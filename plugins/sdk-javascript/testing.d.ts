/**
 * The host's part, for native tests of a plugin: `node --test`, no Wasm in sight.
 *
 *     const output = testing.run(shout, [{ country: "pl" }, {}], { max_letters: 2 });
 *     assert.equal(output.rows[0].country, "PL");
 *     assert.equal(output.rejections[1].code, "required");
 */

import type { Columns, Needs, Plugin, Value } from "./clickmill-plugin.js";

/** What became of rows. */
export interface Output {
  /** The columns that were written, by path. Those of a record that was read are in it. */
  rows: { [column: string]: Value }[];
  /** Which row given each is of. */
  cameFrom: number[];
  /** The refused rows, by their number. */
  rejections: { [row: number]: { code: string; message: string; column: string | null } };
  /** The rows that were filtered out. */
  dropped: number[];
  /** Lines of the log, each behind its level, and what was counted: `unreadable: 2 ip`. */
  log: string[];
}

/** What the plugin needs with that configuration; throws `Problems`. */
export function configure(plugin: Plugin, config?: object): Needs;

/**
 * Configures the plugin and runs it over one batch. `rows` are objects of columns by name, of which the plugin is handed
 * those that it reads; what is not there is null. `lookups` are tables of rows by key:
 * `{ countries: { 29: { name: "Poland" } } }`. `ingestTime` is in microseconds since 1970-01-01T00:00:00Z.
 */
export function run(
  plugin: Plugin,
  rows: { [column: string]: Value | undefined }[],
  config?: object,
  more?: {
    lookups?: { [table: string]: { [key: string]: { [field: string]: string } } };
    ingestTime?: number;
    /** Fields of records that are read as a whole. */
    fields?: Columns;
  },
): Output;
