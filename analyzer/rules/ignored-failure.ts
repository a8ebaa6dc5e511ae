import type { Call, Operation } from "../decode/operation.js";
import type { KernelObject } from "../lifecycle/objects.js";
import type { Owner } from "../lifecycle/owners.js";
import type { Refusal } from "../lifecycle/registrations.js";
import { describeEntry, describeResult, stackFunctions } from "./describe.js";
import type { Evidence, Finding, Verdict } from "./finding.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";

export const ignoredFailure: Rule = {
  meta: {
    id: "ignored-failure",
    title: "a register failed and its caller carried on",
    variants: ["reg-fail-ignored"],
    page: `
A register returned an error inside an init function, and that init went on as if it had not: it returned 0, or its
module stayed loaded and was used. What should be there is not, and the exit path will undo what was never done.

How ktally knows: the enclosing call returned 0 although the register inside it had returned an error (proven: two
return values); or the module that was being loaded was used later (derived).

Not accused: an init that fails and is unwound; a refusal that is handed to user space.
`,
  },
  watch: (context) => new IgnoredFailure(context),
};

interface Failure {
  operation: Operation;
  /** Calls of the same task that the register was made in. */
  enclosing: readonly Call[];
  /** Module whose init made it. */
  loading: Owner | null;
  by: { operation: Operation | null; call: Call | null; verdict: Verdict } | null;
}

class IgnoredFailure implements RuleWatch {
  readonly #context: RuleContext;
  readonly #failures: Failure[] = [];

  constructor(context: RuleContext) {
    this.#context = context;
  }

  refused(refusal: Refusal): void {
    const { operation } = refusal;
    if (operation.refusal !== "kernel") return;
    const at = operation.returned ?? operation.event;
    const enclosing = this.#context.decoder.calls.of(at).filter((call) => call !== operation.call);
    this.#failures.push({ operation, enclosing, loading: this.#context.world.owners.loading(at), by: null });
  }

  returned(call: Call, result: number | null): void {
    if (result !== 0) return;
    for (const failure of this.#failures) {
      if (failure.by === null && failure.enclosing.includes(call))
        failure.by = { operation: null, call, verdict: "proven" };
    }
  }

  operation(operation: Operation, object: KernelObject): void {
    if (this.#failures.length === 0 || object.class.class !== "module" || operation.effect !== "get") return;
    for (const failure of this.#failures) {
      const loading = failure.loading;
      if (failure.by !== null || loading?.name !== object.key || loading.ended !== null) continue;
      // References taken while init runs are its own.
      if (this.#context.world.owners.loading(operation.event) === loading) continue;
      if (operation.event.tid === failure.operation.event.tid) continue;
      failure.by = { operation, call: null, verdict: "derived" };
    }
  }

  findings(): Finding[] {
    return this.#failures.flatMap((failure) => (failure.by ? [this.#finding(failure, failure.by)] : []));
  }

  #finding(failure: Failure, by: NonNullable<Failure["by"]>): Finding {
    const { operation } = failure;
    const error = describeResult(operation.result ?? 0);
    const caller = by.call?.function.name ?? this.#callerOf(operation);
    const evidence: Evidence[] = [{ event: operation.event, operation, note: `failed with ${error}` }];
    if (by.call?.returned) {
      evidence.push({ event: by.call.returned, operation: null, note: `${by.call.function.name}() returns 0` });
    }
    if (by.operation)
      evidence.push({ event: by.operation.event, operation: by.operation, note: "the module is in use" });
    return {
      rule: "ignored-failure",
      variant: "reg-fail-ignored",
      level: "error",
      verdict: by.verdict,
      loweredBy: [],
      class: operation.class,
      object: describeEntry(this.#context, operation.class, operation.key, operation, 1),
      title: `${caller} ignored that ${operation.function} failed with ${error}`,
      explanation: by.call
        ? `${operation.function}() returned ${error} and ${caller}() returned 0.`
        : `${operation.function}() returned ${error}, and module ${failure.loading?.name} stayed loaded and was used.`,
      expected: `${caller} to undo what it had done and to return ${error}`,
      sure: by.call ? "both return values were recorded" : "the module was used after its init had ended",
      culprit: { function: caller, context: null, site: null, event: operation.event },
      evidence,
      trigger: operation,
      consequenceOf: null,
    };
  }

  /** The function that called the register, by its stack. */
  #callerOf(operation: Operation): string {
    const names = stackFunctions(this.#context, operation.event);
    const own = names.indexOf(operation.function);
    const caller = own < 0 ? undefined : names[own + 1];
    return caller !== undefined && !caller.includes("trampoline") ? caller : operation.function;
  }
}
