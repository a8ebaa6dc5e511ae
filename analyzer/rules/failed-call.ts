/** Leaks that a single call shows: it took a reference, returned an error, and kept it. */
import { functionsWith } from "../../collectors/catalog/catalog.js";
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Call, Operation } from "../decode/operation.js";
import type { Reason } from "../lifecycle/coverage.js";
import { isCountedClass, type KernelObject } from "../lifecycle/objects.js";
import { showsEffect } from "../lifecycle/shown.js";
import { keep } from "./cases.js";
import { counterFinding } from "./counted.js";
import { describeResult } from "./describe.js";
import type { Finding } from "./finding.js";
import { marks } from "./make.js";
import type { RuleContext, RuleWatch } from "./rule.js";
import { doubtsBetween, judgementOf, lossesBetween } from "./verdict.js";

/** The call goes on elsewhere (-EINPROGRESS, -EIOCBQUEUED): keeping the reference is right. */
const GOES_ON: readonly number[] = [-115, -529];
/** More references than failing calls keep in a trace; bounds memory on hostile input. */
const MAX_KEPT = 1024;

interface Kept {
  get: Operation;
  object: KernelObject;
  call: Call;
  result: number;
  /** Gets less puts of the object that were seen since. */
  balance: number;
  /** A value read since shows that nothing was put in the call. */
  shown: Operation | null;
}

export class FailedCallLeak implements RuleWatch {
  readonly #context: RuleContext;
  /** References taken in calls that have not returned, and not dropped again. */
  readonly #taken = new WeakMap<Call, { get: Operation; object: KernelObject }[]>();
  #kept: Kept[] = [];

  constructor(context: RuleContext) {
    this.#context = context;
  }

  hears(entry: ClassEntry): boolean {
    return isCountedClass(entry);
  }

  operation(operation: Operation, object: KernelObject): void {
    const { effect, outcome } = operation;
    if (this.#kept.length > 0) this.#follow(operation, object);
    if ((effect !== "get" && effect !== "put") || outcome === "refused") return;
    for (const call of this.#context.decoder.calls.of(operation.event)) {
      if (call === operation.call) continue;
      let taken = this.#taken.get(call);
      if (!taken) {
        if (effect === "put") continue;
        taken = [];
        this.#taken.set(call, taken);
      }
      if (effect === "get" && outcome === "done") keep(taken, { get: operation, object });
      const given = effect === "put" ? taken.findLastIndex((one) => one.object === object) : -1;
      if (given >= 0) taken.splice(given, 1);
    }
  }

  returned(call: Call, result: number | null): void {
    if (result === null || result >= 0 || result < -4095 || GOES_ON.includes(result)) return;
    for (const { get, object } of this.#taken.get(call) ?? []) {
      if (this.#kept.some((one) => one.get === get)) continue;
      this.#kept = [...this.#kept.slice(1 - MAX_KEPT), { get, object, call, result, balance: 0, shown: null }];
    }
  }

  /** What happens to the object later: a put too many gives the reference back, a destruction shows that it was. */
  #follow({ effect, outcome, read, delta, ...operation }: Operation, object: KernelObject): void {
    if (outcome === "refused") return;
    for (const one of this.#kept) {
      if (one.object !== object) continue;
      const before = one.get.read;
      if (one.shown === null && read !== null && !read.guess && before !== null && !before.guess) {
        if (read.value === before.value + 1 + one.balance) one.shown = { effect, outcome, read, delta, ...operation };
        else one.balance = Number.NEGATIVE_INFINITY;
      }
      // Where gets are inlined, puts of what was never seen taken say nothing.
      if (one.shown !== null || !isInlined(object.class)) one.balance += delta;
      if (effect === "destroy") one.balance = Number.NEGATIVE_INFINITY;
    }
    this.#kept = this.#kept.filter(({ balance }) => balance >= 0);
  }

  findings(): Finding[] {
    const told = new Set<KernelObject>();
    return this.#kept.flatMap((kept) => {
      const doubts = told.has(kept.object) ? null : this.#doubts(kept);
      if (doubts === null) return [];
      told.add(kept.object);
      return [this.#finding(kept, doubts)];
    });
  }

  /** What could explain the reference away; null where nothing shows that it was kept. */
  #doubts({ object, shown, call }: Kept): Reason[] | null {
    if (shown !== null) return [];
    const entry = object.class;
    const puts = functionsWith(entry, "put");
    const uses = [...this.#context.decoder.uses];
    // Each of them was seen to work, and so would have been seen in the call.
    const areRecorded = puts.every((name) =>
      uses.some(
        ({ interpretation: meaning, named }) => named && meaning.role === "entry" && meaning.function.name === name,
      ),
    );
    if (puts.length === 0) return null;
    if (!isInlined(entry)) return areRecorded ? [] : null;
    // A put may be inlined within its own module; another module has to call it, or something that drops more.
    const isElsewhere = call.entry.probe.at?.module != null && call.entry.probe.at.module !== entry.module;
    const end = call.returned ?? call.entry;
    const othersEnd = uses.some((use) => showsEffect(use, entry, ["destroy"]) && use.last.time > end.time);
    const someRecorded = uses.some((use) => showsEffect(use, entry, ["put"]));
    if (!isElsewhere || !othersEnd || !someRecorded || object.state !== "alive") return null;
    const text = "a put may be inlined in what it called, or come from who is not recorded";
    return [{ code: "inlined", text, probe: call.entry.probe.name }];
  }

  #finding({ get, object, call, result, shown }: Kept, doubts: Reason[]): Finding {
    const end = shown?.event ?? call.returned ?? call.entry;
    const { class: entry } = object;
    // A value that counts it needs no silence of puts.
    const unseen = shown
      ? lossesBetween(this.#context, call.entry.time, end.time)
      : doubtsBetween(this.#context, entry, ["put"], call.entry.time, this.#context.end());
    const judgement = judgementOf([...unseen, ...doubts]);
    const evidence = [
      marks(call.entry, `${call.function.name}() begins`),
      { event: get.event, operation: get, note: "reference taken" },
      ...(call.returned ? [marks(call.returned, `fails with ${describeResult(result)}, and keeps it`)] : []),
      ...(shown ? [{ event: shown.event, operation: shown, note: "it is counted still" }] : []),
    ];
    const finding = counterFinding("leak", "leak", object, get, judgement, evidence);
    finding.culprit.function = call.function.name;
    finding.culprit.certain = true;
    finding.title = `${call.function.name} failed and kept its reference on ${finding.object.label}`;
    finding.explanation = `${get.function} took a reference inside ${call.function.name}(), which returned ${describeResult(result)} without dropping it.`;
    finding.expected = "the reference dropped on the error path";
    finding.sure = shown
      ? `the value ${shown.read?.value} that was read next counts it`
      : "puts are recorded, and none came in the call or later";
    return finding;
  }
}

/** Whether operations of the class may be instructions that no probe on a function sees. */
function isInlined(entry: ClassEntry): boolean {
  const spec = Object.values(entry.functions);
  return (
    Object.keys(entry.sites).length > 0 ||
    spec.some(({ inlined, effects }) => inlined !== undefined && effects.some(({ effect }) => effect === "put"))
  );
}
