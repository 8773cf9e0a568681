// Exact numbers.

import { told } from "./errors.js";

const ONE = 1_000_000_000n;
const LIMIT = 10n ** 38n;

/** An integer as a BigInt. A number beyond 2 ** 53 may have been rounded before it came here. */
function exact(integer) {
  if (typeof integer === "bigint") return integer;
  if (!Number.isSafeInteger(integer)) {
    throw new RangeError(`${told(integer)} is no exact integer: give a BigInt, or a whole number below 2 ** 53`);
  }
  return BigInt(integer);
}

export class Decimal {
  constructor(scaled) {
    if (typeof scaled !== "bigint") {
      throw new TypeError(`a Decimal is made of a BigInt, not of ${told(scaled)}: that is for \`Decimal.of\``);
    }
    if (scaled <= -LIMIT || scaled >= LIMIT) throw new RangeError("a number of more than 38 digits");
    this.scaled = scaled;
    Object.freeze(this);
  }

  static of(value) {
    if (value instanceof Decimal) return value;
    if (typeof value === "bigint" || Number.isInteger(value)) return new Decimal(exact(value) * ONE);
    const parts = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d{1,6}))?$/.exec(value);
    if (typeof value !== "string" || !parts || !(parts[2] || parts[3])) {
      throw new RangeError(`${told(value)} is no exact number: give its text`);
    }
    const [, sign, whole, fraction, exponent] = parts;
    const places = 9 - fraction.length + Number(exponent ?? 0);
    let digits = (whole + fraction).replace(/^0+(?=\d)/, "");
    if (digits === "0" || digits === "") return new Decimal(0n);
    if (places > 38) throw new RangeError("a number of more than 38 digits");
    if (places >= 0) {
      digits += "0".repeat(places);
    } else {
      const kept = digits.slice(0, places) || "0";
      if (/[1-9]/.test(digits.slice(-Math.min(-places, digits.length)))) {
        throw new RangeError(`${told(value)} has more than 9 digits after the point`);
      }
      digits = kept;
    }
    return new Decimal(sign === "-" ? -BigInt(digits) : BigInt(digits));
  }

  plus(other) {
    return new Decimal(this.scaled + Decimal.of(other).scaled);
  }

  minus(other) {
    return new Decimal(this.scaled - Decimal.of(other).scaled);
  }

  times(integer) {
    return new Decimal(this.scaled * exact(integer));
  }

  compare(other) {
    const { scaled } = Decimal.of(other);
    return this.scaled < scaled ? -1 : this.scaled > scaled ? 1 : 0;
  }

  toString() {
    const size = this.scaled < 0n ? -this.scaled : this.scaled;
    const fraction = (size % ONE).toString().padStart(9, "0").replace(/0+$/, "");
    return (this.scaled < 0n ? "-" : "") + size / ONE + (fraction && "." + fraction);
  }

  toJSON() {
    return this.toString();
  }
}
