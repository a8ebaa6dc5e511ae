import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { AuditEvent, Call, ObjectKey, Operation } from "../decode/operation.js";
import type { Reason } from "../lifecycle/coverage.js";
import { MODULES_FROM } from "../lifecycle/world.js";
import { keep } from "./cases.js";
import { recordsCreators } from "./counted.js";
import { describeKey } from "./describe.js";
import { ExitedCode } from "./exited-code.js";
import type { Evidence, Finding } from "./finding.js";
import { makeFinding, marks, taskOf } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { type Judgement, judgementOf, lossesBetween } from "./verdict.js";

export const workAfterCancel: Rule = {
  meta: {
    id: "work-after-cancel",
    title: "work was queued or ran after its cancel or its owner's end",
    variants: ["work-after-cancel", "work-after-release", "work-after-owner"],
    page: `
Work was cancelled on the way down, and queued again before the interrupt that queues it was freed (work-after-cancel);
or it ran when what it works on was gone (work-after-release), or the module that its function is in
(work-after-owner).

How ktally knows: the same task cancelled the work and then freed the interrupt of the device that the work lies in, and
the work was queued or ran in between; every VM had been destroyed when the work of one ran, and their creations are
recorded; the module had been unloaded (derived), where its name or the stack of its exit function tells that the work's
function was in it; its function is in no module that is left, and ran after the last unload (suspected).

Not accused: work that is cancelled and queued again in normal use; work that runs while the canceller still waits for
it.

Fixed before: disabling the interrupt before the work is cancelled (ba4cef31d5a3).
`,
  },
  watch: (context) => [new WorkAfterCancel(context)],
};

/** A teardown cancels and frees in one go; what lies further apart belongs to different stories. */
const TEARDOWN_NS = 1_000_000_000n;
/** The work lies in the device that its interrupt's handler is called with: at most so many bytes behind its start. */
const DEVICE_BYTES = 4096n;
/** More work items than are under cancellation at one time; bounds memory on hostile input. */
const MAX_CANCELS = 1024;

/** The last ones are enough: what ran before the last unload is never told. */
const MAX_STRAYS = 64;

interface Cancelled {
  cancel: Operation;
  /** What happened to the work since the cancel returned. */
  since: Operation[];
}

interface Case {
  variant: "work-after-cancel" | "work-after-release" | "work-after-owner";
  operation: Operation;
  cancel: Operation | null;
  /** The function, where it is not the operation's own word for it: `[late_work]` is one of that module. */
  name?: string;
  /** Whether no more than its address tells that the function was in the module that is gone. */
  isGuess?: boolean;
  /** What had ended, or ended with the work still coming. */
  end: { event: AuditEvent; operation: Operation | null; note: string };
}

class WorkAfterCancel implements RuleWatch {
  readonly #context: RuleContext;
  readonly #cancelled = new Map<ObjectKey, Cancelled>();
  /** Functions that end a teardown, and the argument that says of what. */
  readonly #until = new Map<string, string>();
  /** Classes by the function of their works. */
  readonly #claims = new Map<string, ClassEntry>();
  readonly #cases: Case[] = [];
  /** Work whose function lies where modules are, but in none that is there when the trace is over. */
  readonly #strays: Operation[] = [];
  readonly #exited: ExitedCode;
  /** Sources that name the functions of work where they can. */
  readonly #named = new Set<number>();

  constructor(context: RuleContext) {
    this.#context = context;
    this.#exited = new ExitedCode(context);
    for (const entry of context.world.classes()) {
      for (const [name, argument] of Object.entries(entry.works?.until ?? {})) this.#until.set(name, argument);
      for (const name of entry.works?.functions ?? []) this.#claims.set(name, entry);
    }
  }

