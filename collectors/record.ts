/**
 * The life of a recording, in steps: claim, start, run, settle, stop, disarm. From claim on a reaper stands by that
 * disarms whatever happens; it is also what disarms in the end, so that undoing has one way only.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { BpftraceSession } from "./bpftrace/session.js";
import { startCommand } from "./command.js";
import { claimInstance } from "./ftrace/claim.js";
import { ReaperProcess } from "./ftrace/reaper-process.js";
import { type FtraceOptions, FtraceSession } from "./ftrace/session.js";
import { findTracefs, type Tracefs } from "./ftrace/tracefs.js";
import { Interrupts } from "./interrupts.js";
import { leftOutBy, type Narrowed, narrowPlan } from "./narrow.js";
import { type OpenFile, openFiles, seesAllProcesses, threadsOf } from "./processes.js";
import { type CommandRun, MARK, type Recording, type Settled } from "./recording.js";
import { Refusal } from "./refusal.js";
import { type Session, traceTime } from "./session.js";
import { writeRecording } from "./sidecar.js";
import type { Snapshot } from "./snapshot/model.js";

const WATCH_MS = 500;

/** Release may be deferred: a recording of a command goes on this long, until it has been quiet, at most so long. */
const SETTLE_LEAST_MS = 2000;
const SETTLE_QUIET_MS = 1000;
const SETTLE_MOST_MS = 15_000;
const SETTLE_POLL_MS = 200;

export interface RecordOptions extends Omit<FtraceOptions, "onChild" | "pid"> {
  backend: "ftrace" | "bpftrace";
  /** ktally's version, for the sidecar. */
  version: string;
  /** null: until the user stops it. */
  command: readonly string[] | null;
  only: Narrowed;
  /** Arm hot probes, too. */
  hot: boolean;
  /** How the names of files begin that keep objects alive, as /proc/PID/fd shows them. */
  holdingFiles: readonly string[];
  /** Ends the recording as Ctrl-C does. */
  signal?: AbortSignal;
  /** Looks at the kernel's objects, at start and end; null: not wanted. */
  snapshot: (() => Snapshot) | null;
  /** Told what the user should know, in sentences. */
  say(message: string): void;
}

/**
 * Records a plan on this host.
 * @returns what the sidecar says.
 * @throws Refusal when nothing was recorded.
 */
export async function record(given: RecordOptions): Promise<Recording> {
  const { pid } = given.only;
  if (pid !== null && threadsOf(pid).length === 0) throw new Refusal(`there is no process ${pid} to record`);
  const options = { ...given, plan: narrowPlan(given.plan, given.only) };
  const tracefs = findTracefs();
  const reaper = await ReaperProcess.start(tracefs.root);
  const interrupts = new Interrupts(options.signal);
  let marker: number | null = null;
  try {
    marker = await claimInstance(tracefs);
    await reaper.hold();
    const session = makeSession(tracefs, marker, options, (pid) => reaper.watch(pid));
    return await recordWith(session, interrupts, options);
  } finally {
    interrupts.close();
    if (marker !== null) tracefs.closeMarker(marker);
    const problems = (await reaper.finish()) ?? disarmOurselves(tracefs);
    for (const problem of problems) options.say(problem);
  }
}

function makeSession(
  tracefs: Tracefs,
  marker: number,
  options: RecordOptions,
  onChild: (pid: number) => void,
): Session {
  const probes = options.plan.probes.filter(({ rate }) => options.hot || rate !== "hot");
  const plan = { ...options.plan, probes };
  const { backend, output } = options;
  if (backend === "ftrace")
    return new FtraceSession(tracefs, marker, { ...options, pid: options.only.pid, plan, onChild });
  if (leftOutBy(options.only) !== null) throw new Refusal("bpftrace records all processes and machines, or none");
  if (output === null) throw new Refusal("bpftrace records into a file: --output names one");
  return new BpftraceSession({ plan, output, onChild });
}

/** The reaper was killed. */
function disarmOurselves(tracefs: Tracefs): string[] {
  const problems = tracefs.disarm();
  return tracefs.removeInstance() ? problems : [...problems, `${tracefs.instance} is in use and stays`];
}

