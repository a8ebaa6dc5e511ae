/** Gets the events out of the kernel and into a file: through trace-cmd where there is one, else from trace_pipe. */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, closeSync, constants, openSync, read } from "node:fs";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Refusal } from "../refusal.js";
import { GROUP } from "./kprobe-events.js";
import type { Tracefs } from "./tracefs.js";

const POLL_MS = 20;
const READ_BYTES = 64 << 10;
/** Enabling hundreds of probes takes a second, under emulation a minute. */
const START_MS = 180_000;

/** An event to enable, with its filter. */
export interface CapturedEvent {
  system: string;
  event: string;
  filter: string | null;
}

export interface Capture {
  readonly backend: "trace-cmd" | "trace_pipe";
  /**
   * Enables the events; when it returns, everything is recorded.
   * @throws Refusal when that cannot be.
   */
  start(events: readonly CapturedEvent[]): Promise<void>;
  /** Stops recording; when it returns, the trace is complete, or it says why not. */
  stop(): Promise<string | null>;
}

/** Takes the lines of trace_pipe. While it is slow nothing is read: the kernel counts what it cannot keep. */
export type Sink = (chunk: Buffer) => void | Promise<void>;

export interface CaptureOptions {
  output: string;
  clock: string;
  bufferKb: number;
  /** Told of each process that must not outlive the recording. */
  onChild(pid: number): void;
}

/** Where trace-cmd is; null when it is not installed. */
export function findTraceCmd(path = process.env.PATH ?? ""): string | null {
  for (const folder of [...path.split(delimiter), "/usr/sbin", "/usr/local/bin"]) {
    const program = join(folder, "trace-cmd");
    try {
      accessSync(program, constants.X_OK);
      return program;
    } catch {
      // Not here.
    }
  }
  return null;
}

export class TraceCmdCapture implements Capture {
  readonly backend = "trace-cmd";
  #child: ChildProcess | null = null;
  #said = "";
  #ended: Promise<number | null> = Promise.resolve(null);

  constructor(
    private readonly program: string,
    private readonly tracefs: Tracefs,
    private readonly options: CaptureOptions,
  ) {}

  async start(events: readonly CapturedEvent[]): Promise<void> {
    const { output, clock, bufferKb, onChild } = this.options;
    const args = ["record", "-q", "-o", output, "-B", GROUP, "-b", `${bufferKb}`, "-C", clock, "-T"];
    const own = events.filter(({ system }) => system === GROUP);
    if (own.length > 0) args.push("-e", GROUP);
    for (const { system, event } of events) if (system !== GROUP) args.push("-e", `${system}:${event}`);
    // A group of its own: Ctrl-C on the terminal is for us, who end it in time.
    const child = spawn(this.program, args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        this.#said = `${this.#said}${chunk}`.slice(-4096);
      });
    }
    let isOver = false;
    this.#ended = new Promise((resolve) => {
      child.on("error", () => resolve(null));
      child.on("close", resolve);
    });
    this.#ended.then(() => {
      isOver = true;
    });
    if (child.pid !== undefined) onChild(child.pid);
    // It switches recording on when all its events are enabled.
    const deadline = Date.now() + START_MS;
    while (!isOver && !this.tracefs.isRecording()) {
      if (Date.now() > deadline) throw new Refusal(`trace-cmd did not begin to record: ${this.#lastWord()}`);
      await sleep(POLL_MS);
    }
    if (isOver) throw new Refusal(`trace-cmd ended at once: ${this.#lastWord()}`);
    for (const { system, event, filter } of events) {
      if (filter !== null) this.tracefs.setFilter(system, event, filter);
    }
  }

  async stop(): Promise<string | null> {
    this.tracefs.setRecording(false);
    this.#child?.kill("SIGINT");
    const status = await this.#ended;
    return status === 0 ? null : `trace-cmd did not finish the trace: ${this.#lastWord()}`;
  }

  #lastWord(): string {
    return this.#said.trim().split("\n").at(-1) || "it said nothing";
  }
}

const readFrom = promisify(read);

export class TracePipeCapture implements Capture {
  readonly backend = "trace_pipe";
  #isStopping = false;
  #reading: Promise<void> = Promise.resolve();

  constructor(
    private readonly tracefs: Tracefs,
    private readonly sink: Sink,
  ) {}

  async start(events: readonly CapturedEvent[]): Promise<void> {
    const pipe = openSync(this.tracefs.pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    this.#reading = this.#read(pipe).finally(() => closeSync(pipe));
    // Its failure is told by stop().
    this.#reading.catch(() => {});
    for (const { system, event, filter } of events) {
      if (filter !== null) this.tracefs.setFilter(system, event, filter);
      if (system !== GROUP) this.tracefs.enable(system, event, true);
    }
    if (events.some(({ system }) => system === GROUP)) this.tracefs.enableGroup();
    this.tracefs.setRecording(true);
  }

  async stop(): Promise<string | null> {
    this.tracefs.setRecording(false);
    this.#isStopping = true;
    return this.#reading.then(
      () => null,
      (error: Error) => `the trace could not be written: ${error.message}`,
    );
  }

  async #read(pipe: number): Promise<void> {
    // What the kernel prints at the head of `trace`: it says what it is though nothing was recorded.
    await this.sink(Buffer.from("# tracer: nop\n#\n"));
    for (;;) {
      const isLast = this.#isStopping;
      const chunk = await readSome(pipe);
      if (chunk !== null) await this.sink(chunk);
      else if (isLast) return;
      else await sleep(POLL_MS);
    }
  }
}

/** What is there now, at most a buffer full; null when that is nothing. */
async function readSome(fd: number): Promise<Buffer | null> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  try {
    const { bytesRead } = await readFrom(fd, buffer, 0, buffer.length, null);
    return bytesRead === 0 ? null : buffer.subarray(0, bytesRead);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return null;
    throw error;
  }
}
