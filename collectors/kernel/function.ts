/** One function's code, wherever it was read: a module's file or the running kernel. */
export interface CodeFunction {
  /** All symbols at its start; clone suffixes kept. */
  names: readonly string[];
  section: string;
  bytes: Buffer;
  /** Where it starts in its section, in bytes; jumps that need no relocation are relative to it. */
  start: number;
  /** Symbols that it refers to, by the place in `bytes` of the 4 bytes that hold the distance. */
  links: ReadonlyMap<number, string>;
  /** The function that starts at an offset of the same section; null for none. */
  nameAt: (offset: number) => string | null;
  /** Offsets, besides the start, that code or tables elsewhere lead to. */
  entries: ReadonlySet<number>;
  /** Bytes that the kernel replaces while it runs. */
  patched: readonly Range[];
  /** False for code that kprobes refuse. */
  probeable: boolean;
  /** Whether ftrace has a place in it: kprobe events need one (CONFIG_KPROBE_EVENTS_ON_NOTRACE is off). */
  traceable: boolean;
}

/** Offsets in bytes; the end is not part of it. */
export interface Range {
  start: number;
  end: number;
}

const CLONE_SUFFIX = /(?:\.(?:isra|constprop|part|cold|lto_priv|llvm)(?:\.\d+)*)+$/;

/** `kvm_uevent_notify_change.part.0` -> `kvm_uevent_notify_change`. */
export function sourceName(symbol: string): string {
  return symbol.includes(".") ? symbol.replace(CLONE_SUFFIX, "") : symbol;
}
