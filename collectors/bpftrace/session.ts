/**
 * Records a plan with bpftrace, where ftrace's files are not to be touched. It sees less: no stacks, no probe of a module
 * that is not loaded, none after a module's reload, and it counts no missed hits, so that silence proves nothing.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readlinkSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { loadedBuild } from "../modules.js";
import type { PlannedProbe, ProbePlan } from "../plan.js";
import type { Unarmed } from "../recording.js";
import { Refusal } from "../refusal.js";
import type { Session, SessionEnd } from "../session.js";
import { bpftraceLacks, renderBpftrace } from "./program.js";

const POLL_MS = 200;
/** Attached, when as many polls found no new probe. */
const STEADY_POLLS = 5;
/** BPFTRACE_MAX_PROBES: the default of 512 is less than some plans have. */
const MOST_PROBES = "4096";

export interface BpftraceOptions {
  plan: ProbePlan;
  output: string;
  /** Told of each process that must not outlive the recording. */
  onChild(pid: number): void;
}

export class BpftraceSession implements Session {
  readonly backend = "bpftrace";
  readonly bufferKb = 0;
  readonly modules = [];
  readonly #options: BpftraceOptions;
  readonly #unarmed: Unarmed[] = [];
  #child: ChildProcess | null = null;
  #ended: Promise<number | null> = Promise.resolve(null);
  #said = "";

  constructor(options: BpftraceOptions) {
    this.#options = options;
  }

  async start(): Promise<Unarmed[]> {
    const { plan, output, onChild } = this.#options;
    const probes = plan.probes.filter((probe) => this.#canHave(probe));
    const args = ["-f", "json", "-q", "-o", output, "-e", renderBpftrace({ ...plan, probes })];
    const child = spawn("bpftrace", args, {
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, BPFTRACE_MAX_PROBES: MOST_PROBES },
    });
    this.#child = child;
    child.stderr.on("data", (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk}`.slice(-4096);
    });
    let isOver = false;
    this.#ended = new Promise((resolve) => {
      child.on("error", (error) => {
        this.#said = error.message;
        resolve(null);
      });
      child.on("close", resolve);
    });
    this.#ended.then(() => {
      isOver = true;
    });
    if (child.pid !== undefined) onChild(child.pid);
    let attached = 0;
    for (let steady = 0; !isOver && steady < STEADY_POLLS; await sleep(POLL_MS)) {
      const now = probesOf(child.pid ?? 0);
      steady = now > 0 && now === attached ? steady + 1 : 0;
      attached = now;
    }
    if (isOver) throw new Refusal(`bpftrace could not record: ${this.#lastWord()}`);
    return this.#unarmed;
  }

  look(): void {}

  /** Bytes written. */
  activity(): number {
    return statSync(this.#options.output).size;
  }

  mark(): void {}

  async stop(): Promise<SessionEnd> {
    this.#child?.kill("SIGINT");
    const status = await this.#ended;
    const problem = status === 0 ? null : `bpftrace did not finish the trace: ${this.#lastWord()}`;
    return { unarmed: this.#unarmed, counts: {}, losses: [], problem };
  }

  #canHave(probe: PlannedProbe): boolean {
    const isModules = probe.kind !== "tracepoint" && probe.module !== null;
    const why =
      bpftraceLacks(probe) ??
      (isModules && loadedBuild(probe.module ?? "") === null ? `${probe.module} is not loaded` : null);
    if (why !== null) this.#unarmed.push({ event: probe.event, why: "refused", text: why, atNs: null });
    return why === null;
  }

  #lastWord(): string {
    return this.#said.trim().split("\n").at(-1) || "it said nothing";
  }
}

/** How many probes a process holds: each is a perf event. */
function probesOf(pid: number): number {
  try {
    const fds = readdirSync(`/proc/${pid}/fd`);
    return fds.filter((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === "anon_inode:[perf_event]").length;
  } catch {
    return 0;
  }
}
