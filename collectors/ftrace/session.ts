/** Records a plan with ftrace, in an instance that has been claimed. */
import { openSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { loadedBuild } from "../modules.js";
import type { ProbePlan } from "../plan.js";
import { threadsOf } from "../processes.js";
import type { Unarmed } from "../recording.js";
import { type Session, type SessionEnd, traceTime } from "../session.js";
import { armPlan } from "./arm.js";
import {
  type Capture,
  type CapturedEvent,
  findTraceCmd,
  type Sink,
  TraceCmdCapture,
  TracePipeCapture,
} from "./capture.js";
import type { Tracefs } from "./tracefs.js";
import { Watch } from "./watch.js";

const CLOCK = "mono";

/** Buffer memory of all CPUs together, and the least and most that one gets (KiB). */
const BUFFER_TOTAL_KB = 256 << 10;
const BUFFER_LEAST_KB = 512;
const BUFFER_MOST_KB = 8 << 10;

/** Events that tell which processes a command started and when they were gone. */
const PROCESS_EVENTS: readonly CapturedEvent[] = ["sched_process_fork", "sched_process_exit"].map((event) => ({
  system: "sched",
  event,
  filter: null,
}));

export interface FtraceOptions {
  plan: ProbePlan;
  output: string | null;
  /** Ring buffer per CPU in KiB; null: chosen by the number of CPUs. */
  bufferKb: number | null;
  /** Record only this process and its children; null: all. */
  pid: number | null;
  /** Hits per second above which the hottest probes are switched off. */
  limit: number;
  /** Use trace-cmd where it is installed. */
  mayUseTraceCmd: boolean;
  /** Gets every line of the trace as it is recorded, too; trace-cmd is not used then. */
  stream: Sink | null;
  /** Told of each process that must not outlive the recording. */
  onChild(pid: number): void;
}

export class FtraceSession implements Session {
  readonly backend: Capture["backend"];
  readonly bufferKb: number;
  readonly #tracefs: Tracefs;
  readonly #plan: ProbePlan;
  readonly #capture: Capture;
  readonly #marker: number;
  readonly #watch: Watch;
  readonly #pid: number | null;
  #refused: Unarmed[] = [];

  /** `marker`: the claimed instance's trace_marker. */
  constructor(tracefs: Tracefs, marker: number, options: FtraceOptions) {
    const { plan, limit } = options;
    this.#tracefs = tracefs;
    this.#marker = marker;
    this.#plan = plan;
    this.#pid = options.pid;
    tracefs.prepare({ bufferKb: options.bufferKb ?? chooseBuffer(), clock: CLOCK });
    this.bufferKb = tracefs.bufferKb();
    this.#capture = makeCapture(tracefs, this.bufferKb, options);
    this.backend = this.#capture.backend;
    const mark = (text: string) => this.mark(text);
    this.#watch = new Watch(tracefs, { plan, limit, now: traceTime, buildOf: loadedBuild, mark });
  }

  get modules(): Watch["modules"] {
    return this.#watch.modules;
  }

  async start(): Promise<Unarmed[]> {
    const { events, refused } = armPlan(this.#tracefs, this.#plan, loadedBuild);
    this.#refused = refused;
    const isArmed = (event: string) => events.some((other) => other.event === event);
    await this.#capture.start([...events, ...PROCESS_EVENTS.filter(({ event }) => !isArmed(event))]);
    if (this.#pid !== null) this.#tracefs.follow(threadsOf(this.#pid));
    this.#watch.look();
    return this.#refused;
  }

  look(): void {
    this.#watch.look();
  }

  activity(): number {
    return this.#watch.hits();
  }

  mark(text: string): void {
    writeSync(this.#marker, `${text}\n`);
  }

  async stop(): Promise<SessionEnd> {
    this.#watch.look();
    this.#tracefs.setRecording(false);
    const losses = this.#tracefs.losses().filter(({ overrun, dropped }) => overrun + dropped > 0);
    const problem = await this.#capture.stop();
    return { unarmed: [...this.#refused, ...this.#watch.unarmed], counts: this.#watch.counts(), losses, problem };
  }
}

function chooseBuffer(): number {
  const share = Math.floor(BUFFER_TOTAL_KB / availableParallelism());
  return Math.min(Math.max(share, BUFFER_LEAST_KB), BUFFER_MOST_KB);
}

function makeCapture(tracefs: Tracefs, bufferKb: number, options: FtraceOptions): Capture {
  const { output, stream, onChild } = options;
  // trace-cmd looks for tracefs by itself; where debugfs alone offers it, it might not find the same.
  const program = options.mayUseTraceCmd && !tracefs.isInDebugfs ? findTraceCmd() : null;
  if (program !== null && output !== null && stream === null) {
    return new TraceCmdCapture(program, tracefs, { output, clock: CLOCK, bufferKb, onChild });
  }
  const file = output === null ? null : openSync(output, "w");
  return new TracePipeCapture(tracefs, async (chunk) => {
    if (file !== null) writeSync(file, chunk);
    await stream?.(chunk);
  });
}
