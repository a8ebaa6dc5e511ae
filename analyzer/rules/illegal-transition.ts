import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { AuditEvent, Operation } from "../decode/operation.js";
import type { Reason } from "../lifecycle/coverage.js";
import { keep, MOST_CASES } from "./cases.js";
import { describeKey } from "./describe.js";
import type { Evidence, Finding } from "./finding.js";
import { makeFinding } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { type Judgement, judgementOf, lossesBetween, PROVEN } from "./verdict.js";

export const illegalTransition: Rule = {
  meta: {
    id: "illegal-transition",
    title: "a state change that the protocol does not know",
    variants: ["fsm-illegal"],
    page: `
A device under migration was sent from one state to another along an arc that protocol v2 does not have for the flags in
force, a request that must be refused was accepted, or the lookup of the next state never returned.

How ktally knows: the lookup's own answer, where the recording has it, or its return value (proven); the state in which
the device is at its next lookup; a lookup that was entered and whose task was not seen for ten seconds (derived).
Where the flags are not recorded, only what no flags allow is accused.

Not accused: a request that was refused; a step that the driver failed; the state after a reset.

Fixed before: ending the search for the next state where the arc is blocked (a26b499b757c, CVE-2026-64474).
`,
  },
  watch: (context) => [new IllegalTransition(context)],
};

/** A lookup is a loop over a small table: it takes microseconds. */
const ENDLESS_NS = 10_000_000_000n;

type Machine = NonNullable<ClassEntry["machine"]>;

/** One lookup of the next state. */
interface Lookup {
  operation: Operation;
  machine: Machine;
  from: string;
  to: string;
  flags: number | null;
}

/** More than are needed; of more only the first and the last are remembered, and all in between are taken to be. */
const MOST_UNCLEAR = 256;

class Moments {
  readonly #times: bigint[] = [];
  #last: bigint | null = null;

  note({ event: { time } }: Operation): void {
    if (this.#times.length < MOST_UNCLEAR) this.#times.push(time);
    else this.#last = time;
  }

  between(from: bigint, to: bigint): boolean {
    const until = this.#times.at(-1);
    const isAmong = this.#times.some((time) => time >= from && time <= to);
    return isAmong || (this.#last !== null && until !== undefined && until <= to && this.#last >= from);
  }
}

class IllegalTransition implements RuleWatch {
  readonly #context: RuleContext;
  /** Lookups of which the device or the states are not recorded: each may be the one that lies between two others. */
  readonly #unclear = new Moments();
  /** Lookups of each device, in order. */
  readonly #lookups = new Map<unknown, Lookup[]>();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  aside(operation: Operation): void {
    const { machine } = operation.class;
    if (!machine || operation.call === null) return;
    const from = stateOf(operation, machine, machine.names.from, 1);
    const to = stateOf(operation, machine, machine.names.to, 2);
    if (from === null || to === null || operation.object === null) this.#unclear.note(operation);
    if (from === null || to === null) return;
    const flags = fieldOf(operation.event, machine.names.flags);
    const lookups = this.#lookups.get(operation.object) ?? [];
    this.#lookups.set(operation.object, lookups);
    if (lookups.length >= MOST_CASES) this.#unclear.note(operation);
    keep(lookups, { operation, machine, from, to, flags: flags === null ? null : Number(flags) });
  }

  findings(): Finding[] {
    const findings: Finding[] = [];
    for (const lookups of this.#lookups.values()) {
      for (const [index, lookup] of lookups.entries()) {
        const finding = this.#judge(lookup, lookups[index + 1] ?? null);
        if (finding) findings.push(finding);
      }
    }
    return findings;
  }

  #judge(lookup: Lookup, following: Lookup | null): Finding | null {
    const { operation, machine, from, to } = lookup;
    const { returned, result } = operation;
    if (returned === null) return this.#endless(lookup);
    if (result === null || result < 0) return null;
    if (from === machine.error || machine.blocked[from]?.includes(to)) {
      const what = `${from} to ${to} was accepted, which must be refused`;
      return this.#finding(lookup, what, this.#byReturn(lookup, returned), "the lookup returned 0", null);
    }
    const next = nextOf(returned, machine);
    if (next !== null) {
      if (isLegal(lookup, next)) return null;
      const judgement = this.#byReturn(lookup, returned);
      return this.#finding(lookup, `${from} to ${next} is no arc`, judgement, "the lookup's own answer", null);
    }
    if (following === null || lookup.operation.object === null) return null;
    return this.#fromFollowing(lookup, following);
  }

  /** With a loss inside the call, the return may be another one's. */
  #byReturn({ operation }: Lookup, returned: AuditEvent): Judgement {
    const loweredBy = lossesBetween(this.#context, operation.event.time, returned.time);
    return loweredBy.length > 0 ? judgementOf(loweredBy) : PROVEN;
  }

