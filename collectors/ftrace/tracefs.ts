/**
 * tracefs as ktally uses it: its own instance and its own event group, nothing else. No other file knows the names of
 * tracefs files. (Documentation/trace/ftrace.rst, kprobetrace.rst)
 */
import {
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeSync,
} from "node:fs";
import { Refusal } from "../refusal.js";
import { GROUP } from "./kprobe-events.js";

/** What is done with files; replaced in tests, which assert every write. */
export interface Files {
  exists(path: string): boolean;
  read(path: string): string;
  list(path: string): string[];
  /** One write(2), without truncating. */
  write(path: string, text: string): void;
  /** One write(2) with O_APPEND: truncating kprobe_events would remove everybody's probes. */
  append(path: string, text: string): void;
  makeFolder(path: string): void;
  removeFolder(path: string): void;
  openToWrite(path: string): number;
  close(fd: number): void;
}

export const realFiles: Files = {
  exists: existsSync,
  read: (path) => readFileSync(path, "utf8"),
  list: (path) => readdirSync(path),
  write(path, text) {
    const fd = openSync(path, constants.O_WRONLY);
    try {
      writeSync(fd, text);
    } finally {
      closeSync(fd);
    }
  },
  append: (path, text) => appendFileSync(path, text),
  makeFolder: (path) => mkdirSync(path),
  removeFolder: (path) => rmdirSync(path),
  openToWrite: (path) => openSync(path, constants.O_WRONLY),
  close: closeSync,
};

/** Where tracefs is mounted: its own place since 4.1, below debugfs on hosts that mount only that. */
const PLACES = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const LOCKDOWN = "/sys/kernel/security/lockdown";

/** Times that a kprobe was hit, and hits that were missed. A module's reload starts both anew. */
export interface ProbeCount {
  hits: number;
  missed: number;
}

/** Events of one CPU that the ring buffer could not take. */
export interface CpuLoss {
  cpu: number;
  overrun: number;
  dropped: number;
}

/**
 * The host's tracefs.
 * @throws Refusal when it cannot be used, with the reason.
 */
export function findTracefs(files: Files = realFiles, user = process.geteuid?.() ?? 0): Tracefs {
  const root = PLACES.find((place) => files.exists(`${place}/instances`));
  if (user !== 0) throw new Refusal("recording needs root: run it with sudo");
  if (root === undefined) {
    throw new Refusal(
      files.exists("/proc/filesystems") && files.read("/proc/filesystems").includes("\ttracefs\n")
        ? `tracefs is not mounted: mount -t tracefs tracefs ${PLACES[0]}`
        : "this kernel has no tracefs (CONFIG_FTRACE): nothing can be recorded on it",
    );
  }
  const tracefs = new Tracefs(root, files);
  if (!files.exists(`${root}/kprobe_events`)) {
    throw new Refusal("this kernel has no kprobe events (CONFIG_KPROBE_EVENTS): ktally's probes cannot be set on it");
  }
  try {
    tracefs.ownEvents();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new Refusal(
      isLockedDown(files)
        ? "the kernel is locked down (lockdown=confidentiality): it lets nobody use tracefs until it is booted without"
        : `${root}/kprobe_events cannot be read (${code}): recording needs root with CAP_SYS_ADMIN`,
    );
  }
  return tracefs;
}

/** `none integrity [confidentiality]`: only confidentiality closes tracefs and kprobes (security/lockdown). */
function isLockedDown(files: Files): boolean {
  try {
    return files.read(LOCKDOWN).includes("[confidentiality]");
  } catch {
    return false;
  }
}

export class Tracefs {
  readonly instance: string;
  /** Held open by a recorder and its reaper as long as they live: so the kernel itself says who records. */
  readonly marker: string;
  readonly pipe: string;

  constructor(
    readonly root: string,
    private readonly files: Files = realFiles,
  ) {
    this.instance = `${root}/instances/${GROUP}`;
    this.marker = `${this.instance}/trace_marker`;
    this.pipe = `${this.instance}/trace_pipe`;
  }

  /** Whether only debugfs shows this tracefs. */
  get isInDebugfs(): boolean {
    return this.root !== PLACES[0];
  }

  /** Makes ktally's instance; false when there is one already. */
  createInstance(): boolean {
    try {
      this.files.makeFolder(this.instance);
      return true;
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      throw new Refusal(`${this.instance} cannot be made (${codeOf(error)}): this kernel has no room for an instance`);
    }
  }

  /** A descriptor of the instance's trace_marker; null when the instance is gone. */
  openMarker(): number | null {
    try {
      return this.files.openToWrite(this.marker);
    } catch (error) {
      // ENODEV: its removal has begun.
      if (["ENOENT", "ENODEV"].includes(codeOf(error) ?? "")) return null;
      throw error;
    }
  }

  closeMarker(marker: number): void {
    this.files.close(marker);
  }

  /** A fresh instance records nothing into a buffer of the given size per CPU, times by the monotonic clock. */
  prepare(options: { bufferKb: number; clock: string }): void {
    this.setRecording(false);
    this.files.write(`${this.instance}/buffer_size_kb`, `${options.bufferKb}`);
    this.files.write(`${this.instance}/trace_clock`, options.clock);
    this.files.write(`${this.instance}/options/stacktrace`, "1");
  }

  /** Size per CPU that the kernel settled on. It prints `7 (expanded: 1408)` while the buffer is not in use yet. */
  bufferKb(): number {
    const text = this.files.read(`${this.instance}/buffer_size_kb`);
    return Number(/expanded: (\d+)/.exec(text)?.[1] ?? /^(\d+)/.exec(text)?.[1] ?? 0);
  }

  setRecording(on: boolean): void {
    this.files.write(`${this.instance}/tracing_on`, on ? "1" : "0");
  }

