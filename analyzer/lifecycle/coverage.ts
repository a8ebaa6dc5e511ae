/**
 * How completely each class was seen, and why not (design, section 8.1). Not seeing something is a fact about the
 * recording, never about the kernel: it lowers verdicts and is told, it accuses nobody.
 */
import { type Catalog, functionsWith, parsePrototype } from "../../collectors/catalog/catalog.js";
import type { ClassEntry, EffectEntry } from "../../collectors/catalog/schema.js";
import type { Decoder, ProbeUse } from "../decode/decoder.js";
import { withoutCloneSuffix } from "../decode/interpret.js";
import { isAside, isReading, type Operation } from "../decode/operation.js";
import type { Gap, SourceFacts } from "../import/trace-event.js";
import { sumUp } from "./losses.js";
import { Nameless } from "./nameless.js";
import type { KernelObject } from "./objects.js";
import type { Reason, ReasonCode } from "./reason.js";
import type { Recorded } from "./recorded.js";
import { isTableEffect, type Observer, type World } from "./world.js";

export type { Reason } from "./reason.js";

export type CoverageState = "complete" | "partial" | "blind" | "absent";

export interface Coverage {
  class: ClassEntry;
  state: CoverageState;
  judged: boolean;
  reasons: Reason[];
  /** An effect on an object, an entry or an instance of the class was seen. */
  effects: number;
}

/** One is enough to say so; more only so that some may still become known. */
const MAX_UNKNOWN = 64;

/** Collects what coverage is told by while the trace is read. */
export class CoverageObserver implements Observer {
  readonly #effects = new Map<ClassEntry, { count: number }>();
  readonly nameless = new Nameless();
  readonly #late = new Map<string, KernelObject>();
  readonly #replaced = new Map<string, KernelObject>();
  /** Calls whose result is not known (yet): nobody may record returns, or this one was lost. */
  readonly #unknownResults = new Map<string, Set<Operation>>();
  readonly #unmatched = new Map<string, Operation>();
  readonly #displaced = new Map<string, Operation>();

  operation(operation: Operation, object: KernelObject): void {
    this.count(operation);
    if (operation.event === object.first.event && object.generation >= 1) this.#checkStart(object);
  }

  /** Every decoded operation passes here, those without a known object included. */
  decoded(operation: Operation): void {
    // Most of what a workqueue runs is of no class.
    if (operation.class.works?.functions.length === 0) return;
    if (isOutsideLives(operation) || operation.object === null) this.count(operation);
    this.nameless.note(operation);
  }

  /** A call's outcome became known, or is given up. */
  outcome(operation: Operation): void {
    if (operation.holder !== null || isAside(operation)) return;
    const calls = this.#unknownResults.get(operation.class.class) ?? new Set();
    if (operation.outcome !== "unknown") calls.delete(operation);
    else if (calls.size < MAX_UNKNOWN) calls.add(operation);
    this.#unknownResults.set(operation.class.class, calls);
  }

  began(_object: KernelObject, before: KernelObject | null): void {
    if (before?.state !== "replaced" || before.class.class === "module" || isOver(before)) return;
    this.#replaced.set(before.class.class, before);
  }

