/** What /proc tells: open files, mappings, threads that wait in the kernel, modules. Processes come and go meanwhile. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";

export interface OpenFile {
  pid: number;
  comm: string;
  fd: number;
  link: string;
  /** Of an eventfd: its id in fdinfo; else null. */
  id: number | null;
}

export interface Mapping {
  pid: number;
  comm: string;
  link: string;
  count: number;
}

export interface Waiter {
  pid: number;
  tid: number;
  comm: string;
  stack: string[];
}

/** Files and mappings that hold what KVM and VFIO make. */
const HOLDING = /^anon_inode:\[?(?:kvm|vfio)|^\/dev\/(?:vfio\/|kvm$|iommu$)/;
const EVENTFD = "anon_inode:[eventfd]";

/** Open files of all processes that we may look into. `hidden` counts those that we may not. */
export function openFiles(proc = "/proc"): { files: OpenFile[]; hidden: number } {
  const files: OpenFile[] = [];
  let hidden = 0;
  for (const pid of processes(proc)) {
    const folder = `${proc}/${pid}`;
    const names = attempt(() => readdirSync(`${folder}/fd`));
    if (names === "denied") hidden++;
    if (!Array.isArray(names)) continue;
    let comm: string | null = null;
    for (const name of names) {
      const link = attempt(() => readlinkSync(`${folder}/fd/${name}`));
      if (typeof link !== "string" || !(HOLDING.test(link) || link === EVENTFD)) continue;
      comm ??= commOf(folder);
      const id = link === EVENTFD ? eventfdId(`${folder}/fdinfo/${name}`) : null;
      files.push({ pid, comm, fd: Number(name), link, id });
    }
  }
  return { files, hidden };
}

/** Mappings keep a file open although its descriptor is closed (struct kvm_run of a vCPU). */
export function mappings(proc = "/proc"): Mapping[] {
  const found: Mapping[] = [];
  for (const pid of processes(proc)) {
    const text = attempt(() => readFileSync(`${proc}/${pid}/maps`, "latin1"));
    if (typeof text !== "string" || !/anon_inode:\[?(?:kvm|vfio)|\/dev\/vfio\//.test(text)) continue;
    const counts = new Map<string, number>();
    for (const line of text.split("\n")) {
      const link = line.slice(73).trim();
      if (HOLDING.test(link)) counts.set(link, (counts.get(link) ?? 0) + 1);
    }
    const comm = commOf(`${proc}/${pid}`);
    for (const [link, count] of counts) found.push({ pid, comm, link, count });
  }
  return found;
}

/**
 * Threads that wait in one of these kernel functions. wchan tells where one sleeps (kernel/sched/core.c, get_wchan: the
 * first function that is none of the scheduler's); the stack of an uninterruptible one is looked through, too.
 */
export function waiters(functions: ReadonlySet<string>, proc = "/proc"): Waiter[] {
  const found: Waiter[] = [];
  for (const pid of processes(proc)) {
    const tids = attempt(() => readdirSync(`${proc}/${pid}/task`));
    if (!Array.isArray(tids)) continue;
    for (const tid of tids) {
      const folder = `${proc}/${pid}/task/${tid}`;
      const where = attempt(() => readFileSync(`${folder}/wchan`, "latin1"));
      if (typeof where !== "string" || where === "" || !mayWaitIn(functions, where, folder)) continue;
      const stack = stackOf(folder);
      if (functions.has(where) && stack.length === 0) stack.push(where);
      if (stack.some((name) => functions.has(name))) {
        found.push({ pid, tid: Number(tid), comm: commOf(folder), stack });
      }
    }
  }
  return found;
}

function mayWaitIn(functions: ReadonlySet<string>, where: string, folder: string): boolean {
  if (functions.has(where) || where === "wait_woken") return true;
  const state = stateOf(folder);
  // Up to 5.15 x86 looks for frame pointers that a kernel with ORC has not, and may find nothing (bc9bbb81730e).
  return state === "D" || (where === "0" && state === "S");
}

/** /sys/kernel/iommu_groups/GROUP/devices/NAME, and the driver that each is bound to. */
export function groupedDevices(sys = "/sys"): { name: string; group: string; driver: string | null }[] {
  const groups = attempt(() => readdirSync(`${sys}/kernel/iommu_groups`));
  if (!Array.isArray(groups)) return [];
  return groups.flatMap((group) => {
    const names = attempt(() => readdirSync(`${sys}/kernel/iommu_groups/${group}/devices`));
    if (!Array.isArray(names)) return [];
    return names.map((name) => {
      const link = attempt(() => readlinkSync(`${sys}/kernel/iommu_groups/${group}/devices/${name}/driver`));
      return { name, group, driver: link.includes("/") ? basename(link) : null };
    });
  });
}

export function modules(proc = "/proc", sys = "/sys"): { name: string; refs: number; holders: string[] }[] {
  const text = attempt(() => readFileSync(`${proc}/modules`, "latin1"));
  if (typeof text !== "string") return [];
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [name = "", , refs = "0", users = "-"] = line.split(" ");
      const holders = attempt(() => readdirSync(`${sys}/module/${name}/holders`));
      const named = users.split(",").filter((user) => user !== "" && user !== "-" && !user.startsWith("["));
      return { name, refs: Number(refs), holders: Array.isArray(holders) ? holders : named };
    });
}

function processes(proc: string): number[] {
  const names = attempt(() => readdirSync(proc));
  return Array.isArray(names) ? names.filter((name) => /^\d+$/.test(name)).map(Number) : [];
}

/** A process that has ended meanwhile is `gone`. */
function attempt<T>(read: () => T): T | "gone" | "denied" {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "EACCES" || code === "EPERM" ? "denied" : "gone";
  }
}

function commOf(folder: string): string {
  const text = attempt(() => readFileSync(`${folder}/comm`, "utf8"));
  return text.endsWith("\n") ? text.slice(0, -1) : "";
}

function eventfdId(path: string): number | null {
  const text = attempt(() => readFileSync(path, "latin1"));
  const id = /^eventfd-id:\s*(\d+)/m.exec(text)?.[1];
  return id === undefined ? null : Number(id);
}

/** `S`: sleeps, `D`: sleeps and takes no signal (proc(5), stat). */
function stateOf(folder: string): string {
  const text = attempt(() => readFileSync(`${folder}/stat`, "latin1"));
  // The name in parentheses may hold anything.
  return text.slice(text.lastIndexOf(")") + 2, text.lastIndexOf(")") + 3);
}

/** `[<0>] vfio_unregister_group_dev+0x127/0x1a0 [vfio]` a line. */
function stackOf(folder: string): string[] {
  const text = attempt(() => readFileSync(`${folder}/stack`, "latin1"));
  return text.split("\n").flatMap((line) => /\] ([\w.]+)\+0x/.exec(line)?.[1] ?? []);
}
