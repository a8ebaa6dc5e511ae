/**
 * The objects that `bpftrace -f json` prints, one a line. Source: bpftrace, src/output/json.cpp and the man page's
 * section on output formats. Numbers are 64 bits wide, more than JSON.parse() keeps.
 */

export type Printed =
  /** printf(), time(), cat(), join(): text, not always a whole line. */
  | { kind: "text"; text: string }
  /** print() of a tuple: its parts as text. */
  | { kind: "parts"; parts: string[] }
  | { kind: "lost"; lost: number | null }
  /** What happened to the program itself (helper errors): to be told. */
  | { kind: "error"; message: string }
  /** Maps, histograms and the like: no events. */
  | { kind: "other" };

const TEXT_TYPES = new Set(["printf", "time", "cat", "join", "syscall"]);
/** A string, or a number that a double would round. */
const STRING_OR_LONG_NUMBER = /("(?:[^"\\]|\\.)*")|-?\d{16,}/g;

/** @returns null for a line that is no such object. */
export function readPrinted(line: string): Printed | null {
  if (!line.startsWith("{")) return null;
  let object: unknown;
  try {
    object = JSON.parse(
      line.replace(STRING_OR_LONG_NUMBER, (all, string) => (string === undefined ? `"${all}"` : all)),
    );
  } catch {
    return null;
  }
  const { type, data, msg } = object as { type?: unknown; data?: unknown; msg?: unknown };
  if (typeof type !== "string") return null;
  if (TEXT_TYPES.has(type)) return { kind: "text", text: String(data) };
  if (type === "value") return readValue(data);
  if (type === "lost_events") {
    const events = (data as { events?: unknown } | null)?.events;
    return { kind: "lost", lost: typeof events === "number" ? events : null };
  }
  return type.endsWith("error") ? { kind: "error", message: String(msg ?? data) } : { kind: "other" };
}

/** A stack is printed as text that begins with a line end. */
function readValue(data: unknown): Printed {
  if (typeof data === "string") return { kind: "text", text: `${data}\n` };
  if (!Array.isArray(data)) return { kind: "other" };
  return { kind: "parts", parts: data.flat(4).map((part) => String(part)) };
}
