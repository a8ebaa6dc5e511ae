import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Operation } from "../decode/operation.js";
import { type Reason, showsEffect, workedAround } from "../lifecycle/coverage.js";
import type { KernelObject } from "../lifecycle/objects.js";
import { counterFinding, isCounted, storyOf } from "./counted.js";
import type { Finding } from "./finding.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { functionsWith, type Judgement, lossesBetween } from "./verdict.js";

export const leak: Rule = {
  meta: {
    id: "leak",
    title: "a reference was taken and never given back",
    variants: ["leak", "free-missing"],
    page: `
An object stays although nothing holds it any more: its memory, its files in debugfs, and its module's reference stay
with it until reboot.

How ktally knows: an end was seen that should have freed the object. The counter reached zero and no destruction
followed, while the destruction of others was recorded before and after (derived). The module that the object belongs to
was unloaded (derived). Every file that holds a reference was closed, and the last put left some (suspected, unless all
kinds of holders were recorded).

Not accused: an object that is alive when the trace ends. It is listed under objects.

Fixed before: dropping the reference on the error path that took it (9ed1fdee9ee3 for kvmgt).
`,
  },
  watch: (context) => new Leak(context),
};

/** Release may be deferred (fput, RCU, work queues): only after this time does silence mean anything. */
const SETTLE_NS = 100_000_000n;
/** More references than a virtual machine of any size has. */
const LIKELY_REFS = 10_000;

interface HolderCount {
  opened: number;
  closed: number;
}

