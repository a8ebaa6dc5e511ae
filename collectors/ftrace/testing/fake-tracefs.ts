/** A tracefs in memory that behaves as the kernel's does, as far as ktally uses it, and keeps what was done to it. */
import type { Files } from "../tracefs.js";

export const ROOT = "/sys/kernel/tracing";

class KernelError extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

/** What an instance has from the start. */
const INSTANCE_FILES: Record<string, string> = {
  trace_marker: "",
  tracing_on: "1\n",
  buffer_size_kb: "7 (expanded: 1408)\n",
  trace_clock: "[local] global\n",
  "options/stacktrace": "0\n",
  "options/event-fork": "0\n",
  set_event_pid: "",
  "events/enable": "0\n",
  "events/ktally/enable": "0\n",
  "per_cpu/cpu0/stats": "entries: 0\noverrun: 0\ncommit overrun: 0\nbytes: 0\ndropped events: 0\nread events: 0\n",
  "per_cpu/cpu1/stats": "entries: 1\noverrun: 40\ncommit overrun: 0\nbytes: 0\ndropped events: 2\nread events: 9\n",
};

export class FakeTracefs implements Files {
  /** `write PATH TEXT`, `append …`, `mkdir PATH`, `rmdir PATH`, in order; paths from the root of tracefs. */
  readonly log: string[] = [];
  readonly contents = new Map<string, string>();
  /** Lines of kprobe_events, everybody's. */
  definitions: string[];
  readonly hits = new Map<string, { hits: number; missed: number }>();
  /** Events that somebody else has enabled: the kernel does not remove them. */
  readonly busy = new Set<string>();
  /** Whether `-:GROUP/` removes a whole group: since 6.0. */
  knowsGroups = true;
  /** Files of the instance that are open. */
  open = 0;

  constructor(foreign: readonly string[] = []) {
    this.definitions = [...foreign];
    this.contents.set("instances", "");
    this.contents.set("error_log", "");
  }

  /** All that a look at tracefs shows: to be the same before and after. */
  state(): string {
    return JSON.stringify([this.definitions, [...this.contents].sort()]);
  }

  exists(path: string): boolean {
    const inside = within(path);
    if (inside === null) return false;
    const isFolder = [...this.contents.keys()].some((name) => name.startsWith(`${inside}/`));
    return isFolder || this.contents.has(inside) || inside === "kprobe_events";
  }

  read(path: string): string {
    const inside = within(path);
    if (inside === "kprobe_events") return this.definitions.map((line) => `${line}\n`).join("");
    if (inside === "kprobe_profile") {
      return this.definitions
        .map((line) => {
          const count = this.hits.get(line) ?? { hits: 0, missed: 0 };
          const name = /\/(\S+)/.exec(line)?.[1] ?? "";
          return `  ${name.padEnd(44)} ${String(count.hits).padStart(15)} ${String(count.missed).padStart(15)}\n`;
        })
        .join("");
    }
    const text = inside === null ? undefined : this.contents.get(inside);
    if (text === undefined) throw new KernelError("ENOENT");
    return text;
  }

  list(path: string): string[] {
    const inside = `${within(path)}/`;
    const names = [...this.contents.keys()].filter((name) => name.startsWith(inside));
    return [...new Set(names.map((name) => name.slice(inside.length).split("/")[0] ?? ""))];
  }

  write(path: string, text: string): void {
    const inside = within(path) ?? "";
    const isEvent = /^instances\/ktally\/events\/\w+\/\w+\/(enable|filter)$/.test(inside);
    if (!this.contents.has(inside) && !isEvent) throw new KernelError("ENOENT");
    this.log.push(`write ${inside} ${text}`);
    this.contents.set(inside, `${text}\n`);
  }

  append(path: string, text: string): void {
    const inside = within(path);
    if (inside !== "kprobe_events") throw new KernelError("EINVAL");
    const line = text.trimEnd();
    this.log.push(`append ${inside} ${line}`);
    const removed = /^-:(\S+)/.exec(line)?.[1];
    if (removed === undefined) {
      if (line.includes("no_such_function")) throw new KernelError("ENOENT");
      this.definitions.push(line);
      return;
    }
    if (removed.endsWith("/")) {
      this.#removeGroup(removed);
      return;
    }
    if (this.busy.has(removed)) throw new KernelError("EBUSY");
    this.definitions = this.definitions.filter((known) => nameOf(known) !== removed);
  }

  /** In order, until one is busy. */
  #removeGroup(group: string): void {
    if (!this.knowsGroups) throw new KernelError("ENOENT");
    const matching = this.definitions.filter((known) => nameOf(known).startsWith(group));
    const isBusy = matching.findIndex((known) => this.busy.has(nameOf(known)));
    const gone = isBusy < 0 ? matching : matching.slice(0, isBusy);
    this.definitions = this.definitions.filter((known) => !gone.includes(known));
    if (isBusy >= 0) throw new KernelError("EBUSY");
  }

  makeFolder(path: string): void {
    const inside = within(path) ?? "";
    if (this.exists(path)) throw new KernelError("EEXIST");
    this.log.push(`mkdir ${inside}`);
    for (const [name, text] of Object.entries(INSTANCE_FILES)) this.contents.set(`${inside}/${name}`, text);
  }

  removeFolder(path: string): void {
    const inside = within(path) ?? "";
    if (!this.exists(path)) throw new KernelError("ENOENT");
    if (this.open > 0) throw new KernelError("EBUSY");
    this.log.push(`rmdir ${inside}`);
    for (const name of [...this.contents.keys()]) if (name.startsWith(`${inside}/`)) this.contents.delete(name);
  }

  openToWrite(path: string): number {
    if (!this.exists(path)) throw new KernelError("ENOENT");
    return ++this.open;
  }

  close(): void {
    this.open--;
  }
}

/** `GROUP/EVENT` of a definition. */
function nameOf(definition: string): string {
  return /^[pr]\d*:(\S+)/.exec(definition)?.[1] ?? "";
}

function within(path: string): string | null {
  return path.startsWith(`${ROOT}/`) ? path.slice(ROOT.length + 1) : null;
}
