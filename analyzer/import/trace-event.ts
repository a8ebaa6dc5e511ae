/**
 * What every importer turns its format into. Importers know formats and symbols, never resource classes.
 *
 * A reader hands over, in time order, the events somebody asked for and every place where events were lost.
 */

import type { Snapshot } from "../../collectors/snapshot/model.js";

/** Time in nanoseconds of the trace's clock (raw units for a clock that is not time, see `SourceFacts.clock`). */
export type Nanoseconds = bigint;

/** A 64-bit kernel address, unsigned. */
export type Address = bigint;

/** A place in kernel code, as far as the source itself tells it. */
export interface CodeLocation {
  /** null in text that prints symbols only. */
  address: Address | null;
  /** Symbol as the kernel names it, clone suffix included; null when no text symbol covers the address. */
  symbol: string | null;
  /** Bytes from the symbol's start; null when the source prints the symbol without an offset. */
  offset: number | null;
  /** Module that the symbol belongs to; null for the kernel proper, and where the source does not say. */
  module: string | null;
}

export type ProbeKind = "tracepoint" | "kprobe" | "kretprobe" | "print";

/** One kind of record that a source holds: a tracepoint, or one probed address of a kprobe event. */
export interface Probe {
  kind: ProbeKind;
  /** Event group (`module`, `kvm`, `kprobes`); null in text, which does not print it. */
  system: string | null;
  /** Event name (`kvm_put`, `p_kvm_put_kvm_0`). */
  name: string;
  /** Names of the values in `TraceEvent.args`, in the order of the format (the probe's own address fields left out). */
  fields: readonly string[];
  /** kprobe: the probed instruction. kretprobe: the function that returned. Else null. */
  at: CodeLocation | null;
}

/** 64-bit numbers are kept as printed or stored (unsigned unless the format says signed); null is `(fault)`. */
export type Value = bigint | string | null;

/** The kernel's stack of an event, innermost frame first. Interned: one object for all equal stacks of a reader. */
export interface Stack {
  frames: readonly CodeLocation[];
}

export interface TraceEvent {
  kind: "event";
  probe: Probe;
  time: Nanoseconds;
  cpu: number;
  /** Thread id as the kernel's init namespace numbers it; 0 is the idle task of its CPU. */
  tid: number;
  /** Task name as recorded, unescaped; empty when the source does not know it (`<...>`). */
  comm: string;
  /** `common_flags` of the record; null where the source does not print them. */
  flags: number | null;
  args: readonly Value[];
  /** kretprobe: where the function returned to. */
  returnsTo: CodeLocation | null;
  stack: Stack | null;
  /**
   * Time of the next record of this CPU, skipped ones included, this event's own stack record left out:
   * the end of the window in which the probed instruction took effect. null when it is the CPU's last record.
   */
  nextOnCpu: Nanoseconds | null;
}

/** Why events are missing. A closed list: coverage reasons are made of it. */
export type GapCode =
  /** `CPU:n [LOST k EVENTS]`, a page's missed-events flag, `[EVENTS DROPPED]`. */
  | "lost-events"
  /** The ring buffer was overwritten before the source begins (entries-in-buffer < entries-written, `buffer started`). */
  | "overwritten"
  /** The file ends early or a part of it could not be read. */
  | "damaged"
  /** The recorder was told to leave events out: it took only a sample of the hits, or only some tasks. */
  | "left-out";

/** A span in which events of one CPU, or of all, are missing. */
export interface Gap {
  kind: "gap";
  code: GapCode;
  /** null: any CPU. */
  cpu: number | null;
  /** Time of the last record known before the loss; null: since before the source begins. */
  from: Nanoseconds | null;
  /** Time of the first record after it; null: until the source ends. */
  to: Nanoseconds | null;
  /** How many events are missing; null when nobody counted. */
  lost: number | null;
}

export type TraceItem = TraceEvent | Gap;

/** What the kernel says of itself in its log. */
export type ReportKind =
  | "warning"
  | "bug"
  /** A fault in kernel mode: page fault, general protection, NULL pointer. */
  | "oops"
  /** `refcount_t: …` (lib/refcount.c). */
  | "refcount"
  | "kasan"
  | "kfence"
  /** `INFO: task … blocked for more than … seconds.` */
  | "hung-task"
  /** Soft and hard lockups, RCU stalls: a CPU that does not get on. */
  | "stall"
  | "lockdep"
  /** `list_add corruption`, `list_del corruption` (lib/list_debug.c). */
  | "list"
  /** Debug objects: work or a timer that is freed while it is active (lib/debugobjects.c). */
  | "debug-object"
  /** A slab cache is destroyed with objects in it. */
  | "objects-remaining"
  /** A name that sysfs, a kobject or debugfs has already. */
  | "duplicate-name"
  /** rmmod was refused. */
  | "module-in-use"
  /** vfio says that an unbind waits for the device's user. */
  | "device-in-use";

