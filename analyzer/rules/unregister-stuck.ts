import type { ClassEntry } from "../../collectors/catalog/schema.js";
import { isInside } from "../decode/calls.js";
import type { AuditEvent, Call, Operation } from "../decode/operation.js";
import type { Reason } from "../lifecycle/coverage.js";
import type { KernelObject } from "../lifecycle/objects.js";
import { keep } from "./cases.js";
import { describeKey, describeObject } from "./describe.js";
import type { Evidence, Finding, FindingObject, Level } from "./finding.js";
import { makeFinding, taskOf } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { judgementOf, lossesBetween } from "./verdict.js";

export const unregisterStuck: Rule = {
  meta: {
    id: "unregister-stuck",
    title: "an unregister waits and does not return",
    variants: ["unreg-stuck"],
    page: `
A driver is unbound, or its module unloaded, and the unregister waits until nobody holds the object any more. While
somebody has its file open the kernel works as it should: then this is a note that names the waiter and the holders. It
is an error when references remain although every file is closed, or when the waiter itself has the file open: then it
waits for ever.

How ktally knows: the call was entered and had not returned ten seconds later (--stuck-after; shorter waits are everyday:
a user who was asked to close takes his time), nor was its task seen outside of it. That
references remain is read from the counter (derived). Where files, values or the return were not recorded, it is
suspected only.

Not accused: a wait that ends; a task that was seen elsewhere afterwards, so that the return must have been lost.

Fixed before: letting go of the iommu_group while the group's file is open (3dd59a7dcb97).
`,
  },
  watch: (context) => [new UnregisterStuck(context)],
};

/** More than a machine has devices; bounds memory on hostile input. */
const MAX_OBJECTS = 65_536;

/** A file, or what took a reference for one. */
interface Holder {
  event: AuditEvent;
  file: string;
  /** When its file was closed, with the reference still held. */
  closed: AuditEvent | null;
}

class UnregisterStuck implements RuleWatch {
  readonly #context: RuleContext;
  /** References on an object, by its key, in order of their gets. */
  readonly #references = new Map<unknown, Holder[]>();
  /** Open files of an object, where no get shows them. */
  readonly #files = new Map<unknown, Holder[]>();
  /** Open files that hold the object by way of another one (a VFIO group's), of all tasks. */
  readonly #others: Holder[] = [];
  /** The waiter's own put, which ends the reference that the registration is. */
  readonly #ownPut = new WeakSet<Call>();
  /** Some events about files name their object: those that do not tell the same once more. */
  #named = false;

  constructor(context: RuleContext) {
    this.#context = context;
  }

  /** Whether an unregister of the class waits for its references. */
  hears(entry: ClassEntry): boolean {
    return Object.values(entry.functions).some((spec) => spec.blocks);
  }

