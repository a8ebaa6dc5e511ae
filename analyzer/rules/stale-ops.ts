import { functionsWith } from "../../collectors/catalog/catalog.js";
import type { Operation } from "../decode/operation.js";
import type { Owner } from "../lifecycle/owners.js";
import type { Refusal, Registration } from "../lifecycle/registrations.js";
import { showsEffect } from "../lifecycle/shown.js";
import { keep } from "./cases.js";
import { describeEntry, describeEntryKey, describeRegistration, describeResult, symbolAt } from "./describe.js";
import type { Evidence, Finding } from "./finding.js";
import { LinkAfterFail } from "./link-after-fail.js";
import { makeFinding } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { isPlanned, type Judgement, judgeAbsence, judgementOf, PROVEN } from "./verdict.js";

export const staleOps: Rule = {
  meta: {
    id: "stale-ops",
    title: "a registration outlived what made it",
    variants: ["reg-leak-at-owner-exit", "reg-leak-on-error", "ops-stale", "owner-gone", "link-after-fail"],
    page: `
A core instance or a module registered something - operations, a driver, a callback - and has ended (its exit function
returned, its init failed, its module was unloaded) while the entry stayed in the kernel's table. If the entry points
into a module that is gone, the next use jumps into freed memory; if not, the next registration finds the slot taken. An
entry whose owning object is gone (owner-gone) and a pointer that a refused call has set all the same (link-after-fail)
are the same trouble.

How ktally knows: a later register of the same key is refused with the table's "already there" error although it runs
inside a new instance that has registered nothing yet (proven: the return value shows the entry); or the owner's end
was seen and no unregister, although the unregister's probe worked before and after (derived). Of a pointer, the field
read at the return of the refused call tells (proven).

Not accused: an entry that goes with the module that holds the table; one that is unregistered late, as long as nothing
used it in between; a table that refuses a duplicate and later takes the key again (the unregister was not seen).

Fixed before: kvm_exit() now unregisters the VFIO device ops (571ee1b68598).
`,
  },
  watch: (context) => [new StaleOps(context), new LinkAfterFail()],
};

interface Case {
  entry: Registration | null;
  refusal: Refusal | null;
}

class StaleOps implements RuleWatch {
  readonly #context: RuleContext;
  /** Entries whose owner ended, in order; decided when the key is used again or the trace is over. */
  readonly #orphans = new Set<Registration>();
  readonly #cases: Case[] = [];

  constructor(context: RuleContext) {
    this.#context = context;
  }

  orphaned(entry: Registration): void {
    this.#orphans.add(entry);
  }

  unregistered(entry: Registration): void {
    this.#orphans.delete(entry);
  }

  registered(_entry: Registration, before: Registration | null): void {
    // A table that refuses duplicates took the key: the old entry had been unregistered unseen.
    if (before?.class.table?.duplicate === "refused") this.#orphans.delete(before);
  }

  homeGone(entry: Registration): void {
    this.#orphans.delete(entry);
  }

