/** Who has which files open, read from /proc. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface OpenFile {
  pid: number;
  comm: string;
  /** What /proc/PID/fd shows: a path, or `anon_inode:kvm-vm`. */
  file: string;
}

/** Open files whose name `matches`, of all processes that can be seen. A process that ends meanwhile is left out. */
export function openFiles(matches: (file: string) => boolean, proc = "/proc"): OpenFile[] {
  const found: OpenFile[] = [];
  for (const pid of readdirSync(proc)) {
    if (!/^\d+$/.test(pid)) continue;
    let comm: string | null = null;
    for (const fd of ignoringAbsence(() => readdirSync(`${proc}/${pid}/fd`)) ?? []) {
      const file = ignoringAbsence(() => readlinkSync(`${proc}/${pid}/fd/${fd}`));
      if (file === null || !matches(file)) continue;
      comm ??= ignoringAbsence(() => readFileSync(`${proc}/${pid}/comm`, "utf8").trimEnd()) ?? "";
      found.push({ pid: Number(pid), comm, file });
    }
  }
  return found;
}

/** Threads of a process; none when it is gone. */
export function threadsOf(pid: number, proc = "/proc"): number[] {
  return (ignoringAbsence(() => readdirSync(`${proc}/${pid}/task`)) ?? []).map(Number);
}

/** The command line of a process, as one text; empty when it is gone. */
export function commandLine(pid: number, proc = "/proc"): string {
  const text = ignoringAbsence(() => readFileSync(`${proc}/${pid}/cmdline`, "utf8")) ?? "";
  return text.replaceAll("\0", " ").trim();
}

/** When a process was started, in clock ticks since boot: with its number it names one process. proc(5), stat. */
export function startTime(pid: number, proc = "/proc"): string | null {
  const stat = ignoringAbsence(() => readFileSync(`${proc}/${pid}/stat`, "utf8"));
  // The name in parentheses may hold anything.
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
}

/** Whether this process sees all others: it is in the first pid namespace (PROC_PID_INIT_INO, 0xeffffffc). */
export function seesAllProcesses(proc = "/proc"): boolean {
  return ignoringAbsence(() => readlinkSync(`${proc}/self/ns/pid`)) === "pid:[4026531836]";
}

function ignoringAbsence<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
