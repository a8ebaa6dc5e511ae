import { closeSync, readFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import type { Catalog } from "../../collectors/catalog/catalog.js";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { findTraceCmd } from "../../collectors/ftrace/capture.js";
import { cleanRemains } from "../../collectors/ftrace/claim.js";
import { findTracefs } from "../../collectors/ftrace/tracefs.js";
import type { ProbePlan } from "../../collectors/plan.js";
import { type RecordOptions, record } from "../../collectors/record.js";
import type { Recording } from "../../collectors/recording.js";
import { takeSnapshot } from "../../collectors/snapshot/snapshot.js";
import { EXIT } from "../exit-code.js";
import { harmless } from "../report/harmless.js";
import { version } from "../version.js";
import { classesOf, collect } from "./class-options.js";
import { openToWrite, writeOut } from "./output.js";
import { blockingFunctions } from "./snapshot.js";
import { WrongUse } from "./wrong-use.js";

export interface RecordingOptions {
  class?: string[];
  catalog?: string[];
  plan?: string;
  modules?: string;
  buffer?: number;
  limit: number;
  backend: "ftrace" | "bpftrace";
  traceCmd: boolean;
  hot?: boolean;
  pid?: number;
  vm?: string;
  snapshot: boolean;
}

interface Options extends RecordingOptions {
  output?: string;
  clean?: boolean;
  stream?: boolean;
}

export function recordCommand(state: { exit: number }): Command {
  const command = new Command("record")
    .description("record the lifecycles of this host's KVM and VFIO objects until the command ends, or Ctrl-C")
    .argument("[command...]", "command to run while recording; put it after --")
    .option("-o, --output <file>", "the trace; a sidecar goes beside it (default: ktally.dat, or ktally.txt)")
    .option("--stream", "print the trace on standard output as it is recorded; kept only where --output names a file")
    .option("--clean", "only remove what a recording left in the kernel that was killed together with its reaper");
  return addRecordingOptions(command)
    .addHelpText("after", EXIT_CODES)
    .action(async (argv: string[], options: Options) => {
      state.exit = options.clean === true ? await clean() : await runRecord(argv, options);
    });
}

const EXIT_CODES = `
Exit codes: the command's own status (128 + n when signal n ended it, 126 and 127 when it could not be run); 0 without
one; 2 when nothing was recorded, with the reason.`;

/** Options of every command that records. */
export function addRecordingOptions(command: Command): Command {
  return command
    .option("--class <names>", "record only these resource classes (ktally catalog list): a,b or once each", collect)
    .option("--catalog <file>", "a further catalog entry of your own; may be repeated", collect)
    .option("--modules <folder>", "the running kernel's modules, where they are not below /lib/modules")
    .option("--plan <file>", "arm this plan instead of this kernel's own (ktally probes --format json)")
    .option("--buffer <KiB>", "ring buffer per CPU (default: by the number of CPUs)", positive)
    .option("--limit <rate>", "hits per second above which the hottest probes are switched off", positive, 20_000)
    .option("--hot", "arm hot probes, too")
    .option("--pid <number>", "record only this process and the children that it starts", positive)
    .option("--vm <address>", "of virtual machines record only this one, as ktally snapshot prints it", address)
    .addOption(
      new Option("--backend <name>", "what records; bpftrace sees less and says what")
        .choices(["ftrace", "bpftrace"])
        .default("ftrace"),
    )
    .option("--no-snapshot", "do not read the counters of all objects from the kernel's memory at start and end")
    .option("--no-trace-cmd", "read trace_pipe, even though trace-cmd is installed")
    .passThroughOptions();
}

/** The options as `ktally record` takes them, for one that runs on its own. */
export function recordingArguments(options: RecordingOptions): string[] {
  const { class: classes = [], catalog = [], plan, modules, buffer, limit, hot, pid, vm, snapshot } = options;
  const single = { plan, modules, buffer, limit, pid, vm };
  return [
    ...classes.flatMap((name) => ["--class", name]),
    ...catalog.flatMap((file) => ["--catalog", file]),
    ...Object.entries(single).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, `${value}`])),
    ...(hot === true ? ["--hot"] : []),
    ...(snapshot ? [] : ["--no-snapshot"]),
  ];
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value <= 0) throw new InvalidArgumentError("It must be a positive number.");
  return value;
}

function address(text: string): string {
  if (!/^0x[0-9a-f]{1,16}$/.test(text)) throw new InvalidArgumentError("It must be an address 0x….");
  return text;
}