/** One report of the kernel's log: a warning, a crash, a task that hangs. */
export interface KernelReport {
  kind: ReportKind;
  /** What it says, in the kernel's words: one line, prefix and escape sequences removed. */
  title: string;
  /** The variety where the kind has some: `underflow`, `slab-use-after-free`, `double add`; else empty. */
  bug: string;
  /** Time of its first line; null where the log has none. */
  time: Nanoseconds | null;
  /** `boot`: since boot, as the trace clocks; `wall`: since 1970. */
  clock: "boot" | "wall" | null;
  cpu: number | null;
  tid: number | null;
  comm: string | null;
  /** `virt/kvm/kvm_main.c:3289` */
  source: string | null;
  /** The instruction that it is about. */
  at: CodeLocation | null;
  stack: Stack | null;
  /** Further stacks: who allocated, freed or queued the object, other CPUs, other locks. */
  related: { what: string; tid: number | null; stack: Stack }[];
  /** Kernel mode registers, by the names that the kernel prints. */
  registers: ReadonlyMap<string, Address>;
  /** Addresses that the text names. */
  addresses: readonly Address[];
  /** Loaded modules, by name. */
  modules: readonly string[];
  /** `[last unloaded: …]` */
  unloaded: readonly string[];
  kernel: string | null;
  /** Subject of `module-in-use` and `device-in-use`, cache of `objects-remaining`; else null. */
  subject: string | null;
  /** Who holds the module, who waits for the device: as far as the line tells. */
  users: readonly string[];
  /** Work function that a kworker was running. */
  work: string | null;
  /** Its first line in the source, 1-based. */
  line: number;
}

/** Something in the input that could not be used, or that the reader had to guess. */
export interface Diagnostic {
  severity: "error" | "warning";
  /** Byte offset in the (unwrapped) file; null for standard input and for findings about the whole file. */
  offset: number | null;
  /** Line number, 1-based, in text formats. */
  line: number | null;
  message: string;
}

/** Symbols of one kernel at one time. */
export interface SymbolTable {
  /**
   * The text symbol that covers an address (types t, T, w, W; nearest symbol of any type must be a text symbol).
   * symbol is null when none does; offset is then null, too.
   */
  locate(address: Address): CodeLocation;
  /** Name and module of the symbol nearest below an address, of any type: for data such as ops tables. */
  nearest(address: Address): { symbol: string; offset: bigint; module: string | null } | null;
  /** Whether the kernel has a text symbol of this name, clone suffixes left aside. */
  has(symbol: string): boolean;
  /** Lowest and highest symbol address of each module. */
  modules(): ReadonlyMap<string, { start: Address; end: Address }>;
}

/** What is true of a source as a whole. Complete once its items have been read. */
export interface SourceFacts {
  path: string;
  /** Format in words, as `ktally formats` lists it: `trace.dat v7 (zstd)`, `ftrace text`, `trace-cmd report`. */
  format: string;
  /** Name of the trace clock; null when the source does not tell. */
  clock: string | null;
  /** False for a clock that counts cycles or events (`x86-tsc`, `counter`). */
  clockIsTime: boolean;
  /** Kernel release (`6.1.0-56-amd64`) where the source tells it. */
  kernel: string | null;
  /** Records that `trace-cmd report` would print with a time, kernel_stack records included. */
  eventCount: number;
  /** First and last record of each CPU, skipped ones included. */
  cpus: Map<number, { first: Nanoseconds; last: Nanoseconds }>;
  gaps: Gap[];
  diagnostics: Diagnostic[];
  /** Events that the source lists, whether they fired or not (trace.dat: its event formats); empty for text. */
  listed: { system: string; name: string; kind: ProbeKind; fields: readonly string[]; fired: boolean }[];
  symbols: SymbolTable | null;
  /** Names the recording among those of a host and its guests, and (in a guest's) the host's; trace.dat only. */
  traceId?: bigint | null;
  hostTraceId?: bigint | null;
  /** What a kernel log holds; other sources have none. */
  reports?: KernelReport[];
  /** What the source says of one moment, without events; other sources say nothing. */
  snapshot?: Snapshot;
  /** An earlier moment of the same source: what it shows already is no news. */
  snapshotBefore?: Snapshot;
}

/** Says, once for each probe, whether its events are wanted; the others are counted and skipped. */
export type Wants = (probe: Probe) => boolean;

export interface TraceReader {
  readonly facts: SourceFacts;
  /** The source's items in time order, in batches. May be called once. */
  read(wants: Wants): AsyncIterable<TraceItem[]>;
  close(): void;
}

/** A format: how to know it by its first bytes and how to read it. */
export interface Importer {
  name: string;
  /** What of it can be read, in a line: `ktally formats` prints it. */
  about: string;
  /** Importers are asked in ascending order; unique. */
  priority: number;
  /** True when the first bytes (at most 64 KiB, already unwrapped) are of this format. */
  sniff(head: Buffer): boolean;
  /**
   * Opens an input that `sniff` accepted.
   * @throws UnreadableInput when not even the header can be used.
   */
  open(input: Input): Promise<TraceReader>;
}

/** Random access to an unwrapped file; `stream` for what can only be read once (standard input). */
export interface Input {
  /** As the user named it; `-` for standard input. */
  path: string;
  /** Bytes in the unwrapped file; null for a stream. */
  size: number | null;
  /**
   * Up to `length` bytes at `offset`; shorter at the end of the file. Not for streams. They may lie in `into`, which
   * who reads much gives again and again: fresh memory costs more than reading.
   */
  read(offset: number, length: number, into?: Buffer): Buffer;
  /** The first bytes, for detection: at most 64 KiB. */
  head: Buffer;
  /** Lines for a stream (through split2), without their line ends; null for a file. */
  lines: AsyncIterable<string> | null;
  close(): void;
}

/** The user's input cannot be read at all: one line that says what, where and what to do. Exit 2. */
export class UnreadableInput extends Error {
  override name = "UnreadableInput";
}
