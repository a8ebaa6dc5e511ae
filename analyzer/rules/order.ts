import { functionsWith } from "../../collectors/catalog/catalog.js";
import type { ClassEntry, OrderEntry } from "../../collectors/catalog/schema.js";
import { isInside } from "../decode/calls.js";
import type { AuditEvent, Call, Operation } from "../decode/operation.js";
import type { KernelObject } from "../lifecycle/objects.js";
import type { Registration } from "../lifecycle/registrations.js";
import { keep, keepFirst } from "./cases.js";
import { describeKey, describeObject, describeRegistration } from "./describe.js";
import type { Evidence, Finding, FindingObject } from "./finding.js";
import { makeFinding, marks, taskOf } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { judgementOf, lossesBetween } from "./verdict.js";

export const order: Rule = {
  meta: {
    id: "order",
    title: "setup or teardown in an order that the catalog forbids",
    variants: ["phase", "put-before-get", "put-in-callback", "free-before-grace", "ops-incomplete"],
    page: `
Something was taken down while something else still relied on it, or made visible before it was ready: an interrupt freed
while its bypass producer is registered, a device destroyed before the grace period of its readers, the last reference
dropped inside a callback that the release waits for.

How ktally knows: the catalog says what must not come before, while or inside what (derived). Both sides have to be seen:
that what was relied on was still there shows by its own end coming later.

Not accused: a teardown whose other side was not recorded; the same steps in another task's call.

Fixed before: unregistering the producer before its interrupt is freed (d567fb881916).
`,
  },
  watch: (context) => [new Order(context)],
};

type Row = OrderEntry & { class: ClassEntry };

/** A call that came at a wrong time, if what it came too early or too late for turns out to have been going on. */
interface Pending {
  row: Row;
  call: Call;
  /** The entry that was registered, the call that was going on, or the class's instance, which was up. */
  while: Registration | Call | "up";
}

interface Violation extends Pending {
  /** What shows that it was going on: its end, or what should have come first. */
  shown: { event: AuditEvent; operation: Operation | null };
}

/** More than a healthy kernel has under way; bounds memory on hostile input. */
const MAX_PENDING = 256;

class Order implements RuleWatch {
  readonly #context: RuleContext;
  /** Rows by the function that must not come, and by the one that has to come first. */
  readonly #rows = new Map<string, Row[]>();
  readonly #first = new Map<string, Row[]>();
  readonly #lastPuts = new Map<string, Row[]>();
  /** Classes of which a reference has to come first. */
  readonly #firstGets = new Set<string>();
  readonly #ends = new Map<string, ClassEntry>();
  #pending: Pending[] = [];
  readonly #violations: Violation[] = [];
  readonly #puts = new Map<KernelObject, { row: Row; operation: Operation }>();