async function clean(): Promise<number> {
  const wasThere = await cleanRemains(findTracefs());
  say(wasThere ? "removed what a killed recording had left" : "nothing is left in the kernel");
  return 0;
}

async function runRecord(argv: readonly string[], options: Options): Promise<number> {
  const command = argv.length > 0 ? argv : null;
  const recording =
    options.stream === true ? await streamRecording(command, options) : await keepRecording(command, options);
  return recording.command?.status ?? EXIT.clean;
}

async function keepRecording(command: readonly string[] | null, options: Options): Promise<Recording> {
  const output = options.output ?? defaultOutput(options);
  const recording = await makeRecording(output, command, options);
  say(`${output}: ${describe(recording)}; ktally analyze ${output} judges it`);
  return recording;
}

/** Ends when nobody reads it any more. */
async function streamRecording(command: readonly string[] | null, options: Options): Promise<Recording> {
  const unread = new AbortController();
  const sink = async (chunk: Buffer) => {
    if (!unread.signal.aborted && !(await writeOut(chunk))) unread.abort();
  };
  const recording = await record({
    ...(await recordOptions(options.output ?? null, command, options)),
    stream: sink,
    signal: unread.signal,
  });
  say(describe(recording));
  return recording;
}

/** Where a recording goes that nobody gave a name. */
export function defaultOutput(options: RecordingOptions): string {
  if (options.backend === "bpftrace") return "ktally.json";
  return options.traceCmd && findTraceCmd() !== null ? "ktally.dat" : "ktally.txt";
}

/** Records as the options say; what the user should know goes to standard error. */
export async function makeRecording(
  output: string,
  command: readonly string[] | null,
  options: RecordingOptions,
): Promise<Recording> {
  return record(await recordOptions(output, command, options));
}

async function recordOptions(
  output: string | null,
  command: readonly string[] | null,
  options: RecordingOptions,
): Promise<RecordOptions> {
  // Why nothing can be recorded is told before anything that takes long.
  findTracefs();
  if (output !== null) closeSync(openToWrite(output));
  const catalog = defaultCatalog(options.catalog);
  const classes = classesOf(options.class, catalog);
  const wanted = classes === null ? null : new Set(classes);
  return {
    plan: options.plan === undefined ? await makePlan(catalog, wanted, options.modules) : readPlan(options.plan),
    version: version(),
    output,
    command,
    backend: options.backend,
    bufferKb: options.buffer ?? null,
    limit: options.limit,
    mayUseTraceCmd: options.traceCmd,
    stream: null,
    hot: options.hot ?? false,
    only: { pid: options.pid ?? null, vm: options.vm ?? null },
    snapshot: options.snapshot
      ? () => takeSnapshot({ version: version(), blocking: blockingFunctions(catalog) })
      : null,
    holdingFiles: [...catalog.classes.values()].flatMap(({ files }) => files ?? []),
    say,
  };
}

/** What reads code is loaded only where a plan has to be made. */
async function makePlan(
  catalog: Catalog,
  classes: ReadonlySet<string> | null,
  modules: string | undefined,
): Promise<ProbePlan> {
  const { planForRunning } = await import("./plan-for.js");
  return planForRunning(catalog, classes, modules);
}

function readPlan(path: string): ProbePlan {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProbePlan;
  } catch (error) {
    throw new WrongUse(
      `${path}: is no probe plan (${(error as Error).message}); ktally probes --format json makes one`,
    );
  }
}

function describe(recording: Recording): string {
  const hits = Object.values(recording.counts).reduce((sum, count) => sum + count.hits, 0);
  const missed = Object.values(recording.counts).reduce((sum, count) => sum + count.missed, 0);
  const lost = recording.losses.reduce((sum, loss) => sum + loss.overrun + loss.dropped, 0);
  const probes = Object.keys(recording.counts).length;
  // bpftrace counts no hits.
  const parts = [probes === 0 ? `${recording.plan.probes.length} probes` : `${hits} hits of ${probes} probes`];
  if (recording.unarmed.length > 0) parts.push(`${recording.unarmed.length} of them not armed throughout`);
  if (missed > 0) parts.push(`${missed} hits missed`);
  if (lost > 0) parts.push(`${lost} events lost`);
  return parts.join(", ");
}

/** One line for the user, beside the command's own output. */
export function say(message: string): void {
  process.stderr.write(`ktally: ${harmless(message)}\n`);
}
