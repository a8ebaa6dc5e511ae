import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { AuditEvent, Call, Operation } from "../decode/operation.js";
import type { Reason } from "../lifecycle/coverage.js";
import type { KernelObject } from "../lifecycle/objects.js";
import { keep, keepFirst, MOST_CASES } from "./cases.js";
import { ReadCounters } from "./counter-values.js";
import { describeKey } from "./describe.js";
import type { Evidence, Finding } from "./finding.js";
import { makeFinding, marks } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { doubtsBetween, type Judgement, judgementOf, PROVEN } from "./verdict.js";

export const counterRange: Rule = {
  meta: {
    id: "counter-range",
    title: "a plain count below zero, or unequal at the end",
    variants: ["pair-count", "counter-negative", "pin-imbalance"],
    page: `
A count that is no reference counter went wrong: a device was closed more often than opened (counter-negative), a driver
enabled it for the first open and did not disable it for the last close (pair-count), or pages stayed pinned when the
device was closed (pin-imbalance).

How ktally knows: the value read is below zero, or zero as it is decremented (proven); or what was recorded of both
sides does not come out even when the device's last file is closed, or when it is enabled once more (derived where the
other side's probe was seen to work before and after, else suspected).

Not accused: a count that stops at zero by itself; a count of which only one side is recorded.

Fixed before: not closing what was not opened in no-iommu mode (b25e271b3779, 982ddd59ed97).
`,
  },
  watch: (context) => [new CounterRange(context)],
};

/** What one object's plain count came to since it was even, as far as its changes are recorded. */
class Balance {
  readonly key: unknown;
  /** Sum of the changes that are listed no more; null where one of them is not known. */
  #before: number | null = 0;
  #changes: Operation[] = [];

  constructor(key: unknown) {
    this.key = key;
  }

