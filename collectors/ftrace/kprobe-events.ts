/** Renders the probe plan for ftrace: definitions as /sys/kernel/tracing/kprobe_events takes them. */
import type { PlannedProbe, ProbePlan } from "../plan.js";

/** Event group of everything that ktally defines in the kernel. */
export const GROUP = "ktally";

/** Calls of one function that a return probe can follow at once; further ones are counted as missed. */
const MAXACTIVE = 64;

/** One definition per line, in the plan's order. Tracepoints need none. */
export function renderKprobeEvents(plan: ProbePlan): string[] {
  return plan.probes.filter((probe) => probe.kind !== "tracepoint").map(renderKprobeEvent);
}

/** `p:ktally/EVENT MODULE:SYMBOL+0xOFFSET name=fetch:type …` (Documentation/trace/kprobetrace.rst). */
export function renderKprobeEvent(probe: PlannedProbe): string {
  const kind = probe.kind === "kretprobe" ? `r${MAXACTIVE}` : "p";
  // Only MODULE:SYMBOL is armed again when the module comes back, or in advance before it comes at all.
  const symbol = probe.module === null ? probe.symbol : `${probe.module}:${probe.symbol}`;
  const offset = probe.offset === 0 ? "" : `+0x${probe.offset.toString(16)}`;
  const args = probe.arguments.map(({ name, fetch, type }) => `${name}=${fetch}:${type}`);
  return [`${kind}:${GROUP}/${probe.event}`, `${symbol}${offset}`, ...args].join(" ");
}