class Leak implements RuleWatch {
  readonly #context: RuleContext;
  /** Lives that ended at zero without a destruction, or may have; judged when the trace is over. */
  readonly #replaced: KernelObject[] = [];
  readonly #unloaded: { object: KernelObject; by: Operation }[] = [];
  /** What values that only their place suggests to be a counter's were like, per class. */
  readonly #guesses = new Map<string, { fitting: number; failed: boolean }>();
  /** Files opened and closed, per class and kind. */
  readonly #holders = new Map<string, Map<string, HolderCount>>();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  holder(operation: Operation): void {
    if (operation.outcome === "refused" || operation.holder === null) return;
    const kinds = this.#holders.get(operation.class.class) ?? new Map<string, HolderCount>();
    this.#holders.set(operation.class.class, kinds);
    const count = kinds.get(operation.holder) ?? { opened: 0, closed: 0 };
    kinds.set(operation.holder, count);
    if (operation.effect === "open") count.opened++;
    else count.closed++;
  }

  began(_object: KernelObject, before: KernelObject | null): void {
    if (before?.state === "replaced") this.#replaced.push(before);
  }

  operation(operation: Operation, object: KernelObject): void {
    this.#noteGuess(operation);
    if (object.class.class !== "module" || operation.effect !== "destroy") return;
    for (const entry of this.#classesOf(String(object.key))) {
      for (const alive of this.#context.world.objects.alive(entry)) {
        if (isExact(alive)) this.#unloaded.push({ object: alive, by: operation });
      }
    }
  }

  findings(): Finding[] {
    const findings: Finding[] = [];
    const told = new Set<KernelObject>();
    const tell = (object: KernelObject, finding: Finding | null) => {
      if (finding === null || told.has(object)) return;
      told.add(object);
      findings.push(finding);
    };
    for (const { object, by } of this.#unloaded) tell(object, this.#afterUnload(object, by));
    for (const object of [...this.#replaced, ...this.#context.world.objects.all()]) {
      if (!isCounted(object) || object.state === "destroyed") continue;
      tell(object, this.#afterZero(object));
      if (object.state === "alive") tell(object, this.#afterLastClose(object));
    }
    return findings;
  }

  /** The counter reached zero by a put, and nothing destroyed the object. */
  #afterZero(object: KernelObject): Finding | null {
    const last = object.ledger?.reachedUnused ?? null;
    if (last === null || !isExact(object) || last.read === null || last.read.guess) return null;
    const destroyers = functionsWith(object.class, "destroy");
    const { decoder } = this.#context;
    // Where no destruction was ever recorded, its absence is no news.
    if (!this.#recordsDestruction(object.class)) return null;
    // The task must have been seen again on this CPU: a CPU's trace may end right after the put.
    const seenAgain = this.#context.lastSeen(last.event.tid, last.event.cpu);
    if (seenAgain === null || seenAgain <= last.event.time) return null;
    const loweredBy = lossesBetween(this.#context, last.event.time, this.#context.end());
    if (!workedAround(decoder, object.class, ["destroy"], last.event, last.event)) {
      const text = `the destruction (${destroyers.join(", ")}) was not seen to be recorded both before and after`;
      loweredBy.push({ code: "not-probed", text, probe: null });
    }
    if (object.state === "replaced") {
      const text = "its address was used again: it was freed after all, or its destruction was not recorded";
      loweredBy.push({ code: "unseen-end", text, probe: null });
    }
    const evidence = storyOf(object, last, "the last reference is dropped, no destruction follows");
    const finding = counterFinding("leak", "free-missing", object, last, judge(loweredBy), evidence);
    finding.title = `${finding.object.label} lost its last reference and was not destroyed`;
    finding.explanation = `${last.function} brought the counter to ${object.class.counter?.unused ?? 0}, and ${destroyers[0]} was not called for it.`;
    finding.expected = `${destroyers[0]} right after the last put`;
    finding.sure = "the destruction of other objects was recorded before and after";
    return finding;
  }

  /** All files that hold references are closed, as far as they are recorded, and the object is still there. */
  #afterLastClose(object: KernelObject): Finding | null {
    const kinds = this.#holders.get(object.class.class);
    if (!kinds || object.created === null || !this.#recordsDestruction(object.class)) return null;
    const counted = [...kinds.values()].filter((count) => count.opened > 0);
    if (counted.length === 0 || counted.some((count) => count.opened !== count.closed)) return null;
    if (this.#context.end() - object.last.event.time < SETTLE_NS) return null;
    const unused = object.class.counter?.unused ?? 0;
    const lastPut = object.history.findLast((operation) => operation.effect === "put" && operation.read !== null);
    if (!lastPut || (lastPut.read?.value ?? 0) + lastPut.delta <= unused) return null;
    if (lastPut.read?.guess === true && !this.#isLikelyCounter(object.class)) return null;
    const open = this.#unrecordedHolders(object.class, kinds);
    const loweredBy: Reason[] = lossesBetween(this.#context, object.first.event.time, this.#context.end());
    if (open.length > 0) {
      const text = `whether a ${open.join(" or a ")} is still open is not recorded`;
      loweredBy.push({ code: "by-holders", text, probe: null });
    }
    if (lastPut.read?.guess === true) {
      const text = `that ${lastPut.event.probe.name} records the counter is only likely`;
      loweredBy.push({ code: "no-values", text, probe: lastPut.event.probe.name });
    }
    const text = "files are counted for all objects together, not for this one alone";
    loweredBy.push({ code: "by-holders", text, probe: null });
    const left = (lastPut.read?.value ?? 0) + lastPut.delta;
    const evidence = storyOf(object, object.last, "the last that was seen of it");
    const finding = counterFinding("leak", "leak", object, lastPut, judge(loweredBy), evidence);
    finding.title = `${finding.object.label} was never destroyed although its files are closed`;
    finding.explanation = `Every recorded file that holds a reference was closed; the last put left ${left}.`;
    finding.expected = `${functionsWith(object.class, "destroy")[0]} once the last file is closed`;
    finding.sure = `the counter was above ${unused} after the last put, and every other object was destroyed`;
    return finding;
  }

  /** The module was unloaded under a live object. */
  #afterUnload(object: KernelObject, by: Operation): Finding | null {
    if (object.state === "destroyed") return null;
    const range = object.ledger?.range() ?? null;
    const unused = object.class.counter?.unused ?? 0;
    if (range === null || range.least <= unused || !this.#recordsDestruction(object.class)) return null;
    const loweredBy = lossesBetween(this.#context, object.last.event.time, by.event.time);
    const evidence = storyOf(object, object.last, "the last that was seen of it");
    evidence.push({ event: by.event, operation: by, note: "its module is unloaded" });
    const finding = counterFinding("leak", "leak", object, object.last, judge(loweredBy), evidence);
    finding.title = `${finding.object.label} was left behind by its module`;
    finding.explanation = `Module ${String(by.object)} was unloaded while the counter was ${range.least}.`;
    finding.expected = "every object destroyed before its module is unloaded";
    finding.sure = "the counter was read from creation on without a break";
    return finding;
  }

  #classesOf(module: string): ClassEntry[] {
    return [...this.#context.world.classes()].filter((entry) => entry.kind === "counted" && entry.module === module);
  }

  /** Kinds of holders that are only seen to close: how many are open is unknown. */
  #unrecordedHolders(entry: ClassEntry, kinds: ReadonlyMap<string, HolderCount>): string[] {
    const all = new Set(
      Object.values(entry.functions).flatMap((spec) =>
        spec.effects.flatMap((effect) => (effect.holder === undefined ? [] : [effect.holder])),
      ),
    );
    return [...all].filter((kind) => (kinds.get(kind)?.opened ?? 0) === 0);
  }

  #recordsDestruction(entry: ClassEntry): boolean {
    return [...this.#context.decoder.uses].some((use) => showsEffect(use, entry, ["destroy"]));
  }

  /**
   * Whether values that only their place suggests to be the counter behave like one: never unused at a put, always
   * unused at a destruction.
   */
  #isLikelyCounter(entry: ClassEntry): boolean {
    const seen = this.#guesses.get(entry.class);
    return seen !== undefined && seen.fitting > 0 && !seen.failed;
  }

  #noteGuess(operation: Operation): void {
    const { read, effect } = operation;
    if (read === null || !read.guess || (effect !== "put" && effect !== "destroy")) return;
    const seen = this.#guesses.get(operation.class.class) ?? { fitting: 0, failed: false };
    this.#guesses.set(operation.class.class, seen);
    const unused = operation.class.counter?.unused ?? 0;
    if (effect === "destroy" && read.value === unused) seen.fitting++;
    const fits = effect === "destroy" ? read.value === unused : read.value > unused && read.value <= LIKELY_REFS;
    if (!fits) seen.failed = true;
  }
}

/** The counter was read from the object's beginning on, and every value fits. */
function isExact(object: KernelObject): boolean {
  const { ledger } = object;
  if (ledger === null || object.losses > 0) return false;
  return ledger.reads > 0 && ledger.unread === 0 && ledger.breaks.length === 0;
}

function judge(loweredBy: Reason[]): Judgement {
  return { verdict: loweredBy.length > 0 ? "suspected" : "derived", loweredBy };
}
