/**
 * Reports in a kernel log: the lines that belong together become one record. The texts are those of kernel/panic.c,
 * arch/x86/kernel/dumpstack.c, lib/refcount.c, mm/kasan/report.c, mm/kfence/report.c, kernel/hung_task.c,
 * kernel/locking/lockdep.c, kernel/rcu/tree_stall.h, lib/list_debug.c and lib/debugobjects.c, from 2.6 on.
 */
import type { LogLine } from "./kernel-log-line.js";
import type { Address, CodeLocation, KernelReport, ReportKind } from "./trace-event.js";

interface Headline {
  kind: ReportKind;
  pattern: RegExp;
}

/** In this order: what is more special comes first. Group `bug` is the variety, `subject` what it is about. */
const HEADLINES: readonly Headline[] = [
  { kind: "refcount", pattern: /^refcount_t: (?<bug>[^;.]+)/ },
  { kind: "refcount", pattern: /^refcount_t (?<bug>hit zero|overflow|underflow)? ?at / },
  { kind: "kasan", pattern: /^BUG: KASAN: (?<bug>[a-z-]+)(?: in (?<at>\S+(?: \[[\w-]+\])?))?/ },
  { kind: "kfence", pattern: /^BUG: KFENCE: (?<bug>[a-z-]+(?: [a-z]+)?) in (?<at>\S+(?: \[[\w-]+\])?)/ },
  { kind: "list", pattern: /^list_(?<bug>(?:add|del) (?:double add|corruption))/ },
  { kind: "debug-object", pattern: /^ODEBUG: (?<bug>\w+ \w+)/ },
  { kind: "objects-remaining", pattern: /^BUG (?<subject>[\w-]+) ?(?:\([^)]*\))?: Objects remaining/ },
  { kind: "objects-remaining", pattern: /^kmem_cache_destroy (?<subject>[\w-]+): Slab cache still has objects/ },
  {
    kind: "hung-task",
    pattern: /^INFO: task (?<comm>.{1,40}):(?<tid>\d+) (?:<\S+> )?blocked (?:on \S+ )?(?:for more than|in I\/O)/,
  },
  { kind: "stall", pattern: /^(?:rcu: )?INFO: \w+ (?:self-)?detected (?:expedited )?stalls? on CPU/ },
  { kind: "stall", pattern: /^(?:watchdog: )?(?:BUG: )?(?:soft lockup|Watchdog detected hard LOCKUP)/i },
  {
    kind: "lockdep",
    pattern:
      /^(?:WARNING: )?(?<bug>possible (?:circular locking dependency|recursive locking|irq lock inversion dependency)|bad unlock balance|suspicious RCU usage|inconsistent lock state|held lock freed|lock held when returning to user space|HARDIRQ-safe -> HARDIRQ-unsafe lock order|SOFTIRQ-safe -> SOFTIRQ-unsafe lock order|INFO: possible recursive locking)/,
  },
  { kind: "duplicate-name", pattern: /^sysfs: cannot create duplicate filename '(?<subject>[^']+)'/ },
  { kind: "duplicate-name", pattern: /^kobject_add_internal failed for (?<subject>.+) with -EEXIST/ },
  { kind: "module-in-use", pattern: /\bModule (?<subject>[\w-]+) is in use(?: by:? ?(?<users>[\w ,-]+))?/ },
  {
    kind: "module-in-use",
    pattern: /\brmmod: can't unload module '(?<subject>[\w-]+)': Resource temporarily unavailable/,
  },
  {
    kind: "device-in-use",
    pattern:
      /^\S+ (?<subject>\S+): Device is currently in use, task "(?<comm>.{0,40})" \((?<tid>\d+)\) blocked until device is released/,
  },
  { kind: "warning", pattern: /^WARNING: (?:CPU: |at |\S+:\d+ at )/ },
  { kind: "bug", pattern: /^kernel BUG at / },
  {
    kind: "oops",
    pattern:
      /^(?:Oops: )?(?:BUG: unable to handle|BUG: kernel NULL pointer|BUG: stack guard page|Unable to handle kernel|general protection fault|Internal error: Oops|invalid opcode: \d+ \[#|divide error: \d+ \[#|Oops: \d+ \[#)/,
  },
  { kind: "bug", pattern: /^BUG: (?!KASAN|KFENCE|soft lockup|using __this_cpu)\w/ },
];

/** One look tells nearly every line of a log that it begins nothing. */
const ANY_HEADLINE =
  /WARNING: |BUG|refcount_t|INFO: |list_(?:add|del) |ODEBUG|kmem_cache_destroy|detected|lockup|possible |suspicious|inconsistent|sysfs: c|kobject_add|is in use|currently in use|can't unload|Unable to|general prot|Internal error|invalid opcode|divide error|Oops/;

/** A later headline of the same report may say more than the first. */
const GENERAL: readonly ReportKind[] = ["warning", "bug", "oops"];

const FRAME =
  /^(?:\[?<(?<ip>[0-9a-f]{8,16})>\]\s*)?(?<unsure>\?\s+)?(?:(?<symbol>[A-Za-z_][\w.$]*)\+0x(?<offset>[0-9a-f]+)\/0x[0-9a-f]+|0x(?<raw>[0-9a-f]{12,16}))(?:\s+\[(?<module>[\w-]+)(?:[\s(][^\]]*)?\])?/;
const LOCATION = /(?<symbol>[A-Za-z_][\w.$]*)\+0x(?<offset>[0-9a-f]+)\/0x[0-9a-f]+(?:\s+\[(?<module>[\w-]+)[^\]]*\])?/;
const CPU_LINE = /\bCPU: (\d+) (?:UID: \d+ )?PID: (\d+)(?: Comm: (.+?)(?: (?:Not tainted|Tainted: |Kdump: )|$))?/;
const KERNEL = /(?:Not tainted|Tainted: [A-Z ]+?(?: *\[[^\]]*\][^ ]*)*)\s+((?:\d+\.)+\d\S*)/;
const RELATED: readonly { what: string; pattern: RegExp }[] = [
  { what: "allocated", pattern: /^allocated by task (\d+)/i },
  { what: "freed", pattern: /^freed by task (\d+)/i },
  { what: "queued", pattern: /^(?:Last|Second to last) potentially related work creation:/ },
  { what: "lock", pattern: /^-> #(\d+) \(/ },
  { what: "other CPU", pattern: /^(?:NMI backtrace for cpu|Sending NMI from CPU) (\d+)/ },
];
const TRACE = /^(?:Call Trace|Call trace|Backtrace|stack backtrace):/;
const REGISTER = /\b(R[A-D]X|R[SD]I|R[SB]P|R(?:[89]|0[89]|1[0-5])|CR2|x[12]?\d|x30|sp|pc|lr): ?([0-9a-f]{16})\b/g;
const REGISTER_LINE = /^(?:R[A-D]X|R[SD]I|R[SB]P|R1[0-5]|R0?[89]|CR2|x[12]?\d|sp|pc|lr)\s?: ?[0-9a-f]{16}/;
const ADDRESS = /\b(?:0x)?((?:ffff|dead)[0-9a-f]{12})\b/g;
const WORDS_OF_REPORT =
  /^(?:<\/?(?:IRQ|TASK|NMI|SOFTIRQ|#\w+|EOI)>|Code:|Hardware name:|Workqueue:|FS: |GS: |CS: |DR[0-7]: |EFLAGS|PKRU|Stack:|Tainted:|"echo 0|task:|page:|flags:|raw:|#PF:|PGD|Modules linked in|The buggy|which belongs|Memory state|Showing|irq event|hardirqs|softirqs|Kernel panic|RSP: |pstate:|ESR|Mem abort|Data abort|head:|>?[0-9a-f]{16}: )/;
const SUBJECT_LINES: readonly RegExp[] = [/^Workqueue: \S+ ([\w.]+)/, /^task:.*\bworkqueue/];

/** Lines that a report goes on for without one that looks like its own. */
const MOST_FOREIGN_LINES = 12;
const MOST_LINES = 600;
const MOST_FRAMES = 64;
const MOST_RELATED = 16;
/** Of one log: what a machine prints that loops. */
const MOST_REPORTS = 2000;
/** Reports that callers write at the same time. */
const MOST_OPEN = 64;

interface Draft extends KernelReport {
  stack: { frames: CodeLocation[] } | null;
  related: { what: string; tid: number | null; stack: { frames: CodeLocation[] } }[];
  registers: Map<string, Address>;
  addresses: Address[];
  modules: string[];
  unloaded: string[];
}

/** A report that is being read. */
class OpenReport {
  section: CodeLocation[] | null = null;
  inModules = false;
  inUserMode = false;
  foreign = 0;
  lines = 0;
  /** The task was named: what follows is no longer its headline. */
  named = false;

  constructor(readonly report: Draft) {}
}

export class ReportReader {
  readonly reports: KernelReport[] = [];
  /** Reports left out because there are too many. */
  dropped = 0;
  readonly #open = new Map<string, OpenReport>();
  /** The line behind `cut here`, by caller: a WARN's own words, where it has some. */
  readonly #cut = new Map<string, string | null>();

  /** @param number of the line, 1-based. @returns the report that the line begins, to be filled by further lines. */
  feed(line: LogLine, number: number): KernelReport | null {
    const caller = line.caller ?? "";
    const { text } = line;
    let open = this.#open.get(caller) ?? null;
    if (open && isOver(open, line)) open = this.#close(caller);
    if (text.startsWith("------------[ cut here ]")) {
      this.#close(caller);
      this.#cut.set(caller, null);
      return null;
    }
    const head = ANY_HEADLINE.test(text) ? findHeadline(text) : null;
    if (head) {
      if (open && continues(open, head.kind)) {
        refine(open.report, head, text);
        readDetails(open, text);
        return null;
      }
      this.#close(caller);
      return this.#begin(head, line, number, caller);
    }
    if (open) {
      if (++open.lines > MOST_LINES || !readDetails(open, text)) this.#foreign(open, caller);
      if (text.startsWith("---[ end trace")) this.#close(caller);
    } else if (this.#cut.get(caller) === null && text !== "") {
      this.#cut.set(caller, text);
    }
    return null;
  }

  finish(): void {
    for (const caller of [...this.#open.keys()]) this.#close(caller);
  }

  #begin(head: Match, line: LogLine, number: number, caller: string): KernelReport | null {
    const words = this.#cut.get(caller) ?? null;
    this.#cut.delete(caller);
    if (this.reports.length >= MOST_REPORTS) {
      this.dropped++;
      return null;
    }
    const report = newReport(head, line, number);
    if (words !== null && head.kind === "warning") report.title = `${words} (${report.title})`;
    this.reports.push(report);
    const open = new OpenReport(report);
    readDetails(open, line.text);
    if (isOneLine(head.kind)) return report;
    if (this.#open.size >= MOST_OPEN) this.#open.clear();
    this.#open.set(caller, open);
    return report;
  }

  #foreign(open: OpenReport, caller: string): void {
    open.section = null;
    open.inModules = false;
    if (++open.foreign > MOST_FOREIGN_LINES || open.lines > MOST_LINES) this.#close(caller);
  }

  #close(caller: string): null {
    const open = this.#open.get(caller);
    if (open) complete(open.report);
    if (open) open.report.tid ??= tidOf(caller);
    this.#open.delete(caller);
    return null;
  }
}

/** The instruction at fault stands apart from the stack of its callers. */
function complete(report: Draft): void {
  const { at, source } = report;
  if (at !== null && report.kind !== "hung-task") {
    report.stack ??= { frames: [] };
    const { frames } = report.stack;
    if (!frames.some(({ symbol, address }) => symbol === at.symbol && (symbol !== null || address === at.address))) {
      frames.unshift(at);
    }
  }
  if (source !== null) report.title = report.title.replace(/WARNING: .*?\.[chS]:\d+/, `WARNING: at ${source}`);
}

interface Match {
  kind: ReportKind;
  groups: Record<string, string | undefined>;
}

/** Whether a line (its prefix removed) begins a report. */
export function beginsReport(text: string): boolean {
  return ANY_HEADLINE.test(text) && findHeadline(text) !== null;
}

function findHeadline(text: string): Match | null {
  for (const { kind, pattern } of HEADLINES) {
    const match = pattern.exec(text);
    if (match) return { kind, groups: match.groups ?? {} };
  }
  return null;
}

function isOneLine(kind: ReportKind): boolean {
  return kind === "module-in-use" || kind === "device-in-use";
}

/** A long pause ends a report. */
function isOver({ report }: OpenReport, line: LogLine): boolean {
  if (report.time === null || line.time === null || report.clock !== line.clock) return false;
  return line.time - report.time > 10_000_000_000n;
}

/** Whether a headline is a further line of the report that is open. */
function continues({ report, named, lines }: OpenReport, kind: ReportKind): boolean {
  if (kind === report.kind && !GENERAL.includes(kind)) return false;
  if (isOneLine(kind) || kind === "hung-task" || kind === "stall") return false;
  // BUG() behind a list's report, `Oops: 0002 [#1]` behind the page fault, the words of an old WARN behind its place.
  return !named && lines <= 8 && (GENERAL.includes(kind) || GENERAL.includes(report.kind));
}

function refine(report: Draft, head: Match, text: string): void {
  if (!GENERAL.includes(report.kind) || GENERAL.includes(head.kind)) return;
  report.kind = head.kind;
  report.title = text;
  report.bug = head.groups.bug ?? "";
  report.subject = head.groups.subject ?? null;
}

function newReport({ kind, groups }: Match, line: LogLine, number: number): Draft {
  return {
    kind,
    title: line.text,
    bug: groups.bug ?? "",
    time: line.time,
    clock: line.clock,
    cpu: null,
    tid: groups.tid === undefined ? null : Number(groups.tid),
    comm: groups.comm ?? null,
    source: null,
    at: groups.at === undefined ? null : locationIn(groups.at),
    stack: null,
    related: [],
    registers: new Map(),
    addresses: [],
    modules: [],
    unloaded: [],
    kernel: null,
    subject: groups.subject ?? null,
    users: groups.users?.split(/[\s,]+/).filter((name) => name !== "") ?? [],
    work: null,
    line: number,
  };
}

/** `T123` is a task. */
function tidOf(caller: string): number | null {
  return caller.startsWith("T") ? Number(caller.slice(1)) : null;
}

/** @returns whether the line is one of a report's. */
function readDetails(open: OpenReport, text: string): boolean {
  const { report } = open;
  if (text === "") return true;
  if (open.inModules && readModules(report, text)) return true;
  open.inModules = false;
  if (open.section && readFrame(open, text)) return true;
  if (TRACE.test(text)) {
    startTrace(open);
    return true;
  }
  if (startRelated(open, text)) return true;
  const isTask = readTask(open, text);
  const isPlace = readPlace(open, text);
  readAddresses(open, text);
  if (text.startsWith("Modules linked in:")) {
    open.inModules = true;
    readModules(report, text.slice("Modules linked in:".length));
    return true;
  }
  for (const pattern of SUBJECT_LINES) report.work ??= pattern.exec(text)?.[1] ?? null;
  if (isTask || isPlace || WORDS_OF_REPORT.test(text) || REGISTER_LINE.test(text)) return true;
  return open.section === null && FRAME.test(text) && text.startsWith("[<");
}

/** The main stack comes once; a second one belongs to another CPU or task. */
function startTrace(open: OpenReport): void {
  const { report } = open;
  const last = report.related.at(-1);
  if (last && last.stack.frames.length === 0 && open.section === last.stack.frames) return;
  if (report.stack === null || report.stack.frames.length === 0) {
    report.stack = { frames: [] };
    open.section = report.stack.frames;
  } else {
    open.section = addRelated(report, "another stack", null);
  }
}

function addRelated(report: Draft, what: string, tid: number | null): CodeLocation[] {
  const frames: CodeLocation[] = [];
  if (report.related.length < MOST_RELATED) report.related.push({ what, tid, stack: { frames } });
  return frames;
}

function startRelated(open: OpenReport, text: string): boolean {
  for (const { what, pattern } of RELATED) {
    const match = pattern.exec(text);
    if (!match) continue;
    const tid = what === "allocated" || what === "freed" ? Number(match[1]) : null;
    open.section = addRelated(open.report, what, tid);
    return true;
  }
  return false;
}

/** @returns false when the line is no frame: the stack is over, unless it is a mark within it. */
function readFrame(open: OpenReport, text: string): boolean {
  if (/^<\/?(?:IRQ|TASK|NMI|SOFTIRQ|EOI|EOE|#\w+)>/.test(text)) return true;
  const groups = FRAME.exec(text)?.groups;
  if (!groups) {
    open.section = null;
    return false;
  }
  if (groups.unsure === undefined && open.section && open.section.length < MOST_FRAMES) {
    const address = groups.ip ?? groups.raw;
    open.section.push({
      address: address === undefined ? null : BigInt(`0x${address}`),
      symbol: groups.symbol ?? null,
      offset: groups.offset === undefined ? null : Number.parseInt(groups.offset, 16),
      module: groups.module ?? null,
    });
  }
  return true;
}

function readTask(open: OpenReport, text: string): boolean {
  const { report } = open;
  const task = CPU_LINE.exec(text);
  if (task) {
    report.cpu ??= Number(task[1]);
    report.tid ??= Number(task[2]);
    report.comm ??= task[3]?.trim() ?? null;
    // The line of a WARN names CPU and PID, too.
    if (!text.startsWith("WARNING")) open.named = true;
  }
  // From 6.17 on: `WARNING: file:line at symbol, CPU#0: comm/pid`
  const short = /, CPU#(\d+): (.{1,40})\/(\d+)$/.exec(text);
  if (short) {
    report.cpu ??= Number(short[1]);
    report.comm ??= short[2] ?? null;
    report.tid ??= Number(short[3]);
  }
  const access = /^(?:Read|Write) of size \d+ at addr [0-9a-f]+ by task (.{1,40})\/(\d+)/.exec(text);
  if (access) {
    report.comm ??= access[1] ?? null;
    report.tid ??= Number(access[2]);
  }
  const lockup = /\bCPU#(\d+) stuck for \d+s! \[(.{1,40}):(\d+)\]/.exec(text);
  if (lockup) {
    report.cpu ??= Number(lockup[1]);
    report.comm ??= lockup[2] ?? null;
    report.tid ??= Number(lockup[3]);
  }
  report.kernel ??= KERNEL.exec(text)?.[1] ?? null;
  return task !== null || access !== null;
}

function readPlace(open: OpenReport, text: string): boolean {
  const { report } = open;
  const source = /^(?:WARNING: .*?\bat |WARNING: |kernel BUG at )([\w./-]+\.[chS]:\d+)/.exec(text);
  if (source) report.source ??= shortSource(source[1] ?? "");
  if (text.startsWith("WARNING: ")) report.at ??= locationIn(text.replace(/^WARNING: .*?\.[chS]:\d+/, ""));
  const instruction = /^(?:RIP: (?<segment>[0-9a-f]{4}):|E?IP: |pc : )(?<rest>.*)/.exec(text)?.groups;
  if (instruction) {
    // 0x33 is user space's code segment: what follows are its registers.
    if (instruction.segment === "0033") open.inUserMode = true;
    else report.at ??= locationIn(instruction.rest ?? "") ?? rawLocation(instruction.rest ?? "");
  }
  return source !== null || instruction !== undefined;
}

/** Where the kernel was built says nothing: `/root/kvm/arch/x86/kvm/../../../virt/kvm/kvm_main.c:3289`. */
function shortSource(path: string): string {
  const inTree = path.slice(path.lastIndexOf("../") < 0 ? 0 : path.lastIndexOf("../") + 3);
  const start = /(?:^|\/)((?:arch|block|drivers|fs|include|kernel|lib|mm|net|samples|virt)\/.*)/.exec(inTree);
  return start?.[1] ?? inTree;
}

function locationIn(text: string): CodeLocation | null {
  const groups = LOCATION.exec(text)?.groups;
  if (!groups) return null;
  return {
    address: null,
    symbol: groups.symbol ?? null,
    offset: Number.parseInt(groups.offset ?? "0", 16),
    module: groups.module ?? null,
  };
}

/** Code without a symbol: a module that is gone. */
function rawLocation(text: string): CodeLocation | null {
  const address = /^(?:0x)?([0-9a-f]{12,16})\b/.exec(text.trim())?.[1];
  return address === undefined ? null : { address: BigInt(`0x${address}`), symbol: null, offset: null, module: null };
}

function readAddresses(open: OpenReport, text: string): void {
  const { report } = open;
  if (open.inUserMode || text.startsWith("Code:")) return;
  for (const [, name = "", value = "0"] of text.matchAll(REGISTER)) {
    if (!report.registers.has(name)) report.registers.set(name, BigInt(`0x${value}`));
  }
  if (REGISTER_LINE.test(text) || report.addresses.length >= MOST_FRAMES) return;
  for (const [, value = "0"] of text.matchAll(ADDRESS)) {
    const address = BigInt(`0x${value}`);
    if (!report.addresses.includes(address)) report.addresses.push(address);
  }
}

/** Names with their taints, until the bracket that ends the list; lines may be broken. */
function readModules(report: Draft, text: string): boolean {
  if (/^(?:CPU:|Hardware|Pid:|---)/.test(text) || FRAME.test(text)) return false;
  const [loaded = "", unloaded] = text.split("[last unloaded:");
  const words = loaded
    .trim()
    .split(/\s+/)
    .filter((word) => word !== "");
  if (words.some((word) => !/^[\w-]+(?:\([A-Z+-]*\))?$/.test(word))) return false;
  for (const word of words) report.modules.push(word.replace(/\(.*/, ""));
  for (const word of unloaded?.replace("]", "").trim().split(/\s+/) ?? []) {
    const name = /^[\w-]+/.exec(word)?.[0];
    if (name !== undefined) report.unloaded.push(name);
  }
  return true;
}