async function recordWith(session: Session, interrupts: Interrupts, options: RecordOptions): Promise<Recording> {
  const { output, command, say } = options;
  const unarmed = [...leftOut(options), ...(await session.start())];
  const recording: Recording = {
    schema: 1,
    version: options.version,
    backend: session.backend,
    clock: "mono",
    plan: options.plan,
    narrowed: leftOutBy(options.only),
    unarmed,
    bufferKb: session.bufferKb,
    startedNs: String(traceTime()),
    endedNs: null,
    counts: {},
    losses: [],
    modules: session.modules,
    command: null,
    settled: null,
    openBefore: holdingFiles(options),
    openAfter: [],
    allProcessesSeen: false,
  };
  // While it records already: what changes meanwhile is in the trace.
  takeSnapshot(recording, options);
  if (output !== null) writeRecording(output, recording);
  if (session.backend === "bpftrace") for (const loss of againstFtrace(recording)) say(loss);
  session.mark(MARK.begin);
  const watching = setInterval(() => session.look(), WATCH_MS);
  try {
    if (command === null) {
      await interrupts.first;
    } else {
      session.mark(MARK.command);
      recording.command = await runCommand(command, interrupts, options);
      interrupts.forget();
      recording.settled = await settle(session, interrupts);
    }
  } finally {
    clearInterval(watching);
  }
  recording.openAfter = holdingFiles(options);
  recording.allProcessesSeen = seesAllProcesses();
  takeSnapshot(recording, options);
  session.mark(MARK.end);
  const { problem, ...end } = await session.stop();
  Object.assign(recording, end);
  recording.unarmed = [...leftOut(options), ...end.unarmed];
  if (problem === null) recording.endedNs = String(traceTime());
  // Nobody knows what is missing.
  else say(problem);
  if (output !== null) writeRecording(output, recording);
  return recording;
}

/** Whatever the kernel's memory holds, the recording goes on. */
function takeSnapshot(recording: Recording, { snapshot, say }: RecordOptions): void {
  try {
    if (snapshot !== null) recording.snapshots = [...(recording.snapshots ?? []), snapshot()];
  } catch (error) {
    say(`the kernel's objects could not be looked at: ${(error as Error).message}`);
  }
}

/** What bpftrace does not show of each class, and ftrace does. */
function againstFtrace({ plan, unarmed }: Recording): string[] {
  const losses = plan.classes.flatMap(({ class: name }) => {
    const own = plan.probes.filter(({ classes }) => classes.includes(name));
    const lost = unarmed.filter(({ event }) => own.some((probe) => probe.event === event));
    const [first] = lost;
    return first ? [`bpftrace: ${lost.length} of ${own.length} probes of ${name} cannot be had: ${first.text}`] : [];
  });
  return [
    ...losses,
    "bpftrace: no stacks; a module's probes are gone after its reload; hits that were missed are not counted, so that the silence of a probe proves nothing",
  ];
}

function leftOut({ plan, hot }: RecordOptions): Recording["unarmed"] {
  if (hot) return [];
  const text = "not armed for its rate; --hot arms it";
  return plan.probes
    .filter(({ rate }) => rate === "hot")
    .map(({ event }) => ({ event, why: "hot" as const, text, atNs: null }));
}

function holdingFiles({ holdingFiles: names }: RecordOptions): OpenFile[] {
  return openFiles((file) => names.some((name) => file.startsWith(name)));
}

async function runCommand(
  argv: readonly string[],
  interrupts: Interrupts,
  { stream, say }: RecordOptions,
): Promise<CommandRun> {
  const startedNs = String(traceTime());
  // A trace that is streamed has standard output for itself.
  const command = startCommand(argv, { stdout: stream === null ? "inherit" : process.stderr.fd, say });
  interrupts.handOn((signal) => command.signal(signal));
  const status = await command.ended;
  return { argv: [...argv], pid: command.pid, startedNs, endedNs: String(traceTime()), status };
}

/** Waits until what the command left to work queues and grace periods should be done. */
async function settle(session: Session, interrupts: Interrupts): Promise<Settled> {
  const start = Date.now();
  let activity = session.activity();
  let since = start;
  for (;;) {
    await Promise.race([sleep(SETTLE_POLL_MS), interrupts.first]);
    session.look();
    const now = Date.now();
    if (session.activity() !== activity) {
      activity = session.activity();
      since = now;
    }
    const quiet = now - since >= SETTLE_QUIET_MS;
    if (interrupts.any || now - start >= SETTLE_MOST_MS) return { quiet };
    if (quiet && now - start >= SETTLE_LEAST_MS) return { quiet };
  }
}