  constructor(context: RuleContext) {
    this.#context = context;
    for (const entry of context.world.classes()) {
      for (const row of entry.order.map((one) => ({ ...one, class: entry }))) {
        if (row.inside !== undefined) append(this.#lastPuts, entry.class, row);
        else append(this.#rows, row.not, row);
        if (row.before === "get") this.#firstGets.add(entry.class);
        else if (row.before !== undefined) append(this.#first, row.before, row);
        if (row.while === "up") for (const name of functionsWith(entry, "destroy")) this.#ends.set(name, entry);
      }
    }
  }

  called(call: Call): void {
    const { name } = call.function;
    for (const row of this.#rows.get(name) ?? []) {
      for (const going of this.#goingOn(row, call)) this.#pending.push({ row, call, while: going });
    }
    if (this.#pending.length > MAX_PENDING) this.#pending = this.#pending.slice(-MAX_PENDING);
    const ended = this.#ends.get(name);
    if (ended) this.#show(call.entry, null, ({ row, while: going }) => going === "up" && row.class === ended);
    if (this.#first.has(name)) this.#showBefore(name, call.entry);
  }

  /** What had to come first comes only now, in the same call. */
  #showBefore(name: string, event: AuditEvent, operation: Operation | null = null, entry?: ClassEntry): void {
    const around = this.#context.decoder.calls.of(event);
    this.#show(event, operation, ({ row, while: going }) => {
      const isIts = row.before === name && (entry === undefined || row.class === entry);
      return isIts && isCall(going) && around.includes(going);
    });
  }

  returned(call: Call): void {
    const { returned } = call;
    if (returned === null || this.#pending.length === 0) return;
    this.#show(returned, null, ({ row, while: going }) => row.during !== undefined && going === call);
    // What was to come first never came in this call.
    this.#pending = this.#pending.filter(({ while: going }) => going !== call);
  }

  unregistered(entry: Registration): void {
    const by = entry.unregistered;
    if (by) this.#show(by.event, by, ({ while: going }) => going === entry);
  }

  hears(entry: ClassEntry): boolean {
    return this.#lastPuts.has(entry.class) || this.#firstGets.has(entry.class);
  }

  operation(operation: Operation, object: KernelObject): void {
    const { read, effect, event } = operation;
    if (effect === "get" && this.#pending.length > 0) this.#showBefore("get", event, operation, object.class);
    if (effect !== "put" || read === null || read.guess) return;
    for (const row of this.#lastPuts.get(object.class.class) ?? []) {
      const name = row.inside as string;
      if (read.value + operation.delta !== object.class.counter?.unused) continue;
      const isIn = this.#context.decoder.calls.innermost(event, name) !== null || isInside(event, name) === true;
      if (isIn) keepFirst(this.#puts, object, { row, operation });
    }
  }

  findings(): Finding[] {
    return [
      ...this.#violations.map((violation) => this.#violated(violation)),
      ...[...this.#puts].map(([object, { row, operation }]) => this.#putInside(object, row, operation)),
    ];
  }

  /** What the row forbids the call to come while of, as far as it is known to be going on. */
  #goingOn(row: Row, call: Call): (Registration | Call | "up")[] {
    const { calls } = this.#context.decoder;
    const own = calls.of(call.entry);
    if (row.while === "registered") {
      const index = call.function.prototype.parameters.findIndex(({ name }) => name === row.by);
      const value = call.parameters[index] ?? null;
      if (value === null || value === 0n) return [];
      return [...this.#context.world.registrations.all()].filter(
        (entry) =>
          entry.class === row.class && entry.confirmed && (entry.key === value || entry.registered.exclusive === value),
      );
    }
    if (row.while === "up") {
      const ends = functionsWith(row.class, "destroy");
      const isIts = own.some(({ function: { name } }) => ends.includes(name));
      const instance = this.#context.world.owners.instance(row.class.class);
      return !isIts && (instance?.confirmed || instance?.before?.confirmed) ? ["up"] : [];
    }
    if (row.during !== undefined) {
      return [...calls.all()].flatMap((stack) =>
        stack.filter(({ function: known, entry }) => known.name === row.during && entry.tid !== call.entry.tid),
      );
    }
    return own.filter(({ function: known }) => known.name === row.within);
  }

  #show(event: AuditEvent, operation: Operation | null, isIt: (pending: Pending) => boolean): void {
    const shown = this.#pending.filter(isIt);
    if (shown.length === 0) return;
    this.#pending = this.#pending.filter((pending) => !isIt(pending));
    keep(this.#violations, ...shown.map((pending) => ({ ...pending, shown: { event, operation } })));
  }

  #violated({ row, call, while: going, shown }: Violation): Finding {
    const entry = isCall(going) || going === "up" ? null : going;
    const [operation] = call.operations;
    const object: FindingObject = entry
      ? describeRegistration(this.#context, entry)
      : { label: row.class.title, address: null, key: null, generation: 1 };
    const what = entry ? `${object.label} was registered` : isCall(going) ? (row.during ?? row.before) : object.label;
    const wrong = entry || going === "up" ? `while ${what}${entry ? "" : " was up"}` : `before ${what}() was done`;
    const since = entry?.registered.event ?? (isCall(going) ? going.entry : call.entry);
    const evidence: Evidence[] = [
      ...(entry ? [{ event: entry.registered.event, operation: entry.registered, note: "registered" }] : []),
      ...(isCall(going) ? [marks(going.entry, `${going.function.name}() begins`)] : []),
      { event: call.entry, operation: operation ?? null, note: `${row.not}() comes too early` },
      { ...shown, note: entry ? "unregistered only now" : "only now" },
    ];
    const loweredBy = lossesBetween(this.#context, since.time, shown.event.time);
    return makeFinding({
      rule: "order",
      variant: row.variant,
      judgement: judgementOf(loweredBy),
      class: row.class,
      object,
      title: `${row.not} was called ${wrong}`,
      explanation: `${taskOf(call.entry)} called ${row.not}() ${wrong}: what relies on it was not taken down, or not ready, yet.`,
      expected: `${row.not}() only after ${shown.operation?.function ?? row.before ?? row.during ?? functionsWith(row.class, "destroy")[0]}()`,
      sure: "the other side was seen, and came later",
      function: row.not,
      event: call.entry,
      evidence,
      trigger: operation ?? null,
    });
  }

  #putInside(object: KernelObject, row: Row, operation: Operation): Finding {
    const loweredBy = lossesBetween(this.#context, operation.event.time, operation.event.time);
    const what = describeObject(object);
    return makeFinding({
      rule: "order",
      variant: row.variant,
      judgement: judgementOf(loweredBy),
      class: object.class,
      object: what,
      title: `${what.label} lost its last reference inside ${row.inside}`,
      explanation: `The put that released ${describeKey(object.key)} ran inside ${row.inside}(), which its release waits for or must not run in.`,
      expected: `the last put outside of ${row.inside}()`,
      sure: `the put read ${operation.read?.value}, the last reference`,
      function: operation.function,
      event: operation.event,
      evidence: [{ event: operation.event, operation, note: `the last reference is dropped inside ${row.inside}` }],
      trigger: operation,
    });
  }
}

function isCall(going: Pending["while"]): going is Call {
  return typeof going === "object" && "parameters" in going;
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  map.set(key, [...(map.get(key) ?? []), value]);
}
