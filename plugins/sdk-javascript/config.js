// Configurations: read by their schema.

import { told } from "./errors.js";

const NAMES = { integer: "an integer", number: "a number", string: "a text", boolean: "true or false", array: "a list", object: "a table" };

function isOf(type, value) {
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "null") return value === null;
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}

export function readConfig(schema, value, path, problems) {
  const refuse = (wanted) => void problems.push(`\`${path}\` is ${told(value)}, wanted ${wanted}`);
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some((type) => isOf(type, value))) {
    return refuse(types.map((type) => NAMES[type] ?? type).join(" or "));
  }
  // JSON has rounded such a one already; what is declared as a number may be rounded.
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && !types.includes("number")) {
    const told = `\`${path}\` is an integer beyond 2 ** 53, which would be rounded`;
    return void problems.push(`${told}: wanted a smaller one, or a text where the plugin takes that`);
  }
  if (schema.enum && !schema.enum.includes(value)) return refuse("one of " + schema.enum.map(told).join(", "));
  if (typeof value === "number") {
    if (value < schema.minimum) return refuse(`at least ${schema.minimum}`);
    if (value > schema.maximum) return refuse(`at most ${schema.maximum}`);
  }
  if (Array.isArray(value)) {
    return value.map((one, at) => readConfig(schema.items || {}, one, `${path}[${at}]`, problems));
  }
  return isOf("object", value) ? readFields(schema, value, path, problems) : value;
}

function readFields({ properties = {}, required = [], additionalProperties = true }, value, path, problems) {
  const below = (name) => (path ? `${path}.${name}` : name);
  // Not an object yet: that has names of its own, such as `constructor`.
  const made = new Map();
  for (const [name, one] of Object.entries(value)) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (schema === false) {
      const known = Object.keys(properties).map((each) => `\`${each}\``).join(", ") || "none";
      problems.push(`unknown field \`${below(name)}\`, expected one of: ${known}`);
    } else {
      made.set(name, readConfig(schema, one, below(name), problems));
    }
  }
  for (const [name, schema] of Object.entries(properties)) {
    if (made.has(name)) continue;
    if ("default" in schema) made.set(name, structure(schema.default));
    else if (required.includes(name)) problems.push(`missing field \`${below(name)}\``);
  }
  return Object.fromEntries(made);
}

const structure = (value) => JSON.parse(JSON.stringify(value));
