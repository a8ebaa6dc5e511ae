import { describe, expect, it } from "vitest";
import { exitCode } from "./exit-code.js";
import { catalog } from "./testing/text.js";

type Outcome = Parameters<typeof exitCode>[0];

function outcome(
  coverage: readonly [name: string, state: string, judged?: boolean, effects?: number][],
  findings: readonly [level: string, verdict: string][] = [],
): Outcome {
  return {
    coverage: coverage.map(([name, state, judged = true, effects = 1]) => ({
      class: catalog.classes.get(name),
      state,
      judged,
      effects,
      reasons: [],
    })),
    findings: findings.map(([level, verdict]) => ({ level, verdict })),
  } as unknown as Outcome;
}

describe("the exit code", () => {
  it.each([
    ["all judged classes complete", outcome([["kvm", "complete"]]), 0, 0],
    [
      "a class partly seen",
      outcome([
        ["kvm", "complete"],
        ["vfio_group", "partial"],
      ]),
      125,
      0,
    ],
    [
      "a class that is blind",
      outcome([
        ["kvm", "complete"],
        ["kvm_core", "blind", true, 0],
      ]),
      125,
      0,
    ],
    [
      "a class partly seen that is not judged",
      outcome([
        ["kvm", "complete"],
        ["vfio_group", "partial", false],
      ]),
      0,
      0,
    ],
    ["a proven error", outcome([["kvm", "partial"]], [["error", "proven"]]), 1, 1],
    ["a derived error", outcome([["kvm", "complete"]], [["error", "derived"]]), 1, 1],
    ["a suspicion", outcome([["kvm", "complete"]], [["error", "suspected"]]), 125, 0],
    ["a note, however sure", outcome([["kvm", "complete"]], [["note", "proven"]]), 0, 0],
    ["modules alone", outcome([["module", "complete"]]), 125, 125],
    ["nothing at all", outcome([["kvm", "absent", false, 0]]), 125, 125],
    [
      "only blind classes",
      outcome([
        ["kvm_core", "blind", true, 0],
        ["module", "complete"],
      ]),
      125,
      125,
    ],
  ])("of %s", (_, given, strict, lenient) => {
    expect([exitCode(given, false), exitCode(given, true)]).toEqual([strict, lenient]);
  });
});
