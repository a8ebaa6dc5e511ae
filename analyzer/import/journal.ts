/**
 * journald's own formats: export (`journalctl -o export`, systemd.io/JOURNAL_EXPORT_FORMATS) and JSON lines. The
 * kernel's entries are those of transport `kernel`.
 */
import { type LogLine, readLogLine } from "./kernel-log-line.js";

/** An entry larger than this is skipped. */
const LARGEST_FIELD = 1 << 20;

export function startsAsExport(head: Buffer): boolean {
  const start = head.toString("latin1", 0, 16);
  return start.startsWith("__CURSOR=") || start.startsWith("__REALTIME");
}

type Fields = Map<string, string>;

/** The entries of an export: one line each, null for those that are not the kernel's. */
export async function* journalLines(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<LogLine | null> {
  let rest: Buffer = Buffer.alloc(0);
  let fields: Fields = new Map();
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      const end = rest.indexOf(0x0a, at);
      if (end < 0) break;
      const line = rest.toString("utf8", at, end);
      if (line === "") {
        if (fields.size > 0) yield* lineOf(fields);
        fields = new Map();
        at = end + 1;
        continue;
      }
      const equals = line.indexOf("=");
      if (equals >= 0) {
        fields.set(line.slice(0, equals), line.slice(equals + 1));
        at = end + 1;
        continue;
      }
      // A name alone: 64 bits of length, the bytes, a line end.
      if (rest.length < end + 9) break;
      const length = Number(rest.readBigUInt64LE(end + 1));
      if (length > LARGEST_FIELD) {
        at = end + 1;
        continue;
      }
      if (rest.length < end + 10 + length) break;
      fields.set(line, rest.toString("utf8", end + 9, end + 9 + length));
      at = end + 10 + length;
    }
    rest = rest.subarray(at);
    if (rest.length > 2 * LARGEST_FIELD) rest = Buffer.alloc(0);
  }
  if (fields.size > 0) yield* lineOf(fields);
}

/** One line of `journalctl -o json`; null where it is not the kernel's, or no JSON. */
export function readJournalJson(raw: string): LogLine | null {
  let entry: unknown;
  try {
    entry = JSON.parse(raw);
  } catch {
    return null;
  }
  if (typeof entry !== "object" || entry === null) return null;
  const fields: Fields = new Map();
  for (const [name, value] of Object.entries(entry)) {
    // A message that is no UTF-8 is an array of bytes.
    if (Array.isArray(value)) fields.set(name, Buffer.from(value.filter(Number.isInteger)).toString("utf8"));
    else if (typeof value === "string") fields.set(name, value);
  }
  return [...lineOf(fields)][0] ?? null;
}

/** Of an entry of several lines, the kernel's first. */
function* lineOf(fields: Fields): Generator<LogLine | null> {
  const message = fields.get("MESSAGE");
  const transport = fields.get("_TRANSPORT");
  const isKernel = transport === "kernel" || (transport === undefined && fields.get("SYSLOG_IDENTIFIER") === "kernel");
  if (message === undefined || !(isKernel || /\b(?:rmmod|modprobe)\b/.test(message))) {
    yield null;
    return;
  }
  for (const text of message.split("\n")) {
    const line = readLogLine(text);
    if (line === null) continue;
    const boot = fields.get("_SOURCE_MONOTONIC_TIMESTAMP") ?? fields.get("__MONOTONIC_TIMESTAMP");
    if (boot !== undefined && /^\d{1,18}$/.test(boot)) {
      line.time = BigInt(boot) * 1000n;
      line.clock = "boot";
    }
    yield line;
  }
}
