import { functionsWith } from "../../collectors/catalog/catalog.js";
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Call, Operation } from "../decode/operation.js";
import type { Reason } from "../lifecycle/coverage.js";
import { HolderCounts } from "../lifecycle/holders.js";
import type { KernelObject } from "../lifecycle/objects.js";
import { recordsCalls, showsEffect, workedAround } from "../lifecycle/shown.js";
import { keep, keepFirst } from "./cases.js";
import { counterFinding, isCounted, storyOf } from "./counted.js";
import { GuessedCounters } from "./counter-values.js";
import { FailedCallLeak } from "./failed-call.js";
import type { Finding } from "./finding.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { doubtsBetween, judgeAbsence, judgementOf } from "./verdict.js";

export const leak: Rule = {
  meta: {
    id: "leak",
    title: "a reference was taken and never given back",
    variants: ["leak", "free-missing"],
    page: `
An object stays although nothing holds it any more: its memory, its files in debugfs, and its module's reference stay
with it until reboot.

How ktally knows: an end was seen that should have freed the object. The counter reached zero and no destruction
followed, while the destruction of others was recorded before and after. The module whose code it runs was unloaded.
Every file that holds a reference was closed, and the last put left some. Everything that it could belong to is gone.
Or a call took a reference, returned an error and kept it (derived where puts, or the value read next, are recorded).
The first two are derived where values and destructions were recorded completely, else suspected; that files or
parents are gone is a suspicion, since a foreign recording does not say which of them it would have shown; ktally's own
does. After ktally check, a command whose processes are all gone, and no file of theirs is open anywhere, must have left
nothing behind.

Not accused: an object that is alive when the trace ends. It is listed under objects.

Fixed before: dropping the reference on the error path that took it (9ed1fdee9ee3 for kvmgt).
`,
  },
  watch: (context) => [new Leak(context), new FailedCallLeak(context)],
};

/** Release may be deferred (fput, RCU, work queues): only after this time does silence mean anything. */
const SETTLE_NS = 100_000_000n;
/** Lives of one class that are judged once the trace is over; where so many lost their destruction, none is news. */
const MAX_REPLACED = 1024;
/** More destructions than are under way at a time; bounds memory on hostile input. */
const MAX_BEGUN = 4096;

/** A recording without ktally's own plan does not say what it would have shown: these never go beyond a suspicion. */
const HOLDERS_UNPLANNED: Reason = {
  code: "by-holders",
  text: "that every kind of file which can hold it was recorded is not known: the recording has no plan of its probes",
  probe: null,
};
const RELEASE_UNPLANNED: Reason = {
  code: "not-probed",
  text: "that every way to release it was recorded is not known: the recording has no plan of its probes",
  probe: null,
};

const LAST_PUTS_UNSEEN: Reason = {
  code: "unseen-end",
  text: "none of its kind was seen to lose its last reference: what drops it may not be recorded",
  probe: null,
};

/** The end of what an object needs, and the words for it. */
interface End {
  by: Operation;
  what: string;
  note: string;
  before: string;
  how: string;
}

