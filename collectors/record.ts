/**
 * The life of a recording, in steps: claim, start, run, settle, stop, disarm. From claim on a reaper stands by that
 * disarms whatever happens; it is also what disarms in the end, so that undoing has one way only.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startCommand } from "./command.js";
import { claimInstance } from "./ftrace/claim.js";
import { ReaperProcess } from "./ftrace/reaper-process.js";
import { type FtraceOptions, FtraceSession } from "./ftrace/session.js";
import { findTracefs, type Tracefs } from "./ftrace/tracefs.js";
import { Interrupts } from "./interrupts.js";
import { type OpenFile, openFiles, seesAllProcesses } from "./processes.js";
import { type CommandRun, MARK, type Recording, type Settled } from "./recording.js";
import { type Session, traceTime } from "./session.js";
import { writeRecording } from "./sidecar.js";

const WATCH_MS = 500;

/** Release may be deferred: a recording of a command goes on this long, until it has been quiet, at most so long. */
const SETTLE_LEAST_MS = 2000;
const SETTLE_QUIET_MS = 1000;
const SETTLE_MOST_MS = 15_000;
const SETTLE_POLL_MS = 200;

export interface RecordOptions extends Omit<FtraceOptions, "onChild"> {
  /** ktally's version, for the sidecar. */
  version: string;
  /** null: until the user stops it. */
  command: readonly string[] | null;
  /** Arm hot probes, too. */
  hot: boolean;
  /** How the names of files begin that keep objects alive, as /proc/PID/fd shows them. */
  holdingFiles: readonly string[];
  /** Ends the recording as Ctrl-C does. */
  signal?: AbortSignal;
  /** Told what the user should know, in sentences. */
  say(message: string): void;
}

/**
 * Records a plan on this host.
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
    const probes = options.plan.probes.filter(({ rate }) => options.hot || rate !== "hot");
    const onChild = (pid: number) => reaper.watch(pid);
    const session = new FtraceSession(tracefs, marker, { ...options, plan: { ...options.plan, probes }, onChild });
    return await recordWith(session, interrupts, options);
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

async function recordWith(session: Session, interrupts: Interrupts, options: RecordOptions): Promise<Recording> {
  const { output, command, say } = options;
  const unarmed = [...leftOut(options), ...(await session.start())];
  const recording: Recording = {
    schema: 1,
    version: options.version,
    backend: session.backend,
    clock: "mono",
    plan: options.plan,
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
  if (output !== null) writeRecording(output, recording);
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
