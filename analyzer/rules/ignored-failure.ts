import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Call, Operation } from "../decode/operation.js";
import type { KernelObject } from "../lifecycle/objects.js";
import type { Owner } from "../lifecycle/owners.js";
import type { Refusal } from "../lifecycle/registrations.js";
import { keep, keepFirst } from "./cases.js";
import { callerOf, describeEntry, describeResult } from "./describe.js";
import type { Evidence, Finding } from "./finding.js";
import { makeFinding, marks } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { judgementOf, lossesBetween, PROVEN } from "./verdict.js";

export const ignoredFailure: Rule = {
  meta: {
    id: "ignored-failure",
    title: "a register failed and its caller carried on",
    variants: ["reg-fail-ignored", "reg-fail-reported-ok", "put-errptr", "get-errptr"],
    page: `
A register returned an error inside an init function, and that init went on as if it had not: it returned 0, or its
module stayed loaded and was used; or a register hid from its own caller that a part of it had failed
(reg-fail-reported-ok). What should be there is not, and the exit path will undo what was never done. Or a
function that returns an error pointer failed, and the error was used as if it were the object.

How ktally knows: the enclosing call returned 0 although the register inside it had returned an error (proven: two
return values); the module that was being loaded was used or unloaded later (derived); or a get or put was called with
an error number in place of an object (proven: the argument).

Not accused: an init that fails and is unwound; a refusal that is handed to user space; NULL, where a put of nothing is
legal.

Fixed before: putting an eventfd only when it was found (7353633814f6, CVE-2022-49774).
`,
  },
  watch: (context) => [new IgnoredFailure(context)],
};

interface Failure {
  operation: Operation;
  /** Calls of the same task that the register was made in. */
  enclosing: readonly Call[];
  /** Module whose init made it. */
  loading: Owner | null;
  /** What shows that the caller carried on: an enclosing call that returned 0, or a later life of the module. */
  by: { call: Call } | { module: Operation } | null;
}

/** What a caller can do to an object: the others are told of by rules on their results. */
const HANDED: readonly string[] = ["get", "put", "use", "destroy", "unregister"];

class IgnoredFailure implements RuleWatch {
  readonly #context: RuleContext;
  readonly #failures: Failure[] = [];
  /** Error pointers handed over, one per function and error. */
  readonly #handed = new Map<string, Operation>();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  errorPointer(operation: Operation): void {
    const slot = `${operation.function}/${operation.errorPointer}`;
    if (HANDED.includes(operation.effect)) keepFirst(this.#handed, slot, operation);
  }

  refused(refusal: Refusal): void {
    const { operation } = refusal;
    if (operation.refusal !== "kernel") return;
    const at = operation.returned ?? operation.event;
    const enclosing = this.#context.decoder.calls.of(at).filter((call) => call !== operation.call);
    keep(this.#failures, { operation, enclosing, loading: this.#context.world.owners.loading(at), by: null });
  }

  returned(call: Call, result: number | null): void {
    if (result !== 0) return;
    for (const failure of this.#failures) {
      if (failure.by === null && failure.enclosing.includes(call)) failure.by = { call };
    }
  }

  hears(entry: ClassEntry): boolean {
    return entry.class === "module";
  }

  operation(operation: Operation, object: KernelObject): void {
    for (const failure of this.#failures) {
      const loading = failure.loading;
      if (failure.by !== null || loading?.name !== object.key) continue;
      // An init that failed is freed by the task that loaded it; what another task unloads had come up.
      const isUnload = operation.effect === "destroy" && loading.endedBy === operation && !loading.failed;
      if (isUnload || (operation.effect === "get" && this.#isUse(operation, failure, loading))) {
        failure.by = { module: operation };
      }
    }
  }

  #isUse(get: Operation, failure: Failure, loading: Owner): boolean {
    // References taken while init runs are its own.
    if (loading.ended !== null || this.#context.world.owners.loading(get.event) === loading) return false;
    return get.event.tid !== failure.operation.event.tid;
  }

  findings(): Finding[] {
    return [
      ...[...this.#handed.values()].map((operation) => this.#errorHanded(operation)),
      ...this.#failures.flatMap((failure) => (failure.by ? [this.#finding(failure, failure.by)] : [])),
    ];
  }

  #errorHanded(operation: Operation): Finding {
    const error = describeResult(operation.errorPointer ?? 0);
    const caller = callerOf(this.#context, operation);
    return makeFinding({
      rule: "ignored-failure",
      variant: operation.effect === "put" ? "put-errptr" : "get-errptr",
      judgement: PROVEN,
      class: operation.class,
      object: { label: `${operation.class.title} ${error}`, address: null, key: null, generation: 1 },
      title: `${operation.function} was called with the error ${error} in place of a ${operation.class.title}`,
      explanation: `${operation.function}() was handed ${error} as a pointer${caller === operation.function ? "" : ` by ${caller}()`}: what should have returned the ${operation.class.title} had failed.`,
      expected: "a test with IS_ERR() before the pointer is used",
      sure: `the argument is ${operation.errorPointer}, which no object has for its address`,
      function: operation.function,
      event: operation.event,
      evidence: [{ event: operation.event, operation, note: `called with ${error}` }],
      trigger: operation,
    });
  }

  #finding({ operation, loading }: Failure, by: NonNullable<Failure["by"]>): Finding {
    const error = describeResult(operation.result ?? 0);
    const call = "call" in by ? by.call : null;
    const later = "module" in by ? by.module : null;
    const caller = call?.function.name ?? callerOf(this.#context, operation);
    const evidence: Evidence[] = [{ event: operation.event, operation, note: `failed with ${error}` }];
    if (call?.returned) evidence.push(marks(call.returned, `${call.function.name}() returns 0`));
    const isUsed = later?.effect === "get";
    const what = isUsed ? "in use" : "unloaded by another task: its init had succeeded";
    if (later) evidence.push({ event: later.event, operation: later, note: `the module is ${what}` });
    const judgement = later
      ? judgementOf(lossesBetween(this.#context, operation.event.time, later.event.time))
      : PROVEN;
    return makeFinding({
      rule: "ignored-failure",
      variant: call && isRegister(call) ? "reg-fail-reported-ok" : "reg-fail-ignored",
      judgement,
      class: operation.class,
      object: describeEntry(this.#context, operation.class, operation.key, operation, 1),
      title: `${caller} ignored that ${operation.function} failed with ${error}`,
      explanation: call
        ? `${operation.function}() returned ${error} and ${caller}() returned 0.`
        : `${operation.function}() returned ${error}, and module ${loading?.name} stayed loaded${isUsed ? " and was used" : " until it was unloaded"}.`,
      expected: `${caller} to undo what it had done and to return ${error}`,
      sure: call ? "both return values were recorded" : "the module was there after its init had ended",
      function: caller,
      event: operation.event,
      evidence,
      trigger: operation,
    });
  }
}

/** A register itself, whose 0 tells its own caller that all is well. */
function isRegister({ function: { meanings } }: Call): boolean {
  return meanings.some(({ entry }) => entry.effects.some(({ effect }) => effect === "register"));
}
