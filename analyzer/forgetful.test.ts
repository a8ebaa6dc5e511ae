/** Whoever records less may learn less; no recording of what is healthy ever accuses, and none of a bug another one. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { auditRecording } from "./testing/audits.js";
import { type Forgotten, forget } from "./testing/forgetful.js";
import { RECORDED, recorded, searched } from "./testing/searches.js";

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

describe.each(RECORDED)("%s recorded by the forgetful", (name) => {
  it("raises no alarm that the whole of it does not", async () => {
    const { recording, news } = await recorded(name);
    await fc.assert(
      fc.asyncProperty(habits, async (habit) => {
        const outcome = await auditRecording({ ...recording, items: forget(recording.items, habit) });
        expect(news(outcome)).toEqual([]);
      }),
      searched("KTALLY_FORGETFUL_RUNS", 0, FOUND_ONCE),
    );
  });
});
