/** What ftrace takes (kernel/trace/trace_probe.h): longer names are cut, and what would be refused is left out. */
import type { PlannedProbe } from "../plan.js";

/** MAX_EVENT_NAME_LEN, without the NUL. */
const LONGEST_EVENT = 63;
/** MAX_ARGSTR_LEN: a fetch expression with its type. */
const LONGEST_ARGUMENT = 63;
/** MAX_ARG_NAME_LEN, without the NUL. */
const LONGEST_NAME = 31;
/** MAX_TRACE_ARGS. */
const MOST_ARGUMENTS = 128;

/** Names of fields that each kprobe event has already. */
const RESERVED = new Set([
  "common_type",
  "common_flags",
  "common_preempt_count",
  "common_pid",
  "common_tgid",
  "__probe_ip",
  "__probe_func",
  "__probe_ret_ip",
]);

/** Gives each event a name of its own, and says which arguments had to be left out. */
export function withinLimits(probes: readonly PlannedProbe[]): {
  kept: PlannedProbe[];
  dropped: { probe: PlannedProbe; argument: string }[];
} {
  const taken = new Set<string>();
  const dropped: { probe: PlannedProbe; argument: string }[] = [];
  const seen = new Set<string>();
  const kept = probes.flatMap((probe) => {
    const { kind, module, symbol, offset } = probe;
    // Two classes may want the same tracepoint.
    const place = `${kind} ${module} ${symbol} ${offset}`;
    if (kind === "tracepoint" && seen.has(place)) return [];
    seen.add(place);
    const fits = probe.arguments.filter(({ name, fetch, type }, index) => {
      const good = index < MOST_ARGUMENTS && name.length <= LONGEST_NAME && !RESERVED.has(name);
      if (good && fetch.length + 1 + type.length <= LONGEST_ARGUMENT) return true;
      dropped.push({ probe, argument: name });
      return false;
    });
    return [{ ...probe, event: eventName(probe.event, taken), arguments: fits }];
  });
  return { kept, dropped };
}

function eventName(wanted: string, taken: Set<string>): string {
  const clean = wanted.replace(/\W/g, "_");
  let name = clean.slice(0, LONGEST_EVENT);
  for (let number = 2; taken.has(name); number++) {
    const tail = `_${number}`;
    name = `${clean.slice(0, LONGEST_EVENT - tail.length)}${tail}`;
  }
  taken.add(name);
  return name;
}