  isRecording(): boolean {
    return this.files.read(`${this.instance}/tracing_on`).startsWith("1");
  }

  /** Defines one kprobe event; null when it was taken, else the kernel's reason. */
  define(line: string): string | null {
    try {
      this.files.append(`${this.root}/kprobe_events`, `${line}\n`);
      return null;
    } catch (error) {
      return `${codeOf(error)}${this.#lastError(line)}`;
    }
  }

  /** error_log (since 5.2): `[12.3] trace_kprobe: error: Failed to register probe event`, then the command. */
  #lastError(line: string): string {
    try {
      const log = this.files.read(`${this.root}/error_log`).trimEnd().split("\n");
      const at = log.findLastIndex((text) => /: error: /.test(text));
      const same = log.slice(at).some((text) => text.includes(line.split(" ")[0] ?? line));
      return at < 0 || !same ? "" : `: ${log[at]?.replace(/^.*: error: /, "")}`;
    } catch {
      return "";
    }
  }

  hasTracepoint(system: string, name: string): boolean {
    return this.files.exists(`${this.root}/events/${system}/${name}`);
  }

  setFilter(system: string, event: string, filter: string): void {
    this.files.write(`${this.instance}/events/${system}/${event}/filter`, filter);
  }

  /** From now on only events of these threads and of the children that they start are recorded. */
  follow(threads: readonly number[]): void {
    this.files.write(`${this.instance}/options/event-fork`, "1");
    this.files.write(`${this.instance}/set_event_pid`, threads.join(" "));
  }

  enable(system: string, event: string, on: boolean): void {
    this.files.write(`${this.instance}/events/${system}/${event}/enable`, on ? "1" : "0");
  }

  /** All of ktally's own events at once. */
  enableGroup(): void {
    this.files.write(`${this.instance}/events/${GROUP}/enable`, "1");
  }

  /** Names of the events in ktally's group, as kprobe_events lists them. */
  ownEvents(): string[] {
    return this.#definitions()
      .filter(({ group }) => group === GROUP)
      .map(({ event }) => event);
  }

  #definitions(): { group: string; event: string }[] {
    const lines = this.files.read(`${this.root}/kprobe_events`).split("\n");
    return lines.flatMap((line) => {
      const [, group, event] = /^[pr]\d*:([^/\s]+)\/(\S+)/.exec(line) ?? [];
      return group !== undefined && event !== undefined ? [{ group, event }] : [];
    });
  }

  /**
   * Hits and misses of ktally's own kprobe events. kprobe_profile has no groups, but the order of kprobe_events:
   * a foreign event of the same name is told apart by its place.
   */
  profile(): Map<string, ProbeCount> {
    const definitions = this.#definitions();
    const lines = this.files.read(`${this.root}/kprobe_profile`).split("\n").filter(Boolean);
    const counts = new Map<string, ProbeCount>();
    const inOrder = lines.length === definitions.length;
    for (const [index, line] of lines.entries()) {
      const [, event, hits, missed] = /^\s*(\S+)\s+(\d+)\s+(\d+)/.exec(line) ?? [];
      if (event === undefined) continue;
      const known = inOrder ? definitions[index] : definitions.find((definition) => definition.event === event);
      if (known?.group === GROUP) counts.set(event, { hits: Number(hits), missed: Number(missed) });
    }
    return counts;
  }

  /** What each CPU's buffer could not take so far. */
  losses(): CpuLoss[] {
    return this.files
      .list(`${this.instance}/per_cpu`)
      .map((name) => {
        const stats = this.files.read(`${this.instance}/per_cpu/${name}/stats`);
        const count = (word: string) => Number(new RegExp(`^${word}: (\\d+)`, "m").exec(stats)?.[1] ?? 0);
        return { cpu: Number(name.slice(3)), overrun: count("overrun"), dropped: count("dropped events") };
      })
      .sort((a, b) => a.cpu - b.cpu);
  }

  /**
   * Stops recording and removes ktally's events, wherever they were left. Harmless when there is nothing.
   * @returns what could not be undone, in sentences.
   */
  disarm(): string[] {
    const problems: string[] = [];
    const attempt = (what: string, action: () => void) => {
      try {
        action();
      } catch (error) {
        problems.push(`${what} (${codeOf(error) ?? error})`);
      }
    };
    if (this.files.exists(this.instance)) {
      attempt("recording could not be stopped", () => this.setRecording(false));
      attempt("events could not be disabled", () => this.files.write(`${this.instance}/events/enable`, "0"));
    }
    this.#removeGroup();
    for (const event of this.ownEvents()) {
      attempt(`event ${GROUP}/${event} is in use by somebody else and stays`, () =>
        this.files.append(`${this.root}/kprobe_events`, `-:${GROUP}/${event}\n`),
      );
    }
    return problems;
  }

  /**
   * Removes all of ktally's events by one write: each write empties the buffers in which one of its events was enabled,
   * which waits for all CPUs. Older kernels know no `-:GROUP/` (95c104c378dc, 6.0), and one event in use stops it: what
   * is left goes one by one.
   */
  #removeGroup(): void {
    if (this.ownEvents().length === 0) return;
    try {
      this.files.append(`${this.root}/kprobe_events`, `-:${GROUP}/\n`);
    } catch {
      // The others say why.
    }
  }

  /**
   * Removes the instance, once nobody has a file of it open.
   * @returns false while somebody has.
   */
  removeInstance(): boolean {
    try {
      this.files.removeFolder(this.instance);
      return true;
    } catch (error) {
      return codeOf(error) === "ENOENT";
    }
  }

  /** Whether anything of ktally is there: its instance or an event. */
  hasRemains(): boolean {
    return this.files.exists(this.instance) || this.ownEvents().length > 0;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
