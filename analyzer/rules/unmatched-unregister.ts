import { isErrorOf } from "../../collectors/catalog/errno.js";
import type { Operation } from "../decode/operation.js";
import type { Owner } from "../lifecycle/owners.js";
import type { Registration, Unmatched } from "../lifecycle/registrations.js";
import { keep, keepFirst, MOST_CASES } from "./cases.js";
import { describeEntry, describeResult } from "./describe.js";
import type { Evidence, Finding } from "./finding.js";
import { makeFinding } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { doubtsBetween, type Judgement, judgementOf, lossesBetween, PROVEN } from "./verdict.js";

export const unmatchedUnregister: Rule = {
  meta: {
    id: "unmatched-unregister",
    title: "something was unregistered that was not registered",
    variants: ["unreg-nomatch", "unreg-after-failed-reg", "foreign-unreg"],
    page: `
An unregister was called for a key that is not in the table: never registered, registered with an error, or another
owner's. The first goes unnoticed in the kernel, and the entry that was meant stays; the last removes what somebody
else relies on.

How ktally knows: the caller's own register had failed, and the entry that its unregister removed was another's (proven
by the return value); the table was seen from the load of its module on and never had the key (derived); the caller's
module goes with its entry still in the table, and the key that it had unregistered was that entry's other pointer
(derived, with any other key suspected); or a key that entries exclude each other by is free after an unregister by one
whose register was refused, though its holder unregisters only later (derived).

Not accused: an unregister of a key never seen in a trace that began later than the table (that is coverage); a table
whose unregister of an empty slot is legal.

Fixed before: finding a consumer by its address instead of its token (4f3dbdf47e15).
`,
  },
  watch: (context) => [new UnmatchedUnregister(context)],
};

/** An unregister of what was refused, while another entry has what the two exclude each other by. */
interface Suspect {
  operation: Operation;
  failed: Operation;
  victim: Registration;
  /** A register that the table then took, though the victim had not gone by itself. */
  taken: Operation | null;
}

/** More unmatched unregisters than a healthy kernel has pending; bounds memory on hostile input. */
const MAX_PENDING = 256;

class UnmatchedUnregister implements RuleWatch {
  readonly #context: RuleContext;
  readonly #unmatched: Unmatched[] = [];
  readonly #foreign: { entry: Registration; failed: Operation }[] = [];
  /** Registers that failed and whose caller has not registered the key since. */
  readonly #failed = new Map<string, Operation>();

  #suspects: Suspect[] = [];
  readonly #robbed: Suspect[] = [];
  /** Unregisters that matched nothing: whoever ends with an entry left behind may have meant that. */
  #missed: Operation[] = [];
  readonly #wrongKey = new Map<Registration, Operation>();
  /** When registers were recorded, per class. */
  readonly #registers = new Map<string, bigint[]>();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  refused(refusal: { operation: Operation }): void {
    if (this.#failed.size >= MOST_CASES) this.#failed.clear();
    this.#failed.set(slot(refusal.operation), refusal.operation);
  }

  registered(entry: Registration): void {
    this.#failed.delete(slot(entry.registered));
    const times = this.#registers.get(entry.class.class) ?? [];
    // Of more than that the last one: what lies between says no more.
    times.length = Math.min(times.length, MOST_CASES - 1);
    times.push(entry.registered.event.time);
    this.#registers.set(entry.class.class, times);
    const { exclusive, outcome } = entry.registered;
    for (const suspect of this.#suspects) {
      const isSame = suspect.victim.class === entry.class && suspect.victim.registered.exclusive === exclusive;
      if (isSame && outcome === "done" && exclusive !== null) suspect.taken ??= entry.registered;
    }
  }

  orphaned(entry: Registration, owner: Owner): void {
    const by = owner.endedBy?.event;
    const meant = this.#missed.find(
      (operation) =>
        operation.class === entry.class &&
        operation.event.tid === by?.tid &&
        operation.event.time > entry.registered.event.time,
    );
    if (meant) keepFirst(this.#wrongKey, entry, meant);
  }

