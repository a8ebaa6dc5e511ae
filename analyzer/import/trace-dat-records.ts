/** Turns the records of a trace.dat into events, and says early which records nobody wants. */

import type { EventFormat, Field } from "./event-format.js";
import { type RecordBytes, readAddress, readInteger, readValue } from "./record-fields.js";
import type { StackTable } from "./stack-table.js";
import type { Address, Nanoseconds, Probe, Stack, TraceEvent, Value, Wants } from "./trace-event.js";

/** What to do with the records of an event id. Those from SKIP on mean nothing where no wanted event came before. */
export const ACTION = {
  UNMET: 0,
  DECODE: 1,
  GRAPH_ENTRY: 2,
  GRAPH_EXIT: 3,
  SKIP: 4,
  KERNEL_STACK: 5,
  USER_STACK: 6,
} as const;

/** Events of ftrace's own that are no events to anybody else. */
const OWN_ACTIONS: Readonly<Record<string, number>> = {
  kernel_stack: ACTION.KERNEL_STACK,
  user_stack: ACTION.USER_STACK,
  funcgraph_entry: ACTION.GRAPH_ENTRY,
  fgraph_retaddr_entry: ACTION.GRAPH_ENTRY,
  funcgraph_exit: ACTION.GRAPH_EXIT,
};

/** Records of the function_graph tracer are counted in their own way, and may be wanted. */
export function isGraph(action: number): boolean {
  return action === ACTION.GRAPH_ENTRY || action === ACTION.GRAPH_EXIT;
}

export interface RecordContext {
  formats: ReadonlyMap<number, EventFormat>;
  /** Task names by thread id. */
  comms: ReadonlyMap<number, string>;
  stacks: StackTable;
  /** Bytes of a kernel long. */
  longSize: 4 | 8;
  wants: Wants;
  /** Called once for each event id that has no format. */
  onUnknown(id: number): void;
}

/** More than a kernel has functions that can be traced; bounds memory on hostile input. */
const MOST_ADDRESSES = 262_144;

/** Of the function and function_graph tracers. */
function isCall({ system, address }: EventFormat): boolean {
  return system === "ftrace" && address !== null;
}

/** Where a stack record has its frames, and how many. */
interface StackFields {
  id: number;
  caller: Field | null;
  size: Field | null;
}

export class RecordDecoder {
  /** By event id; UNMET until `meet` was called. */
  readonly actions = new Uint8Array(0x10000);
  /** Whether a record of the function_graph tracer was wanted. */
  usesGraph = false;
  private readonly decoders: (EventDecoder | undefined)[] = [];
  /** Of the kind of stack record met last; there is seldom another. */
  private stack: StackFields | null = null;
  /**
   * Somebody set probes: their silence means more when the function tracers' calls, which tell less, do not stand
   * beside them.
   */
  private readonly hasProbes: boolean;
  private readonly pidOffset: number;
  private readonly flagsOffset: number;

  constructor(private readonly context: RecordContext) {
    const formats = [...context.formats.values()];
    const [format] = formats;
    this.hasProbes = formats.some((one) => one.kind === "kprobe" && !isCall(one));
    const offsetOf = (name: string) => format?.common.find((field) => field.name === name)?.offset;
    this.pidOffset = offsetOf("common_pid") ?? 4;
    this.flagsOffset = offsetOf("common_flags") ?? 2;
  }

  /** Decides what to do with an id at its first record. */
  meet(id: number): number {
    const { formats, onUnknown, stacks, wants } = this.context;
    const format = formats.get(id);
    let action: number = ACTION.SKIP;
    const own = format?.system === "ftrace" ? OWN_ACTIONS[format.name] : undefined;
    if (format === undefined) onUnknown(id);
    else if (own === ACTION.KERNEL_STACK || own === ACTION.USER_STACK) action = own;
    else if (isCall(format) && this.hasProbes) action = own ?? ACTION.SKIP;
    else {
      const decoder = new EventDecoder(format, stacks, wants);
      this.decoders[id] = decoder;
      if (own !== undefined) action = own;
      else if (decoder.mayBeWanted) action = ACTION.DECODE;
    }
    this.actions[id] = action;
    return action;
  }

  hasMet(id: number): boolean {
    return this.actions[id] !== ACTION.UNMET;
  }

  /** The wanted probe that a record belongs to, or null. */
  probeOf(id: number, record: RecordBytes): Probe | null {
    return this.decoders[id]?.probeOf(record) ?? null;
  }

  decode(id: number, probe: Probe, record: RecordBytes, time: Nanoseconds, cpu: number): TraceEvent {
    if (isGraph(this.actions[id]!)) this.usesGraph = true;
    const tid = this.tidOf(record);
    const { format } = this.decoders[id]!;
    const returnAddress = format.returnAddress === null ? null : readAddress(record, format.returnAddress);
    const flagsAt = record.start + this.flagsOffset;
    // Who reads on numbers the events: with room for that they keep the shape that they were made with.
    const event: TraceEvent & { source: number; id: number } = {
      kind: "event",
      source: 0,
      id: 0,
      probe,
      time,
      cpu,
      tid,
      comm: this.context.comms.get(tid) ?? (tid === 0 ? "<idle>" : ""),
      flags: flagsAt < record.end ? record.view.getUint8(flagsAt) : null,
      args: readValues(record, format.fields),
      returnsTo: returnAddress === null ? null : this.context.stacks.locate(returnAddress),
      stack: null,
      nextOnCpu: null,
    };
    return event;
  }

