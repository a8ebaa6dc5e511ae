/** A pointer that a refused call has set all the same: who follows it later finds what has been freed since. */
import type { Call } from "../decode/operation.js";
import { describeKey, describeResult } from "./describe.js";
import type { Finding } from "./finding.js";
import { makeFinding, marks } from "./make.js";
import type { RuleWatch } from "./rule.js";
import { PROVEN } from "./verdict.js";

/** More calls of one function that leave their pointer behind are the same story. */
const MAX_LEFT = 64;

export class LinkAfterFail implements RuleWatch {
  readonly #left: { call: Call; field: string; value: bigint }[] = [];

  returned(call: Call, result: number | null): void {
    if (result === null || result >= 0 || this.#left.length >= MAX_LEFT) return;
    for (const { spec, outcome } of call.operations) {
      const field = outcome === "refused" ? spec?.left : undefined;
      if (field === undefined || call.returned === null) continue;
      const value = call.returned.args[call.returned.probe.fields.indexOf(field)] ?? null;
      if (typeof value === "bigint" && value !== 0n) this.#left.push({ call, field, value });
    }
  }

  findings(): Finding[] {
    return this.#left.flatMap(({ call, field, value }) => {
      const operation = call.operations.find(({ spec }) => spec?.left === field);
      const { returned } = call;
      if (!operation || !returned) return [];
      const { key, class: entry, function: name, result } = operation;
      const label = `${entry.title}${key === null ? "" : ` ${describeKey(key)}`}`;
      const error = describeResult(result ?? 0);
      const finding = makeFinding({
        rule: "stale-ops",
        variant: "link-after-fail",
        judgement: PROVEN,
        class: entry,
        object: { label, address: key, key: null, generation: 1 },
        title: `${name} failed and left ${label} with its ${field}`,
        explanation: `${name}() returned ${error}, and ${field} was ${describeKey(BigInt.asUintN(64, value))} then: nobody clears it when that goes.`,
        expected: `${field} NULL when ${name}() fails`,
        sure: `the return value, and the ${field} read with it`,
        function: name,
        event: operation.event,
        evidence: [
          { event: operation.event, operation, note: "asked to set the pointer" },
          marks(returned, `fails with ${error}; ${field} is set`),
        ],
        trigger: operation,
      });
      return [finding];
    });
  }
}