  unregistered(entry: Registration): void {
    this.#wrongKey.delete(entry);
    // Its owner still believes in it: only the table's taking of the next one showed that it was gone.
    keep(this.#robbed, ...this.#suspects.filter((suspect) => suspect.victim === entry && suspect.taken !== null));
    this.#suspects = this.#suspects.filter((suspect) => suspect.victim !== entry);
    const failed = this.#failed.get(slot(entry.registered));
    this.#failed.delete(slot(entry.registered));
    const by = entry.unregistered;
    if (!failed || !by || failed.event.time < entry.registered.event.time) return;
    // Only who was refused itself can have removed another's entry.
    if (failed.event.tid === by.event.tid && entry.registered.event.tid !== by.event.tid) {
      keep(this.#foreign, { entry, failed });
    }
  }

  unmatched(unmatched: Unmatched): void {
    const { operation } = unmatched;
    const failed = this.#failed.get(slot(operation));
    const victim = failed === undefined ? null : this.#context.world.registrations.sharing(failed);
    if (failed && victim) {
      this.#suspects = [...this.#suspects.slice(1 - MAX_PENDING), { operation, failed, victim, taken: null }];
    }
    if (operation.class.table?.empty_unregister === "legal" && !isBeyond(unmatched.failedBefore)) return;
    this.#missed = [...this.#missed.slice(1 - MAX_PENDING), operation];
    if (unmatched.failedBefore !== null || unmatched.tableKnown) keep(this.#unmatched, unmatched);
  }

  findings(): Finding[] {
    return [
      ...this.#foreign.map(({ entry, failed }) => this.#foreignEntry(entry, failed)),
      ...this.#robbed.map((suspect) => this.#robbery(suspect)),
      ...[...this.#wrongKey].map(([entry, operation]) => this.#otherKey(entry, operation)),
      ...this.#unmatched.map((unmatched) => this.#noMatch(unmatched)),
    ];
  }

  #foreignEntry(entry: Registration, failed: Operation): Finding {
    const by = entry.unregistered as Operation;
    const evidence: Evidence[] = [
      { event: entry.registered.event, operation: entry.registered, note: "registered" },
      { event: failed.event, operation: failed, note: "refused: this caller has registered nothing" },
      { event: by.event, operation: by, note: "and yet removes the entry" },
    ];
    const finding = this.#finding(by, "foreign-unreg", evidence, PROVEN, entry.generation);
    finding.title = `${finding.object.label} was unregistered by a caller whose own register had failed`;
    finding.explanation = `${failed.function}() failed with ${describeResult(failed.result ?? 0)}, and its caller unregistered the key all the same: it removed an entry that another had made.`;
    finding.sure = "the failed register's return value shows that the entry was not the caller's";
    return finding;
  }

  /** The unregister of a refused one took another's entry out of the table. */
  #robbery({ operation, failed, victim, taken }: Suspect): Finding {
    const next = taken as Operation;
    const own = victim.unregistered as Operation;
    const evidence: Evidence[] = [
      { event: victim.registered.event, operation: victim.registered, note: "registered" },
      { event: failed.event, operation: failed, note: "refused: the first one is in its way" },
      { event: operation.event, operation, note: "the refused one is unregistered" },
      { event: next.event, operation: next, note: "accepted: the first one is no longer there" },
      { event: own.event, operation: own, note: "only now its owner unregisters the first one" },
    ];
    const loweredBy = lossesBetween(this.#context, victim.registered.event.time, own.event.time);
    const finding = this.#finding(operation, "foreign-unreg", evidence, judgementOf(loweredBy), 1);
    const what = describeEntry(this.#context, victim.class, victim.key, victim.registered, victim.generation).label;
    finding.title = `${what} was removed by the unregister of another one, which had been refused`;
    finding.explanation = `${failed.function}() had failed with ${describeResult(failed.result ?? 0)} because of it. After ${operation.function}() for the refused one the table took a new entry, though the first one's owner had not let go of it.`;
    finding.sure = "the table refuses two entries of this kind, and took the next one";
    return finding;
  }

  /** The caller's entry stayed behind, and something else was unregistered in its place. */
  #otherKey(entry: Registration, operation: Operation): Finding {
    const { registered } = entry;
    const evidence: Evidence[] = [
      { event: registered.event, operation: registered, note: "registered" },
      { event: operation.event, operation, note: "unregisters something else" },
    ];
    const loweredBy = lossesBetween(this.#context, registered.event.time, operation.event.time);
    const isItsOwn = registered.call?.parameters.includes(operation.key) === true;
    if (!isItsOwn) {
      const text = "what was meant is not known: an entry under this key may have been registered unseen";
      loweredBy.push({ code: "started-late", text, probe: operation.event.probe.name });
    }
    const finding = this.#finding(operation, "unreg-nomatch", evidence, judgementOf(loweredBy), 1);
    const what = describeEntry(this.#context, entry.class, entry.key, registered, entry.generation).label;
    finding.title = `${operation.function} was called for a key that is not in the table; ${what} stayed`;
    finding.explanation = `Its caller had registered ${what}${isItsOwn ? ", and handed over another pointer of that registration" : ""}: nothing matched, and the kernel does not say so.`;
    finding.sure = "the pointer is one that the register was called with";
    return finding;
  }

  #noMatch(unmatched: Unmatched): Finding {
    const { operation, failedBefore } = unmatched;
    const evidence: Evidence[] = [];
    if (failedBefore) evidence.push({ event: failedBefore.event, operation: failedBefore, note: "refused" });
    evidence.push({ event: operation.event, operation, note: "nothing there to unregister" });
    const judgement = failedBefore ? this.#judgeFailed(unmatched, failedBefore) : this.#judgeTable(operation);
    const variant = failedBefore ? "unreg-after-failed-reg" : "unreg-nomatch";
    const finding = this.#finding(operation, variant, evidence, judgement, 1);
    finding.title = `${finding.object.label} was unregistered without being registered`;
    finding.explanation = isBeyond(failedBefore)
      ? `The table has no place for such a key: its register had failed with ${describeResult(failedBefore?.result ?? 0)}. The unregister reaches beyond the table.`
      : failedBefore
        ? `Its register had failed with ${describeResult(failedBefore.result ?? 0)}.`
        : "The table was seen since its module was loaded, and never had this key.";
    finding.sure = failedBefore ? "the register's return value" : "every register since the table exists was seen";
    return finding;
  }

  /** The register had failed; another one that succeeded may be among what was lost, or came before the trace. */
  #judgeFailed({ operation, owner }: Unmatched, failed: Operation): Judgement {
    const from = owner?.began?.time ?? failed.event.time;
    const loweredBy = doubtsBetween(this.#context, operation.class, ["register"], from, operation.event.time);
    if (!owner?.began) {
      const text = "its caller was there before the trace, and may have registered the key then";
      loweredBy.push({ code: "started-late", text, probe: operation.event.probe.name });
    }
    return loweredBy.length > 0 ? judgementOf(loweredBy) : PROVEN;
  }

  /**
   * The table never had the key: derived when registers were recorded since its module was loaded, and later. Probes of
   * a module's functions are armed as it is loaded, so the first hit shows that none was missed before it.
   */
  #judgeTable(operation: Operation): Judgement {
    const began = this.#context.world.owners.module(operation.class.table?.home ?? "")?.began?.time ?? 0n;
    const at = operation.event.time;
    const times = this.#registers.get(operation.class.class) ?? [];
    const loweredBy = doubtsBetween(this.#context, operation.class, ["register"], began, at);
    if (!times.some((time) => time > began && time < at) || !times.some((time) => time > at)) {
      const text = "a register may not have been recorded: none was seen both before and after";
      loweredBy.push({ code: "not-probed", text, probe: null });
    }
    return judgementOf(loweredBy);
  }

  #finding(
    operation: Operation,
    variant: string,
    evidence: Evidence[],
    judgement: Judgement,
    generation: number,
  ): Finding {
    return makeFinding({
      rule: "unmatched-unregister",
      variant,
      judgement,
      class: operation.class,
      object: describeEntry(this.#context, operation.class, operation.key, operation, generation),
      title: "",
      explanation: "",
      expected: "an unregister only of what this caller has registered with success",
      sure: "",
      function: operation.function,
      event: operation.event,
      evidence,
      trigger: operation,
    });
  }
}

/** The register was refused because the table ends before its key. */
function isBeyond(failed: Operation | null): boolean {
  return failed?.result != null && isErrorOf(failed.result, failed.class.table?.range_errors ?? []);
}

function slot(operation: Operation): string {
  return `${operation.class.class}/${operation.key}`;
}
