/** Opens what the user names: files, compressed files, standard input. */

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Input } from "./trace-event.js";

const HEAD = 0x10000;

export async function openInput(path: string): Promise<Input> {
  const fd = openSync(path, "r");
  const { size } = fstatSync(fd);
  const read = (offset: number, length: number) => {
    const b = Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, size - offset)));
    return b.subarray(0, readSync(fd, b, 0, b.length, offset));
  };
  return { path, size, read, head: read(0, HEAD), lines: null, close: () => closeSync(fd) };
}