  operation(operation: Operation, object: KernelObject): void {
    if (operation.outcome === "refused" || operation.delta === 0) return;
    const holders = listOf(this.#references, object.key);
    if (operation.delta > 0) {
      keep(holders, { event: operation.event, file: `${object.class.title} file`, closed: null });
      return;
    }
    const waiting = blockingCall(this.#context.decoder.calls.of(operation.event));
    if (waiting) this.#ownPut.add(waiting);
    else remove(holders, operation.event, true);
  }

  aside(operation: Operation): void {
    if (operation.count !== "open_count") return;
    this.#named ||= operation.object !== null;
    const key = this.#keyOf(operation);
    if (key === null) {
      if (operation.effect === "close") this.#closeUnnamed(operation.event);
      return;
    }
    const files = listOf(this.#files, key);
    if (operation.effect === "open") {
      keep(files, { event: operation.event, file: `${operation.class.title} file`, closed: null });
    } else if (operation.effect === "close") {
      remove(files, operation.event, false);
      const holder = ofTask(
        listOf(this.#references, key).filter((one) => one.closed === null),
        operation.event,
      );
      if (holder) holder.closed = operation.event;
    }
  }

  holder(operation: Operation): void {
    if (operation.outcome === "refused" || operation.holder === null) return;
    if (operation.effect === "close") remove(this.#others, operation.event, false);
    else keep(this.#others, { event: operation.event, file: operation.holder, closed: null });
  }

  findings(): Finding[] {
    const findings: Finding[] = [];
    for (const stack of this.#context.decoder.calls.all()) {
      const call = blockingCall(stack);
      if (call && this.#isStuck(call)) findings.push(this.#finding(call));
    }
    return findings;
  }

  /** A file of an object that is not recorded: the only one that its task holds, where no other event tells. */
  #closeUnnamed(event: AuditEvent): void {
    if (this.#named) return;
    const held = [...this.#references.values()]
      .map((holders) => holders.filter((one) => one.closed === null && one.event.tid === event.tid))
      .filter((holders) => holders.length > 0);
    const [holder] = held.length === 1 ? (held[0] ?? []) : [];
    if (holder) holder.closed = event;
  }

  /** The object of a file operation, by its name or because the event carries its address. */
  #keyOf({ class: entry, object, event }: Operation): unknown {
    if (object !== null) return object;
    const { objects } = this.#context.world;
    const value = event.args.find((arg) => typeof arg === "bigint" && objects.find(entry, BigInt.asUintN(64, arg)));
    return typeof value === "bigint" ? BigInt.asUintN(64, value) : null;
  }

  #isStuck(call: Call): boolean {
    const { entry } = call;
    if (!this.#context.lasted(entry.time, this.#context.stuckAfter)) return false;
    const object = this.#objectOf(call);
    if (object && (object.state === "destroyed" || object.first.event.time > entry.time)) return false;
    const last = this.#context.lastOf(entry.tid);
    return last === null || last.id === entry.id || isWithin(last, call);
  }

  #objectOf(call: Call): KernelObject | null {
    const entry = classOf(call);
    const key = call.parameters[0] ?? null;
    return entry && key !== null ? (this.#context.world.objects.find(entry, key) ?? null) : null;
  }

  #finding(call: Call): Finding {
    const { entry } = call;
    const object = this.#objectOf(call);
    const key = call.parameters[0] ?? null;
    const references = listOf(this.#references, key);
    const open = references.length > 0 ? references.filter(({ closed }) => closed === null) : listOf(this.#files, key);
    const left = references.filter(({ closed }) => closed !== null);
    const own = open.some(({ event }) => event.tid === entry.tid);
    const rest = this.#remaining(call, object);
    const forever = own || (open.length === 0 && left.length > 0 && rest > 0);
    const level: Level = forever ? "error" : "note";
    const loweredBy = this.#doubts(call, level, open.length + left.length > 0);
    const known = open.length > 0 ? open : left;
    const holders = known.length > 0 ? known : this.#others;
    const evidence: Evidence[] = holders.flatMap(({ event, file, closed }) => [
      { event, operation: null, note: `${file} opened` },
      ...(closed ? [{ event: closed, operation: null, note: `${file} closed, its reference stays` }] : []),
    ]);
    evidence.push({ event: entry, operation: call.operations[0] ?? null, note: "waits, and does not return" });
    evidence.sort((a, b) => a.event.id - b.event.id);
    const waiter = taskOf(entry);
    const seconds = (this.#context.end() - entry.time) / 1_000_000_000n;
    const what: FindingObject = object
      ? describeObject(object)
      : {
          label: `${classOf(call)?.title ?? "object"}${key === null ? "" : ` ${describeKey(key)}`}`,
          address: key,
          key: null,
          generation: 1,
        };
    const names = [...new Set(holders.map(({ event, file }) => `${taskOf(event)} (${file})`))].join(", ");
    const why = own
      ? `${waiter} waits for the file that it has open itself.`
      : forever
        ? `Every file that was seen is closed, and ${rest} of its references ${rest === 1 ? "remains" : "remain"}.`
        : names === ""
          ? "Who holds it was not recorded."
          : `It is held by ${names}.`;
    return makeFinding({
      rule: "unregister-stuck",
      variant: "unreg-stuck",
      level,
      judgement: judgementOf(loweredBy),
      class: classOf(call) as Finding["class"],
      object: what,
      title: `${what.label} does not go away: ${call.function.name} has waited for ${seconds} s`,
      explanation: `${waiter} called ${call.function.name}(), which has not returned in the ${seconds} s that the trace goes on. ${why}`,
      expected: forever
        ? "the last reference dropped when the last file is closed"
        : "a return once the file is closed",
      sure: own
        ? "the waiter's own file was opened, and cannot be closed while it waits"
        : forever
          ? `the value of the counter: ${rest} more than the registration itself`
          : "no return was seen, nor its task outside the call",
      function: call.function.name,
      event: entry,
      context: `run by ${waiter}`,
      evidence,
      trigger: call.operations[0] ?? null,
    });
  }

  /** References that the counter showed last, that of the registration left out. */
  #remaining(call: Call, object: KernelObject | null): number {
    const least = object?.ledger?.range()?.least ?? 0;
    return this.#ownPut.has(call) ? least : least - 1;
  }

  /** What could explain the wait, or its holders, away. */
  #doubts(call: Call, level: Level, holdersKnown: boolean): Reason[] {
    const { entry } = call;
    const reasons = lossesBetween(this.#context, entry.time, this.#context.end());
    const returns = [...this.#context.decoder.uses].some(
      ({ interpretation: meaning }) => meaning.role === "return" && meaning.function === call.function,
    );
    const [armed] = this.#context.neverFired([call.function.name], "kretprobe");
    if (!returns && armed === undefined) {
      const text = `no return of ${call.function.name} was ever recorded`;
      reasons.push({ code: "result-unknown", text, probe: entry.probe.name });
    }
    if (level === "note" && !holdersKnown) {
      reasons.push({ code: "by-holders", text: "nobody records who holds the object", probe: null });
    }
    const entryClass = classOf(call);
    const broken = level === "error" && entryClass ? this.#context.world.objects.summary(entryClass).broken : null;
    if (broken !== null) {
      const text = "counters of others changed unseen: who closed a file may have given its reference back unseen, too";
      reasons.push({ code: "unseen-change", text, probe: broken.last.event.probe.name });
    }
    if (level === "error" && !this.#ownPut.has(call)) {
      const text = "the reference that the unregister itself drops was not seen";
      reasons.push({ code: "no-values", text, probe: entry.probe.name });
    }
    return reasons;
  }
}

/** The innermost open call that waits for its object's holders. */
function blockingCall(stack: readonly Call[]): Call | null {
  return stack.findLast((call) => classOf(call) !== null) ?? null;
}

/** The class whose objects a blocking function waits for; null for any other function. */
function classOf(call: Call): Finding["class"] | null {
  return call.function.meanings.find(({ entry }) => entry.blocks)?.class ?? null;
}

/** Whether the task was still in the call: its stack says so, or the event is about the object waited for. */
function isWithin(event: AuditEvent, call: Call): boolean {
  if (event.probe.kind === "kretprobe") return false;
  const inside = isInside(event, call.function.name, call.entry);
  if (inside !== null) return inside;
  const key = call.parameters[0] ?? null;
  return key !== null && event.args.some((arg) => typeof arg === "bigint" && BigInt.asUintN(64, arg) === key);
}

function listOf(lists: Map<unknown, Holder[]>, key: unknown): Holder[] {
  let list = lists.get(key);
  if (!list) {
    if (lists.size >= MAX_OBJECTS) lists.clear();
    list = [];
    lists.set(key, list);
  }
  return list;
}

/** The task's own holder, else the first: files are closed by other tasks, too. */
function ofTask(holders: readonly Holder[], event: AuditEvent): Holder | undefined {
  return holders.find((one) => one.event.tid === event.tid) ?? holders[0];
}

/** Takes out the holder whose reference is dropped or file closed; of dropped ones first what was closed already. */
function remove(holders: Holder[], event: AuditEvent, closedFirst: boolean): void {
  const holder = (closedFirst ? holders.find(({ closed }) => closed !== null) : undefined) ?? ofTask(holders, event);
  if (holder) holders.splice(holders.indexOf(holder), 1);
}