  aside(operation: Operation): void {
    const { effect, object, event } = operation;
    if (object === null) return;
    if (effect === "cancel") {
      if (this.#cancelled.size >= MAX_CANCELS) this.#cancelled.clear();
      this.#cancelled.set(object, { cancel: operation, since: [] });
      return;
    }
    if (effect !== "queue" && effect !== "run") return;
    const cancelled = this.#cancelled.get(object);
    // What still runs while it is cancelled is what the canceller waits for.
    if (cancelled?.cancel.returned && event.id > cancelled.cancel.returned.id) keep(cancelled.since, operation);
    const entry = this.#claims.get(workFunction(operation));
    if (effect !== "run") return;
    if (entry) this.#checkRun(operation, entry);
    else if (isNowhere(operation.callee)) this.#noteStray(operation);
    else if (operation.callee?.startsWith("0x") === false) this.#named.add(event.source);
  }

  called(call: Call): void {
    this.#exited.note(call);
    const argument = this.#until.get(call.function.name);
    if (argument === undefined) return;
    const index = call.function.prototype.parameters.findIndex(({ name }) => name === argument);
    const device = call.parameters[index] ?? null;
    if (device === null || device === 0n) return;
    const { entry } = call;
    for (const [work, { cancel, since }] of this.#cancelled) {
      const [first] = since;
      if (typeof work !== "bigint" || work < device || work - device > DEVICE_BYTES || !first) continue;
      if (cancel.event.tid !== entry.tid || entry.time - cancel.event.time > TEARDOWN_NS) continue;
      this.#cancelled.delete(work);
      const note = `only now ${call.function.name}() ends what queues it`;
      keep(this.#cases, {
        variant: "work-after-cancel",
        operation: first,
        cancel,
        end: { event: entry, operation: null, note },
      });
    }
  }

