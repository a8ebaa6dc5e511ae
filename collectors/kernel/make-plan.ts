/** The probe plan for a kernel: every probe that the catalogue's classes want and this kernel can have. */
import type { Catalog, CataloguedFunction } from "../catalog/catalog.js";
import type { ClassEntry } from "../catalog/schema.js";
import type { PlannedProbe, ProbePlan } from "../plan.js";
import { judgeClass } from "./class-coverage.js";
import { type ClassSite, type ClassSites, findClassSites } from "./class-sites.js";
import { sourceName } from "./function.js";
import { functionProbes, saidBySites } from "./function-probes.js";
import type { KernelView } from "./kernel-view.js";
import { withinLimits } from "./limits.js";
import { isMissing, type LocatedFunction, locateFunction, type Missing } from "./locate.js";
import { storedProbes } from "./stored-values.js";
import { hasTracepoint, supportProbes } from "./support-probes.js";

/** Plans for `classes`, or for all. */
export function makePlan(view: KernelView, catalog: Catalog, classes: ReadonlySet<string> | null = null): ProbePlan {
  const wanted = [...catalog.classes.values()].filter((entry) => classes === null || classes.has(entry.class));
  const sites = findClassSites(view, catalog);
  const probes: PlannedProbe[] = [];
  const located = new Map<string, LocatedFunction | Missing>();
  // From 6.9 on a return probe keeps what the entry's arguments were (25f00e40ce79): this is the function that does it.
  const readsEntry =
    view.btf.hasFunction("store_trace_entry_data") || view.symbols?.has("store_trace_entry_data") === true;
  for (const known of catalog.functions.values()) {
    const owner = known.meanings[0]?.class;
    if (!known.meanings.some((meaning) => wanted.includes(meaning.class))) continue;
    const found = locateFunction(view, known.name, owner?.module);
    located.set(known.name, found);
    if (isMissing(found) || isSaid(known, sites)) continue;
    const btf = found.module === null ? view.btf : (view.modules.get(found.module)?.btf ?? view.btf);
    probes.push(...functionProbes(known, found, btf, readsEntry, (entry) => sites.offsets.get(entry.class) ?? null));
    probes.push(...storedProbes(known, found, btf));
  }
  for (const site of sites.found) if (wanted.includes(site.class)) probes.push(siteProbe(site));
  for (const entry of wanted) {
    for (const [name, { rate }] of Object.entries(entry.tracepoints)) {
      if (hasTracepoint(view, name)) probes.push(tracepoint(name, entry.class, rate));
    }
  }
  probes.push(...supportProbes(view));
  const { kept, dropped } = withinLimits(probes);
  return {
    schema: 1,
    kernel: { release: view.release, buildId: view.buildId },
    modules: Object.fromEntries(
      [...view.modules.values()].map(({ name, buildId, srcversion }) => [name, { buildId, srcversion }]),
    ),
    probes: kept,
    classes: wanted.map((entry) => judgeClass(entry, { probes: kept, dropped, located, sites })),
  };
}

/**
 * Sites that always succeed say more than a probe on the function around them. Where they are all of a class's, one on a
 * function that calls that function would count the same operation again.
 */
function isSaid(known: CataloguedFunction, { found, lost }: ClassSites): boolean {
  const sure = found.filter(({ site }) => !site.operation.conditional);
  const inside = sure.filter(({ symbol }) => sourceName(symbol) === known.name);
  const isAll = (owner: ClassEntry) =>
    ["get", "put"].every((effect) => sure.some((one) => one.class === owner && one.site.effect === effect)) &&
    found.every((one) => one.class !== owner || sure.includes(one)) &&
    lost.every((one) => one.class !== owner);
  const all = known.meanings.map((meaning) => meaning.class).filter(isAll);
  return saidBySites(known, new Set([...inside.map((site) => site.class), ...all].map((owner) => owner.class)));
}

function siteProbe({ class: entry, module, symbol, site }: ClassSite): PlannedProbe {
  const { operation, effect, object, refs, delta } = site;
  return {
    event: `${sourceName(symbol)}_${operation.offset.toString(16)}`,
    kind: "kprobe",
    module,
    symbol,
    offset: operation.offset,
    function: sourceName(symbol),
    classes: [entry.class],
    site: { effect, bytes: operation.bytes, next: operation.next, conditional: operation.conditional },
    arguments: [
      { name: entry.names?.[0] ?? "object", fetch: object, type: "x64" },
      { name: "refs", fetch: refs, type: "s32" },
      { name: "delta", fetch: delta, type: "s32" },
    ],
    filter: null,
    rate: "per-object",
  };
}

function tracepoint(name: string, owner: string, rate: PlannedProbe["rate"]): PlannedProbe {
  const [system = "", event = ""] = name.split(":");
  return {
    event,
    kind: "tracepoint",
    module: system,
    symbol: event,
    offset: 0,
    function: event,
    classes: [owner],
    site: null,
    arguments: [],
    filter: null,
    rate,
  };
}
