/**
 * What ktally's own recordings say of themselves (design, sections 8.1 and 8.2): which probes were armed though they
 * never fired, what they missed, and when the command that was recorded had gone with all its processes. A foreign
 * trace says nothing of this.
 */
import { parsePrototype } from "../../collectors/catalog/catalog.js";
import type { ClassEntry, Effect, FunctionEntry } from "../../collectors/catalog/schema.js";
import type { PlannedClass, PlannedProbe } from "../../collectors/plan.js";
import type { Recording } from "../../collectors/recording.js";
import type { AuditEvent } from "../decode/operation.js";
import type { CodeLocation, Probe } from "../import/trace-event.js";
import { ProcessTree } from "./process-tree.js";
import type { Reason } from "./reason.js";

/** Event group of ktally's own probes. Text prints none. */
const GROUP = "ktally";
/** What a kernel does not have at all cannot have gone unseen. */
const NOT_THERE: readonly string[] = ["not-configured", "other-era"];

/** A module that was loaded while its probes were armed in advance; `proven` once one of them was seen to work. */
interface Load {
  from: bigint;
  to: bigint | null;
  proven: boolean;
}

/** One recording, and what its trace showed of it. */
export class Recorded {
  readonly tree: ProcessTree | null;
  readonly #recording: Recording;
  readonly #probes: ReadonlyMap<string, PlannedProbe>;
  /** By symbol and offset. */
  readonly #byPlace = new Map<string, PlannedProbe>();
  /** By function and kind of probe. */
  readonly #byFunction = new Map<string, PlannedProbe[]>();
  readonly #loads = new Map<string, Load[]>();
  /** Classes of events that mean nothing. */
  readonly #voided = new Set<string>();
  readonly #classes: ReadonlyMap<string, PlannedClass>;

  constructor(recording: Recording) {
    this.#recording = recording;
    this.#probes = new Map(recording.plan.probes.map((probe) => [probe.event, probe]));
    this.#classes = new Map(recording.plan.classes.map((entry) => [entry.class, entry]));
    for (const probe of recording.plan.probes) {
      if (probe.kind === "kprobe") this.#byPlace.set(`${probe.symbol}+${probe.offset}`, probe);
      const key = functionKey(probe.function, probe);
      this.#byFunction.set(key, [...(this.#byFunction.get(key) ?? []), probe]);
    }
    this.tree = recording.command === null ? null : new ProcessTree(recording.command);
  }