  /** Work whose VMs, or whose module, are gone. */
  #checkRun(operation: Operation, entry: ClassEntry): void {
    const { world } = this.#context;
    const { event } = operation;
    const home = event.probe.at?.module ?? entry.module;
    const owner = home === undefined ? null : [...world.owners.known].find((one) => one.name === home);
    if (owner?.ended && owner.endedBy && event.time > owner.ended.time) {
      const end = { event: owner.endedBy.event, operation: owner.endedBy, note: `module ${home} is unloaded` };
      keep(this.#cases, { variant: "work-after-owner", operation, cancel: null, end });
      return;
    }
    const of = world.classOf(entry.works?.of ?? "");
    if (!of) return;
    let last: Operation | null = null;
    for (const object of world.objects.all()) {
      if (object.class !== of) continue;
      const gone = object.destroyed?.returned ?? null;
      if (object.state !== "destroyed" || gone === null || !object.destroyed) return;
      if (last === null || gone.time > (last.returned?.time ?? 0n)) last = object.destroyed;
    }
    if (last === null || event.time <= (last.returned?.time ?? 0n)) return;
    const end = { event: last.event, operation: last, note: `the last ${of.title} is destroyed` };
    keep(this.#cases, { variant: "work-after-release", operation, cancel: null, end });
  }

  #noteStray(operation: Operation): void {
    // One that lost its module crashes at its first run.
    if (this.#strays.length >= MAX_STRAYS) this.#strays.shift();
    this.#strays.push(operation);
  }

  /**
   * Work whose function was in a module that is gone, where it ran after the last unload. Any module that is unloaded
   * later may have been its home by right.
   */
  #checkStray(operation: Operation): void {
    const { event } = operation;
    if (!this.#named.has(event.source)) return;
    const gone = [...this.#context.world.owners.known].filter(({ kind, ended }) => kind === "module" && ended !== null);
    const last = gone.sort((a, b) => Number((a.ended?.time ?? 0n) - (b.ended?.time ?? 0n))).at(-1);
    if (!last?.ended || !last.endedBy || last.ended.time >= event.time) return;
    const home = this.#exited.moduleAt(BigInt(operation.callee ?? 0), event);
    const isGuess = home === null;
    const { name, endedBy } = home ?? last;
    if (endedBy === null) return;
    const note = `module ${name} is unloaded${isGuess && gone.length > 1 ? `, the last of ${gone.length}` : ""}`;
    const end = { event: endedBy.event, operation: endedBy, note };
    keep(this.#cases, { variant: "work-after-owner", operation, cancel: null, end, name: `[${name}]`, isGuess });
  }

  findings(): Finding[] {
    for (const stray of this.#strays) this.#checkStray(stray);
    const told = new Set<string>();
    return this.#cases.flatMap((one) => {
      const slot = `${one.variant}/${one.operation.object}`;
      if (told.has(slot)) return [];
      told.add(slot);
      return [this.#finding(one)];
    });
  }

  #finding(one: Case): Finding {
    const { variant, operation, cancel, end, name = workFunction(operation) } = one;
    const entry = this.#claims.get(name) ?? operation.class;
    const { event, object } = operation;
    const did = operation.effect === "queue" ? "queued" : "run";
    const what = { label: `${entry.title} ${describeKey(object ?? 0n)}`, address: addressOf(object), key: null };
    const evidence: Evidence[] = [
      { event, operation, note: `${did} ${variant === "work-after-cancel" ? "again" : "all the same"}` },
    ];
    if (cancel) evidence.push({ event: cancel.event, operation: cancel, note: "the work is cancelled" });
    evidence.push(end.operation ? { ...end } : marks(end.event, end.note));
    evidence.sort((a, b) => a.event.id - b.event.id);
    const after = {
      "work-after-cancel": `${cancel?.function}() had cancelled it, and what queues it was not stopped yet`,
      "work-after-release": `what it works on was gone: ${end.note}`,
      "work-after-owner": `the module that its function is in was gone: ${end.note}`,
    }[variant];
    return makeFinding({
      rule: "work-after-cancel",
      variant,
      judgement: this.#judge(one, entry),
      class: entry,
      object: { ...what, generation: 1 },
      title: `${name} was ${did} after ${variant === "work-after-cancel" ? "its cancel" : "its owner's end"}`,
      explanation: `The work was ${did} by ${taskOf(event)} although ${after}.`,
      expected: "what queues the work stopped first, then the work cancelled, then its owner freed",
      sure: "the order of the events",
      function: cancel ? cancel.function : name,
      event: cancel?.event ?? event,
      evidence,
      trigger: operation,
    });
  }

  #judge({ variant, operation, cancel, end, isGuess }: Case, entry: ClassEntry): Judgement {
    const events = [operation.event, cancel?.event ?? end.event, end.event].sort((a, b) => a.id - b.id);
    const [first = operation.event, , last = operation.event] = events;
    const loweredBy: Reason[] = lossesBetween(this.#context, first.time, last.time);
    if (variant === "work-after-cancel" && entry === operation.class && entry.class === "work") {
      const text = "that the work is the device's is told by its address only";
      loweredBy.push({ code: "function-unknown", text, probe: operation.event.probe.name });
    }
    if (isGuess) {
      const text = "that its function was in that module is told by its address only";
      loweredBy.push({ code: "function-unknown", text, probe: operation.event.probe.name });
    }
    const of = this.#context.world.classOf(entry.works?.of ?? "");
    if (variant === "work-after-release" && of && !recordsCreators(this.#context, of)) {
      const text = `a ${of.title} may have been created unseen`;
      loweredBy.push({ code: "not-probed", text, probe: null });
    }
    return judgementOf(loweredBy);
  }
}

/** An address in the modules' area that no symbol contains. */
function isNowhere(callee: string | null): boolean {
  return callee !== null && /^0x[0-9a-f]{16}$/.test(callee) && BigInt(callee) >= MODULES_FROM;
}

function addressOf(object: ObjectKey | null): bigint | null {
  return typeof object === "bigint" ? object : null;
}

/** The function that the work runs: the tracepoint's own field, or the probed function itself. */
function workFunction({ callee, function: name }: Operation): string {
  return callee ?? name;
}
