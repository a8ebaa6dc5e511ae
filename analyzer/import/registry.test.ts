import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { importers, openTrace } from "./registry.js";
import { exampleTrace } from "./testing/example-trace.js";
import { readItems } from "./testing/memory-input.js";
import { buildTraceDat } from "./testing/trace-dat-builder.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ktally-test-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

it("importers are asked in a fixed order", () => {
  const priorities = importers.map((importer) => importer.priority);
  expect(priorities).toEqual([...new Set(priorities)].sort((a, b) => a - b));
});

it("formats are known by content", async () => {
  const reader = await openTrace(file("trace.txt", gzipSync(buildTraceDat(exampleTrace()))));
  expect(reader.facts.format).toBe("trace.dat v7 (none)");
  expect(await readItems(reader)).toHaveLength(5);
  reader.close();
});

it("a packed file that is cut has a gap at its end", async () => {
  // Two parts, the second of them cut: the content itself ends at a page boundary and looks whole.
  const whole = buildTraceDat(exampleTrace({ version: 6 }));
  const packed = Buffer.concat([gzipSync(whole), gzipSync("lost").subarray(0, 15)]);
  const reader = await openTrace(file("cut.gz", packed));
  const items = await readItems(reader);
  expect(items.at(-1)).toEqual({ kind: "gap", code: "damaged", cpu: null, from: 1508n, to: null, lost: null });
  expect(reader.facts.gaps).toHaveLength(1);
  expect(reader.facts.diagnostics[0]?.message).toContain("the gzip data is cut or damaged");
  reader.close();
});

it("what no importer knows is told in one line", async () => {
  const path = file("a.dat", "\0\0\0 nothing\n");
  await expect(openTrace(path)).rejects.toThrow(
    `${path}: its format is not known; \`ktally formats\` lists those that are`,
  );
  await expect(openTrace(file("a.bz2", "BZh9"))).rejects.toThrow("unpack it first");
});
