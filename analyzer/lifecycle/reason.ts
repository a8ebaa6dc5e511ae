/** Why a class was not seen completely. A closed list. */
export type ReasonCode =
  | "by-holders"
  | "damaged"
  | "function-unknown"
  | "inlined"
  | "log-only"
  | "lost-events"
  | "no-effect-seen"
  | "no-object"
  | "no-values"
  | "not-probed"
  | "probe-never-fired"
  | "result-unknown"
  | "seen-in-stacks"
  | "started-late"
  | "unseen-change"
  | "unseen-end"
  | "unseen-unregister";

export interface Reason {
  code: ReasonCode;
  text: string;
  /** Event name of the probe that the reason is about; null for one that is about no single probe. */
  probe: string | null;
}
