import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { analyze } from "../index.js";
import { fixture } from "../testing/program.js";
import { sarifReport } from "./sarif.js";
import { HOSTILE, hostileTrace } from "./testing/hostile.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-sarif-"));
afterAll(() => rmSync(folder, { recursive: true }));

/**
 * What GitHub's code scanning takes of SARIF 2.1.0 (its page "SARIF support for code scanning"): the properties that it
 * requires, the limits that it has, and that every location has a file and a line.
 */
const location = z.looseObject({
  physicalLocation: z.strictObject({
    artifactLocation: z.strictObject({ uri: z.string().regex(/^(file:\/\/\/)?[\w%!'()*~.,/-]+$/) }),
    region: z.strictObject({ startLine: z.int().min(1) }),
  }),
  logicalLocations: z.array(z.strictObject({ name: z.string(), kind: z.literal("function") })),
  message: z.strictObject({ text: z.string().min(1) }).optional(),
});
const text = z.strictObject({ text: z.string().min(1) });
const sarif = z.strictObject({
  $schema: z.literal("https://json.schemastore.org/sarif-2.1.0.json"),
  version: z.literal("2.1.0"),
  runs: z
    .array(
      z.looseObject({
        tool: z.strictObject({
          driver: z.strictObject({
            name: z.literal("ktally"),
            semanticVersion: z.string().regex(/^\d+\.\d+\.\d+/),
            rules: z.array(
              z.looseObject({
                id: z.string(),
                shortDescription: z.strictObject({ text: z.string().min(1).max(1024) }),
                fullDescription: z.strictObject({ text: z.string().min(1).max(1024) }),
                help: text,
                defaultConfiguration: z.strictObject({ level: z.enum(["error", "warning", "note"]) }),
              }),
            ),
          }),
        }),
        results: z.array(
          z.looseObject({
            ruleId: z.string(),
            ruleIndex: z.int().min(0),
            level: z.enum(["error", "warning", "note"]),
            message: text,
            locations: z.array(location).length(1),
            partialFingerprints: z.record(z.string(), z.string()),
            codeFlows: z
              .array(
                z.strictObject({
                  threadFlows: z
                    .array(z.strictObject({ locations: z.array(z.strictObject({ location })).min(1) }))
                    .length(1),
                }),
              )
              .length(1),
            suppressions: z
              .array(z.strictObject({ kind: z.literal("external"), justification: z.string() }))
              .optional(),
          }),
        ),
      }),
    )
    .length(1),
});

async function sarifOf(path: string, known?: Parameters<typeof analyze>[1]): Promise<z.infer<typeof sarif>> {
  const analysis = await analyze([path], known);
  try {
    return sarif.parse(JSON.parse(sarifReport(analysis.view)));
  } finally {
    analysis.close();
  }
}

const texts = readdirSync(fixture(".")).filter((name) => /^seq-.*\.txt$/.test(name));

describe("the SARIF report", () => {
  it.each([...texts, "seed0-stale-device-ops-6.1.dat.xz", "vcpu-fd-leak-6.1.dat.xz"])(
    "of %s has the shape that services take",
    async (name) => {
      const { runs } = await sarifOf(fixture(name));
      const rules = runs[0]?.tool.driver.rules ?? [];
      for (const result of runs[0]?.results ?? []) expect(rules[result.ruleIndex]?.id).toBe(result.ruleId);
    },
  );

  it("tells a bug from a suspicion and from a note", async () => {
    const levels = async (name: string) => (await sarifOf(fixture(name))).runs[0]?.results.map(({ level }) => level);
    expect(await levels("seed0-stale-device-ops-6.1.dat.xz")).toEqual(["error", "error"]);
    expect(await levels("vcpu-fd-leak-6.1.dat.xz")).toEqual(["warning"]);
    expect(await levels("seq-unregister-stuck-open.txt")).toEqual(["note"]);
  });

  it("names the culprit, and the story in order", async () => {
    const [result] = (await sarifOf(fixture("seed0-stale-device-ops-6.1.dat.xz"))).runs[0]?.results ?? [];
    expect(result?.locations[0]?.logicalLocations).toEqual([{ name: "kvm_exit", kind: "function" }]);
    const steps = result?.codeFlows[0]?.threadFlows[0]?.locations.map(({ location: { message } }) => message?.text);
    expect(steps?.map((step) => step?.replace(/\(.*/, ""))).toEqual([
      "53.516116 insmod 134: kvm_register_device_ops",
      "57.691643 rmmod 135: kvm_exit",
      "62.203535 insmod 136: kvm_register_device_ops",
    ]);
  });

  it("marks what is suppressed", async () => {
    const known = { suppressions: [], baseline: new Set<string>() };
    const path = fixture("seed0-stale-device-ops-6.1.dat.xz");
    const [plain] = (await sarifOf(path)).runs[0]?.results ?? [];
    known.baseline.add(plain?.partialFingerprints["ktally/v1"] ?? "");
    const results = (await sarifOf(path, { known })).runs[0]?.results ?? [];
    expect(results.map(({ suppressions }) => suppressions)).toEqual([
      [{ kind: "external", justification: "baseline" }],
      [{ kind: "external", justification: "baseline" }],
    ]);
  });

  it.each(HOSTILE)("with the task name %j, from a path with room in it", async (name) => {
    const path = join(folder, "a trace #1 %.txt");
    writeFileSync(path, hostileTrace(name));
    const [result] = (await sarifOf(path)).runs[0]?.results ?? [];
    expect(result?.locations[0]?.physicalLocation.artifactLocation.uri).toMatch(
      /^file:\/\/\/.*a%20trace%20%231%20%25\.txt$/,
    );
  });
});
