import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { exampleTrace, INIT, PRINT } from "./import/testing/example-trace.js";
import { buildTraceDat } from "./import/testing/trace-dat-builder.js";
import { explainImport } from "./import-explained.js";
import { catalog } from "./testing/text.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-explained-"));
afterAll(() => rmSync(folder, { recursive: true }));

it("a file of which no event was wanted has its symbols all the same", async () => {
  const file = join(folder, "print.dat");
  const records = [{ format: PRINT, tid: 1, values: [INIT, "hello\n"] }];
  const buffers = new Map([["", new Map([[0, [{ time: 1n, records }]]])]]);
  writeFileSync(file, buildTraceDat(exampleTrace({ buffers })));
  const { sources } = await explainImport([file], catalog);
  expect(sources).toMatchObject([{ hasSymbols: true, relevant: 0, facts: { eventCount: 1 } }]);
});
