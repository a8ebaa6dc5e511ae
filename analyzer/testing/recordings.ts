/** What a recorder says beside a trace, for tests: everything armed and nothing missed, unless told otherwise. */
import type { PlannedClass, PlannedProbe } from "../../collectors/plan.js";
import type { Recording } from "../../collectors/recording.js";

/** `FUNCTION` for a probe at its entry, `FUNCTION=` for one at its return; all in module kvm. */
export function plannedProbe(text: string, ...classes: string[]): PlannedProbe {
  const name = text.replace(/=$/, "");
  return {
    event: text.endsWith("=") ? `${name}_ret` : name,
    kind: text.endsWith("=") ? "kretprobe" : "kprobe",
    module: "kvm",
    symbol: name,
    offset: 0,
    function: name,
    classes,
    site: null,
    arguments: [],
    filter: null,
    rate: "per-object",
  };
}

export function plannedClass(name: string, more: Partial<PlannedClass> = {}): PlannedClass {
  return { class: name, covered: "exactly", missing: [], ...more };
}

/** A recording from 1 s to 100 s of command 100, after which all was quiet. */
export function makeRecording(
  probes: readonly PlannedProbe[],
  classes: readonly PlannedClass[],
  more: Partial<Recording> = {},
): Recording {
  return {
    schema: 1,
    version: "0",
    backend: "trace_pipe",
    clock: "mono",
    plan: {
      schema: 1,
      kernel: { release: "6.1.0", buildId: null },
      modules: {},
      probes: [...probes],
      classes: [...classes],
    },
    unarmed: [],
    bufferKb: 4096,
    startedNs: "1000000000",
    endedNs: "100000000000",
    counts: Object.fromEntries(probes.map(({ event }) => [event, { hits: 0, missed: 0 }])),
    losses: [],
    modules: [],
    command: { argv: ["work"], pid: 100, startedNs: "2000000000", endedNs: "20000000000", status: 0 },
    settled: { quiet: true },
    openBefore: [],
    openAfter: [],
    allProcessesSeen: true,
    ...more,
  };
}
