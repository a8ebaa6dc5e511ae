/** Keeps bytes of unknown number for random access: in memory while they are few, else in a file without a name. */

import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MOST_IN_MEMORY = 64 << 20;

export class Spool {
  size = 0;
  private parts: Buffer[] = [];
  private fd: number | null = null;

  constructor(private readonly mostInMemory = MOST_IN_MEMORY) {}

  append(bytes: Uint8Array): void {
    this.size += bytes.length;
    if (this.fd === null && this.size <= this.mostInMemory) {
      this.parts.push(Buffer.from(bytes));
      return;
    }
    if (this.fd === null) {
      this.fd = openUnlinked();
      for (const part of this.parts) writeAll(this.fd, part);
      this.parts = [];
    }
    writeAll(this.fd, bytes);
  }

  /** Up to `length` bytes; shorter at the end. They may lie in `into`. */
  read(offset: number, length: number, into?: Buffer): Buffer {
    if (this.fd !== null) return readAll(this.fd, offset, Math.min(length, this.size - offset), into);
    if (this.parts.length !== 1) this.parts = [Buffer.concat(this.parts)];
    return this.parts[0]!.subarray(offset, offset + length);
  }

  close(): void {
    if (this.fd !== null) closeSync(this.fd);
    this.fd = null;
    this.parts = [];
  }
}

/** Without a name in the file system it vanishes with us, however we end. */
function openUnlinked(): number {
  const folder = mkdtempSync(join(tmpdir(), "ktally-"));
  const fd = openSync(join(folder, "spool"), "wx+", 0o600);
  rmSync(folder, { recursive: true });
  return fd;
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

/** Up to `length` bytes at `offset`, in `into` where they fit, else in memory of their own (so that they are aligned). */
export function readAll(fd: number, offset: number, length: number, into?: Buffer): Buffer {
  const isFitting = into !== undefined && into.length >= length;
  const bytes = isFitting ? into.subarray(0, Math.max(0, length)) : Buffer.allocUnsafeSlow(Math.max(0, length));
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, bytes.length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
