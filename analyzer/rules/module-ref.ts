import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Call, Operation } from "../decode/operation.js";
import type { Reason } from "../lifecycle/coverage.js";
import type { LedgerStep } from "../lifecycle/ledger.js";
import type { KernelObject } from "../lifecycle/objects.js";
import { describeObject } from "./describe.js";
import type { Finding } from "./finding.js";
import { makeFinding, marks } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { type Judgement, judgementOf, lossesBetween, PROVEN } from "./verdict.js";

export const moduleRef: Rule = {
  meta: {
    id: "module-ref",
    title: "module references that do not balance",
    variants: ["mod-leak", "mod-extra-put"],
    page: `
A reference on a module was taken, and what should give it back ran without doing so: "module is in use" until reboot
(mod-leak). Or one was given back that nobody had: the module can be unloaded under its users (mod-extra-put).

How ktally knows: the catalog says which function gives back what another one takes; the second was over without a
module_put (derived where its end was seen). Of an extra put the printed count tells: it falls below one (proven where
the value before was printed, too).

Not accused: a count printed by kernels before 3.19, which is one CPU's share; references of files that are still open.

Fixed before: dropping the driver's reference when its device is unbound (RFC v2 4/9 of 2020).
`,
  },
  watch: (context) => [new ModuleRef(context)],
};

/** After this time without an event of its task a function is taken to be over. */
const OVER_NS = 100_000_000n;
/** More references of such pairs than a machine holds; bounds memory on hostile input. */
const MAX_HELD = 1024;

interface Held {
  get: Operation;
  module: KernelObject;
  /** Function that should give it back, and the call of it that did not. */
  kept: Call | null;
}

class ModuleRef implements RuleWatch {
  readonly #context: RuleContext;
  /** Functions that give back, by the one that takes. */
  readonly #pairs = new Map<string, readonly string[]>();
  readonly #givers = new Set<string>();
  #held: Held[] = [];
  readonly #extra = new Map<KernelObject, { operation: Operation; judgement: Judgement }>();

  constructor(context: RuleContext) {
    this.#context = context;
    for (const entry of context.world.classes()) {
      for (const { get, put } of entry.module_refs) {
        this.#pairs.set(get, put);
        for (const name of put) this.#givers.add(name);
      }
    }
  }

  hears(entry: ClassEntry): boolean {
    return entry.class === "module";
  }

  operation(operation: Operation, object: KernelObject, step: LedgerStep | null): void {
    if (operation.effect === "destroy") this.#held = this.#held.filter(({ module }) => module !== object);
    else if (operation.effect === "put") this.#put(operation, object, step);
    else if (operation.effect === "get" && this.#pairs.has(operation.callSite ?? "")) {
      this.#held = [...this.#held.slice(1 - MAX_HELD), { get: operation, module: object, kept: null }];
    }
  }

  /** A function that gives back was entered: until its put is seen, it keeps the latest reference. */
  called(call: Call): void {
    if (!this.#givers.has(call.function.name)) return;
    const held = this.#held.findLast(
      (one) => one.kept === null && this.#pairs.get(one.get.callSite ?? "")?.includes(call.function.name),
    );
    if (held) held.kept = call;
  }

  #put(operation: Operation, module: KernelObject, step: LedgerStep | null): void {
    if (this.#held.length > 0) this.#giveBack(operation, module);
    const { read } = operation;
    const unused = module.class.counter?.unused ?? 1;
    if (read === null || read.value >= unused || this.#extra.has(module)) return;
    const before = step?.before ?? null;
    const isContinuous = (module.ledger?.breakCount ?? 0) === 0 && (module.ledger?.reads ?? 0) > 1;
    const doubt: Reason = {
      code: "no-values",
      text: "the count before it was not printed, or does not fit: before 3.19 it is one CPU's share",
      probe: operation.event.probe.name,
    };
    const isSure = isContinuous && before === unused && read.value === unused - 1;
    this.#extra.set(module, { operation, judgement: isSure ? PROVEN : { verdict: "suspected", loweredBy: [doubt] } });
  }

  #giveBack(operation: Operation, module: KernelObject): void {
    const own = this.#held.filter((one) => one.module === module);
    const taker = (one: Held) => one.get.callSite === operation.callSite && one.get.event.tid === operation.event.tid;
    // Who gives back, or takes and unwinds; any other put may be the missing one under another caller's name.
    const one = own.find(({ kept }) => kept?.entry.tid === operation.event.tid) ?? own.findLast(taker) ?? own[0];
    if (one) this.#held.splice(this.#held.indexOf(one), 1);
  }

  findings(): Finding[] {
    const end = this.#context.end();
    const kept = this.#held.filter(({ kept: call }) => call !== null && end - call.entry.time >= OVER_NS);
    return [
      ...[...this.#extra].map(([module, { operation, judgement }]) => this.#extraPut(module, operation, judgement)),
      ...kept.map((held) => this.#leak(held, held.kept as Call)),
    ];
  }

  #leak({ get, module }: Held, call: Call): Finding {
    const loweredBy = lossesBetween(this.#context, get.event.time, this.#context.end());
    const last = this.#context.lastOf(call.entry.tid);
    if (call.returned === null && (last === null || last.id === call.entry.id)) {
      const text = `that ${call.function.name} is over is not recorded`;
      loweredBy.push({ code: "result-unknown", text, probe: call.entry.probe.name });
    }
    const object = describeObject(module);
    return makeFinding({
      rule: "module-ref",
      variant: "mod-leak",
      judgement: judgementOf(loweredBy),
      class: module.class,
      object,
      title: `${object.label} keeps a reference that ${get.callSite} took`,
      explanation: `${get.callSite}() took a reference on module ${String(module.key)}; ${call.function.name}(), which gives it back, ran without doing so: the module cannot be unloaded.`,
      expected: `a module_put() in ${call.function.name}()`,
      sure: "every change of the module's count is recorded, and no put of it came",
      function: call.function.name,
      event: call.entry,
      evidence: [
        { event: get.event, operation: get, note: `taken by ${get.callSite}` },
        marks(call.entry, `${call.function.name}() does not give it back`),
      ],
      trigger: get,
    });
  }

  #extraPut(module: KernelObject, operation: Operation, judgement: Judgement): Finding {
    const object = describeObject(module);
    const value = operation.read?.value ?? 0;
    return makeFinding({
      rule: "module-ref",
      variant: "mod-extra-put",
      judgement,
      class: module.class,
      object,
      title: `${object.label} lost a reference that nobody held`,
      explanation: `${operation.callSite ?? "A module_put()"} brought the count to ${value}; a module in memory has at least ${module.class.counter?.unused ?? 1}.`,
      expected: "as many puts as gets",
      sure: `the value ${value} was printed with the put itself`,
      function: operation.callSite ?? operation.function,
      event: operation.event,
      evidence: [{ event: operation.event, operation, note: `the count is ${value}` }],
      trigger: operation,
    });
  }
}
