/** What a rule is: data that says what it means, and a watch over the lifecycles of one audit. */
import type { Decoder } from "../decode/decoder.js";
import type { AuditEvent } from "../decode/operation.js";
import type { Gap, SymbolTable } from "../import/trace-event.js";
import type { Departed } from "../lifecycle/departed.js";
import type { Nameless } from "../lifecycle/nameless.js";
import type { Recorded } from "../lifecycle/recorded.js";
import type { Observer, World } from "../lifecycle/world.js";
import type { Finding, RuleId } from "./finding.js";

export interface RuleMeta {
  id: RuleId;
  /** What it says, in a sentence. */
  title: string;
  variants: readonly string[];
  /** The page that `ktally explain` prints. */
  page: string;
}

export interface RuleContext {
  world: World;
  decoder: Decoder;
  gaps: readonly Gap[];
  symbols(source: number): SymbolTable | null;
  /** Names of probes that a source lists, that never fired, and that bear one of these functions in their name. */
  neverFired(functions: readonly string[], kind?: "kprobe" | "kretprobe"): string[];
  /** When a task was seen last on a CPU, by wanted events; null if never. */
  lastSeen(tid: number, cpu: number): bigint | null;
  /** The last wanted event of a task; null if there is none. */
  lastOf(tid: number): AuditEvent | null;
  /** Operations that may have been on any object. */
  nameless: Nameless;
  departed: Departed;
  /** Time of the last record of the audit; call when it is over. */
  end(): bigint;
  /** What ktally's own recordings among the sources say of themselves. */
  recorded: readonly Recorded[];
  /** How long an unregister may wait before it counts as stuck, in nanoseconds. */
  stuckAfter: bigint;
  /** Whether the audit goes on for so many nanoseconds after a time; never, where a clock counts something else. */
  lasted(since: bigint, nanoseconds: bigint): boolean;
}

/** A rule at work. It listens while the trace is read, and judges once it is over. */
export interface RuleWatch extends Observer {
  findings(): Finding[];
}

export interface Rule {
  meta: RuleMeta;
  /** What listens for it; several where it is told in ways that have little in common. */
  watch(context: RuleContext): RuleWatch[];
}
