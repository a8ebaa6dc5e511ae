/** The processes of a recorded command, followed by sched_process_fork and sched_process_exit. */
import { type CommandRun, MARK } from "../../collectors/recording.js";
import type { AuditEvent } from "../decode/operation.js";
import type { Probe } from "../import/trace-event.js";

const FORK = "sched_process_fork";
const EXIT = "sched_process_exit";

/** Whether a probe's events tell of processes, or are marks that a recorder wrote. */
export function isAboutProcesses({ kind, name }: Probe): boolean {
  return kind === "print" || (kind === "tracepoint" && (name === FORK || name === EXIT));
}

export class ProcessTree {
  /** Whether the recorder's last mark was read: nothing before it is cut off on its CPU. */
  sawEnd = false;
  readonly #root: number;
  /** Every task that ever belonged to it. */
  readonly #members = new Set<number>();
  readonly #alive = new Set<number>();
  #gone: bigint | null = null;
  #sawRoot = false;

  constructor(command: Pick<CommandRun, "pid">) {
    this.#root = command.pid ?? -1;
    this.#members.add(this.#root);
    this.#alive.add(this.#root);
  }

  /** Takes an event of `isAboutProcesses`. Tasks are threads here: each has its fork and its exit. */
  note(event: AuditEvent): void {
    if (event.probe.kind === "print") {
      if (event.args.some((value) => typeof value === "string" && value.includes(MARK.end))) this.sawEnd = true;
    } else if (event.probe.name === FORK) {
      const child = numberIn(event, "child_pid");
      if (child === this.#root) this.#sawRoot = true;
      // The number of a dead task was given to a stranger's child.
      else if (child !== null && !this.#alive.has(event.tid)) this.#members.delete(child);
      if (child === null || !this.#alive.has(event.tid)) return;
      this.#members.add(child);
      this.#alive.add(child);
    } else {
      this.#alive.delete(event.tid);
      if (this.#alive.size === 0 && this.#sawRoot) this.#gone ??= event.time;
    }
  }

  /** Whether a task is, or was, one of the command's. */
  has(tid: number): boolean {
    return this.#members.has(tid);
  }

  /** When its last task exited; null while one is alive or may be. */
  get gone(): bigint | null {
    return this.#gone;
  }
}

function numberIn(event: AuditEvent, field: string): number | null {
  const value = event.args[event.probe.fields.indexOf(field)];
  return typeof value === "bigint" ? Number(value) : null;
}
