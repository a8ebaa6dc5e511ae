/**
 * Places in kernel code as ftrace's text prints them, and the stacks made of them.
 * Shapes: `seq_print_ip_sym()` in kernel/trace/trace_output.c, kernel_stack of libtraceevent's plugin_function.
 */
import type { CodeLocation, Stack } from "./trace-event.js";

/** Characters of text kept for reuse; beyond it the caches start anew, so that made-up input stays bounded. */
const MAX_CACHED = 1 << 24;

/** `kvm_init+0x31c/0x3e0 [kvm]`, each part but the symbol optional. */
const SYMBOL = /^([^\s+]+)(?:\+0x([0-9a-f]{1,13})(?:\/0x[0-9a-f]+)?)?(?: \[([^\s\]]+)[^\]]*\])?$/;
/** Option sym-addr appends ` <ffffffffc0497c3c>`, trace-cmd ` (ffffffffc0497c3c)`. */
const WITH_ADDRESS = /^(.*) (?:<([0-9a-f]{1,16})>|\(([0-9a-f]{1,16})\))$/;
const ADDRESS = /^(?:0x)?([0-9a-f]{8}|[0-9a-f]{16})$/;

/** A place by its printed form; all null for what names no place (`[unknown/kretprobe'd]`, `[FTRACE TRAMPOLINE]`). */
export function parseLocation(text: string): CodeLocation {
  const addressed = WITH_ADDRESS.exec(text);
  const bare = ADDRESS.exec(text);
  const symbol = bare ? null : SYMBOL.exec(addressed ? addressed[1]! : text);
  const named = symbol && !symbol[1]!.startsWith("[") && !symbol[1]!.startsWith("0x") ? symbol : null;
  const address = bare?.[1] ?? addressed?.[2] ?? addressed?.[3] ?? null;
  return {
    address: address === null ? null : BigInt(`0x${address}`),
    symbol: named?.[1] ?? null,
    offset: named?.[2] === undefined ? null : Number.parseInt(named[2], 16),
    module: named?.[3] ?? null,
  };
}

/** `trace-cmd report -N` pads to eight frames with 0x0. */
function parseFrame(text: string): CodeLocation | null {
  return text === "" || text === "0x0" || text === "0" ? null : parseLocation(text);
}

/** Makes stacks of printed frames; equal text gives the same object. */
export class TextStacks {
  private readonly stacks = new Map<string, Stack>();
  private readonly locations = new Map<string, CodeLocation | null>();
  private cached = 0;

  /** @param parse Reads a frame; null where it is none of the kernel's. */
  constructor(private readonly parse: (text: string) => CodeLocation | null = parseFrame) {}

  /** The stack of these frame lines, the `=>` already removed. null when no frame is left of it. */
  intern(lines: readonly string[]): Stack | null {
    const key = lines.join("\n");
    const known = this.stacks.get(key);
    if (known) return known;
    const frames: CodeLocation[] = [];
    for (const line of lines) {
      const frame = this.locate(line);
      if (frame) frames.push(frame);
    }
    if (frames.length === 0) return null;
    const stack = { frames };
    this.stacks.set(key, stack);
    this.cached += key.length;
    if (this.cached > MAX_CACHED) {
      this.stacks.clear();
      this.locations.clear();
      this.cached = 0;
    }
    return stack;
  }

  private locate(text: string): CodeLocation | null {
    let location = this.locations.get(text);
    if (location === undefined) {
      location = this.parse(text);
      this.locations.set(text, location);
    }
    return location;
  }
}

const RAW_STACK = /^size=(\d+) caller=ARRAY\[([0-9a-f, ]*)\]/;

/**
 * Frames in the body of a stack event: `\t=> sym` of `trace-cmd report -N` has the first one there,
 * -R all of them as little-endian bytes; the others have none.
 */
export function framesInBody(body: string): string[] {
  const first = /^\s*=>\s*(.*)$/.exec(body);
  if (first) return [first[1]!.trimEnd()];
  const raw = RAW_STACK.exec(body);
  if (!raw) return [];
  const bytes = raw[2]!.split(", ");
  const frames: string[] = [];
  for (let at = 0; at + 8 <= bytes.length && frames.length < Number(raw[1]); at += 8) {
    frames.push(
      bytes
        .slice(at, at + 8)
        .reverse()
        .join(""),
    );
  }
  return frames;
}
