import { Command } from "commander";
import type { Catalog } from "../../collectors/catalog/catalog.js";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { takeSnapshot } from "../../collectors/snapshot/snapshot.js";
import { version } from "../version.js";
import { writeResult } from "./output.js";

export function snapshotCommand(state: { exit: number }): Command {
  return new Command("snapshot")
    .description("write down who holds what in the running kernel, without a trace; changes nothing")
    .option("-o, --output <file>", "write it to a file instead of standard output")
    .action(async (options: { output?: string }) => {
      const snapshot = takeSnapshot({ version: version(), blocking: blockingFunctions(defaultCatalog()) });
      await writeResult(`${JSON.stringify(snapshot, null, 1)}\n`, options.output ?? null);
      for (const sentence of snapshot.unread) process.stderr.write(`ktally: not read: ${sentence}\n`);
      state.exit = 0;
    });
}

/** Functions that wait until nobody holds an object any more. */
export function blockingFunctions(catalog: Catalog): Set<string> {
  const names = [...catalog.functions.values()]
    .filter(({ meanings }) => meanings.some(({ entry }) => entry.blocks === true))
    .map(({ name }) => name);
  return new Set(names);
}
