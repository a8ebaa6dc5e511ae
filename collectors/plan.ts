/**
 * The probe plan: what to record on this kernel, per class what it will show, and what could not be had and why.
 * Made by `kernel/`, rendered by `ftrace/` and `bpftrace/`, kept in a recording's sidecar, read by the analyzer's coverage.
 * Plain JSON: addresses are strings `0x…`.
 */
export interface ProbePlan {
  schema: 1;
  kernel: { release: string; buildId: string | null };
  /** True where the sites' instructions were compared with the running kernel's; else files and build ids vouch for them. */
  compared?: boolean;
  /** Build ids of the modules whose code was read, by module name. */
  modules: Record<string, { buildId: string | null; srcversion: string | null }>;
  probes: PlannedProbe[];
  classes: PlannedClass[];
}

export interface PlannedProbe {
  /** Event name, unique within the group `ktally`, at most 63 characters. */
  event: string;
  kind: "kprobe" | "kretprobe" | "tracepoint";
  /** Module of the symbol; null for built-in code. Tracepoints: system. */
  module: string | null;
  /** Kernel symbol as kallsyms has it (clone suffix included), or the tracepoint's name. */
  symbol: string;
  /** Bytes from the symbol: 0, or 4 after endbr, for an entry; elsewhere a site. */
  offset: number;
  /** Catalogue function (symbol without clone suffix). */
  function: string;
  /** Classes that it shows something of; empty for what every plan records (module memory, kernel warnings). */
  classes: string[];
  /** Set for an instruction inside the function that changes a counter, or stores the object that it made. */
  site: { effect: "get" | "put" | "create"; bytes: string; next: string | null; conditional: boolean } | null;
  /**
   * Recorded arguments, in order: catalogue name, ftrace fetch expression and type (`x64`, `s32`, `string`, …).
   * `refs` is the counter's value before the instruction, `delta` what it adds, `ret` what the function returned.
   */
  arguments: { name: string; fetch: string; type: string }[];
  /** Filter in ftrace's words, or null. */
  filter: string | null;
  /** Expected rate. Hot probes are off unless asked for. */
  rate: "rare" | "per-object" | "hot";
}

export interface PlannedClass {
  class: string;
  /** exactly: the counter's every change is seen; holders: open and close of what holds it; partly; not. */
  covered: "exactly" | "holders" | "partly" | "not";
  /** Catalogue functions that this kernel does not have or whose probe cannot be had, and why. */
  missing: {
    function: string;
    reason: "inlined" | "not-configured" | "other-era" | "blacklisted" | "patched" | "no-btf" | "limit";
    text: string;
  }[];
}
