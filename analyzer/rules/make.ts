/** The skeleton that every finding shares. */
import type { AuditEvent } from "../decode/operation.js";
import type { Culprit, Evidence, Finding, Level } from "./finding.js";
import type { Judgement } from "./verdict.js";

type Told = Pick<
  Finding,
  "rule" | "variant" | "class" | "object" | "title" | "explanation" | "expected" | "sure" | "evidence" | "trigger"
>;

interface Blamed {
  judgement: Judgement;
  /** To blame; the event's stack shows it. */
  function: string;
  event: AuditEvent | null;
  context?: string | null;
  /** An error without it. */
  level?: Level;
}

export function makeFinding(told: Told & Blamed): Finding {
  const { judgement, function: name, event, context, level, ...rest } = told;
  const culprit: Culprit = { function: name, context: context ?? null, site: null, event };
  const { verdict, loweredBy } = judgement;
  return { ...rest, level: level ?? "error", verdict, loweredBy, culprit, consequenceOf: null };
}

/** `sh (194)`, or `task 194` where the recording has no name. */
export function taskOf({ comm, tid }: AuditEvent): string {
  return comm === "" ? `task ${tid}` : `${comm} (${tid})`;
}

/** Evidence of an event that is no operation. */
export function marks(event: AuditEvent, note: string): Evidence {
  return { event, operation: null, note };
}
