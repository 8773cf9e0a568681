//! Plugins in JavaScript and TypeScript, made by componentize-qjs of npm.

use std::process::Command;

use crate::languages_scripts::{COLUMN_CASES, Language};
use crate::support::{Scratch, not_run, on_path, succeeds};

pub(crate) const JAVASCRIPT: Language = Language {
    name: "javascript",
    sdk: "plugins/sdk-javascript",
    files: ["plugin.js", "package.json"],
    about: r#"{"name": "orders", "version": "1.2.3", "description": "What the SDK can", "type": "module"}"#,
    unit: &["node", "--test"],
    hostile: r#"
import { log, plugin } from "./sdk/clickmill-plugin.js";

const deeper = () => deeper() + 1;

export default plugin({
  reads: { what: "text" },
  writes: { what: "text" },
  row(row) {
    const what = row.requireText("what");
    if (what === "loop") for (;;);
    if (what === "memory") for (const held = []; ; ) held.push(new Uint8Array(1 << 20));
    if (what === "flood") for (let line = 0; line < 100; line++) log.info("a line");
    if (what === "fail") null.length;
    if (what === "recurse") deeper();
    if (what === "clock") Date.now();
    if (what === "print") console.log("printed");
    if (what === "exit") process.exit(1);
    if (what === "return") return { what: "lost" };
    row.set("what", what.toUpperCase());
  },
});
"#,
};

/// The same, as its golden cases: types go when it is built.
const TYPESCRIPT: Language = Language {
    files: ["plugin.ts", "package.json"],
    hostile: r#"
import { plugin, type Row } from "./sdk/clickmill-plugin.js";
import { loud } from "./words.js";

interface Config {
  most: number;
}

export default plugin<Config>({
  config: { properties: { most: { type: "integer", default: 3 } } },
  reads: { what: "text" },
  writes: { what: "text" },
  row(row: Row, config: Config): void {
    const what: string = row.requireText("what");
    if (what === "fail") throw new Error("as asked");
    row.set("what", loud(what).slice(0, config.most));
  },
});
"#,
    ..JAVASCRIPT
};

#[test]
fn a_project_does_what_one_in_rust_does() {
    JAVASCRIPT.begins_as_in_rust("a_project_does_what_one_in_rust_does");
}

#[test]
fn the_cases_of_all_languages_pass() {
    JAVASCRIPT.passes_the_cases_of_all("the_cases_of_all_languages_pass");
}

#[test]
fn a_hostile_row_costs_no_other() {
    JAVASCRIPT.loses_no_other_row("a_hostile_row_costs_no_other");
}

#[test]
fn the_sdk_comes_along() {
    JAVASCRIPT.brings_the_sdk_along();
}

#[test]
fn without_its_tools_it_is_told_what_to_install() {
    JAVASCRIPT.tells_what_to_install("componentize-qjs@0.4.5");
    JAVASCRIPT.tells_of_an_old_one("node", "v18.19.0", "install Node 20 or later");
}

#[test]
fn types_are_taken_out() {
    let words = "export function loud(what: string): string {\n  return what.toUpperCase();\n}\n";
    let cases = r#"{
        "columns": {"what": "STRING"},
        "cases": [
            {"input": {"what": "words"}, "output": {"what": "WOR"}},
            {"input": {"what": "fail"}, "rejected": "exception"}
        ]
    }"#;
    TYPESCRIPT.passes("types_are_taken_out", &[("words.ts", words), ("tests/cases.json", cases)]);
}

/// Whole columns: what is set, what stays, what is refused, and what is dropped.
const COLUMNS: Language = Language {
    hostile: r#"
import { Decimal, plugin } from "./sdk/clickmill-plugin.js";

export default plugin({
  reads: { what: "text", sizes: ["int64"] },
  writes: { what: "text", sizes: ["int64"], total: "decimal" },
  columns(batch) {
    const words = batch.get("what");
    words.forEach((word, row) => {
      if (word === "drop") batch.filterOut(row);
      if (word === null) batch.reject(row, "required", "`what` is missing", "what");
      if (word === "fail") throw new Error("as asked");
    });
    batch.set("what", words.map((word) => word?.toUpperCase()));
    batch.set("total", batch.get("sizes").map((sizes) => Decimal.of(sizes.reduce((sum, size) => sum + size, 0))));
  },
});
"#,
    ..JAVASCRIPT
};

#[test]
fn whole_columns_are_transformed() {
    COLUMNS.passes("whole_columns_are_transformed", &[("tests/cases.json", COLUMN_CASES)]);
}

/// Unit tests of a plugin whose data have names that every object of the language has.
const NAMES_OF_THE_LANGUAGE: &str = r#"
import assert from "node:assert/strict";
import { test } from "node:test";

