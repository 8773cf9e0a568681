// Values: how one becomes one of the contract, or throws, and how it is read of one. Integers of 64 bits cross the
// boundary as two halves, the low one first, since a number is exact up to 53 bits; texts as strings of their bytes.
// Halves have a sign, whatever they are of: the engine takes none above 2 ** 31.

import { Decimal } from "./decimal.js";
import { told, wrongType } from "./errors.js";

const HIGH = 4_294_967_296;

function halves(value) {
  if (Number.isSafeInteger(value)) {
    const high = Math.floor(value / HIGH);
    return [(value - high * HIGH) | 0, high | 0];
  }
  if (typeof value !== "bigint") throw wrongType(value);
  if (value !== BigInt.asIntN(64, value)) throw new RangeError(`${value} is beyond 64 bits`);
  return [half(value, 0n), half(value, 32n)];
}

export function half(value, from) {
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

export function bytesOf(value) {
  if (typeof value !== "string") throw wrongType(value);
  if (!NOT_ASCII.test(value)) return value;
  try {
    return unescape(encodeURIComponent(value));
  } catch {
    throw new RangeError(`${told(value)} is cut within a character`);
  }
}

function textOf(bytes) {
  return NOT_ASCII.test(bytes) ? decodeURIComponent(escape(bytes)) : bytes;
}

const CHUNK = 4096;

export function stringOf(bytes) {
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

export const KINDS = {
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
export const TYPES = { dictionary: "text" };
for (const [type, kind] of Object.entries(KINDS)) TYPES[kind.case] = type;

/** Texts of the contract, of strings of their bytes. */
export function texts(values) {
  const offsets = [0];
  let end = 0;
  for (const value of values) offsets.push((end += value.length));
  return { offsets, bytes: arrayOf(values.join("")) };
}