  /** Classes that the plan is about. */
  get classes(): readonly string[] {
    return [...this.#classes.keys()];
  }

  /** The probe of the plan that an event format is of. */
  planned(probe: Probe): PlannedProbe | null {
    if (probe.system !== null && probe.system !== GROUP) return null;
    if (probe.kind !== "kprobe" && probe.kind !== "kretprobe") return null;
    // bpftrace calls a probe inside a function like the one at its entry.
    const place = probe.kind === "kprobe" && probe.at?.symbol ? `${probe.at.symbol}+${probe.at.offset}` : "";
    return this.#byPlace.get(place) ?? this.#probes.get(probe.name) ?? null;
  }

  /** Where a probe sits, as the plan has it: symbols of the end lie about modules that came and went. */
  locate(probe: Probe): CodeLocation | null {
    const planned = this.planned(probe);
    if (planned === null) return null;
    const { symbol, offset, module } = planned;
    return { address: probe.at?.address ?? null, symbol, offset, module };
  }

  /** Whether an event comes from another build of its module than the plan was made for: it may mean anything. */
  isVoid(event: AuditEvent): boolean {
    const planned = this.planned(event.probe);
    const module = planned?.module;
    if (module === undefined || module === null) return false;
    const seen = this.#recording.modules.filter(({ name }) => name === module);
    // The swap took place after the last look that found the planned build.
    const last = seen.findLast(({ beforeNs }) => event.time > BigInt(beforeNs));
    if (last?.build !== "other") return false;
    for (const name of planned?.classes ?? []) this.#voided.add(name);
    return true;
  }

  /** Whether events of a class had to be left out because another build of its module made them. */
  hasVoid(entry: ClassEntry): boolean {
    return this.#voided.has(entry.class);
  }

  /** Takes note of modules that are loaded and of probes that work in them. */
  note(event: AuditEvent): void {
    const { name, kind } = event.probe;
    if (kind === "kprobe" || kind === "kretprobe") {
      const module = this.planned(event.probe)?.module;
      const load = module == null ? undefined : this.#loads.get(module)?.at(-1);
      if (load) load.proven = true;
      return;
    }
    if (name !== "module_load" && name !== "module_free") return;
    const module = String(event.args[event.probe.fields.indexOf("name")] ?? "");
    const loads = this.#loads.get(module) ?? [];
    this.#loads.set(module, loads);
    if (name === "module_load") loads.push({ from: event.time, to: null, proven: false });
    else if (loads.length > 0) loads.at(-1)!.to = event.time;
  }

  /**
   * Whether every function of a class with such an effect had an armed probe over the whole time, and none missed a
   * hit: then that nothing was seen means that nothing was done.
   */
  sees(entry: ClassEntry, effects: readonly Effect[], from: bigint, to: bigint): boolean {
    const planned = this.#classes.get(entry.class);
    if (!planned || !this.#covers(from, to)) return false;
    const wanted = Object.entries(entry.functions).filter(([, spec]) =>
      spec.effects.some(({ effect, holder }) => holder === undefined && effects.includes(effect)),
    );
    return wanted.length > 0 && wanted.every(([name, spec]) => this.#seesFunction(name, spec, planned, from, to));
  }

  /** Whether every way to open or close a file that holds such an object had an armed probe. */
  seesHolders(entry: ClassEntry, from: bigint, to: bigint): boolean {
    const planned = this.#classes.get(entry.class);
    if (!planned || !this.#covers(from, to)) return false;
    const wanted = Object.entries(entry.functions).filter(([, spec]) =>
      spec.effects.some(({ holder }) => holder !== undefined),
    );
    return wanted.length > 0 && wanted.every(([name, spec]) => this.#seesFunction(name, spec, planned, from, to));
  }

  /** Nobody opened a file more that keeps such objects alive than had it open before; null where it is not known. */
  filesLeft(entry: ClassEntry): { comm: string; pid: number; file: string }[] | null {
    if (!this.#recording.allProcessesSeen || entry.files === undefined) return null;
    const { files } = entry;
    const matches = ({ file }: { file: string }) => files.some((prefix) => file.startsWith(prefix));
    const left = this.#recording.openAfter.filter(matches);
    for (const { pid, file } of this.#recording.openBefore.filter(matches)) {
      const index = left.findIndex((other) => other.pid === pid && other.file === file);
      if (index >= 0) left.splice(index, 1);
    }
    return left;
  }

  /** Whether the recording went on after the command until everything was quiet, and its end is in the trace. */
  get isSettled(): boolean {
    return this.#recording.settled?.quiet === true && this.tree?.sawEnd === true;
  }

  /** Why the plan's probes do not show all of a class; null for a class that it is not about. */
  reasons(entry: ClassEntry): Reason[] | null {
    const planned = this.#classes.get(entry.class);
    if (!planned) return null;
    const reasons: Reason[] = [];
    if (this.#recording.endedNs === null) {
      const text = "the recorder was killed: what its probes missed is not known";
      reasons.push({ code: "damaged", text, probe: null });
    }
    if (this.#recording.narrowed != null) {
      reasons.push({ code: "not-probed", text: this.#recording.narrowed, probe: null });
    }
    if (this.#recording.backend === "bpftrace") {
      const text = "bpftrace does not count the hits that it missed";
      reasons.push({ code: "not-probed", text, probe: null });
    }
    for (const { event, text } of this.#recording.unarmed) {
      if (this.#isAbout(event, entry)) reasons.push({ code: "not-probed", text: `${event}: ${text}`, probe: event });
    }
    for (const [event, { missed }] of Object.entries(this.#recording.counts)) {
      if (missed === 0 || !this.#isAbout(event, entry)) continue;
      reasons.push({ code: "lost-events", text: `${missed} hits of ${event} were missed`, probe: event });
    }
    for (const { name, build, atNs } of this.#recording.modules) {
      if (build !== "other" || !this.#recording.plan.probes.some((probe) => isProbeOf(probe, name, entry))) continue;
      const at = (Number(BigInt(atNs) / 1_000_000n) / 1000).toFixed(3);
      const text = `another build of ${name} was loaded before ${at}: its events are void`;
      reasons.push({ code: "not-probed", text, probe: null });
    }
    if (planned.covered === "partly" || planned.covered === "not") {
      const missing = planned.missing.filter(({ reason }) => !NOT_THERE.includes(reason));
      for (const { text } of missing) reasons.push({ code: "not-probed", text, probe: null });
      if (missing.length === 0) {
        const text = `the plan's probes show ${entry.class} ${planned.covered === "not" ? "not at all" : "in part"}`;
        reasons.push({ code: "not-probed", text, probe: null });
      }
    }
    return reasons;
  }

  /** How the plan covers a class. */
  covers(entry: ClassEntry): PlannedClass["covered"] | null {
    return this.#classes.get(entry.class)?.covered ?? null;
  }

  /** Events that the ring buffer could not take, as its own counters say. */
  get lost(): number {
    return this.#recording.losses.reduce((sum, { overrun, dropped }) => sum + overrun + dropped, 0);
  }

  #covers(from: bigint, to: bigint): boolean {
    const { startedNs, endedNs, narrowed } = this.#recording;
    return (narrowed ?? null) === null && endedNs !== null && from >= BigInt(startedNs) && to <= BigInt(endedNs);
  }

  #seesFunction(name: string, spec: FunctionEntry, planned: PlannedClass, from: bigint, to: bigint): boolean {
    const missing = planned.missing.find((candidate) => candidate.function === name);
    if (missing) return NOT_THERE.includes(missing.reason);
    const kinds = new Set(
      spec.effects.map(({ when, at }) => (when === undefined && at !== "return" ? "entry" : "both")),
    );
    const returns = kinds.has("both") && parsePrototype(spec.prototype).returns !== "void";
    const entries =
      this.#byFunction.get(`${name} entry`) ?? this.#byFunction.get(`${name} site`) ?? this.#allSites(planned);
    const works = (probes: readonly PlannedProbe[] | undefined) =>
      probes?.every((probe) => this.#works(probe, from, to)) === true;
    return works(entries) && (!returns || works(this.#byFunction.get(`${name} return`)));
  }

  /** Of a class that is counted instruction by instruction: then a function without a probe calls one that has. */
  #allSites({ class: name, covered }: PlannedClass): readonly PlannedProbe[] | undefined {
    const sites = this.#recording.plan.probes.filter(
      ({ site, classes }) => site !== null && site.effect !== "create" && classes.includes(name),
    );
    return covered === "exactly" && sites.length > 0 ? sites : undefined;
  }

  #works(probe: PlannedProbe, from: bigint, to: bigint): boolean {
    const off = this.#recording.unarmed.find(({ event }) => event === probe.event);
    if (off && (off.atNs === null || BigInt(off.atNs) <= to)) return false;
    if (probe.filter !== null || (this.#recording.counts[probe.event]?.missed ?? 1) > 0) return false;
    if (probe.module === null) return true;
    if (this.#recording.modules.some(({ name, build }) => name === probe.module && build === "other")) return false;
    const loads = this.#loads.get(probe.module) ?? [];
    return loads.every((load) => load.proven || load.from > to || (load.to !== null && load.to < from));
  }

  #isAbout(event: string, entry: ClassEntry): boolean {
    return this.#probes.get(event)?.classes.includes(entry.class) === true;
  }
}

function isProbeOf(probe: PlannedProbe, module: string, entry: ClassEntry): boolean {
  return probe.module === module && probe.kind !== "tracepoint" && probe.classes.includes(entry.class);
}

function functionKey(name: string, probe: PlannedProbe): string {
  if (probe.site !== null) return `${name} site`;
  return `${name} ${probe.kind === "kretprobe" ? "return" : "entry"}`;
}
