/** The kernel's log inside a trace: `printk:console` events line by line, and `error_report:error_report_end`. */
import { readLogLine } from "./kernel-log-line.js";
import { ReportReader } from "./kernel-report.js";
import type { KernelReport, Probe, ReportKind, TraceEvent } from "./trace-event.js";

/** enum error_detector (include/trace/events/error_report.h), as number and as its text. */
const DETECTORS: Record<string, ReportKind> = {
  "0": "kfence",
  "1": "kasan",
  "2": "warning",
  kfence: "kfence",
  kasan: "kasan",
  warning: "warning",
};
/** The end of a report comes right behind its lines. */
const SAME_REPORT_NS = 1_000_000_000n;

export function isConsoleProbe({ kind, name }: Probe): boolean {
  return kind === "tracepoint" && (name === "console" || name === "error_report_end");
}

/** Reports of one trace, each with the event of its first line. */
export class ConsoleLog<E extends TraceEvent = TraceEvent> {
  readonly #lines = new ReportReader();
  readonly #found: { report: KernelReport; event: E }[] = [];
  #count = 0;

  feed(event: E): void {
    if (event.probe.name === "error_report_end") {
      this.#end(event);
      return;
    }
    const text = String(event.args.find((value) => typeof value === "string") ?? "");
    for (const raw of text.split("\n")) {
      const line = readLogLine(raw);
      if (line === null || line.text === "") continue;
      // Without a prefix (5.19 on) the event is the printk itself, by its task; with one it is a console's turn.
      if (line.clock === null) line.caller ??= `T${event.tid}`;
      line.time = event.time;
      const report = this.#lines.feed(line, ++this.#count);
      if (report) this.#found.push({ report, event });
    }
  }

  finish(): { report: KernelReport; event: E }[] {
    this.#lines.finish();
    // The stack that the report prints is the fault's; the event's own is that of printing it.
    for (const { report, event } of this.#found) event.stack = report.stack ?? event.stack;
    return this.#found;
  }

  /** The console may be off, or its events not recorded: the end of a report tells of it, too. */
  #end(event: E): void {
    const [first, second] = event.args;
    const body = typeof first === "string" ? /^\[(\w+)\] ([0-9a-f]+)/.exec(first) : null;
    const detector = body?.[1] ?? String(first ?? "");
    const id = body?.[2] === undefined ? second : BigInt(`0x${body[2]}`);
    const near = this.#found.some(
      (known) => known.event.tid === event.tid && event.time - known.event.time < SAME_REPORT_NS,
    );
    if (near) return;
    const report: KernelReport = {
      kind: DETECTORS[detector] ?? "warning",
      title: `${DETECTORS[detector] ?? "error"} report`,
      bug: "",
      time: event.time,
      clock: "boot",
      cpu: event.cpu,
      tid: event.tid,
      comm: event.comm,
      source: null,
      at: null,
      stack: event.stack,
      related: [],
      registers: new Map(),
      addresses: typeof id === "bigint" ? [BigInt.asUintN(64, id)] : [],
      modules: [],
      unloaded: [],
      kernel: null,
      subject: null,
      users: [],
      work: null,
      line: this.#count,
    };
    this.#found.push({ report, event });
  }
}
