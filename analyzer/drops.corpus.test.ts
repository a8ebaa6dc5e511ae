import { existsSync, readdirSync } from "node:fs";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { alarms, auditRecording, type Recording, record } from "./testing/audits.js";
import { drop } from "./testing/drops.js";
import { dropPlans, searched } from "./testing/searches.js";

const FOLDER = "../shared/traces";
const HEALTHY = /^(clean|noisy|reload|stranger-(manyvms|unbind))/;
const names = existsSync(FOLDER)
  ? readdirSync(FOLDER).filter((name) => HEALTHY.test(name) && name.endsWith(".dat"))
  : [];
const search = searched("KTALLY_DROP_RUNS", 60);

describe.each(names)("%s with events missing", (name) => {
  let recording: Recording;
  beforeAll(async () => {
    recording = await record(`${FOLDER}/${name}`);
  });

  it("raises no alarm when the loss is marked", async () => {
    await fc.assert(
      fc.asyncProperty(dropPlans, async (plan) => {
        const outcome = await auditRecording({ ...recording, items: drop(recording.items, plan, true) });
        expect(alarms(outcome)).toEqual([]);
      }),
      search,
    );
  });

  it("proves nothing when nobody says so, and derives only what nothing later contradicts", async () => {
    await fc.assert(
      fc.asyncProperty(dropPlans, async (plan) => {
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
      search,
    );
  });
});
