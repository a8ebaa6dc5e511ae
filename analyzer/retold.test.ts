/** Whoever prints a recording in another way tells the same story, or less of it: never another one. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { defaultCatalog } from "../collectors/catalog/default.js";
import type { Effect } from "../collectors/catalog/schema.js";
import { UnreadableInput } from "./import/trace-event.js";
import { auditText } from "./testing/audits.js";
import { type Habit, retell } from "./testing/retold.js";
import { RECORDED, recorded, searched } from "./testing/searches.js";

const catalog = defaultCatalog();

const share = fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true }));
const only: Effect[][] = [["put"], ["get"], ["get", "put"], ["create", "destroy"], ["destroy"], ["register"]];
const habits: fc.Arbitrary<Habit> = fc.record({
  form: fc.constantFrom("ftrace", "report", "perf", "keys", "columns", "words"),
  numbers: fc.constantFrom("hex", "bare", "decimal", "signed", "padded", "lower", "hashed"),
  arguments: fc.constantFrom("named", "from 1", "from 0", "letters", "registers"),
  names: fc.constantFrom("automatic", "function", "own", "one for all"),
  result: fc.constantFrom("ret", "retval", "$retval", "r", "rc", "arg1"),
  counter: fc.constantFrom(null, "refs", "count", "users", "old", "val"),
  instead: fc.constantFrom(null, null, null, null, 0n, 1n, 642n, 0xffffca47c0421000n),
  delta: fc.constantFrom("delta", "d", "inc"),
  only: fc.constantFrom(null, null, null, ...only),
  returns: share,
  inside: share,
  tracepoints: fc.boolean(),
  twice: fc.constantFrom(false, false, false, true),
  seed: fc.nat(),
});

const PLAIN: Habit = {
  ...{ form: "ftrace", numbers: "hex", arguments: "named", names: "function", result: "ret", counter: "refs" },
  ...{ instead: null, delta: "delta", only: null, returns: 1, inside: 1, tracepoints: true, twice: false, seed: 1 },
};
/** What raised an alarm once. */
const FOUND_ONCE: Habit[] = [
  { ...PLAIN, twice: true },
  // A VFIO group's counter inside a function that nobody can name was an IOMMU group's.
  { ...PLAIN, form: "report", names: "own" },
  // Gets return whole addresses, puts are handed hashes.
  { ...PLAIN, form: "perf", numbers: "hashed", inside: 0 },
  // No telling whether a number is an argument or a result.
  { ...PLAIN, form: "words", numbers: "bare" },
  { ...PLAIN, form: "perf", arguments: "from 0" },
  { ...PLAIN, instead: 0n },
  // An attempt to take a reference, and a value that says it failed.
  { ...PLAIN, instead: 1n, tracepoints: false },
  // Of a file that was closed the values said that it was the last.
  { ...PLAIN, names: "automatic", instead: 0n, tracepoints: false, seed: 0 },
];

describe.each(RECORDED)("%s told by others", (name) => {
  it("raises no alarm that the recording does not", async () => {
    const { recording, news } = await recorded(name);
    await fc.assert(
      fc.asyncProperty(habits, async (habit) => {
        const text = retell(recording.items, habit, catalog);
        const outcome = text === null ? null : await auditText(text).catch(unreadable);
        expect(news(outcome)).toEqual([]);
      }),
      searched("KTALLY_RETOLD_RUNS", 4, FOUND_ONCE),
    );
  });
});

/** So little of it is left that nobody can tell what it is. */
function unreadable(error: unknown): null {
  if (error instanceof UnreadableInput) return null;
  throw error;
}
