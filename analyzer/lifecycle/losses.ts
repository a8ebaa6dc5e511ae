/** How much a trace says it has lost, in words that coverage and verdicts share. */
import type { Gap } from "../import/trace-event.js";
import type { ReasonCode } from "./reason.js";

export interface Losses {
  code: ReasonCode;
  /** `12 events`, or `events` where no gap says how many. */
  what: string;
}

/** null where nothing was lost. */
export function sumUp(gaps: readonly Gap[]): Losses | null {
  if (gaps.length === 0) return null;
  const lost = gaps.reduce((sum, gap) => sum + (gap.lost ?? 0), 0);
  const isDamaged = gaps.some((gap) => gap.code === "damaged");
  return { code: isDamaged ? "damaged" : "lost-events", what: lost > 0 ? `${lost} events` : "events" };
}
