/**
 * Prints trace items as `cat trace` would, for tests that a text and a trace.dat of one run tell the same.
 * Shapes: `trace_print_context()`, `seq_print_ip_sym()`, `print_kprobe_event()` and `print_kretprobe_event()` of the
 * kernel, and the TP_printk of the events named below; other tracepoints are printed as `field=value`.
 */
import type { CodeLocation, SymbolTable, TraceEvent, TraceItem, Value } from "../trace-event.js";

export interface KernelTextOptions {
  /** `# tracer: nop` and the column guide; `trace_pipe` prints none. */
  header: boolean;
  /** Option irq-info. */
  flags: boolean;
  /** Option record-tgid, no group known. */
  tgid: boolean;
  stacks: boolean;
  /** For addresses among the values that the kernel prints as symbols. */
  symbols: SymbolTable | null;
}

const USUAL: KernelTextOptions = { header: true, flags: true, tgid: false, stacks: true, symbols: null };

export function kernelText(items: readonly TraceItem[], options: Partial<KernelTextOptions> = {}): string {
  const chosen = { ...USUAL, ...options };
  const lines = items.flatMap((item) => {
    if (item.kind === "event") return eventLines(item, chosen);
    if (item.cpu === null) return [];
    if (item.code === "overwritten") return [`##### CPU ${item.cpu} buffer started ####`];
    return [item.lost === null ? `CPU:${item.cpu} [LOST EVENTS]` : `CPU:${item.cpu} [LOST ${item.lost} EVENTS]`];
  });
  const head = chosen.header ? headerLines(items, chosen) : [];
  return [...head, ...lines].map((line) => `${line}\n`).join("");
}

function headerLines(items: readonly TraceItem[], { flags, tgid, stacks }: KernelTextOptions): string[] {
  const events = items.filter((item) => item.kind === "event");
  const entries = events.length + (stacks ? events.filter((event) => event.stack).length : 0);
  const overwritten = items.reduce(
    (sum, item) =>
      item.kind === "gap" && item.code === "overwritten" && item.cpu === null ? sum + (item.lost ?? 1) : sum,
    0,
  );
  const cpus = new Set(events.map((event) => event.cpu)).size;
  const group = tgid ? "    TGID  " : "";
  const blank = " ".repeat(group.length);
  const guide = flags
    ? [
        `#                              ${blank}  _-----=> irqs-off/BH-disabled`,
        `#                              ${blank} / _----=> need-resched`,
        `#                              ${blank}| / _---=> hardirq/softirq`,
        `#                              ${blank}|| / _--=> preempt-depth`,
        `#                              ${blank}||| / _-=> migrate-disable`,
        `#                              ${blank}|||| /     delay`,
        `#           TASK-PID     ${group}CPU#  |||||  TIMESTAMP  FUNCTION`,
        `#              | |         ${blank}|   |||||     |         |`,
      ]
    : [
        `#           TASK-PID     ${group}CPU#     TIMESTAMP  FUNCTION`,
        `#              | |         ${blank}|         |         |`,
      ];
  return [
    "# tracer: nop",
    "#",
    `# entries-in-buffer/entries-written: ${entries}/${entries + overwritten}   #P:${cpus}`,
    "#",
    ...guide,
  ];
}

function eventLines(event: TraceEvent, options: KernelTextOptions): string[] {
  const context = contextOf(event, options);
  const lines = [
    `${context}${event.probe.kind === "print" ? "tracing_mark_write" : event.probe.name}: ${bodyOf(event, options)}`,
  ];
  if (options.stacks && event.stack) {
    lines.push(`${context}<stack trace>`, ...event.stack.frames.map((frame) => ` => ${symbolOf(frame)}`));
  }
  return lines;
}

function contextOf(event: TraceEvent, { flags, tgid }: KernelTextOptions): string {
  const micros = event.time / 1000n;
  const time = `${String(micros / 1_000_000n).padStart(5)}.${String(micros % 1_000_000n).padStart(6, "0")}`;
  const comm = event.comm === "" ? "<...>" : event.comm;
  const cpu = `[${String(event.cpu).padStart(3, "0")}] `;
  const irqs = flags ? irqInfo(event.flags ?? 0) : "";
  return `${comm.padStart(16)}-${String(event.tid).padEnd(7)} ${tgid ? "(-------) " : ""}${cpu}${irqs} ${time}: `;
}

