/** The running kernel's memory through /proc/kcore (fs/proc/kcore.c): an ELF core file of the kernel's address space. */
import { closeSync, openSync, readSync } from "node:fs";

/** The memory cannot be read here: one sentence that says why. */
export class UnreadableMemory extends Error {
  override name = "UnreadableMemory";
}

export interface Memory {
  /** Bytes at a kernel address; null where nothing is mapped. */
  read(address: bigint, length: number): Buffer | null;
  close(): void;
}

const PT_LOAD = 1;
const HEADER = 64;
const PROGRAM_HEADER = 56;

interface Segment {
  start: bigint;
  end: bigint;
  offset: bigint;
}

/** @throws UnreadableMemory */
export function openKernelMemory(path = "/proc/kcore"): Memory {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw new UnreadableMemory(`${path}: ${reasonOf((error as NodeJS.ErrnoException).code)}`);
  }
  try {
    const segments = readSegments(fd, path);
    return { read: (address, length) => readAt(fd, segments, address, length), close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    if (error instanceof UnreadableMemory) throw error;
    throw new UnreadableMemory(`${path}: ${reasonOf((error as NodeJS.ErrnoException).code)}`);
  }
}

function reasonOf(code: string | undefined): string {
  if (code === "EACCES") return "only root may read it; run ktally as root";
  if (code === "EPERM")
    return "the kernel is locked down (see /sys/kernel/security/lockdown) or the capability is missing";
  if (code === "ENOENT") return "this kernel has none (CONFIG_PROC_KCORE)";
  return `it cannot be read (${code ?? "unknown"})`;
}

function readSegments(fd: number, path: string): Segment[] {
  const header = Buffer.alloc(HEADER);
  if (readSync(fd, header, 0, HEADER, 0) < HEADER || header.readUInt32BE(0) !== 0x7f454c46) {
    throw new UnreadableMemory(`${path}: is no ELF core file`);
  }
  const table = Buffer.alloc(header.readUInt16LE(56) * PROGRAM_HEADER);
  const size = readSync(fd, table, 0, table.length, Number(header.readBigUInt64LE(32)));
  const segments: Segment[] = [];
  for (let at = 0; at + PROGRAM_HEADER <= size; at += PROGRAM_HEADER) {
    if (table.readUInt32LE(at) !== PT_LOAD) continue;
    const start = table.readBigUInt64LE(at + 16);
    segments.push({ start, end: start + table.readBigUInt64LE(at + 32), offset: table.readBigUInt64LE(at + 8) });
  }
  return segments;
}

function readAt(fd: number, segments: readonly Segment[], address: bigint, length: number): Buffer | null {
  const segment = segments.find(({ start, end }) => address >= start && address + BigInt(length) <= end);
  if (!segment) return null;
  const bytes = Buffer.alloc(length);
  try {
    const read = readSync(fd, bytes, 0, length, segment.offset + (address - segment.start));
    return read === length ? bytes : null;
  } catch {
    return null;
  }
}