  add(operation: Operation): void {
    this.#changes.push(operation);
    if (this.#changes.length < 2 * MOST_CASES) return;
    const by = sum(this.#changes.splice(1, MOST_CASES));
    this.#before = by === null || this.#before === null ? null : this.#before + by;
  }

  /** What it came to; null where a change is not known. It begins anew. */
  take(): { value: number | null; changes: Operation[] } {
    const changes = this.#changes;
    const by = sum(changes);
    const value = by === null || this.#before === null ? null : this.#before + by;
    this.#changes = [];
    this.#before = 0;
    return { value, changes };
  }
}

interface Uneven {
  value: number;
  changes: readonly Operation[];
  /** The event by which it should have been even, and what it is. */
  event: AuditEvent;
  when: string;
  /** The class whose counter's value says so; null where a call does. */
  byValue: ClassEntry | null;
}

class CounterRange implements RuleWatch {
  readonly #context: RuleContext;
  readonly #negative = new Map<string, Operation>();
  readonly #balances = new Map<string, Balance>();
  /** Changes of counts that a call must leave as it found them. */
  readonly #inCalls = new WeakMap<Call, Balance>();
  readonly #uneven: Uneven[] = [];
  readonly #values = new ReadCounters();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  aside(operation: Operation): void {
    const spec = operation.count === null ? undefined : operation.class.counts[operation.count];
    if (!spec) return;
    const slot = `${operation.class.class}/${operation.count}/${operation.object}`;
    const value = operation.read?.value ?? null;
    this.#values.note(operation);
    const floor = operation.effect === "close" && !spec.stops_at_zero ? 0 : -1;
    if (value !== null && value <= floor) keepFirst(this.#negative, slot, operation);
    if (spec.unequal === undefined || operation.object === null) return;
    if (spec.even_after.length > 0) {
      this.#noteInCall(operation, spec.even_after);
      return;
    }
    const balance = this.#balances.get(slot) ?? new Balance(operation.object);
    if (spec.once && operation.effect === "open") {
      this.#judge(balance, operation.event, `${operation.function}() was called again`);
    }
    balance.add(operation);
    keepFirst(this.#balances, slot, balance);
  }

  #noteInCall(operation: Operation, functions: readonly string[]): void {
    const around = this.#context.decoder.calls.of(operation.event);
    const call = around.findLast(({ function: { name } }) => functions.includes(name));
    if (!call) return;
    const balance = this.#inCalls.get(call) ?? new Balance(operation.object);
    this.#inCalls.set(call, balance);
    balance.add(operation);
  }

  returned(call: Call): void {
    const balance = this.#inCalls.get(call);
    if (balance === undefined || call.returned === null) return;
    this.#judge(balance, call.returned, `${call.function.name} returned`);
  }

  hears(entry: ClassEntry): boolean {
    return entry.class === "vfio_device";
  }

  /** A put that leaves a device nothing but its registration: its last file is closed. */
  operation(operation: Operation, object: KernelObject): void {
    this.#values.note(operation);
    if (operation.effect !== "put" || operation.read === null) return;
    const left = operation.read.value + operation.delta;
    if (operation.read.guess || left > (object.class.counter?.initial ?? 0)) return;
    // The unregister drops the registration's own reference, whoever has the file open.
    const calls = this.#context.decoder.calls.of(operation.event);
    if (calls.some((call) => call.function.meanings.some(({ entry }) => entry.blocks))) return;
    for (const [slot, balance] of this.#balances) {
      const isDevice = this.#context.world.objects.find(object.class, balance.key as bigint) !== undefined;
      if (isDevice ? balance.key === object.key : !this.#isAnyOpen(object)) {
        this.#balances.delete(slot);
        this.#judge(balance, operation.event, "the device's last file was closed", object.class);
      }
    }
  }

  findings(): Finding[] {
    const findings = [...this.#negative.values()].map((operation) => this.#belowZero(operation));
    for (const uneven of this.#uneven) {
      const finding = this.#unequal(uneven);
      if (finding) findings.push(finding);
    }
    return findings;
  }

  /** Where the count's object is no VFIO device (struct device, up to 5.17): any device may be it. */
  #isAnyOpen(closed: KernelObject): boolean {
    for (const device of this.#context.world.objects.alive(closed.class)) {
      const greatest = device.ledger?.range()?.greatest ?? Number.POSITIVE_INFINITY;
      if (device !== closed && greatest > (closed.class.counter?.initial ?? 0)) return true;
    }
    return false;
  }

  /** It should be even now. */
  #judge(balance: Balance, event: AuditEvent, when: string, byValue: ClassEntry | null = null): void {
    const { value, changes } = balance.take();
    if (value !== null && value > 0) keep(this.#uneven, { value, changes, event, when, byValue });
  }

  #belowZero(operation: Operation): Finding {
    const value = operation.read?.value ?? 0;
    const title = operation.class.counts[operation.count ?? ""]?.title ?? "count";
    const evidence: Evidence[] = [{ event: operation.event, operation, note: `${operation.count} is ${value}` }];
    // A field at a wrong offset is zero, or below, at every close.
    const doubt = this.#values.doubt(operation.class, operation.count);
    const judgement = doubt === null ? PROVEN : judgementOf([doubt]);
    const finding = base(operation, "counter-negative", judgement, evidence);
    finding.title = `${finding.object.label}: ${operation.count} falls below zero`;
    finding.explanation = `${operation.function}() found ${value} ${title}${value === 0 ? ", and counts down" : ""}: there were more closes than opens.`;
    finding.expected = "as many closes as opens";
    finding.sure = `the value read is ${value}`;
    return finding;
  }

  #unequal({ value, changes, event, when, byValue }: Uneven): Finding | null {
    const opened = changes.find(({ effect, outcome }) => effect === "open" && outcome === "done");
    const spec = opened?.class.counts[opened.count ?? ""];
    if (!opened || spec?.unequal === undefined) return null;
    const seen = this.#judgementOn(opened, event);
    if (seen === null) return null;
    const judgement = judgementOf([...seen.loweredBy, ...(byValue === null ? [] : this.#doubtsOf(byValue))]);
    const [closer] = closersOf(opened);
    const evidence: Evidence[] = changes.map((operation) => ({
      event: operation.event,
      operation,
      note: operation.effect === "open" ? "counted up" : "counted down",
    }));
    evidence.push(marks(event, when));
    const finding = base(opened, spec.unequal, judgement, evidence);
    finding.title = `${finding.object.label}: ${value} ${spec.title} left when ${when}`;
    finding.explanation = `${opened.function}() was not undone: ${value} ${spec.title} were left when ${when}.`;
    finding.expected = `${closer}() before ${when}`;
    finding.sure = "every change up to then was recorded";
    return finding;
  }

  /** Why the values of a class's counter may not mean what they seem to. */
  #doubtsOf(entry: ClassEntry): Reason[] {
    const doubt = this.#values.doubt(entry);
    const broken = this.#context.world.objects.summary(entry).broken;
    const text = "its counter changed unseen: other files of it may have been open";
    return [
      ...(doubt === null ? [] : [doubt]),
      ...(broken === null ? [] : [{ code: "unseen-change" as const, text, probe: broken.last.event.probe.name }]),
    ];
  }

  /** The other side's silence tells something only where it is recorded; null where nothing shows that. */
  #judgementOn(opened: Operation, closed: AuditEvent): Judgement | null {
    const closers = closersOf(opened);
    const uses = [...this.#context.decoder.uses].filter(
      ({ interpretation: meaning, named }) =>
        named && meaning.role === "entry" && closers.includes(meaning.function.name),
    );
    if (uses.length === 0 && this.#context.neverFired(closers).length === 0) return null;
    const { class: entry, count, event } = opened;
    const loweredBy = doubtsBetween(this.#context, entry, ["close"], event.time, closed.time, count ?? undefined);
    const symbols = this.#context.symbols(event.source);
    const recorded = uses.map(({ interpretation: meaning }) => (meaning.role === "entry" ? meaning.function.name : ""));
    const missing = closers.filter((name) => symbols?.has(name) === true && !recorded.includes(name));
    if (missing.length > 0) {
      const text = `${missing.join(" and ")} may have counted down: no call is recorded`;
      loweredBy.push({ code: "not-probed", text, probe: null });
    }
    if (!uses.some((use) => use.first.time < closed.time && use.last.time > opened.event.time)) {
      const text = `a call of ${closers.join(", ")} may not have been recorded: none was seen in this time`;
      loweredBy.push({ code: "not-probed", text, probe: null });
    }
    return judgementOf(loweredBy);
  }
}

/** Functions that count down what this operation counted up. */
function closersOf({ class: entry, count }: Operation): string[] {
  return Object.entries(entry.functions)
    .filter(([, spec]) => spec.effects.some((effect) => effect.count === count && effect.effect === "close"))
    .map(([name]) => name);
}

/** What the changes come to; null where one of them is not known. */
function sum(changes: readonly Operation[]): number | null {
  let total = 0;
  for (const { effect, outcome, amount, result } of changes) {
    if (outcome === "refused") continue;
    const by = amount ?? (effect === "open" ? result : null);
    if (outcome !== "done" || by === null) return null;
    total += effect === "open" ? by : -by;
  }
  return total;
}

function base(operation: Operation, variant: string, judgement: Judgement, evidence: Evidence[]): Finding {
  const { object } = operation;
  const address = typeof object === "bigint" ? object : null;
  const label = `${operation.class.title}${address === null ? "" : ` ${describeKey(address)}`}`;
  return makeFinding({
    rule: "counter-range",
    variant,
    judgement,
    class: operation.class,
    object: { label, address, key: null, generation: 1 },
    title: "",
    explanation: "",
    expected: "",
    sure: "",
    function: operation.function,
    event: operation.event,
    evidence,
    trigger: operation,
  });
}