  registered(entry: { class: ClassEntry }, before: { registered: Operation } | null): void {
    if (before && !this.#displaced.has(entry.class.class)) this.#displaced.set(entry.class.class, before.registered);
  }

  unmatched(unmatched: { operation: Operation }): void {
    const name = unmatched.operation.class.class;
    if (!this.#unmatched.has(name)) this.#unmatched.set(name, unmatched.operation);
  }

  count(operation: Operation): void {
    if (isReading(operation)) return;
    const counted = this.#effects.get(operation.class);
    if (counted) counted.count++;
    else this.#effects.set(operation.class, { count: 1 });
  }

  /** Effects seen on objects, entries or instances of a class. */
  effectsOn(entry: ClassEntry): number {
    return this.#effects.get(entry)?.count ?? 0;
  }

  #checkStart(object: KernelObject): void {
    const counter = object.class.counter;
    if (!counter || object.class.class === "module" || isReading(object.first)) return;
    const first = object.ledger?.first ?? null;
    if (object.created === null && first !== counter.initial && !this.#late.has(object.class.class)) {
      this.#late.set(object.class.class, object);
    }
  }

  /** What the events themselves show of gaps in a class, apart from probes and losses. */
  reasons(entry: ClassEntry): Reason[] {
    const name = entry.class;
    const reasons: Reason[] = [];
    const say = (code: ReasonCode, text: string, operation: Operation | null) =>
      reasons.push({ code, text, probe: operation?.event.probe.name ?? null });
    const nameless = this.nameless.of(entry);
    if (nameless) say("no-object", `${nameless.function} is recorded without the object it is about`, nameless);
    const late = this.#late.get(name);
    if (late && late.ledger !== null) {
      if (late.ledger.first === null) {
        say("no-values", `${late.first.function} is recorded without the counter's value`, late.first);
      } else {
        say(
          "started-late",
          `a ${entry.title} was there before the trace: its counter is first read as ${late.ledger.first}`,
          late.first,
        );
      }
    }
    const replaced = this.#replaced.get(name);
    if (replaced) say("unseen-end", `a ${entry.title} ended unseen: another one has its address`, replaced.last);
    const [unknown] = this.#unknownResults.get(name) ?? [];
    if (unknown) say("result-unknown", `the result of ${unknown.function} is not recorded`, unknown);
    const unmatched = this.#unmatched.get(name);
    if (unmatched) say("started-late", `${unmatched.function} ended an entry whose register was not seen`, unmatched);
    const displaced = this.#displaced.get(name);
    if (displaced)
      say("unseen-unregister", `an entry was registered anew without its unregister being seen`, displaced);
    return reasons;
  }
}

/** Where no function is catalogued that destroys it, its last put is the end. */
function isOver({ class: entry, ledger }: KernelObject): boolean {
  return functionsWith(entry, "destroy").length === 0 && (ledger?.reachedUnused ?? null) !== null;
}

export interface CoverageInput {
  catalog: Catalog;
  decoder: Decoder;
  world: World;
  observed: CoverageObserver;
  sources: readonly SourceFacts[];
  /** What ktally's own recordings among the sources say of themselves. */
  recorded: readonly Recorded[];
  /** Classes to judge; null: those of the recorder's plan, without one all that are not absent. */
  classes: readonly string[] | null;
}

/** The verdict on what was seen, one per class of the catalog. */
export function judgeCoverage(input: CoverageInput): Coverage[] {
  const uses = [...input.decoder.uses];
  const stackFunctions = functionsInStacks(input);
  const planned = new Set(input.recorded.flatMap(({ classes }) => classes));
  const wanted = input.classes ?? (planned.size > 0 ? [...planned] : null);
  return [...input.catalog.classes.values()].map((entry) => {
    const effects = input.observed.effectsOn(entry);
    const state = effects > 0 ? seen(entry, input, uses) : unseen(entry, input, stackFunctions, uses);
    const judged = wanted ? wanted.includes(entry.class) : state.state !== "absent";
    return { class: entry, effects, judged, ...state };
  });
}

function unseen(
  entry: ClassEntry,
  input: CoverageInput,
  stackFunctions: ReadonlySet<string>,
  uses: readonly ProbeUse[],
): { state: CoverageState; reasons: Reason[] } {
  const active = entry.loaded_by.find((name) => input.world.owners.changed.has(name));
  // Armed probes that stay silent show that nothing was done.
  const plan = planReasons(entry, input);
  if (input.recorded.some((one) => one.hasVoid(entry))) return { state: "blind", reasons: plan ?? [] };
  if (active !== undefined && (plan === null || plan.length > 0)) {
    const text = `${active} was loaded or unloaded, which changes this class, and no event shows how`;
    const reasons: Reason[] = [{ code: "no-effect-seen", text, probe: null }, ...(plan ?? neverFired(entry, input))];
    return { state: "blind", reasons: [...reasons, ...unknownFunctions(uses)] };
  }
  const functions = [...Object.keys(entry.functions), ...Object.keys(entry.sites)];
  const inStack = functions.find((name) => stackFunctions.has(name));
  if (inStack === undefined) return { state: "absent", reasons: [] };
  const text = `${inStack} appears in stacks only: no probe is on this class`;
  return { state: "absent", reasons: [{ code: "seen-in-stacks", text, probe: null }] };
}

function seen(
  entry: ClassEntry,
  input: CoverageInput,
  uses: readonly ProbeUse[],
): { state: CoverageState; reasons: Reason[] } {
  const reasons = lossReasons(input.world.gaps, input.sources);
  reasons.push(...input.observed.reasons(entry));
  const plan = planReasons(entry, input);
  const byHolders = plan !== null && input.recorded.some((one) => one.covers(entry) === "holders");
  if (entry.counter && !byHolders) reasons.push(...counterReasons(entry, input, uses));
  // Where the counter itself was read from first to last, a probe more would show nothing new.
  if (!entry.counter || byHolders || reasons.length > 0) reasons.push(...(plan ?? probeReasons(entry, input, uses)));
  const state = reasons.length === 0 ? "complete" : "partial";
  if (byHolders) {
    // Open and close of every holder is a complete view, and another one than the counter's.
    const text = `told by the files that hold a ${entry.title}: this kernel lets nobody see its counter's every change`;
    reasons.push({ code: "by-holders", text, probe: null });
  }
  return { state, reasons: distinct(reasons) };
}

/** What the plan's probes do not show; null where no plan is about the class. */
function planReasons(entry: ClassEntry, input: CoverageInput): Reason[] | null {
  const told = input.recorded.map((one) => one.reasons(entry)).filter((reasons) => reasons !== null);
  return told.length === 0 ? null : told.flat();
}

function distinct(reasons: readonly Reason[]): Reason[] {
  return reasons.filter(
    (reason, index) => reasons.findIndex((other) => other.code === reason.code && other.text === reason.text) === index,
  );
}

function lossReasons(gaps: readonly Gap[], sources: readonly SourceFacts[]): Reason[] {
  const losses = sumUp(gaps);
  if (losses === null) return [];
  if (gaps.every((gap) => gap.code === "left-out")) {
    const text = "the recording is only a part: it leaves out events, or their order (its warnings say which)";
    return [{ code: "lost-events", text, probe: null }];
  }
  const where = sources.length === 1 ? "the trace" : "a trace";
  const places = gaps.length === 1 ? "one place" : `${gaps.length} places`;
  return [{ code: losses.code, text: `${where} says that ${losses.what} are missing, in ${places}`, probe: null }];
}

/** What keeps a counter's ledger from being exact from creation to destruction. */
function counterReasons(entry: ClassEntry, input: CoverageInput, uses: readonly ProbeUse[]): Reason[] {
  const reasons: Reason[] = [];
  const { lives, broken, breaks, unread, endUnseen, lastPutUnseen, reads } = input.world.objects.summary(entry);
  if (lives === 0) {
    reasons.push({ code: "by-holders", text: `only files that hold a ${entry.title} are recorded`, probe: null });
  }
  const first = broken?.ledger?.breaks[0];
  if (first) {
    const [expected] = first.expected;
    const more = breaks > 1 ? ` (and ${breaks - 1} more such)` : "";
    const text = `the counter changed unseen: ${expected} was due, then ${first.read} was read${more}`;
    reasons.push({ code: "unseen-change", text, probe: first.operation.event.probe.name });
  }
  if (unread && !reasons.some((reason) => reason.code === "no-values")) {
    const text = `${unread.first.function} is recorded without the counter's value`;
    reasons.push({ code: "no-values", text, probe: unread.first.event.probe.name });
  }
  if (lives > 0 && reads === 0 && unread === null) {
    reasons.push({ code: "no-values", text: `no event shows the counter of a ${entry.title}`, probe: null });
  }
  if (lastPutUnseen) {
    const left = lastPutUnseen.ledger?.range()?.least;
    const references = left === 1 ? "one reference was" : `${left} references were`;
    const text = `a ${entry.title} was destroyed while ${references} left: a put was not seen`;
    reasons.push({ code: "unseen-change", text, probe: lastPutUnseen.destroyed?.event.probe.name ?? null });
  }
  if (endUnseen) {
    const text = `a ${entry.title} lost its last reference and no event shows its destruction`;
    reasons.push({ code: "unseen-end", text, probe: null });
  }
  if (reasons.length > 0 || input.observed.reasons(entry).length > 0) reasons.push(...inlinedReasons(entry, uses));
  return reasons;
}

function inlinedReasons(entry: ClassEntry, uses: readonly ProbeUse[]): Reason[] {
  const exact = uses.some((use) => use.interpretation.role === "site" && use.interpretation.class === entry);
  if (exact) return [];
  const inlined = Object.entries(entry.functions).filter(([, spec]) => spec.inlined !== undefined);
  if (inlined.length === 0) return [];
  const [name, spec] = inlined[0] ?? ["", { inlined: "" }];
  const text = `gets and puts are inlined (${name}: ${spec.inlined}), entry probes do not see them`;
  return [{ code: "inlined", text, probe: null }];
}

/** Catalogued functions whose effect nobody records, probes that never fired, and probes on unknown functions. */
function probeReasons(entry: ClassEntry, input: CoverageInput, uses: readonly ProbeUse[]): Reason[] {
  const probed = new Set<string>();
  for (const { interpretation: meaning } of uses) {
    if (meaning.role === "entry" || meaning.role === "return") probed.add(meaning.function.name);
    if (meaning.role === "site" && meaning.function !== null) probed.add(meaning.function);
    if (meaning.role === "tracepoint") probed.add(meaning.event);
  }
  const present = (name: string) => input.sources.some((source) => source.symbols?.has(name) !== false);
  const missing = Object.entries(entry.functions)
    .filter(([name, spec]) => !probed.has(name) && spec.effects.some(showsLife) && present(name))
    .map(([name]) => name);
  const reasons: Reason[] = [...neverFired(entry, input)];
  if (missing.length > 0) {
    const few = missing.slice(0, 3).join(", ");
    const more = missing.length > 3 ? ` and ${missing.length - 3} more` : "";
    reasons.push({ code: "not-probed", text: `no event of ${few}${more}`, probe: null });
  }
  reasons.push(...unknownFunctions(uses));
  return reasons;
}

/** Effects that a class cannot be complete without: holders stand in for references, what is aside is extra. */
function showsLife(effect: EffectEntry): boolean {
  return effect.holder === undefined && !isAside(effect);
}

function isOutsideLives(operation: Operation): boolean {
  const { holder, class: entry } = operation;
  return holder !== null || isTableEffect(operation) || isAside(operation) || entry.kind === "instance";
}

function unknownFunctions(uses: readonly ProbeUse[]): Reason[] {
  return uses
    .filter((use) => use.interpretation.role === "unknown")
    .map((use) => ({
      code: "function-unknown" as const,
      text: `the function that ${use.probe.name} probes cannot be told`,
      probe: use.probe.name,
    }));
}

/**
 * Listed kprobes that never fired and may be about the class: by the function in their name, or because they record
 * just what a function of the class is called with.
 */
function neverFired(entry: ClassEntry, input: CoverageInput): Reason[] {
  const functions = Object.entries(entry.functions)
    .filter(([, spec]) => spec.effects.some(showsLife))
    .map(([name, spec]) => ({
      name,
      parameters: parsePrototype(spec.prototype).parameters.map(({ name: word }) => word),
    }));
  const reasons: Reason[] = [];
  for (const source of input.sources) {
    for (const { name, kind, fields, fired } of source.listed) {
      if (fired || (kind !== "kprobe" && kind !== "kretprobe")) continue;
      const related = functions.some(
        (known) =>
          name.includes(known.name) ||
          (known.parameters.length > 0 && known.parameters.every((word) => fields.includes(word))),
      );
      if (related) reasons.push({ code: "probe-never-fired", text: `${name} never fired`, probe: name });
    }
  }
  return reasons;
}

/** Functions of the catalog that appear in the stacks of wanted events. */
function functionsInStacks(input: CoverageInput): ReadonlySet<string> {
  const found = new Set<string>();
  const locate = (address: bigint) => {
    for (const source of input.sources) {
      const symbol = source.symbols?.locate(address).symbol;
      if (symbol) return symbol;
    }
    return null;
  };
  const addresses = new Set<bigint>();
  for (const stack of input.decoder.stacks) {
    for (const frame of stack.frames) {
      if (frame.symbol !== null) found.add(withoutCloneSuffix(frame.symbol));
      else if (frame.address !== null) addresses.add(frame.address);
    }
  }
  for (const address of addresses) {
    const symbol = locate(address);
    if (symbol !== null) found.add(withoutCloneSuffix(symbol));
  }
  return found;
}