  /** -1 where the record is too short to hold it. */
  tidOf({ start, end, view, littleEndian }: RecordBytes): number {
    const at = start + this.pidOffset;
    return at + 4 <= end ? view.getInt32(at, littleEndian) : -1;
  }

  /** The function of a record of the function_graph tracer; null where the record is too short to hold it. */
  functionOf(id: number, record: RecordBytes): Address | null {
    const func = this.context.formats.get(id)?.address ?? null;
    return func === null ? null : readAddress(record, func);
  }

  /**
   * The stack of a kernel_stack record. Its `size` counts the frames; kernels before 5.2 have none, and some of those
   * with it reserve more than they fill.
   */
  stackOf(id: number, record: RecordBytes, words: Uint32Array): Stack | null {
    const { caller, size } = this.stackFields(id);
    if (caller === null) return null;
    const start = record.start + caller.offset;
    const count = size === null ? 0 : this.frameCount(record, size);
    const end = count > 0 ? Math.min(start + count * this.context.longSize, record.end) : record.end;
    return start > end ? null : this.context.stacks.intern(words, start >>> 2, end >>> 2);
  }

  /** Without a bigint where the field is an int, as it has always been. */
  private frameCount(record: RecordBytes, size: Field): number {
    const at = record.start + size.offset;
    if (size.size === 4 && at + 4 <= record.end) return record.view.getInt32(at, record.littleEndian);
    return Number(readInteger(record, size) ?? 0n);
  }

  private stackFields(id: number): StackFields {
    if (this.stack?.id === id) return this.stack;
    const fields = this.context.formats.get(id)?.fields ?? [];
    const caller = fields.find(({ name, offset }) => name === "caller" && offset % 4 === 0) ?? null;
    const size = fields.find(({ name, content }) => name === "size" && content === "integer") ?? null;
    this.stack = { id, caller, size };
    return this.stack;
  }
}

function readValues(record: RecordBytes, fields: readonly Field[]): Value[] {
  const values = new Array<Value>(fields.length);
  for (let index = 0; index < values.length; index++) values[index] = readValue(record, fields[index]!);
  return values;
}

/** An address, as the words of its field (the high one is 0 where it has but one), and the probe there. */
interface Placed {
  low: number;
  high: number;
  probe: Probe | null;
}

/** The probes of one event format: one, or for kprobe events one for each address that they sit on. */
class EventDecoder {
  private readonly probe: Probe | null = null;
  /** By the address's high word, then by its low one: numbers make no bigint. */
  private readonly byWords = new Map<number, Map<number, Placed>>();
  private count = 0;
  /** Met last: most events have a single one. */
  private last: Placed | null = null;

  constructor(
    readonly format: EventFormat,
    private readonly stacks: StackTable,
    private readonly wants: Wants,
  ) {
    if (format.address === null) this.probe = this.makeProbe(null);
  }

  get mayBeWanted(): boolean {
    return this.format.address !== null || this.probe !== null;
  }

  probeOf(record: RecordBytes): Probe | null {
    const { address } = this.format;
    if (address === null) return this.probe;
    const at = record.start + address.offset;
    if (at + address.size > record.end) return null;
    const { view, littleEndian } = record;
    const high = address.size === 8 ? view.getUint32(littleEndian ? at + 4 : at, littleEndian) : 0;
    const low = view.getUint32(address.size === 8 && !littleEndian ? at + 4 : at, littleEndian);
    if (this.last?.low !== low || this.last.high !== high) this.last = this.placedAt(low, high, record, address);
    return this.last.probe;
  }

  private placedAt(low: number, high: number, record: RecordBytes, field: Field): Placed {
    const near = this.byWords.get(high);
    const known = near?.get(low);
    if (known) return known;
    if (this.count >= MOST_ADDRESSES) return { low, high, probe: null };
    this.count++;
    const placed = { low, high, probe: this.makeProbe(readAddress(record, field)) };
    if (near) near.set(low, placed);
    else this.byWords.set(high, new Map([[low, placed]]));
    return placed;
  }

  private makeProbe(address: bigint | null): Probe | null {
    const { kind, system, name, fields } = this.format;
    const place = address === null ? null : this.stacks.locate(address);
    // The tracers of functions show all of a module: that nobody asked for one by name says so.
    const at = place !== null && isCall(this.format) ? { ...place, module: null } : place;
    const probe: Probe = { kind, system, name, fields: fields.map((field) => field.name), at };
    return this.wants(probe) ? probe : null;
  }
}
