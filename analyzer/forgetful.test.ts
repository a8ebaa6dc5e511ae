/** Whoever records less may learn less; no recording of what is healthy ever accuses, and none of a bug another one. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AuditOutcome } from "./audit.js";
import { auditRecording, record } from "./testing/audits.js";
import { type Forgotten, forget } from "./testing/forgetful.js";

const FOLDER = new URL("../fixtures/", import.meta.url).pathname;
const RUNS = Number(process.env.KTALLY_FORGETFUL_RUNS ?? 3);

const names = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".truth.json"))
  .filter((name) => JSON.parse(readFileSync(FOLDER + name, "utf8")).origin === "kernel")
  .map((name) => name.replace(".truth.json", ""))
  .filter((name) => existsSync(`${FOLDER}${name}.dat.xz`));

const share = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true }));
const habits: fc.Arbitrary<Forgotten> = fc.record({
  functions: share,
  returns: share,
  arguments: share,
  faults: fc.constantFrom(0, 0, 0, 0.1),
  stacks: fc.boolean(),
  from: fc.constantFrom(0, 0, 0, 0.3, 0.6),
  to: fc.constantFrom(1, 1, 1, 0.4, 0.7),
  seed: fc.nat(),
});

const FAULTS: Forgotten = {
  ...{ functions: 0, returns: 0, arguments: 0, faults: 0.1, stacks: false, from: 0, to: 1 },
  seed: 0,
};
/** What raised an alarm once. */
const FOUND_ONCE: Forgotten[] = [
  // It hid a lookup of the migration's next state between two others.
  { ...FAULTS, seed: 27475786 },
  // Of VFIO groups that end where no probe sees it (5.10) all values fit.
  { ...FAULTS, to: 0.4 },
  // A KVM device's destruction, its argument lost, that follows its VM's.
  { ...FAULTS, seed: 878923723 },
];

function accused(outcome: AuditOutcome): string[] {
  return outcome.findings
    .filter(({ level, verdict }) => level === "error" && verdict !== "suspected")
    .map((finding) => `${finding.rule} ${finding.class.class}`);
}

describe.each(names)("%s recorded by the forgetful", (name) => {
  it("raises no alarm that the whole of it does not", async () => {
    const recording = await record(`${FOLDER}${name}.dat.xz`);
    const truth = JSON.parse(readFileSync(`${FOLDER}${name}.truth.json`, "utf8"));
    const known = new Set<string>([
      ...accused(await auditRecording(recording)),
      ...truth.expected.map((one: { rule: string; class: string }) => `${one.rule} ${one.class}`),
    ]);
    const isOf = (rule: string) => truth.may?.some((one: { rule: string }) => rule.startsWith(`${one.rule} `)) === true;
    await fc.assert(
      fc.asyncProperty(habits, async (habit) => {
        const outcome = await auditRecording({ ...recording, items: forget(recording.items, habit) });
        expect(accused(outcome).filter((one) => !known.has(one) && !isOf(one))).toEqual([]);
      }),
      { numRuns: RUNS, examples: FOUND_ONCE.map((habit) => [habit]) },
    );
  });
});
