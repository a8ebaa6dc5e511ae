/** A rule's verdict on an object, with its evidence. */
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { AuditEvent, Operation } from "../decode/operation.js";
import type { Reason } from "../lifecycle/coverage.js";

/** Rule ids are a contract: users filter, suppress and count by them (design, section 8). */
export const RULE_IDS = [
  "leak",
  "extra-put",
  "use-after-release",
  "stale-ops",
  "double-registration",
  "unmatched-unregister",
  "ignored-failure",
  "unregister-stuck",
  "illegal-transition",
  "counter-range",
  "borrowed-outlives",
  "order",
  "work-after-cancel",
  "module-ref",
] as const;
export type RuleId = (typeof RULE_IDS)[number];

export type Verdict = "proven" | "derived" | "suspected";
export type Level = "error" | "note";

/** One line of the finding's story. */
export interface Evidence {
  event: AuditEvent;
  /** The operation as the story tells it; null for an event that only marks a moment. */
  operation: Operation | null;
  /** What it did, in a few words. */
  note: string;
}

export interface FindingObject {
  label: string;
  address: bigint | null;
  key: string | null;
  generation: number;
}

export interface Culprit {
  /** Function that contains the address, clone suffix removed. */
  function: string;
  /** What it was doing, for people: `while rmmod unloads kvm_amd`. */
  context: string | null;
  site: string | null;
  /** The event whose stack shows it. */
  event: AuditEvent | null;
  /** The rule has seen the very operation: there is no better one to look for. */
  certain?: boolean;
}

export interface Finding {
  rule: RuleId;
  variant: string;
  level: Level;
  verdict: Verdict;
  /** What could explain the finding away; empty unless `suspected`. */
  loweredBy: Reason[];
  class: ClassEntry;
  object: FindingObject;
  title: string;
  explanation: string;
  expected: string;
  /** Why the verdict is what it is, in one sentence. */
  sure: string;
  culprit: Culprit;
  evidence: Evidence[];
  /** The operation that brought the matter to light: findings that share it are one story. */
  trigger: Operation | null;
  /** The finding that this one follows from. */
  consequenceOf: Finding | null;
}