/** Depths are not part of `common_flags` and are printed as none. */
function irqInfo(flags: number): string {
  const irqs = flags & 0x01 ? (flags & 0x80 ? "D" : "d") : flags & 0x80 ? "b" : ".";
  const resched = flags & 0x04 ? (flags & 0x20 ? "N" : "n") : flags & 0x20 ? "p" : ".";
  const hard = flags & 0x08;
  const nmi = flags & 0x40;
  const context = nmi ? (hard ? "Z" : "z") : hard ? (flags & 0x10 ? "H" : "h") : flags & 0x10 ? "s" : ".";
  return `${irqs}${resched}${context}..`;
}

function bodyOf(event: TraceEvent, options: KernelTextOptions): string {
  const { probe } = event;
  const fields = new Map(probe.fields.map((name, index) => [name, event.args[index] ?? null]));
  if (probe.kind === "print") return String(fields.get("buf"));
  if (probe.at === null) return tracepointBody(probe.name, fields, options.symbols);
  const location =
    probe.kind === "kretprobe" && event.returnsTo
      ? `(${withOffset(event.returnsTo)} <- ${symbolOf(probe.at)})`
      : `(${withOffset(probe.at)})`;
  return [location, ...pairs(fields)].join(" ");
}

function tracepointBody(name: string, fields: ReadonlyMap<string, Value>, symbols: SymbolTable | null): string {
  const value = (field: string) => print(fields.get(field) ?? null);
  const plain = (field: string) => String(fields.get(field) ?? "");
  const symbol = (field: string) => printSymbol(fields.get(field) ?? null, symbols);
  switch (name) {
    case "module_load":
      return `${plain("name")} ${taints(fields.get("taints") ?? null)}`;
    case "module_free":
      return plain("name");
    case "module_get":
    case "module_put":
      return `${plain("name")} call_site=${symbol("ip")} refcnt=${value("refcnt")}`;
    case "module_request":
      return `${plain("name")} wait=${value("wait")} call_site=${symbol("ip")}`;
    case "workqueue_queue_work":
      return `work struct=${value("work")} function=${symbol("function")} workqueue=${plain("workqueue")} req_cpu=${value("req_cpu")} cpu=${value("cpu")}`;
    case "workqueue_activate_work":
      return `work struct ${value("work")}`;
    case "workqueue_execute_start":
    case "workqueue_execute_end":
      return `work struct ${value("work")}: function ${symbol("function")}`;
    case "sched_process_fork":
      return `comm=${plain("parent_comm")} pid=${value("parent_pid")} child_comm=${plain("child_comm")} child_pid=${value("child_pid")}`;
    default:
      return [...fields].map(([field, content]) => `${field}=${content ?? ""}`).join(" ");
  }
}

function pairs(fields: ReadonlyMap<string, Value>): string[] {
  return [...fields].map(([name, value]) => `${name}=${typeof value === "string" ? `"${value}"` : print(value)}`);
}

/** Addresses as `x64` prints them, small numbers as `s64` does. */
function print(value: Value): string {
  if (value === null) return "(fault)";
  return typeof value === "bigint" && value > 0xffffn ? `0x${value.toString(16)}` : String(value);
}

/** `%ps` */
function printSymbol(value: Value, symbols: SymbolTable | null): string {
  if (typeof value !== "bigint") return String(value);
  const { symbol, module } = symbols?.locate(value) ?? { symbol: null, module: null };
  if (symbol === null) return `0x${value.toString(16)}`;
  return module === null ? symbol : `${symbol} [${module}]`;
}

/** `show_module_flags()`: what a module may taint the kernel with. */
function taints(value: Value): string {
  if (typeof value !== "bigint") return value ?? "";
  const letters: [bigint, string][] = [
    [0n, "P"],
    [12n, "O"],
    [1n, "F"],
    [10n, "C"],
    [13n, "E"],
  ];
  return letters.map(([bit, letter]) => ((value >> bit) & 1n ? letter : "")).join("");
}

function symbolOf(location: CodeLocation): string {
  return location.symbol ?? `0x${(location.address ?? 0n).toString(16).padStart(8, "0")}`;
}

/** The importers do not keep symbol sizes: any size behind the offset is as good to them. */
function withOffset(location: CodeLocation): string {
  if (location.symbol === null) return symbolOf(location);
  const offset = location.offset ?? 0;
  const size = (Math.floor(offset / 0x1000) + 1) * 0x1000;
  const module = location.module === null ? "" : ` [${location.module}]`;
  return `${location.symbol}+0x${offset.toString(16)}/0x${size.toString(16)}${module}`;
}
