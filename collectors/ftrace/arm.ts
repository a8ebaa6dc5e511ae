/** Defines a plan's probes in the kernel; what cannot be had is left out and told. */
import { isSameBuild, type ModuleBuild } from "../modules.js";
import type { PlannedProbe, ProbePlan } from "../plan.js";
import type { Unarmed } from "../recording.js";
import { Refusal } from "../refusal.js";
import type { CapturedEvent } from "./capture.js";
import { GROUP, renderKprobeEvent } from "./kprobe-events.js";
import type { Tracefs } from "./tracefs.js";

/** Build of a loaded module; null when it is not loaded. */
export type BuildOf = (module: string) => ModuleBuild | null;

/**
 * @returns the events to enable, and the probes that are not there.
 * @throws Refusal when the kernel took none.
 */
export function armPlan(
  tracefs: Tracefs,
  plan: ProbePlan,
  buildOf: BuildOf,
): { events: CapturedEvent[]; refused: Unarmed[] } {
  const events: CapturedEvent[] = [];
  const refused: Unarmed[] = [];
  for (const probe of plan.probes) {
    const isTracepoint = probe.kind === "tracepoint";
    const why = isTracepoint ? lacksTracepoint(tracefs, probe) : define(tracefs, plan, probe, buildOf);
    const system = isTracepoint ? (probe.module ?? "") : GROUP;
    if (why === null) events.push({ system, event: isTracepoint ? probe.symbol : probe.event, filter: probe.filter });
    else refused.push({ event: probe.event, why: "refused", text: why, atNs: null });
  }
  if (!events.some(({ system }) => system === GROUP)) {
    const text = refused[0]?.text ?? "the plan has none";
    throw new Refusal(`not one probe could be set on this kernel (${text}); ktally probes shows the plan`);
  }
  return { events, refused };
}

function lacksTracepoint(tracefs: Tracefs, { module, symbol }: PlannedProbe): string | null {
  return tracefs.hasTracepoint(module ?? "", symbol) ? null : "this kernel has no such tracepoint";
}

/** Defines a kprobe; why not, or null when it was taken. */
function define(tracefs: Tracefs, plan: ProbePlan, probe: PlannedProbe, buildOf: BuildOf): string | null {
  const planned = probe.module === null ? undefined : plan.modules[probe.module];
  const loaded = probe.module === null ? null : buildOf(probe.module);
  // Offsets are right for the planned build only.
  if (planned && loaded && !isSameBuild(planned, loaded)) {
    return `the ${probe.module} that is loaded is another build than the plan's: --modules names its folder`;
  }
  const why = tracefs.define(renderKprobeEvent(probe));
  return why === null ? null : `the kernel refused it: ${why}`;
}