import { lookup, plugin } from "./sdk/clickmill-plugin.js";
import { configure, run } from "./sdk/testing.js";

const NAMES = ["__proto__", "constructor", "toString"];
const of = (value) => Object.fromEntries(NAMES.map((name) => [name, value]));

test("a configuration", () => {
  const config = { properties: of({ type: "string" }), required: NAMES };
  const names = plugin({ config, reads: {}, writes: {}, check: (read) => Object.keys(read), row() {} });
  assert.throws(() => configure(names, {}), { problems: NAMES.map((name) => `missing field \`${name}\``) });
  assert.throws(() => configure(names, of("a")), { problems: NAMES });
});

test("columns, and fields of a record", () => {
  const below = Object.fromEntries(NAMES.map((name) => [`user.${name}`, "text"]));
  const types = { user: "record", ...of("text") };
  const names = plugin({
    reads: types,
    writes: { ...types, ...below },
    row(row) {
      row.set("user", row.record("user"));
      for (const name of NAMES) row.set(name, row.text(name));
    },
  });
  for (const value of ["a", null]) {
    const given = value === null ? { user: {} } : { user: of(value), ...of(value) };
    const { rows, rejections } = run(names, [given], {}, { fields: below });
    assert.deepEqual(rejections, {});
    assert.deepEqual(rows, [{ user: of(value), ...of(value) }]);
  }
});

test("what an object has by its class", () => {
  class Money {
    #cents = 1990;
    get amount() {
      return this.#cents / 100;
    }
    toString() {
      return "19.90";
    }
  }
  const price = { amount: "float64", toString: "text" };
  const below = Object.fromEntries(Object.entries(price).map(([name, type]) => [`price.${name}`, type]));
  const writes = { price: "record", ...below };
  const priced = plugin({ reads: {}, writes, row: (row) => row.set("price", new Money()) });
  assert.deepEqual(run(priced, [{}]).rows, [{ price: { amount: 19.9, toString: null } }]);
});

test("reference data", () => {
  const names = plugin({
    reads: {},
    writes: { found: "text" },
    lookups: ["countries"],
    row: (row) => row.set("found", NAMES.map((name) => lookup.get("countries", "name", name)).join()),
  });
  const { rows } = run(names, [{}], {}, { lookups: { countries: { 29: { name: "Poland" } } } });
  assert.deepEqual(rows, [{ found: ",," }]);
  const { rejections } = run(names, [{}]);
  assert.match(rejections[0].message, /no lookup table `countries`/);
  const another = plugin({ ...names, lookups: NAMES, row: () => void lookup.get("constructor", "name", "29") });
  assert.match(run(another, [{}]).rejections[0].message, /no lookup table `constructor`/);
});
"#;

/// Unit tests of what is told when a plugin is made.
const WHEN_IT_IS_MADE: &str = r#"
import assert from "node:assert/strict";
import { test } from "node:test";

import { plugin } from "./sdk/clickmill-plugin.js";
import { configure } from "./sdk/testing.js";

const made = (definition) => plugin({ reads: {}, writes: {}, row() {}, ...definition });

test("a function that waits is refused when the plugin is made", () => {
  for (const row of [async () => {}, async function () {}, function* () {}, async function* () {}]) {
    assert.throws(() => made({ row }), /`row` waits or yields: a plugin waits for nothing/);
    assert.throws(() => made({ check: row }), /`check` waits or yields/);
    assert.throws(() => made({ row: undefined, columns: row }), /`columns` waits or yields/);
  }
});

test("a secret is a property of the configuration", () => {
  const told = /the secret `key` comes as a field of the configuration: declare `key` in `config.properties`/;
  assert.throws(() => made({ secrets: ["key"] }), told);
  assert.throws(() => made({ secrets: [{ name: "key", minBytes: 20 }], config: { properties: {} } }), told);
  assert.throws(() => made({ secrets: ["constructor"], config: { properties: {} } }), TypeError);
  made({ secrets: ["key"], config: { properties: { key: { type: "string" } } } });
  configure(made({ secrets: ["key"], config: { additionalProperties: { type: "string" } } }), { key: "a" });
});
"#;

#[test]
fn names_of_the_language_are_names_like_others() {
    if on_path("node").is_none() {
        return not_run("names_of_the_language_are_names_like_others", "node is not here");
    }
    let scratch = Scratch::new();
    scratch.done(&["plugin", "new", "ours", "--language", "javascript"]);
    scratch.write("ours/names.test.js", NAMES_OF_THE_LANGUAGE);
    scratch.write("ours/made.test.js", WHEN_IT_IS_MADE);
    let mut test = Command::new("node");
    test.args(["--test", "names.test.js", "made.test.js"]).current_dir(scratch.path("ours"));
    succeeds(test);
}
