/** A little of `npm run fuzz`, and everything that it ever found. */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { importers } from "../import/registry.js";
import { checkCase } from "./check-case.js";
import { mutated } from "./mutations.js";
import { loadSeeds } from "./seeds.js";

const FOUND = new URL("../../fixtures/fuzz-found/", import.meta.url);

describe("files that were trouble once", () => {
  it.each(readdirSync(FOUND))("%s", async (name) => {
    const bytes = readFileSync(new URL(name, FOUND));
    const readable = importers.filter((importer) => importer.sniff(bytes.subarray(0, 0x10000)));
    expect(readable.length).toBeGreaterThan(0);
    for (const importer of readable) await checkCase(importer, bytes);
  });
});

describe("damage that knows the structure", async () => {
  const seeds = await loadSeeds(null);

  // Small ones: each case damages a larger part of them.
  const smallest = new Map(
    seeds.toSorted((a, b) => b.bytes.length - a.bytes.length).map((seed) => [seed.importer.name, seed]),
  );

  it.each([...smallest])("%s", async (_, { importer, bytes: sound }) => {
    await fc.assert(
      fc.asyncProperty(mutated(sound), (bytes) => checkCase(importer, bytes)),
      { numRuns: 60 },
    );
  });
});

describe("the harness", () => {
  it("notices what throws", async () => {
    const broken = { ...importers[0]!, open: () => Promise.reject(new TypeError("no")) };
    await expect(checkCase(broken, Buffer.from("x"))).rejects.toThrow("no");
  });

  it("gives the same damage for the same number", () => {
    const [a] = fc.sample(mutated(Buffer.from("one\ntwo 2\n")), { numRuns: 1, seed: 7 });
    const [b] = fc.sample(mutated(Buffer.from("one\ntwo 2\n")), { numRuns: 1, seed: 7 });
    expect(a).toEqual(b);
  });
});
