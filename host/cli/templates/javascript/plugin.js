// The first of some columns that says something, in one spelling.
//
// White space at both ends is taken away, within it becomes one blank, and letters become small ones. A value that is
// too long to be believed refuses its row. A row in which no column says anything gets a null.

import { plugin, reject } from "./sdk/clickmill-plugin.js";

/** The columns that a value is looked for in, one after the other. */
export const READS = [{{reads}}];
/** The column that it is written to. */
export const WRITES = "{{writes}}";

export default plugin({
  /** The configuration, as a pipeline file has it. `clickmill plugin inspect` prints its documentation. */
  config: {
    properties: {
      max_chars: {
        type: "integer",
        description: "The longest value that is believed, in characters. A row with a longer one is refused.",
        minimum: 1,
        default: 100,
      },
      spellings: {
        type: "object",
        description: "Values in small letters, each with the one that is written in its place.",
        additionalProperties: { type: "string" },
        default: {},
      },
    },
  },

  /** The columns, with their types. The pipeline file grants no others. */
  reads: Object.fromEntries(READS.map((column) => [column, "text"])),
  writes: { [WRITES]: "text" },

  /** Looks at the configuration, before any row. What is wrong with it is told all at once. */
  check({ spellings }) {
    const unlike = Object.keys(spellings).filter((spelling) => spelling !== inOneSpelling(spelling));
    return unlike.map((spelling) => `\`spellings\` has \`${spelling}\`, which no value is`);
  },

  /** Transforms one row, or refuses it: then it is a dead letter, and the others go on. */
  row(row, { max_chars, spellings }) {
    let found = null;
    for (const column of READS) {
      const value = inOneSpelling(row.text(column) ?? "");
      const chars = [...value].length;
      if (chars > max_chars) {
        throw reject("too_long", `has ${chars} characters, wanted ${max_chars} at most`, column);
      }
      if (value !== "") {
        found = Object.hasOwn(spellings, value) ? spellings[value] : value;
        break;
      }
    }
    row.set(WRITES, found);
  },
});

const BLANKS = /\s+/g;

function inOneSpelling(value) {
  return value.trim().replace(BLANKS, " ").toLowerCase();
}
