/** Whatever happens to a file, reading it ends, soon, with what there is or with one clear line. */

import fc from "fast-check";
import { it } from "vitest";
import { damaged, readsOrRefuses } from "./testing/damage.js";
import { exampleTrace } from "./testing/example-trace.js";
import { buildTraceDat } from "./testing/trace-dat-builder.js";
import { traceDat } from "./trace-dat.js";

const FILES = {
  "version 6": buildTraceDat(exampleTrace({ version: 6 })),
  "version 6, big-endian": buildTraceDat(exampleTrace({ version: 6, littleEndian: false, longSize: 4 })),
  "version 7": buildTraceDat(exampleTrace()),
  "version 7, zlib": buildTraceDat(exampleTrace({ compression: "zlib" })),
  "version 7, zstd": buildTraceDat(exampleTrace({ compression: "zstd" })),
};

it.each(Object.entries(FILES))("random damage: %s", async (_, file) => {
  await fc.assert(
    fc.asyncProperty(damaged(file), (copy) => readsOrRefuses(traceDat, copy)),
    { numRuns: 300 },
  );
});

it.each(Object.entries(FILES))("a cut at every byte of the headers: %s", async (_, file) => {
  for (let size = 10; size < Math.min(file.length, 6000); size += 7)
    await readsOrRefuses(traceDat, file.subarray(0, size));
});