class Leak implements RuleWatch {
  readonly #context: RuleContext;
  /** Lives that ended at zero without a destruction, or may have; judged when the trace is over. */
  readonly #replaced = new Map<ClassEntry, KernelObject[]>();
  readonly #unloaded = new Map<KernelObject, Operation>();
  readonly #guesses = new GuessedCounters();
  readonly #holders = new HolderCounts();
  /** What the init function of a module made, by the module's name. */
  readonly #made = new Map<string, KernelObject[]>();
  readonly #leftBehind: { object: KernelObject; by: Operation }[] = [];
  /** Destructions that were entered last for an address, and are done only when they return. */
  readonly #begun = new Map<string, Operation>();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  holder(operation: Operation): void {
    this.#holders.note(operation);
  }

  began(_object: KernelObject, before: KernelObject | null): void {
    if (before?.state !== "replaced" || before.ledger?.reachedUnused == null || !isExact(before)) return;
    const replaced = this.#replaced.get(before.class) ?? [];
    this.#replaced.set(before.class, replaced);
    if (replaced.length < MAX_REPLACED) replaced.push(before);
  }

  called({ operations }: Call): void {
    for (const operation of operations) {
      if (operation.effect !== "destroy" || operation.outcome !== "pending") continue;
      if (this.#begun.size >= MAX_BEGUN) this.#begun.clear();
      this.#begun.set(`${operation.class.class}/${operation.object}`, operation);
    }
  }

  operation(operation: Operation, object: KernelObject): void {
    this.#holders.noteGet(operation);
    this.#guesses.note(operation);
    this.#noteMaker(operation, object);
    if (object.class.class !== "module" || operation.effect !== "destroy") return;
    for (const made of this.#made.get(String(object.key)) ?? []) {
      if (made.state === "alive") keep(this.#leftBehind, { object: made, by: operation });
    }
    this.#made.delete(String(object.key));
    for (const entry of this.#classesOf(String(object.key))) {
      for (const alive of this.#context.world.objects.alive(entry)) keepFirst(this.#unloaded, alive, operation);
    }
  }

  #noteMaker(operation: Operation, object: KernelObject): void {
    if (object.class.kind !== "object" || object.created !== operation) return;
    const maker = this.#context.world.owners.loading(operation.event);
    if (maker === null) return;
    const made = this.#made.get(maker.name) ?? [];
    this.#made.set(maker.name, made);
    keep(made, object);
  }

  findings(): Finding[] {
    const findings: Finding[] = [];
    const told = new Set<KernelObject>();
    const tell = (object: KernelObject, finding: Finding | null) => {
      if (finding === null || told.has(object)) return;
      told.add(object);
      findings.push(finding);
    };
    for (const [object, by] of this.#unloaded) tell(object, this.#afterUnload(object, by));
    for (const { object, by } of this.#leftBehind) {
      const what = `module ${String(by.object)}`;
      const end = { by, what, note: `${what} is unloaded`, before: `${what} is unloaded`, how: "unloaded" };
      if (object.state === "alive") tell(object, this.#outlived(object, end));
    }
    for (const object of [...[...this.#replaced.values()].flat(), ...this.#context.world.objects.all()]) {
      if (object.state === "destroyed") continue;
      if (object.state === "alive" && object.class.parent !== undefined) tell(object, this.#afterParents(object));
      if (!isCounted(object)) continue;
      tell(object, this.#afterZero(object));
      if (object.state === "alive") tell(object, this.#afterCommand(object));
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
    // It was called, and only its return is missing.
    const begun = this.#begun.get(`${object.class.class}/${object.key}`);
    if (begun !== undefined && begun.event.time >= object.first.event.time) return null;
    // Where no destruction was ever recorded, its absence is no news.
    if (!this.#recordsDestruction(object.class)) return null;
    // The task must have been seen again on this CPU: a CPU's trace may end right after the put.
    const seenAgain = this.#context.lastSeen(last.event.tid, last.event.cpu);
    if (seenAgain === null || seenAgain <= last.event.time) return null;
    const loweredBy = this.#endDoubts(object.class, last.event.time, this.#context.end());
    if (!workedAround(decoder, object.class, ["destroy"], last.event, last.event)) {
      const text = `the destruction (${destroyers.join(", ")}) was not seen to be recorded both before and after`;
      loweredBy.push({ code: "not-probed", text, probe: null });
    }
    const attempt = object.history.find(({ effect, outcome }) => effect === "get" && outcome === "unknown");
    if (attempt) {
      const text = `whether ${attempt.function} took a reference is not known`;
      loweredBy.push({ code: "result-unknown", text, probe: attempt.event.probe.name });
    }
    if (object.state === "replaced") {
      const text = "its address was used again: it was freed after all, or its destruction was not recorded";
      loweredBy.push({ code: "unseen-end", text, probe: null });
    }
    const evidence = storyOf(object, last, "the last reference is dropped, no destruction follows");
    const finding = counterFinding("leak", "free-missing", object, last, judgementOf(loweredBy), evidence);
    finding.title = `${finding.object.label} lost its last reference and was not destroyed`;
    finding.explanation = `${last.function} brought the counter to ${object.class.counter?.unused ?? 0}, and ${destroyers[0]} was not called for it.`;
    finding.expected = `${destroyers[0]} right after the last put`;
    finding.sure = "the destruction of other objects was recorded before and after";
    return finding;
  }

  /** All files that hold references are closed, as far as they are recorded, and the object is still there. */
  #afterLastClose(object: KernelObject): Finding | null {
    const entry = object.class;
    // What something else than files keeps alive (a group, by its devices) may outlive them all.
    if (entry.files === undefined) return null;
    const symbols = this.#context.symbols(object.first.event.source);
    const { open, unknown } = this.#holders.balance(entry, (name) => symbols?.has(name) !== false);
    if (open === null || open > 0) return null;
    if (!beganInTrace(object) || !this.#showsEnds(object)) return null;
    if (this.#context.end() - object.last.event.time < SETTLE_NS) return null;
    const unused = entry.counter?.unused ?? 0;
    const lastPut = object.history.findLast((operation) => operation.effect === "put");
    if (!lastPut) return null;
    const read = lastPut.read;
    const trusted = read !== null && (!read.guess || this.#guesses.areLikely(entry));
    if (trusted && read.value + lastPut.delta <= unused) return null;
    const loweredBy = this.#endDoubts(entry, object.first.event.time, this.#context.end());
    const exact = this.#isClassExact(entry);
    // A kind that nobody records could not have taken a reference without a break in some counter.
    if (unknown.length > 0 && !exact) {
      const text = `whether a ${unknown.join(" or a ")} is still open is not recorded`;
      loweredBy.push({ code: "by-holders", text, probe: null });
    }
    if (!trusted || read.guess || !exact) {
      const text = "the counter's values are not all recorded, so that other references may be held";
      loweredBy.push({ code: "no-values", text, probe: lastPut.event.probe.name });
    }
    const from = object.first.event.time;
    if (!this.#context.recorded.some((one) => one.seesHolders(entry, from, this.#context.end()))) {
      loweredBy.push(HOLDERS_UNPLANNED);
    }
    const left = trusted ? `the last put left ${read.value + lastPut.delta}` : "it was not destroyed";
    const evidence = storyOf(object, object.last, "the last that was seen of it");
    const finding = counterFinding("leak", "leak", object, lastPut, judgementOf(loweredBy), evidence);
    finding.title = `${finding.object.label} was never destroyed although its files are closed`;
    finding.explanation = `Every recorded file that holds a reference was closed; ${left}.`;
    finding.expected = `${functionsWith(entry, "destroy")[0] ?? "its release"} once the last file is closed`;
    finding.sure = trusted
      ? `the counter was above ${unused} after the last put, and no file was open that could hold it`
      : "the destruction of other objects was recorded";
    return finding;
  }

  /** The module whose code it runs was unloaded under a live object. */
  #afterUnload(object: KernelObject, by: Operation): Finding | null {
    if (object.state !== "alive" || !this.#showsEnds(object)) return null;
    const range = object.ledger?.range() ?? null;
    const unused = object.class.counter?.unused ?? 0;
    if (range !== null && range.greatest <= unused) return null;
    const loweredBy = this.#endDoubts(object.class, object.last.event.time, by.event.time);
    const exact = this.#isExact(object) && range !== null && range.least > unused;
    if (exact && !this.#showsLastPuts(object.class)) loweredBy.push(LAST_PUTS_UNSEEN);
    if (!exact) {
      // Who was there before the trace, or is known by few events, may have gone unseen.
      if (!beganInTrace(object)) return null;
      const text = "the counter's values are not all recorded: it may have been destroyed unseen";
      loweredBy.push({ code: "no-values", text, probe: object.last.event.probe.name });
    }
    const evidence = storyOf(object, object.last, "the last that was seen of it");
    evidence.push({ event: by.event, operation: by, note: "its module is unloaded" });
    const lastGet = object.history.findLast((operation) => operation.effect === "get") ?? object.last;
    const finding = counterFinding("leak", "leak", object, lastGet, judgementOf(loweredBy), evidence);
    finding.title = `${finding.object.label} was left behind when module ${String(by.object)} was unloaded`;
    finding.explanation = `Module ${String(by.object)} was unloaded while a reference was held${exact ? `: the counter was ${range.least}` : ""}.`;
    finding.expected = "every object destroyed before the module is unloaded";
    finding.sure = exact ? "the counter was read without a break" : "its destruction was not seen, that of others was";
    return finding;
  }

  /** The last destruction of those that were there at a time; null while one is left, or may have been before. */
  #lastDestroyed(entry: ClassEntry, at: bigint): { last: Operation | null; isOfAll: boolean } {
    let last: Operation | null = null;
    let isOfAll = true;
    for (const candidate of this.#context.world.objects.all()) {
      if (candidate.class !== entry) continue;
      const { created, destroyed } = candidate;
      if ((created?.event.time ?? at) > at || (destroyed?.event.time ?? at) < at) {
        isOfAll = false;
        continue;
      }
      if (candidate.state !== "destroyed" || created === null || destroyed === null) return { last: null, isOfAll };
      if (last === null || destroyed.event.time > last.event.time) last = destroyed;
    }
    return { last, isOfAll };
  }

  /** What it belongs to is gone, or everything that it could belong to. */
  #afterParents(object: KernelObject): Finding | null {
    const parent = this.#context.world.classOf(object.class.parent ?? "");
    if (!parent || object.created === null) return null;
    const { last, isOfAll } = object.parent
      ? { last: object.parent.destroyed, isOfAll: true }
      : this.#lastDestroyed(parent, object.created.event.time);
    if (!last || last.event.time < object.created.event.time) return null;
    const finding = this.#outlived(object, {
      by: last,
      what: `${object.parent ? "its" : "every"} ${parent.title}`,
      note: `${object.parent ? "its" : "the last"} ${parent.title} is destroyed`,
      before: `the ${parent.title} is gone`,
      how: "destroyed",
    });
    if (finding !== null && !isOfAll) {
      const text = `which ${parent.title} it belongs to is not recorded`;
      finding.loweredBy.push({ code: "no-object", text, probe: object.created.event.probe.name });
      finding.verdict = "suspected";
    }
    return finding;
  }

  /** What it needs is gone, and it is still there. */
  #outlived(object: KernelObject, { by, what, note, before, how }: End): Finding | null {
    // Nobody knows whether its creation took place.
    if (object.created === null || (object.created.outcome !== "done" && object.history.length === 1)) return null;
    // Nor whether the call around it undid it.
    const { undoneBy } = object.created;
    if (undoneBy !== undefined && !undoneBy?.returned) return null;
    const { decoder } = this.#context;
    const symbols = this.#context.symbols(object.created.event.source);
    const recorded = recordsCalls(decoder, symbols, object.class, "destroy");
    const isArmed = this.#context.recorded.some((one) => one.covers(object.class) !== null);
    if (recorded === "none" && !isArmed) return null;
    const gone = by.returned ?? by.event;
    if (this.#context.end() - gone.time < SETTLE_NS) return null;
    const absence = {
      class: object.class,
      effect: "destroy",
      after: object.created.event,
      before: gone,
    } as const;
    const { loweredBy } = judgeAbsence(this.#context, absence);
    // A release that comes late is one, too: of what was lost or is not named since.
    if (loweredBy.length === 0) loweredBy.push(...this.#endDoubts(object.class, gone.time, this.#context.end()));
    const planned = this.#context.recorded.some((one) =>
      one.sees(object.class, ["destroy"], absence.after.time, this.#context.end()),
    );
    if (recorded !== "all" && !planned) loweredBy.push(RELEASE_UNPLANNED);
    const evidence = storyOf(object, object.last, "created, and never released");
    evidence.push({ event: by.event, operation: by, note });
    const finding = counterFinding("leak", "leak", object, object.created, judgementOf(loweredBy), evidence);
    finding.title = `${finding.object.label} outlived ${what}`;
    finding.explanation = `It was created, and neither released nor destroyed, while ${what} was ${how}.`;
    finding.expected = `${functionsWith(object.class, "destroy").join(" or ")} before ${before}`;
    finding.sure = "the release of others was recorded before and after";
    return finding;
  }

  /** The recorded command is gone with all its processes and files, and what one of them made is still there. */
  #afterCommand(object: KernelObject): Finding | null {
    const { class: entry, first, last } = object;
    const recorded = this.#context.recorded.find(({ tree }) => tree?.has(first.event.tid) === true);
    const gone = recorded?.tree?.gone ?? null;
    if (!recorded || gone === null || entry.files === undefined || !beganInTrace(object)) return null;
    if (!this.#showsEnds(object) || first.event.time > gone) return null;
    const range = object.ledger?.range() ?? null;
    const unused = entry.counter?.unused ?? 0;
    if (range !== null && range.greatest <= unused) return null;
    const end = this.#context.end();
    const loweredBy = this.#endDoubts(entry, first.event.time, end);
    const files = recorded.filesLeft(entry);
    const [holder] = files ?? [];
    if (holder) {
      const text = `${holder.comm} (${holder.pid}) has ${holder.file} open, which may be a file of it handed over`;
      loweredBy.push({ code: "by-holders", text, probe: null });
    } else if (files === null) {
      const text = "whether a process outside of this pid namespace has a file of it open is not known";
      loweredBy.push({ code: "by-holders", text, probe: null });
    }
    if (!recorded.isSettled) {
      const text = "the recording ended before it was quiet: it may have been released later";
      loweredBy.push({ code: "unseen-end", text, probe: null });
    }
    if (!recorded.sees(entry, ["destroy"], first.event.time, end)) {
      loweredBy.push({ code: "not-probed", text: "its destruction may not have been recorded", probe: null });
    }
    const culprit = object.history.findLast(({ effect }) => effect === "get") ?? object.created ?? first;
    const evidence = storyOf(object, last, "the last that was seen of it; then the command was gone");
    const finding = counterFinding("leak", "leak", object, culprit, judgementOf(loweredBy), evidence);
    const count = range === null ? "" : `: its counter is ${range.least}`;
    finding.title = `${finding.object.label} outlived the command that made it`;
    finding.explanation = `All processes of the command are gone, no file of it is open, and it is still there${count}.`;
    finding.expected = `${functionsWith(entry, "destroy")[0] ?? "its release"} once the last file is closed`;
    finding.sure = "its destruction would have been recorded, and nothing was lost";
    return finding;
  }

  /** What may have hidden that such an object was destroyed. */
  #endDoubts(entry: ClassEntry, from: bigint, to: bigint): Reason[] {
    return doubtsBetween(this.#context, entry, ["destroy"], from, to);
  }

  #classesOf(module: string): ClassEntry[] {
    return [...this.#context.world.classes()].filter(
      (entry) => entry.kind === "counted" && (entry.module === module || entry.runs_code_of.includes(module)),
    );
  }

  /** Every counter of the class was read without a break, so that no reference escaped. */
  #isClassExact(entry: ClassEntry): boolean {
    const { broken, unread, lives } = this.#context.world.objects.summary(entry);
    return lives > 0 && broken === null && unread === null;
  }

  /** Whether the end of such an object would be seen: by its destruction, or by a counter that is read throughout. */
  #showsEnds(object: KernelObject): boolean {
    return this.#isExact(object) || this.#recordsDestruction(object.class);
  }

  /** Its counter was read throughout; where others of the class changed unseen, its last puts may have been, too. */
  #isExact(object: KernelObject): boolean {
    return isExact(object) && this.#isClassExact(object.class);
  }

  /** Whether a last put would have been seen: such an end was, or its destruction's probe worked. */
  #showsLastPuts(entry: ClassEntry): boolean {
    return this.#context.world.objects.summary(entry).ended > 0 || this.#recordsDestruction(entry);
  }

  #recordsDestruction(entry: ClassEntry): boolean {
    return [...this.#context.decoder.uses].some((use) => showsEffect(use, entry, ["destroy"]));
  }
}

/** Its creation was recorded, or the first value read is that of a new object. */
function beganInTrace(object: KernelObject): boolean {
  return object.created !== null || (object.ledger?.first ?? null) === object.class.counter?.initial;
}

/** The counter was read from the object's beginning on, and every value fits. */
function isExact(object: KernelObject): boolean {
  const { ledger } = object;
  if (ledger === null || object.losses > 0) return false;
  return ledger.reads > 0 && ledger.unread === 0 && ledger.breakCount === 0;
}
