/**
 * How sure a finding is (design, section 8): `proven` by a value or return code, `derived` where its absence of
 * something rests on probes that worked and nothing was lost, else `suspected`, and by what.
 */
import { functionsWith } from "../../collectors/catalog/catalog.js";
import type { ClassEntry, Effect } from "../../collectors/catalog/schema.js";
import type { AuditEvent } from "../decode/operation.js";
import type { Reason } from "../lifecycle/coverage.js";
import { sumUp } from "../lifecycle/losses.js";
import { recordsCalls, workedAround } from "../lifecycle/shown.js";
import type { Verdict } from "./finding.js";
import type { RuleContext } from "./rule.js";

export interface Judgement {
  verdict: Verdict;
  loweredBy: Reason[];
}

export const PROVEN: Judgement = { verdict: "proven", loweredBy: [] };

/** Something that should have happened between two events is missing. */
export interface Absence {
  class: ClassEntry;
  /** The effect that is missing. */
  effect: Effect;
  after: AuditEvent;
  /** The moment at which it is found missing. */
  before: AuditEvent;
}

/** Judges an absence: derived at best. */
export function judgeAbsence(context: RuleContext, absence: Absence): Judgement {
  const { class: entry, effect, after, before } = absence;
  const loweredBy = doubtsBetween(context, entry, [effect], after.time, before.time);
  if (!isPlanned(context, absence) && !workedAround(context.decoder, entry, [effect], after, before)) {
    const names = functionsWith(absence.class, absence.effect).join(", ");
    const text = `a call of ${names} may not have been recorded: no probe on it was seen to work before and after`;
    loweredBy.push({ code: "not-probed", text, probe: null });
  } else if (!isPlanned(context, absence)) loweredBy.push(...unrecorded(context, absence));
  return judgementOf(loweredBy);
}

/** Of several functions with the effect that this kernel has, one that works says nothing of the others. */
function unrecorded({ decoder, symbols }: RuleContext, { class: entry, effect, after }: Absence): Reason[] {
  const table = symbols(after.source);
  if (table === null || recordsCalls(decoder, table, entry, effect) !== "some") return [];
  const text = `not every function that may ${effect} it is recorded: ${functionsWith(entry, effect).join(", ")}`;
  return [{ code: "not-probed", text, probe: null }];
}

/** Whether ktally's own plan says that the call would have been recorded, though none ever was. */
export function isPlanned(context: RuleContext, { class: entry, effect, after, before }: Absence): boolean {
  return context.recorded.some((one) => one.sees(entry, [effect], after.time, before.time));
}

/** Derived, unless something could explain the matter away. */
export function judgementOf(loweredBy: Reason[]): Judgement {
  return { verdict: loweredBy.length > 0 ? "suspected" : "derived", loweredBy };
}

/** What may have hidden an effect on an object of the class in a span of time: losses, and calls of unknown objects. */
export function doubtsBetween(
  context: RuleContext,
  entry: ClassEntry,
  effects: readonly Effect[],
  from: bigint,
  to: bigint,
  count?: string,
): Reason[] {
  const doubts = lossesBetween(context, from, to);
  const nameless = context.nameless.between(entry, effects, from, to, count);
  if (nameless) {
    const text = `${nameless.function} was called in this time, and on what is not recorded`;
    doubts.push({ code: "no-object", text, probe: nameless.event.probe.name });
  }
  return doubts;
}

/** Losses that overlap a span of time. */
export function lossesBetween(context: RuleContext, from: bigint, to: bigint): Reason[] {
  const overlapping = context.gaps.filter(
    (gap) => (gap.from === null || gap.from <= to) && (gap.to === null || gap.to >= from),
  );
  const losses = sumUp(overlapping);
  return losses ? [{ code: losses.code, text: `${losses.what} were lost in this time`, probe: null }] : [];
}
