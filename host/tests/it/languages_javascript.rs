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
import { log, plugin, reject } from "./sdk/clickmill-plugin.js";

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
    if (what === "half") {
      console.log("😀"[0]);
      throw reject("half", `a ${"😀"[0]} b`);
    }
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
#[ignore = "`readme` goes nearly the same way: `.ci/long`"]
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
    let files = [("words.ts", words), ("tests/cases.json", cases)];
    TYPESCRIPT.passes("types_are_taken_out", &files);
    let test = "types_are_taken_out";
    let Some((_, letters)) = TYPESCRIPT.letters_with(test, &files, &["fail"]) else { return };
    assert!(letters[0]["message"].as_str().unwrap().contains("(plugin.ts, line "), "{letters:#?}");
}

/// Calls what is installed.
const IMPORTS: Language = Language {
    hostile: r#"
import { deeper } from "leaf";

import { plugin } from "./sdk/clickmill-plugin.js";

export default plugin({
  reads: { what: "text" },
  writes: { what: "text" },
  row: (row) => row.set("what", deeper(row.requireText("what"), 30)),
});
"#,
    ..JAVASCRIPT
};

#[test]
fn an_error_in_a_package_is_told_with_the_plugins_line() {
    let leaf =
        "export const deeper = (what, n) => (n > 0 ? [deeper(what, n - 1)][0] : what.loud());\n";
    let package = r#"{"name": "leaf", "version": "1.0.0", "type": "module", "main": "index.js"}"#;
    let files = [("node_modules/leaf/package.json", package), ("node_modules/leaf/index.js", leaf)];
    let test = "an_error_in_a_package_is_told_with_the_plugins_line";
    let Some((_, letters)) = IMPORTS.letters_with(test, &files, &["a"]) else { return };
    let message = letters[0]["message"].as_str().unwrap();
    assert!(message.ends_with(" (plugin.js, line 9)"), "{message}");
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

/// Throws as it is configured, or asked.
const THROWS: Language = Language {
    hostile: r#"
import { plugin } from "./sdk/clickmill-plugin.js";

export default plugin({
  config: { properties: { broken: { type: "boolean", default: false } } },
  reads(config) {
    if (config.broken) throw new Error("asked when it is configured");
    return { what: "text" };
  },
  writes: { what: "text" },
  columns(batch) {
    if (batch.get("what").includes("fail")) throw new Error("asked over columns");
  },
});
"#,
    ..JAVASCRIPT
};

#[test]
fn an_exception_over_columns_is_told_with_its_file() {
    THROWS.tells_where_columns_fail("an_exception_over_columns_is_told_with_its_file");
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

test("lookups and secrets are no text", () => {
  assert.throws(() => made({ lookups: "countries" }), /`lookups` is "countries", wanted an array/);
  assert.throws(() => configure(made({ lookups: () => "countries" })), /`lookups` is "countries", wanted an array/);
  assert.throws(() => made({ secrets: "key" }), /`secrets` is "key", wanted an array/);
});

test("a configured integer that is rounded is refused by name", () => {
  const properties = { id: { type: "integer" }, share: { type: "number" }, ids: {}, more: { type: "object" } };
  const own = made({ config: { properties }, check: (config) => [JSON.stringify(config)] });
  const told = (config) => {
    try {
      configure(own, config);
    } catch (error) {
      return error.problems;
    }
  };
  const exact = { id: -(2 ** 53) + 1, share: 1e300, ids: [1, { a: 2 ** 53 - 1 }], more: { b: [null, 0.5] } };
  assert.deepEqual(told(exact), [JSON.stringify(exact)]);
  // As JSON has read 9007199254740993.
  const rounded = 2 ** 53;
  for (const [name, config] of [
    ["id", { id: rounded }],
    ["id", { id: -rounded }],
    ["ids[1].a", { ids: [1, { a: rounded }] }],
    ["more.b[0]", { more: { b: [rounded] } }],
  ]) {
    const [problem, ...others] = told(config);
    assert.match(problem, /is an integer beyond 2 \*\* 53, which would be rounded/);
    assert.ok(problem.startsWith(`\`${name}\` is`), problem);
    assert.deepEqual(others, []);
  }
});
"#;

/// Unit tests of values that are read and set.
const VALUES: &str = r#"
import assert from "node:assert/strict";
import { test } from "node:test";

import { Decimal, lookup, plugin } from "./sdk/clickmill-plugin.js";
import { run } from "./sdk/testing.js";

const set = (path, value, { reads = {}, writes, fields, rows = [{}] }) =>
  run(plugin({ reads, writes, row: (row) => row.set(path, value) }), rows, {}, { fields });

test("an array has no holes where a list is wanted", () => {
  for (const list of [[1, , 3], [1, undefined, 3], [1, null, 3]]) {
    const { rejections } = set("sizes", list, { writes: { sizes: ["int64"] } });
    assert.match(rejections[0].message, /`sizes` is a list: its elements are not null, as number 1 is/);
  }
});

test("what is left out of a column is null", () => {
  const own = plugin({ reads: {}, writes: { size: "int64" }, columns: (batch) => batch.set("size", [1, , undefined]) });
  assert.deepEqual(run(own, [{}, {}, {}]).rows, [{ size: 1 }, { size: null }, { size: null }]);
  const items = {
    reads: { items: ["record"] },
    writes: { "items.total": "int64" },
    fields: { "items.price": "int64" },
    rows: [{ items: [{ price: 1 }, { price: 2 }, { price: 3 }] }],
  };
  const { rows } = set("items.total", [4, , 6], items);
  assert.deepEqual(rows, [{ items: [{ total: 4 }, { total: null }, { total: 6 }] }]);
});

test("what is no column is refused by name", () => {
  const columns = (type, values) =>
    run(plugin({ reads: {}, writes: { what: type }, columns: (batch) => batch.set("what", values) }), [{}, {}]);
  const others = [new Uint8Array(2), new Map(), new Set([1, 2]), { length: 2 }, null, undefined, 5];
  for (const [type, values] of [["text", "ab"], ...others.map((one) => ["int64", one])]) {
    assert.throws(() => columns(type, values), /`what` is set to .+, wanted an array with a value for each row/);
  }
  assert.deepEqual(columns("float64", new Float64Array([0.5, 2])).rows, [{ what: 0.5 }, { what: 2 }]);
  assert.throws(() => lookup.find("countries", "name", "29"), /the keys of `countries` are "29", wanted an array/);
});

test("what has no fields by name is no record", () => {
  class Keys {
    *[Symbol.iterator]() {}
  }
  const writes = { user: "record", "user.email": "text" };
  for (const [value, told] of [
    [new Map([["email", "a"]]), "a Map"],
    [new Set(["email"]), "a Set"],
    [new Keys(), "a Keys"],
    [(function* () {})(), "a Generator"],
    [Promise.resolve(), "a Promise"],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [["email"], '["email"]'],
    ["email", '"email"'],
  ]) {
    const { rejections } = set("user", value, { writes });
    assert.ok(rejections[0].message.includes(`\`user\` is announced as record but set to ${told}`), rejections[0].message);
  }
  for (const value of [{ email: "a" }, Object.assign(Object.create(null), { email: "a" })]) {
    assert.deepEqual(set("user", value, { writes }).rows, [{ user: { email: "a" } }]);
  }
});

test("a record may be written with fewer fields", () => {
  const own = plugin({
    reads: { user: "record", items: ["record"] },
    // The age is of another type than was read.
    writes: {
      ...{ user: "record", "user.email": "text", "user.age": "text" },
      ...{ items: ["record"], "items.of": "record", "items.of.b": "text" },
    },
    row(row) {
      if (row.record("user") === null) throw new Error("as asked");
    },
  });
  const fields = {
    ...{ "user.email": "text", "user.age": "int64" },
    ...{ "items.size": "int64", "items.of": "record", "items.of.a": "text", "items.of.b": "text" },
  };
  const items = [{ size: 1, of: { a: "b", b: "c" } }, { size: 2 }];
  const { rows, rejections } = run(own, [{ user: { email: "a", age: 3 }, items }, {}], {}, { fields });
  assert.deepEqual(rows, [
    { user: { email: "a", age: null }, items: [{ of: { b: "c" } }, { of: null }] },
    { user: null, items: [] },
  ]);
  assert.deepEqual(Object.keys(rejections), ["1"]);
});

test("a field that is not announced is refused by name", () => {
  const user = { email: "a", age: 3 };
  const written = {
    reads: { user: "record" },
    writes: { user: "record", "user.email": "text" },
    fields: { "user.email": "text", "user.age": "int64" },
    rows: [{ user }],
  };
  for (const value of [{ emial: "b" }, { emial: undefined }, user]) {
    const { rows, rejections } = set("user", value, written);
    assert.deepEqual(rows, [{ user: { email: "a" } }]);
    const name = Object.keys(value).at(-1);
    assert.ok(rejections[0].message.includes(`\`user.${name}\` is set but not announced`), rejections[0].message);
  }
  const writes = { users: ["record"], "users.of": "record", "users.of.email": "text" };
  const { rejections } = set("users", [{ of: { emial: "b" } }], { writes });
  assert.match(rejections[0].message, /`users.of.emial` is set but not announced/);
});

test("an error is told whatever its text", () => {
  const silent = Object.defineProperty(new Error(), "message", {
    get() {
      throw new Error("no text");
    },
  });
  const strange = Object.assign(new Error("strange"), { stack: 5 });
  const thrown = [silent, strange, { toJSON: () => assert.fail(), toString: null }, new RangeError("x".repeat(2000))];
  const own = plugin({
    reads: { at: "int64" },
    writes: {},
    row(row) {
      throw thrown[row.int64("at")];
    },
  });
  const { rejections } = run(own, thrown.map((_, at) => ({ at })));
  const messages = Object.values(rejections).map(({ message }) => message);
  assert.deepEqual(messages.slice(0, 3), ["an error whose text can't be told", "Error: strange", "an error whose text can't be told"]);
  // The host cuts it at its end.
  assert.match(messages[3], /^\(values\.test\.js, line \d+\) RangeError: x{2000}$/);
});

test("an error in a package is told with the plugin's own line", () => {
  const package_ = "    at boom (/node_modules/leaf/index.js:1:34)";
  const own = "    at run (file:///ours/plugin.js:9:33)";
  const sdk = "    at row (/sdk/clickmill-plugin.js:111:35)";
  for (const [stack, line] of [
    [[package_, package_, own, sdk], "(plugin.js, line 9)"],
    [[own, package_, own, sdk], "(plugin.js, line 9)"],
    [[package_, sdk], "(index.js, line 1)"],
  ]) {
    const error = Object.assign(new Error("as asked"), { stack: stack.join("\n") });
    const throwing = plugin({
      reads: {},
      writes: {},
      row() {
        throw error;
      },
    });
    assert.equal(run(throwing, [{}]).rejections[0].message, `Error: as asked ${line}`);
  }
});

test("an exact number is made of none that may be rounded", () => {
  for (const value of [5, 0.5, "5", null, undefined]) {
    assert.throws(() => new Decimal(value), /a Decimal is made of a BigInt, not of /);
  }
  const one = Decimal.of(1);
  for (const value of [2 ** 53, -(2 ** 53), 1e21, 0.5, NaN, Infinity]) {
    for (const made of [() => Decimal.of(value), () => one.plus(value), () => one.compare(value), () => one.times(value)]) {
      assert.throws(made, (error) => error instanceof RangeError && error.message.startsWith(`${value} is no exact`));
    }
  }
  for (const value of ["", "2", null, true]) assert.throws(() => one.times(value), /is no exact integer/);
  for (const value of [2 ** 53 - 1, 1 - 2 ** 53, 2n ** 53n + 1n, 0]) {
    assert.equal(String(Decimal.of(value)), String(value));
    assert.equal(String(one.times(value)), String(value));
  }
  assert.equal(String(new Decimal(1n)), "0.000000001");
});
"#;

/// Unit tests of the SDK pass natively, in a new project.
fn pass_natively(test: &str, files: &[(&str, &str)]) {
    if on_path("node").is_none() {
        return not_run(test, "node is not here");
    }
    let scratch = Scratch::new();
    scratch.done(&["plugin", "new", "ours", "--language", "javascript"]);
    let mut node = Command::new("node");
    node.arg("--test").current_dir(scratch.path("ours"));
    for (name, tests) in files {
        scratch.write(&format!("ours/{name}"), tests);
        node.arg(name);
    }
    succeeds(node);
}

#[test]
fn names_of_the_language_are_names_like_others() {
    let files = [("names.test.js", NAMES_OF_THE_LANGUAGE), ("made.test.js", WHEN_IT_IS_MADE)];
    pass_natively("names_of_the_language_are_names_like_others", &files);
}

#[test]
fn values_are_exact_or_refused_by_name() {
    pass_natively("values_are_exact_or_refused_by_name", &[("values.test.js", VALUES)]);
}
