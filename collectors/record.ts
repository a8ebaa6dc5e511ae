/**
 * The life of a recording, in steps: claim, arm, enable, run, settle, stop, collect, disarm. From claim on a reaper
 * stands by that disarms whatever happens; it is also what disarms in the end, so that undoing has one way only.
 */
import { openSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { startCommand } from "./command.js";
import {
  type Capture,
  type CapturedEvent,
  findTraceCmd,
  type Sink,
  TraceCmdCapture,
  TracePipeCapture,
} from "./ftrace/capture.js";
import { claimInstance } from "./ftrace/claim.js";
import { GROUP, renderKprobeEvent } from "./ftrace/kprobe-events.js";
import { ReaperProcess } from "./ftrace/reaper-process.js";
import { findTracefs, type Tracefs } from "./ftrace/tracefs.js";
import { Watch } from "./ftrace/watch.js";
import { loadedBuild } from "./modules.js";
import type { ProbePlan } from "./plan.js";
import { type OpenFile, openFiles, seesAllProcesses } from "./processes.js";
import { type CommandRun, MARK, type Recording, type Settled, type Unarmed } from "./recording.js";
import { Refusal } from "./refusal.js";
import { writeRecording } from "./sidecar.js";

const CLOCK = "mono";

/** Buffer memory of all CPUs together, and the least and most that one gets (KiB). */
const BUFFER_TOTAL_KB = 256 << 10;
const BUFFER_LEAST_KB = 512;
const BUFFER_MOST_KB = 8 << 10;

const WATCH_MS = 500;

/** Release may be deferred: a recording of a command goes on this long, until it has been quiet, at most so long. */
const SETTLE_LEAST_MS = 2000;
const SETTLE_QUIET_MS = 1000;
const SETTLE_MOST_MS = 15_000;
const SETTLE_POLL_MS = 200;

/** Events that tell which processes a command started and when they were gone. */
const PROCESS_EVENTS: readonly CapturedEvent[] = ["sched_process_fork", "sched_process_exit"].map((event) => ({
  system: "sched",
  event,
  filter: null,
}));

/** Files that hold a virtual machine or a device alive: virt/kvm, drivers/vfio, by the names that /proc shows. */
const HOLDING_FILE = /^anon_inode:\[?(?:kvm|vfio)|^\/dev\/vfio\/|^\/sys\/kernel\/debug\/kvm\//;

export interface RecordOptions {
  plan: ProbePlan;
  /** ktally's version, for the sidecar. */
  version: string;
  /** The trace; null where nothing is kept, only streamed. */
  output: string | null;
  /** null: until the user stops it. */
  command: readonly string[] | null;
  /** Ring buffer per CPU in KiB; null: chosen by the number of CPUs. */
  bufferKb: number | null;
  /** Hits per second above which the hottest probes are switched off. */
  limit: number;
  /** Use trace-cmd where it is installed. */
  mayUseTraceCmd: boolean;
  /** Gets every line of the trace as it is recorded, too; trace-cmd is not used then. */
  stream: Sink | null;
  /** Arm hot probes, too. */
  hot: boolean;
  /** Ends the recording as Ctrl-C does. */
  signal?: AbortSignal;
  /** Told what the user should know, in sentences. */
  say(message: string): void;
}

/**
 * Records with ftrace.
 * @returns what the sidecar says.
 * @throws Refusal when nothing was recorded.
 */
export async function record(options: RecordOptions): Promise<Recording> {
  const tracefs = findTracefs();
  const reaper = await ReaperProcess.start(tracefs.root);
  const interrupts = new Interrupts(options.signal);
  let marker: number | null = null;
  try {
    marker = await claimInstance(tracefs);
    await reaper.hold();
    return await recordClaimed(tracefs, marker, reaper, interrupts, options);
  } finally {
    interrupts.close();
    if (marker !== null) tracefs.closeMarker(marker);
    const problems = (await reaper.finish()) ?? disarmOurselves(tracefs);
    for (const problem of problems) options.say(problem);
  }
}

/** The reaper was killed. */
function disarmOurselves(tracefs: Tracefs): string[] {
  const problems = tracefs.disarm();
  return tracefs.removeInstance() ? problems : [...problems, `${tracefs.instance} is in use and stays`];
}

async function recordClaimed(
  tracefs: Tracefs,
  marker: number,
  reaper: ReaperProcess,
  interrupts: Interrupts,
  options: RecordOptions,
): Promise<Recording> {
  const { plan, output, command, say } = options;
  const now = () => process.hrtime.bigint();
  const mark = (text: string) => void writeSync(marker, `${text}\n`);

  tracefs.prepare({ bufferKb: options.bufferKb ?? chooseBuffer(), clock: CLOCK });
  const bufferKb = tracefs.bufferKb();
  const armed = arm(tracefs, plan, options.hot);
  const capture = makeCapture(tracefs, reaper, bufferKb, options);
  const isArmed = (event: string) => armed.events.some((other) => other.event === event);
  await capture.start([...armed.events, ...PROCESS_EVENTS.filter(({ event }) => !isArmed(event))]);

  const watch = new Watch(tracefs, { plan, limit: options.limit, now, buildOf: loadedBuild, mark });
  watch.look();
  const recording: Recording = {
    schema: 1,
    version: options.version,
    backend: capture.backend,
    clock: CLOCK,
    plan,
    unarmed: armed.refused,
    bufferKb,
    startedNs: String(now()),
    endedNs: null,
    counts: {},
    losses: [],
    modules: watch.modules,
    command: null,
    settled: null,
    openBefore: holdingFiles(),
    openAfter: [],
    allProcessesSeen: false,
  };
  if (output !== null) writeRecording(output, recording);
  mark(MARK.begin);
  const watching = setInterval(() => watch.look(), WATCH_MS);
  try {
    if (command === null) {
      await interrupts.first;
    } else {
      recording.command = await runCommand(command, interrupts, mark, options);
      interrupts.forget();
      recording.settled = await settle(watch, interrupts);
    }
  } finally {
    clearInterval(watching);
  }
  recording.openAfter = holdingFiles();
  recording.allProcessesSeen = seesAllProcesses();
  mark(MARK.end);
  watch.look();
  recording.unarmed = [...armed.refused, ...watch.unarmed];
  recording.counts = watch.counts();
  tracefs.setRecording(false);
  // Not earlier: it covers the last event.
  recording.endedNs = String(now());
  recording.losses = tracefs.losses().filter(({ overrun, dropped }) => overrun + dropped > 0);
  const problem = await capture.stop();
  if (problem !== null) {
    // Nobody knows what is missing.
    recording.endedNs = null;
    say(problem);
  }
  if (output !== null) writeRecording(output, recording);
  return recording;
}

function holdingFiles(): OpenFile[] {
  return openFiles((file) => HOLDING_FILE.test(file));
}

function chooseBuffer(): number {
  const share = Math.floor(BUFFER_TOTAL_KB / availableParallelism());
  return Math.min(Math.max(share, BUFFER_LEAST_KB), BUFFER_MOST_KB);
}

/** Defines the plan's probes; what the kernel refuses is left out and told. */
function arm(tracefs: Tracefs, plan: ProbePlan, hot: boolean): { events: CapturedEvent[]; refused: Unarmed[] } {
  const events: CapturedEvent[] = [];
  const refused: Unarmed[] = [];
  for (const probe of plan.probes) {
    if (probe.rate === "hot" && !hot) {
      refused.push({ event: probe.event, why: "hot", text: "not armed for its rate; --hot arms it", atNs: null });
      continue;
    }
    if (probe.kind === "tracepoint") {
      const system = probe.module ?? "";
      const isThere = tracefs.hasTracepoint(system, probe.symbol);
      if (isThere) events.push({ system, event: probe.symbol, filter: probe.filter });
      else refused.push({ event: probe.event, why: "refused", text: "this kernel has no such tracepoint", atNs: null });
      continue;
    }
    const why = tracefs.define(renderKprobeEvent(probe));
    if (why === null) events.push({ system: GROUP, event: probe.event, filter: probe.filter });
    else refused.push({ event: probe.event, why: "refused", text: `the kernel refused it: ${why}`, atNs: null });
  }
  if (!events.some(({ system }) => system === GROUP)) {
    const text = refused[0]?.text ?? "the plan has none";
    throw new Refusal(`not one probe could be set on this kernel (${text}); ktally probes shows the plan`);
  }
  return { events, refused };
}

function makeCapture(tracefs: Tracefs, reaper: ReaperProcess, bufferKb: number, options: RecordOptions): Capture {
  const { output, stream } = options;
  const program = options.mayUseTraceCmd ? findTraceCmd() : null;
  if (program !== null && output !== null && stream === null) {
    const onChild = (pid: number) => reaper.watch(pid);
    return new TraceCmdCapture(program, tracefs, { output, clock: CLOCK, bufferKb, onChild });
  }
  const file = output === null ? null : openSync(output, "w");
  return new TracePipeCapture(tracefs, async (chunk) => {
    if (file !== null) writeSync(file, chunk);
    await stream?.(chunk);
  });
}

async function runCommand(
  argv: readonly string[],
  interrupts: Interrupts,
  mark: (text: string) => void,
  { stream, say }: RecordOptions,
): Promise<CommandRun> {
  const startedNs = String(process.hrtime.bigint());
  mark(MARK.command);
  // The trace has standard output for itself.
  const command = startCommand(argv, { stdout: stream === null ? "inherit" : process.stderr.fd, say });
  interrupts.handOn((signal) => command.signal(signal));
  const status = await command.ended;
  return { argv: [...argv], pid: command.pid, startedNs, endedNs: String(process.hrtime.bigint()), status };
}

/** Waits until what the command left to work queues and grace periods should be done. */
async function settle(watch: Watch, interrupts: Interrupts): Promise<Settled> {
  const start = Date.now();
  let hits = watch.hits();
  let since = start;
  for (;;) {
    await Promise.race([sleep(SETTLE_POLL_MS), interrupts.first]);
    watch.look();
    const now = Date.now();
    if (watch.hits() !== hits) {
      hits = watch.hits();
      since = now;
    }
    const isQuiet = now - since >= SETTLE_QUIET_MS;
    if (interrupts.any || now - start >= SETTLE_MOST_MS) return { quiet: isQuiet };
    if (isQuiet && now - start >= SETTLE_LEAST_MS) return { quiet: true };
  }
}

/** Ctrl-C and its like, for the time of a recording. */
class Interrupts {
  any = false;
  first!: Promise<void>;
  #handOn: ((signal: NodeJS.Signals) => void) | null = null;
  #resolve: () => void = () => {};
  readonly #listener = (signal: NodeJS.Signals) => {
    // A terminal has sent Ctrl-C to the command, too; it may need a second one all the same.
    if (signal !== "SIGINT" || this.any || process.stdin.isTTY !== true) this.#handOn?.(signal);
    this.any = true;
    this.#resolve();
  };

  constructor(signal: AbortSignal | undefined) {
    this.forget();
    signal?.addEventListener("abort", () => this.#listener("SIGTERM"));
    for (const signal of SIGNALS) process.on(signal, this.#listener);
  }

  /** What came so far was for the command, which has ended. */
  forget(): void {
    this.any = false;
    this.#handOn = null;
    this.first = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Where to hand signals on to: the command. */
  handOn(to: (signal: NodeJS.Signals) => void): void {
    this.#handOn = to;
    if (this.any) to("SIGTERM");
  }

  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#listener);
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
