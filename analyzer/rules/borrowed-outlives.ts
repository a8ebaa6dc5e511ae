import { functionsWith } from "../../collectors/catalog/catalog.js";
import { contextKey, isInside } from "../decode/calls.js";
import type { AuditEvent, Call, Operation } from "../decode/operation.js";
import type { Reason } from "../lifecycle/coverage.js";
import type { KernelObject } from "../lifecycle/objects.js";
import { recordsCalls, showsEffect } from "../lifecycle/shown.js";
import { keep } from "./cases.js";
import { describeKey, describeObject } from "./describe.js";
import type { Finding } from "./finding.js";
import { makeFinding } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { doubtsBetween, judgementOf } from "./verdict.js";

export const borrowedOutlives: Rule = {
  meta: {
    id: "borrowed-outlives",
    title: "an uncounted pointer was still set when its target was destroyed",
    variants: ["borrowed-outlives"],
    page: `
A pointer was stored without a reference, and not cleared before what it points to was destroyed: whoever follows it
reads freed memory. A VFIO group keeps its VM like this (vfio_file_set_kvm).

How ktally knows: the pointer was set, its target's destruction returned, and no call cleared it before (derived where
the function that sets and clears it was recorded again afterwards, else suspected).

Not accused: a pointer that the destruction itself clears; one that is set to something else; one whose file is closed.

Fixed before: handing the VM over with each open, with a reference (421cfe6596f6, 2b48f52f2bff).
`,
  },
  watch: (context) => [new BorrowedOutlives(context)],
};

interface Link {
  operation: Operation;
  /** What destroyed the target while the pointer was set. */
  outlived: { target: KernelObject; by: Operation } | null;
}

/** More pointers than are set at a time; bounds memory on hostile input. */
const MAX_LINKS = 65_536;

class BorrowedOutlives implements RuleWatch {
  readonly #context: RuleContext;
  /** Pointers that are set, by class and what holds them. */
  readonly #links = new Map<string, Link>();
  readonly #outliving: Link[] = [];

  constructor(context: RuleContext) {
    this.#context = context;
  }

  aside(operation: Operation): void {
    if (operation.effect !== "link" && operation.effect !== "unlink") return;
    if (operation.key === null) return;
    const slot = `${operation.class.class}/${operation.key}`;
    const before = this.#links.get(slot);
    // While the destruction runs, it may still clear the pointer.
    if (before?.outlived && isAfter(operation.event, before.outlived.by)) keep(this.#outliving, before);
    this.#links.delete(slot);
    if (operation.effect === "link" && operation.target !== null && operation.target !== 0n) {
      if (this.#links.size < MAX_LINKS) this.#links.set(slot, { operation, outlived: null });
    }
  }

  operation(operation: Operation, object: KernelObject): void {
    if (operation.effect !== "destroy" || object.destroyed !== operation) return;
    for (const link of this.#links.values()) {
      if (link.operation.target !== object.key || !isTargetClass(link.operation, object)) continue;
      if (object.created !== null && object.created.event.time > link.operation.event.time) continue;
      link.outlived ??= { target: object, by: operation };
    }
  }

  /** The destruction has returned: what is set now stays. */
  returned(call: Call): void {
    if (outerOf(call) !== null) return;
    for (const [slot, link] of this.#links) {
      if (link.outlived?.by.call !== call) continue;
      this.#links.delete(slot);
      keep(this.#outliving, link);
    }
  }

  findings(): Finding[] {
    const told = new Set<KernelObject>();
    const findings: Finding[] = [];
    const links = [...this.#outliving, ...this.#links.values()];
    for (const { operation, outlived } of links) {
      if (operation.outcome === "refused") continue;
      // One pointer to a target is told, not its copies.
      if (outlived === null || told.has(outlived.target) || !this.#isOver(outlived.by)) continue;
      told.add(outlived.target);
      findings.push(this.#finding(operation, outlived.target, outlived.by));
    }
    return findings;
  }

  /** A trace may end, or lose a task, in the middle of a destruction that would have cleared the pointer. */
  #isOver(by: Operation): boolean {
    const outer = by.call && outerOf(by.call);
    if (by.returned !== null && !outer) return true;
    const last = this.#context.lastOf(by.event.tid);
    return last !== null && isInside(last, outer ?? by.function, by.event) === false;
  }

  #finding(link: Operation, target: KernelObject, by: Operation): Finding {
    const key = link.key ?? 0n;
    const label = `${link.class.title} ${describeKey(key)}`;
    const what = describeObject(target).label;
    return makeFinding({
      rule: "borrowed-outlives",
      variant: "borrowed-outlives",
      judgement: judgementOf(this.#doubts(link, by)),
      class: link.class,
      object: { label, address: key, key: null, generation: 1 },
      title: `${label} still points to ${what}, which was destroyed`,
      explanation: `${link.function}() stored the pointer without a reference, and nobody cleared it before ${by.function}() was over.`,
      expected: `${link.function}() with NULL before ${by.function}() returns`,
      sure: "the pointer was set, the destruction was seen, and clearing it would have been",
      function: link.function,
      event: link.event,
      evidence: [
        { event: link.event, operation: link, note: "the pointer is set" },
        { event: by.event, operation: by, note: "its target is destroyed" },
      ],
      trigger: link,
    });
  }

  #doubts(link: Operation, by: Operation): Reason[] {
    const end = by.returned ?? by.event;
    const reasons = doubtsBetween(this.#context, link.class, ["link", "unlink"], link.event.time, end.time);
    const outer = by.call && outerOf(by.call);
    if (outer) {
      const text = `${by.function} is only a part of ${outer}, which is not recorded`;
      reasons.push({ code: "not-probed", text, probe: by.event.probe.name });
    }
    const works = [...this.#context.decoder.uses].some(
      (use) => showsEffect(use, link.class, ["link"]) && use.last.time > end.time,
    );
    const symbols = this.#context.symbols(link.event.source);
    const unlinks = functionsWith(link.class, "unlink").filter((name) => symbols?.has(name) === true);
    if (unlinks.length > 0 && recordsCalls(this.#context.decoder, symbols, link.class, "unlink") === "none") {
      const text = `${unlinks.join(" or ")} may have cleared it: no call is recorded`;
      reasons.push({ code: "not-probed", text, probe: null });
    }
    if (!works) {
      const text = `a call of ${link.function} may not have been recorded: none was seen after the destruction`;
      reasons.push({ code: "not-probed", text, probe: link.event.probe.name });
    }
    return reasons;
  }
}

/** The function that the destruction goes on in when this call of it is over. */
function outerOf({ function: { meanings } }: Call): string | null {
  return meanings.find(({ entry }) => entry.phase_of !== undefined)?.entry.phase_of ?? null;
}

/** Whether the event shows that the destruction is over, although no return of it is recorded. */
function isAfter(event: AuditEvent, by: Operation): boolean {
  const name = (by.call && outerOf(by.call)) ?? by.function;
  return contextKey(event) === contextKey(by.event) && isInside(event, name, by.event) === false;
}

/** Whether the object is of the class that the pointer's argument is called by. */
function isTargetClass(link: Operation, object: KernelObject): boolean {
  const spec = link.class.functions[link.function]?.effects.find(({ effect }) => effect === "link");
  return spec?.target !== undefined && object.class.names?.includes(spec.target) === true;
}
