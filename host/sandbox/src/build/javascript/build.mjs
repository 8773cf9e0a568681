// Makes a component of a folder's `plugin.js` or `plugin.ts`: the tools' folder, the plugin's, the one to work in, and
// the contract as the plugin speaks it are given.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";

const [tools, folder, work, witPath] = process.argv.slice(1);
const tool = createRequire(join(tools, "x.js"));
const { name, version = "0", description = "" } = JSON.parse(readFileSync(join(folder, "package.json")));

const NO_SOURCES = ["target", "node_modules", "clickmill-data"];

/** The sources with their types taken out, each where it is in the folder; `typed` gets the names of those that had any. */
function withoutTypes(typed) {
  const { transformSync } = tool("amaro");
  const made = join(work, "source");
  rmSync(made, { recursive: true, force: true });
  const copy = (from, to) => {
    for (const entry of readdirSync(from, { withFileTypes: true })) {
      // What is hidden is an editor's, such as the lock `.#plugin.ts`, which leads nowhere.
      if (entry.name.startsWith(".")) continue;
      const [own, its] = [join(from, entry.name), join(to, entry.name)];
      if (entry.isDirectory()) {
        if (!NO_SOURCES.includes(entry.name)) copy(own, its);
      } else if (/\.[jt]s$/.test(entry.name) && !entry.name.endsWith(".d.ts")) {
        mkdirSync(to, { recursive: true });
        if (entry.name.endsWith(".js")) {
          copyFileSync(own, its);
        } else {
          const { code } = transformSync(readFileSync(own, "utf8"), { mode: "strip-only", filename: own });
          writeFileSync(its.replace(/ts$/, "js"), code);
          typed.push(entry.name.replace(/ts$/, "js"));
        }
      }
    }
  };
  copy(folder, made);
  return made;
}

try {
  const isTyped = readdirSync(folder).includes("plugin.ts");
  const typed = [];
  const source = isTyped ? withoutTypes(typed) : folder;
  const entry = join(work, "entry.js");
  const own = (file) => JSON.stringify("./" + relative(dirname(entry), join(source, file)));
  const about = JSON.stringify({ name, version, description, typed });
  const jsSource = `import * as log from "clickmill:plugin/log@0.2.0";
import * as lookup from "clickmill:plugin/lookup@0.2.0";
import { alone, setHost, world } from ${own("sdk/clickmill-plugin.js")};
import plugin from ${own("plugin.js")};

setHost(log, lookup);
alone();
export const { describe, configure, process } = world(plugin, ${about});
`;
  writeFileSync(entry, jsSource);
  const { component } = await tool("componentize-qjs").componentize({
    witPath,
    jsSource,
    jsPath: entry,
    moduleRoot: folder,
    world: "plugin",
    stubWasi: true,
    sync: true,
  });
  writeFileSync(join(work, "plugin.wasm"), component);
} catch (error) {
  const place = error.startLine ? `${relative(folder, error.filename)}, line ${error.startLine}: ` : "";
  console.error(place + String(error.message ?? error).replace(/^[:\s]+/, "").trim());
  process.exitCode = 1;
}
