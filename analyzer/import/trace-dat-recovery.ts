/** Finds the CPU data of a version 7 file whose option tables are lost. */

import type { Bytes } from "./trace-dat-bytes.js";
import { isSaneSize } from "./trace-dat-chunks.js";
import type { CpuData } from "./trace-dat-file.js";

export interface RecoveryArea {
  /** Where the section's data begins, and where it ends (at most the end of the file). */
  start: number;
  end: number;
  pageSize: number;
  littleEndian: boolean;
}

/**
 * Each CPU's chunk list begins at a page boundary and tells its own length, so one leads to the next.
 * CPU numbers stand only in the lost table: the lists are numbered in their order.
 */
export function findChunkLists(file: Bytes, area: RecoveryArea): CpuData[] {
  const found: CpuData[] = [];
  const u32 = (offset: number) => {
    const bytes = offset + 4 <= area.end ? file.read(offset, 4) : Buffer.alloc(0);
    if (bytes.length < 4) return null;
    return area.littleEndian ? bytes.readUInt32LE() : bytes.readUInt32BE();
  };
  for (let start = alignUp(area.start, area.pageSize); start < area.end; ) {
    const chunks = u32(start);
    // A list of more chunks than bytes is none; nor is an empty one, which is not written.
    if (chunks === null || chunks === 0 || chunks * 8 > file.size) break;
    let offset = start + 4;
    for (let left = chunks; left > 0; left--) {
      const compressed = u32(offset);
      const size = u32(offset + 4);
      if (compressed === null || size === null || !isSaneSize(compressed, size, area.pageSize)) {
        // Cut or damaged here: the reader of the chunks finds the same and reports it.
        offset = area.end;
        break;
      }
      offset += 8 + compressed;
    }
    found.push({ cpu: found.length, offset: start, size: offset - start });
    start = alignUp(offset, area.pageSize);
  }
  return found;
}

/** Raw pages of all CPUs follow each other without a mark; where time goes back, another CPU begins. */
export function findPageRuns(file: Bytes, area: RecoveryArea): CpuData[] {
  const found: CpuData[] = [];
  let last = -1n;
  for (let offset = alignUp(area.start, area.pageSize); offset + 8 <= area.end; offset += area.pageSize) {
    const stamp = file.read(offset, 8);
    if (stamp.length < 8) break;
    const time = area.littleEndian ? stamp.readBigUInt64LE() : stamp.readBigUInt64BE();
    if (time < last || found.length === 0) found.push({ cpu: found.length, offset, size: 0 });
    found.at(-1)!.size += Math.min(area.pageSize, area.end - offset);
    last = time;
  }
  return found;
}

function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