  refused(refusal: Refusal): void {
    if (!refusal.duplicate || refusal.operation.refusal !== "kernel") return;
    const { holder, owner } = refusal;
    if (holder) {
      if (!this.#orphans.has(holder)) return;
      // One story per entry: later refusals are consequences, too.
      if (!this.#cases.some((known) => known.entry === holder)) keep(this.#cases, { entry: holder, refusal });
      return;
    }
    if (refusal.operation.class.table?.duplicate_error_ambiguous !== undefined) return;
    const isNewOwner = owner !== null && owner.began !== null && !refusal.ownerHadRegistered && !refusal.otherOwnerUp;
    if (isNewOwner) keep(this.#cases, { entry: null, refusal });
  }

  findings(): Finding[] {
    const findings = this.#cases.map((known) => this.#proven(known));
    for (const orphan of this.#orphans) {
      if (this.#cases.some((known) => known.entry === orphan)) continue;
      const finding = this.#absent(orphan);
      if (finding) findings.push(finding);
    }
    return findings;
  }

  /** The return value of a later register shows the entry. */
  #proven({ entry, refusal }: Case): Finding {
    const operation = (refusal as Refusal).operation;
    const result = operation.result ?? 0;
    const owner = entry?.orphaned ?? null;
    const finding = this.#base(entry, operation, owner, PROVEN);
    finding.trigger = operation;
    finding.sure = `the return value ${result} shows that the entry was still in the table`;
    const failed = `${operation.function}() found the old entry and failed with ${describeResult(result)}`;
    finding.explanation =
      entry && owner
        ? `${this.#endOf(owner)} and nobody called ${this.#unregisterOf(entry)}. Later ${failed}.`
        : `${failed}, although this instance had registered nothing under the key: whoever left the entry has ended.`;
    finding.evidence.push({ event: operation.event, operation, note: "refused: the old entry is still there" });
    return finding;
  }

  /** Nobody was refused; the owner's end was seen and the unregister was not. */
  #absent(entry: Registration): Finding | null {
    const owner = entry.orphaned;
    if (!owner?.ended) return null;
    const absence = {
      class: entry.class,
      effect: "unregister",
      after: entry.registered.event,
      before: owner.ended,
    } as const;
    const { loweredBy } = judgeAbsence(this.#context, absence);
    // Without any sign of a probe on the unregister its silence tells nothing at all.
    const uses = [...this.#context.decoder.uses];
    const hasProbe =
      isPlanned(this.#context, absence) || uses.some((use) => showsEffect(use, entry.class, ["unregister"]));
    const [armed] = this.#context.neverFired(functionsWith(entry.class, "unregister"));
    if (!hasProbe && armed === undefined) return null;
    if (entry.ownerGuessed) {
      const text = "that it points into that module is told by its address only";
      loweredBy.push({ code: "function-unknown", text, probe: entry.registered.event.probe.name });
    }
    if (entry.doubtedBy) {
      const text = `the key was registered again, and whether that was refused is not recorded`;
      loweredBy.push({ code: "result-unknown", text, probe: entry.doubtedBy.event.probe.name });
    }
    if (!hasProbe && armed !== undefined) {
      const text = `that ${armed} is on the unregister, and works, is told by its name only: it never fired`;
      loweredBy.push({ code: "probe-never-fired", text, probe: armed });
    }
    const finding = this.#base(entry, entry.registered, owner, judgementOf(loweredBy));
    finding.sure = "the owner's end was seen, and an unregister would have been";
    finding.explanation = `${this.#endOf(owner)} and nobody called ${this.#unregisterOf(entry)}: the entry stayed.`;
    return finding;
  }

  #base(entry: Registration | null, operation: Operation, owner: Owner | null, judgement: Judgement): Finding {
    const context = this.#context;
    const object = entry
      ? describeRegistration(context, entry)
      : describeEntry(context, operation.class, operation.key, operation, 1);
    const exit = this.#exitFunction(operation, owner);
    const evidence: Evidence[] = [];
    if (entry) evidence.push({ event: entry.registered.event, operation: entry.registered, note: "registered" });
    const end = owner?.endedBy ?? null;
    if (end) evidence.push({ event: end.event, operation: end, note: "the owner ends, the entry is still there" });
    const by = end?.event ?? operation.event;
    return makeFinding({
      rule: "stale-ops",
      variant: this.#variant(entry, owner),
      judgement,
      class: operation.class,
      object,
      title: `${object.label} stayed registered after ${exit.after}`,
      explanation: "",
      expected: `${this.#unregisterOf(entry ?? operation)} before ${exit.after}`,
      sure: "",
      function: exit.function,
      event: entry || end ? by : null,
      context: exit.context,
      evidence,
      trigger: null,
    });
  }

  /** The function that should have seen to the unregister, and the moment in words. */
  #exitFunction(
    operation: Operation,
    owner: Owner | null,
  ): { function: string; after: string; context: string | null } {
    const end = owner?.endedBy ?? null;
    const comm = end?.event.comm ?? "";
    const task = comm === "" ? null : `${comm} (${end?.event.tid})`;
    if (end && end.class.class !== "module" && end.effect === "destroy") {
      const module = owner?.module?.ended ? owner.module.name : null;
      const context = module === null ? `run by ${task}` : `while ${comm} unloads ${module}`;
      return { function: end.function, after: end.function, context: task === null ? null : context };
    }
    const name = moduleEnding(owner);
    const relation = operation.class.table?.owner ?? "module";
    const instance = relation === "module" || name !== null ? undefined : this.#context.world.classOf(relation);
    const [exit] = instance ? functionsWith(instance, "destroy") : [];
    if (exit !== undefined) return { function: exit, after: exit, context: "by the catalog: its end was not recorded" };
    const after = name === null ? "its owner was gone" : `module ${name} was ${owner?.failed ? "freed" : "unloaded"}`;
    const context = name === null ? null : `called by module ${name}, which did not undo it`;
    return { function: operation.function, after, context };
  }

  #endOf(owner: Owner): string {
    const end = owner.endedBy;
    const comm = end && end.event.comm !== "" ? ` (${end.event.comm} ${end.event.tid})` : "";
    const name = moduleEnding(owner);
    if (name !== null) {
      return owner.failed
        ? `The init of module ${name} failed and the module was freed${comm}`
        : `Module ${name} was unloaded${comm}`;
    }
    if (owner.failed) return `The init of ${owner.name} failed${comm}`;
    return `${end?.function ?? owner.name}() ran${comm}`;
  }

  #variant(entry: Registration | null, owner: Owner | null): string {
    if (owner?.failed) return "reg-leak-on-error";
    if (owner?.object != null) return "owner-gone";
    if (entry !== null && moduleEnding(owner) !== null) return "ops-stale";
    return "reg-leak-at-owner-exit";
  }

  #unregisterOf(entry: Registration | Operation): string {
    const [name] = functionsWith(entry.class, "unregister");
    const key = entry.key === null ? "" : this.#keyText(entry);
    return `${name ?? "the unregister"}(${key})`;
  }

  #keyText(entry: Registration | Operation): string {
    const operation = "registered" in entry ? entry.registered : entry;
    const isPointer = entry.class.table?.key === entry.class.table?.ops;
    if (!isPointer) return entry.key === null ? "" : describeEntryKey(entry.key);
    const symbol = entry.key === null ? null : symbolAt(this.#context, operation.event, entry.key);
    return symbol ?? `0x${entry.key?.toString(16)}`;
  }
}

/** The module whose unload ended the owner: itself, or the one that an instance belonged to. */
function moduleEnding(owner: Owner | null): string | null {
  if (owner?.kind === "module") return owner.name;
  const end = owner?.endedBy;
  return end?.class.class === "module" && end.effect === "destroy" ? String(end.object) : null;
}
