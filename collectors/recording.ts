/**
 * What a recording says of itself, kept in a file beside the trace (`trace.dat.ktally.json`): what was armed, what was
 * missed, what ran. Plain JSON; times are decimal strings of nanoseconds on the trace's clock.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { PlannedProbe, ProbePlan } from "./plan.js";
import type { OpenFile } from "./processes.js";

export interface Recording {
  schema: 1;
  /** Version of ktally. */
  version: string;
  backend: "trace-cmd" | "trace_pipe" | "bpftrace";
  /** Trace clock: CLOCK_MONOTONIC, so that processes can tell times of it, too. */
  clock: "mono";
  plan: ProbePlan;
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
  /** Files that hold objects alive and that somebody had open when it ended. */
  openFiles: OpenFile[];
  /** Whether every process could be looked at for them. */
  allProcessesSeen: boolean;
}

export interface Unarmed {
  event: string;
  /** `refused`: never armed. `guard`: switched off for its rate. */
  why: "refused" | "guard";
  text: string;
  /** When it was switched off; null when it never worked. */
  atNs: string | null;
}

/** One look at a module of the plan. */
export interface ModuleSeen {
  atNs: string;
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

/** The path of a trace's sidecar. */
export function sidecarPath(trace: string): string {
  return `${trace}.ktally.json`;
}

/** Writes the sidecar; whoever reads it meanwhile sees the old one or the new one. */
export function writeRecording(trace: string, recording: Recording): void {
  const path = sidecarPath(trace);
  writeFileSync(`${path}.new`, `${JSON.stringify(recording, null, 1)}\n`);
  renameSync(`${path}.new`, path);
}

/**
 * The sidecar of a trace; null where there is none. A packed trace has that of the plain one.
 * @throws SyntaxError when it is no recording of ours.
 */
export function readRecording(trace: string): Recording | null {
  const path = [trace, trace.replace(/\.(gz|xz|zst)$/, "")].map(sidecarPath).find(existsSync);
  if (path === undefined) return null;
  const recording = JSON.parse(readFileSync(path, "utf8")) as Partial<Recording> | null;
  if (recording?.schema !== 1 || !Array.isArray(recording.plan?.probes)) {
    throw new SyntaxError(`${path}: is no recording that this version of ktally knows`);
  }
  return recording as Recording;
}

/** The probe of an event; undefined for one that is not of the plan. */
export function plannedProbes(plan: ProbePlan): ReadonlyMap<string, PlannedProbe> {
  return new Map(plan.probes.map((probe) => [probe.event, probe]));
}
