/** Where modules lay when a perf recording began: the only names that perf.data has for the kernel's addresses. */
import type { PerfRecord } from "./perf-data-records.js";
import type { Address } from "./trace-event.js";

/** More than a kernel has modules. */
const MOST_RANGES = 4096;

/** Low bits of a record's misc: PERF_RECORD_MISC_KERNEL. */
const KERNEL_MODE = 1;
const MODE_MASK = 7;

/** PERF_RECORD_MMAP: header, u32 pid and tid, u64 address, length, page offset, name. MMAP2 has 24 bytes more. */
const ADDRESS = 16;
const NAME = { 1: 40, 10: 64 } as Readonly<Record<number, number>>;

/** `[kvm]`, or the path of its file. */
const MODULE = /^(?:\[([\w-]+)\]|.*\/([\w-]+)\.ko(?:\.\w+)?)$/;

export class ModuleRanges {
  private readonly ranges: { start: Address; end: Address; name: string }[] = [];

  add({ chunk, type, misc, start, end }: PerfRecord, littleEndian: boolean): void {
    const name = NAME[type] ?? 0;
    if ((misc & MODE_MASK) !== KERNEL_MODE || start + name >= end || this.ranges.length >= MOST_RANGES) return;
    const nul = chunk.bytes.indexOf(0, start + name);
    const text = chunk.bytes.toString("latin1", start + name, nul < 0 || nul > end ? end : nul);
    const found = MODULE.exec(text);
    if (found === null) return;
    const address = chunk.view.getBigUint64(start + ADDRESS, littleEndian);
    const length = chunk.view.getBigUint64(start + ADDRESS + 8, littleEndian);
    this.ranges.push({ start: address, end: address + length, name: (found[1] ?? found[2]!).replaceAll("-", "_") });
  }

  /** The module that an address belongs to; null for the kernel proper, and for modules that came later. */
  at(address: Address): string | null {
    return this.ranges.find(({ start, end }) => address >= start && address < end)?.name ?? null;
  }
}
