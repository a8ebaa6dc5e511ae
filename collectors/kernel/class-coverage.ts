/** How completely a plan sees a class, and what it cannot see. */
import type { ClassEntry, Effect } from "../catalog/schema.js";
import type { PlannedClass, PlannedProbe } from "../plan.js";
import type { ClassSites, LostSite } from "./class-sites.js";
import { sourceName } from "./function.js";
import { isMissing, type LocatedFunction, type Missing } from "./locate.js";

interface Planned {
  probes: readonly PlannedProbe[];
  dropped: readonly { probe: PlannedProbe; argument: string }[];
  located: ReadonlyMap<string, LocatedFunction | Missing>;
  sites: ClassSites;
}

export function judgeClass(entry: ClassEntry, planned: Planned): PlannedClass {
  const missing = Object.keys(entry.functions).flatMap((name) => {
    const found = planned.located.get(name);
    return found !== undefined && isMissing(found) ? [found] : [];
  });
  const lost = planned.sites.lost.filter((site) => site.class === entry);
  missing.push(...lost.map((site) => explainLost(site)));
  for (const { probe, argument } of planned.dropped) {
    if (probe.classes.includes(entry.class)) {
      missing.push({ function: probe.function, reason: "limit", text: `ftrace cannot record ${argument}` });
    }
  }
  if (entry.counter !== undefined && entry.struct !== undefined && !planned.sites.offsets.has(entry.class)) {
    missing.push({
      function: entry.struct,
      reason: "no-btf",
      text: `no type says where struct ${entry.struct} has its counter`,
    });
  }
  return { class: entry.class, covered: coverageOf(entry, planned, lost), missing };
}

const WHY: Readonly<Record<LostSite["why"], { reason: Missing["reason"]; text: string }>> = {
  object: { reason: "limit", text: "no register holds the object when the counter changes" },
  uncertain: { reason: "no-btf", text: "a counter at the same offset changes, and no type says whose it is" },
  patched: { reason: "patched", text: "the kernel replaces the instruction while it runs" },
  blacklisted: { reason: "blacklisted", text: "kprobes refuse it" },
};

function explainLost({ symbol, offset, why }: LostSite): Missing {
  const { reason, text } = WHY[why];
  return { function: sourceName(symbol), reason, text: `+0x${offset.toString(16)}: ${text}` };
}

function coverageOf(entry: ClassEntry, planned: Planned, lost: readonly LostSite[]): PlannedClass["covered"] {
  const own = planned.probes.filter((probe) => probe.classes.includes(entry.class));
  if (own.length === 0) return "not";
  if (own.some((probe) => probe.kind === "tracepoint")) return "exactly";
  const seen = (...effects: Effect[]) => effects.some((effect) => seesEffect(entry, own, effect));
  if (entry.counter !== undefined) {
    const counted = planned.sites.offsets.has(entry.class) && isCounted(entry, own, lost);
    // Where no function makes it that has a name, its first value tells.
    const made = seen("create") || !catalogued(entry, "create");
    if (counted && made && seen("destroy", "put")) return "exactly";
    return seen("open") && seen("close") ? "holders" : "partly";
  }
  const pairs: [Effect, Effect][] = [
    ["register", "unregister"],
    ["create", "destroy"],
    ["open", "close"],
    ["link", "unlink"],
  ];
  const used = pairs.filter((pair) => pair.some((effect) => catalogued(entry, effect)));
  return used.every((pair) => pair.every((effect) => !catalogued(entry, effect) || seen(effect)))
    ? "exactly"
    : "partly";
}

/** Whether every change of the counter has a probe: where a site cannot be, one on the function around it. */
function isCounted(entry: ClassEntry, own: readonly PlannedProbe[], lost: readonly LostSite[]): boolean {
  const sites = own.filter((probe) => probe.site !== null);
  if (sites.length === 0 && !seesAll(entry, own)) return false;
  return lost.every(({ symbol, why }) => {
    const source = sourceName(symbol);
    // The function's own probe with its return counts the operation as well.
    return (
      why !== "uncertain" &&
      own.some((probe) => probe.function === source && probe.site === null && source in entry.functions)
    );
  });
}

/** A class in code that was not read is counted by its functions, if none of them is inlined into others. */
function seesAll(entry: ClassEntry, own: readonly PlannedProbe[]): boolean {
  const counting = Object.entries(entry.functions).filter(([, { effects }]) =>
    effects.some(({ effect }) => effect === "get" || effect === "put"),
  );
  return (
    counting.length > 0 &&
    counting.every(([name, { inlined }]) => inlined === undefined && own.some((probe) => probe.function === name))
  );
}

function catalogued(entry: ClassEntry, effect: Effect): boolean {
  return Object.values(entry.functions).some(({ effects }) => effects.some((candidate) => candidate.effect === effect));
}

function seesEffect(entry: ClassEntry, own: readonly PlannedProbe[], effect: Effect): boolean {
  return own.some(
    ({ function: name, site }) =>
      site?.effect === effect ||
      (site === null && entry.functions[name]?.effects.some((candidate) => candidate.effect === effect) === true),
  );
}
