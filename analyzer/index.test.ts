import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ARRAYS, exampleTrace } from "./import/testing/example-trace.js";
import { buildTraceDat } from "./import/testing/trace-dat-builder.js";
import { analyze } from "./index.js";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ktally-test-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

test("a trace of events that no class needs is read, and nothing is judged", async () => {
  const path = join(folder, "trace.dat");
  const records = [{ format: ARRAYS, tid: 0, values: ["swapper", "text", Buffer.from("0123"), Buffer.from([1, 2])] }];
  const buffers = new Map([["", new Map([[0, [{ time: 1000n, records }]]])]]);
  writeFileSync(path, buildTraceDat(exampleTrace({ formats: [ARRAYS], buffers })));
  const analysis = await analyze([path]);
  expect(analysis.exit).toBe(125);
  expect(analysis.view.sources()).toMatchObject([{ events: 1, relevant: 0 }]);
  analysis.close();
});
