import { existsSync, readdirSync } from "node:fs";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { alarms, auditRecording, type Recording, record } from "./testing/audits.js";
import { type DropPlan, drop } from "./testing/drops.js";

const FOLDER = "../shared/traces";
const HEALTHY = /^(clean|noisy|reload|stranger-(manyvms|unbind))/;
const names = existsSync(FOLDER)
  ? readdirSync(FOLDER).filter((name) => HEALTHY.test(name) && name.endsWith(".dat"))
  : [];
const RUNS = Number(process.env.KTALLY_DROP_RUNS ?? 60);

/** A cheap hash: whether the n-th event of a run with this seed is dropped at this rate. */
function isKept(seed: number, rate: number) {
  return (index: number) => {
    let hash = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash ^= hash >>> 13;
    return (hash >>> 0) / 2 ** 32 >= rate;
  };
}

const cpu = fc.constantFrom(null, 0, 1);
const share = fc.double({ min: 0, max: 1, noNaN: true });
const plans: fc.Arbitrary<DropPlan> = fc.oneof(
  fc
    .record({ seed: fc.nat(), rate: fc.double({ min: 0.005, max: 0.6, noNaN: true }), cpu })
    .map(({ seed, rate, cpu: on }) => ({
      kind: "random" as const,
      keep: isKept(seed, rate),
      cpu: on,
    })),
  fc.record({ a: share, b: share, cpu }).map(({ a, b, cpu: on }) => ({
    kind: "window" as const,
    from: Math.min(a, b),
    to: Math.max(a, b),
    cpu: on,
  })),
  share.map((to) => ({ kind: "start" as const, to })),
  share.map((from) => ({ kind: "end" as const, from })),
);

describe.each(names)("%s with events missing", (name) => {
  let recording: Recording;
  beforeAll(async () => {
    recording = await record(`${FOLDER}/${name}`);
  });

  it("raises no alarm when the loss is marked", async () => {
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const outcome = await auditRecording({ ...recording, items: drop(recording.items, plan, true) });
        expect(alarms(outcome)).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  it("proves nothing when nobody says so, and derives only what nothing later contradicts", async () => {
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const outcome = await auditRecording({ ...recording, items: drop(recording.items, plan, false) });
        for (const finding of outcome.findings) {
          expect(finding.verdict).not.toBe("proven");
          if (finding.verdict !== "derived") continue;
          // That a destruction is missing shows by nothing else than its absence: nobody can tell it from a loss.
          expect(finding.variant).toBe("free-missing");
          const now = outcome.world.objects.find(finding.class, finding.object.address ?? 0n);
          expect(now?.generation).toBe(finding.object.generation);
        }
      }),
      { numRuns: RUNS },
    );
  });
});
