/** Every file of others is read, or refused with the true reason. */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openTrace } from "./registry.js";

const CORPUS = fileURLToPath(new URL("../../../shared/corpus/", import.meta.url));

/** Samples as the manifest counts them. */
const SAMPLES: Record<string, number> = {
  "fibo.compressed2.pipe.data": 547,
  "sleep.compressed.data": 8,
  "sleep.compressed.pipe.data": 8,
  "sleep.compressed2.data": 7,
  "sleep.compressed2.pipe.data": 7,
  "sleep.data": 7,
};

async function countEvents(path: string): Promise<number> {
  const reader = await openTrace(CORPUS + path);
  for await (const _ of reader.read(() => true));
  reader.close();
  return reader.facts.eventCount;
}

describe("perf.data", () => {
  it.each(Object.entries(SAMPLES))("%s: %i samples", async (name, count) => {
    expect(await countEvents(`linux-perf-data/${name}`)).toBe(count);
  });
});

describe("bpftrace's maps are no events", () => {
  const names = readdirSync(`${CORPUS}bpftrace`).filter((name) => /\.(?:txt|json|ndjson)$/.test(name));
  it.each(names)("%s", async (name) => {
    await expect(countEvents(`bpftrace/${name}`)).rejects.toThrow("maps and histograms hold no events");
  });
});

it("perf script's text", async () => {
  expect(await countEvents("traceshark/perf-stacktrace-format.txt")).toBe(2);
});
