/**
 * What a recording says of itself, kept in a file beside the trace (`trace.dat.ktally.json`): what was armed, what was
 * missed, what ran. Plain JSON; times are decimal strings of nanoseconds on the trace's clock.
 */
import type { ProbePlan } from "./plan.js";
import type { OpenFile } from "./processes.js";
import type { Snapshot } from "./snapshot/model.js";

export interface Recording {
  schema: 1;
  /** Version of ktally. */
  version: string;
  backend: "trace-cmd" | "trace_pipe" | "bpftrace";
  /** Trace clock: CLOCK_MONOTONIC, so that processes can tell times of it, too. */
  clock: "mono";
  plan: ProbePlan;
  /** What was left out on purpose, in words; null or missing when nothing. */
  narrowed?: string | null;
  /** Probes of the plan that did not stay armed all the time, and why. */
  unarmed: Unarmed[];
  /** Ring buffer per CPU in KiB, as the kernel gave it. */
  bufferKb: number;
  startedNs: string;
  /** null while it runs, and for good when the recorder was killed: then nothing is known of its end. */
  endedNs: string | null;
  /** Hits and misses of each probe in the whole recording; filled in at its end, as what follows. */
  counts: Record<string, { hits: number; missed: number }>;
  /** Events that the ring buffer could not take. */
  losses: { cpu: number; overrun: number; dropped: number }[];
  /** Modules of the plan as they came and went. */
  modules: ModuleSeen[];
  command: CommandRun | null;
  settled: Settled | null;
  /** Files that hold objects alive, by who had them open when it began. */
  openBefore: OpenFile[];
  /** The same when it ended. */
  openAfter: OpenFile[];
  /** Whether every process could be looked at for them. */
  allProcessesSeen: boolean;
  /** What the kernel's memory showed at start and end; missing where that was not wanted. */
  snapshots?: Snapshot[];
}

export interface Unarmed {
  event: string;
  /** `refused`: the kernel took it not. `hot`: left out for its rate. `guard`: switched off for its rate. */
  why: "refused" | "hot" | "guard";
  text: string;
  /** When it was switched off; null when it never worked. */
  atNs: string | null;
}

/** One look at a module of the plan. */
export interface ModuleSeen {
  atNs: string;
  /** The last look before, which still found the build before. */
  beforeNs: string;
  name: string;
  /** `absent`: not loaded. `planned`: the build that the plan was made from. `other`: another one, its events are void. */
  build: "absent" | "planned" | "other";
}

export interface CommandRun {
  argv: string[];
  /** In this process's pid namespace; null when it could not be started. */
  pid: number | null;
  startedNs: string;
  endedNs: string;
  /** Exit status as a shell would have it: 128 + n for signal n. */
  status: number;
}

/** The time between the end of the command and the end of the recording. */
export interface Settled {
  /** No probe of a class was hit in the last second of it. */
  quiet: boolean;
}

/** Marks that a recorder writes into its trace. */
export const MARK = {
  begin: "ktally: recording begins",
  command: "ktally: command runs",
  end: "ktally: recording ends",
} as const;
