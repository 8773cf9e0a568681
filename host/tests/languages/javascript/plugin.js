// What the SDK can, in one plugin: the same in each language, with the same golden cases.

import { Decimal, lookup, plugin, reject } from "./sdk/clickmill-plugin.js";

const next = (number) => (number === Number.MAX_SAFE_INTEGER || typeof number === "bigint" ? BigInt(number) + 1n : number + 1);

const types = {
  flag: "boolean",
  ratio: "float64",
  clock: "time",
  local: "datetime",
  instant: "timestamp",
  document: "json",
  blob: "blob",
};

export default plugin({
  config: {
    properties: {
      most: { type: "integer", description: "How many items are believed." },
      key: { type: "string", description: "A secret." },
    },
    required: ["most", "key"],
  },
  reads: { what: "text", country: "text", number: "int64", day: "date", ...types, user: "record", items: ["record"] },
  writes: {
    country: "text",
    number: "int64",
    day: "date",
    ...types,
    seen: "timestamp",
    "user.email": "text",
    "items.total": "decimal",
    total: "decimal",
    words: ["text"],
  },
  lookups: ["countries"],
  secrets: [{ name: "key", minBytes: 20 }],
  multiplies: true,

  row(row, config) {
    const what = row.text("what") ?? "";
    if (what === "fail") null.length;
    if (what === "drop") return row.filterOut();
    if (what === "now") row.set("seen", row.ingestTime);
    if (what === "next") row.set("number", next(row.requireInt64("number")));
    if (what === "secret") row.set("number", config.key.length);
    if (what.startsWith("words")) row.set("words", what.split(" "));
    if (what === "twice") {
      row.set("words", ["first"]);
      row.emit();
      row.set("number", next(row.int64("number")));
      row.set("words", ["second"]);
      return row.emit();
    }
    if (what === "many") {
      for (let at = 0; at < 1001; at++) {
        row.set("number", at);
        row.emit();
      }
      return;
    }
    if (what === "wide") row.set("words", ["x".repeat(1_500_000)]);
    const country = row.text("country");
    if (country !== null) row.set("country", lookup.get("countries", "name", country));
    const day = row.date("day");
    if (day !== null) row.set("day", day + 1);
    const flag = row.boolean("flag");
    if (flag !== null) row.set("flag", !flag);
    const ratio = row.float64("ratio");
    if (ratio !== null) row.set("ratio", ratio * 2);
    for (const time of ["clock", "local", "instant"]) {
      const micros = row.value(time);
      if (micros !== null) row.set(time, next(micros));
    }
    const document = row.json("document");
    if (document !== null) row.set("document", `[${document}]`);
    const blob = row.blob("blob");
    if (blob !== null) row.set("blob", blob.reverse());
    const email = row.record("user")?.email;
    if (email) row.set("user.email", email.toLowerCase());
    const items = row.list("items");
    if (items.length > config.most) {
      throw reject("too_many", `has ${items.length} items, wanted ${config.most} at most`, "items");
    }
    const totals = items.map(({ price, quantity }, at) => {
      if (price === null) throw reject("required", `\`items[${at}].price\` is missing`, `items[${at}].price`);
      return price.times(quantity);
    });
    row.set("items.total", totals);
    row.set("total", totals.reduce((sum, total) => sum.plus(total), Decimal.of(0)));
  },
});