  /** Without the answer, the state at the next lookup shows where the device went. */
  #fromFollowing(lookup: Lookup, following: Lookup): Finding | null {
    const { machine, from, to, operation } = lookup;
    if (this.#unclear.between(operation.event.time, following.operation.event.time)) return null;
    const reached = following.from;
    const isSameRequest = following.to === to && following.operation.event.tid === operation.event.tid;
    if (reached !== to && !isSameRequest) return null;
    // A reset, or a step that failed, needs no lookup.
    if (reached === machine.reset || reached === machine.error || isLegal(lookup, reached)) return null;
    const loweredBy = lossesBetween(this.#context, operation.event.time, following.operation.event.time);
    const judgement: Judgement = judgementOf(loweredBy);
    return this.#finding(
      lookup,
      `${from} to ${reached} is no arc`,
      judgement,
      "the state at the next lookup",
      following,
    );
  }

  /** The lookup did not return, and its task was never seen again. */
  #endless(lookup: Lookup): Finding | null {
    const { operation, machine, from, to } = lookup;
    const { event } = operation;
    const { decoder } = this.#context;
    if (!this.#context.lasted(event.time, ENDLESS_NS) || this.#context.lastOf(event.tid)?.id !== event.id) return null;
    const returns = [...decoder.uses].some(
      ({ interpretation: meaning }) => meaning.role === "return" && meaning.function === operation.call?.function,
    );
    if (!returns && this.#context.neverFired([operation.function], "kretprobe").length === 0) return null;
    const loweredBy: Reason[] = lossesBetween(this.#context, event.time, this.#context.end());
    if (!machine.blocked[from]?.includes(to)) {
      const text = "this request has an answer: its return may have been lost, and its task may sleep since";
      loweredBy.push({ code: "result-unknown", text, probe: event.probe.name });
    }
    const judgement: Judgement = judgementOf(loweredBy);
    const what = `the way from ${from} to ${to} is looked up for ever`;
    return this.#finding(lookup, what, judgement, "no return was seen, and the task never again", null);
  }

  #finding(lookup: Lookup, what: string, judgement: Judgement, sure: string, following: Lookup | null): Finding {
    const { operation, machine, from, to, flags } = lookup;
    const { object, event } = operation;
    const device = typeof object === "bigint" ? ` ${describeKey(object)}` : "";
    const label = `${operation.class.title}${device}`;
    const evidence: Evidence[] = [{ event, operation, note: `asked for the way from ${from} to ${to}` }];
    if (following) {
      evidence.push({
        event: following.operation.event,
        operation: following.operation,
        note: `is in ${following.from}`,
      });
    }
    const arcs = [...new Set(tablesFor(machine, flags).flatMap((table) => table[from] ?? []))].join(", ");
    return makeFinding({
      rule: "illegal-transition",
      variant: "fsm-illegal",
      judgement,
      class: operation.class,
      object: { label, address: typeof object === "bigint" ? object : null, key: null, generation: 1 },
      title: `${label}: ${what}`,
      explanation: `${operation.function}() was asked for the way from ${from} to ${to}: ${what}${flags === null ? "" : ` with flags ${flags}`}.`,
      expected: arcs === "" ? `a refusal: only a reset leaves ${from}` : `from ${from} to ${arcs}, or a refusal`,
      sure,
      function: operation.function,
      event,
      evidence,
      trigger: operation,
    });
  }
}

/** Whether the flags in force, or where they are not known any flags, have the arc; staying is always legal. */
function isLegal({ machine, from, flags }: Lookup, next: string): boolean {
  return next === from || tablesFor(machine, flags).some((table) => table[from]?.includes(next));
}

/** Arcs of the flags in force; all tables where these are unknown. */
function tablesFor(machine: Machine, flags: number | null): Record<string, string[]>[] {
  const exact = flags === null ? undefined : machine.arcs[flags];
  return exact ? [exact] : Object.values(machine.arcs);
}

/** A state by the field's name, else by the parameter's place. */
function stateOf(operation: Operation, machine: Machine, names: readonly string[], parameter: number): string | null {
  const value = fieldOf(operation.event, names) ?? operation.call?.parameters[parameter] ?? null;
  return value === null ? null : (machine.states[Number(value)] ?? null);
}

/** The answer that a return probe recorded; a pointer to it is none. */
function nextOf(returned: AuditEvent, machine: Machine): string | null {
  const value = fieldOf(returned, machine.names.next);
  if (value === null || value < 0n || value > 0xffffn) return null;
  return machine.states[Number(value)] ?? `state ${value}`;
}

function fieldOf(event: AuditEvent, names: readonly string[]): bigint | null {
  const value = event.args[event.probe.fields.findIndex((field) => names.includes(field))] ?? null;
  return typeof value === "bigint" ? value : null;
}
