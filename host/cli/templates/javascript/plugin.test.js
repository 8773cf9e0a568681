import assert from "node:assert/strict";
import test from "node:test";

import plugin, { READS, WRITES } from "./plugin.js";
import * as testing from "./sdk/testing.js";

const CONFIG = { max_chars: 12, spellings: { fb: "facebook" } };
const LAST = READS.at(-1);

/** Runs the plugin over one row, in which the last column has this value and those before it have none. */
const run = (value) => testing.run(plugin, [{ [LAST]: value }], CONFIG);

test("values are in one spelling", () => {
  for (const [value, wanted] of [
    ["  News \t Letter ", "news letter"],
    ["FB", "facebook"],
    ["", null],
    ["   ", null],
  ]) {
    assert.equal(run(value).rows[0][WRITES], wanted, JSON.stringify(value));
  }
});

test("what is too long is refused", () => {
  assert.deepEqual(run("a".repeat(12)).rejections, {});
  const { code, column } = run("a".repeat(13)).rejections[0];
  assert.deepEqual([code, column], ["too_long", LAST]);
});

test("a configuration is checked whole", () => {
  const problems = (config) => {
    try {
      testing.configure(plugin, config);
    } catch (error) {
      return error.problems;
    }
  };
  assert.equal(problems({ max_chars: 0, spellings: { fb: 1 } }).length, 2);
  assert.equal(problems({ spellings: { FB: "facebook", "a  b": "a" } }).length, 2);
});
