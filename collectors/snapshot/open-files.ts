/** From a process's descriptor to the object behind it: task_struct, its table of files, struct file. */
import type { Walker } from "./walk.js";

const FILE_COUNTS = ["f_count.counter", "f_ref.refcnt.counter"];
/** Descriptors of one process that are looked at (RLIMIT_NOFILE's usual ceiling). */
const HIGHEST_FD = 1 << 20;

export interface FileAddress {
  file: bigint;
  count: number | null;
}

/** Finds struct file by process and descriptor. */
export class FileTable {
  readonly #walker: Walker;
  /** task_struct by process id. */
  readonly #tasks = new Map<number, bigint>();

  /** @param initTask address of `init_task`, whose list all processes are on. */
  constructor(walker: Walker, initTask: bigint) {
    this.#walker = walker;
    const head = walker.address("task_struct", initTask, ["tasks"]);
    if (head === null) return;
    for (const task of walker.list(head, "task_struct", "tasks", "the list of processes")) {
      const pid = walker.value("task_struct", task, ["tgid"]);
      if (typeof pid === "number") this.#tasks.set(pid, task);
    }
  }

  /** null where the process or the descriptor is gone, or its kernel types are not known. */
  find(pid: number, fd: number): FileAddress | null {
    const walker = this.#walker;
    const task = this.#tasks.get(pid);
    if (task === undefined || fd < 0 || fd > HIGHEST_FD) return null;
    const table = walker.pointerAt("task_struct", task, ["files->fdt"]);
    if (table === null) return null;
    const most = walker.value("fdtable", table, ["max_fds"]);
    const files = walker.pointerAt("fdtable", table, ["fd"]);
    if (files === null || typeof most !== "number" || fd >= most) return null;
    const file = walker.pointer(files + BigInt(fd * 8));
    return file === null || file === 0n ? null : { file, count: this.#count(file) };
  }

  #count(file: bigint): number | null {
    const path = this.#walker.find("file", FILE_COUNTS);
    const value = path === null ? null : this.#walker.value("file", file, [path]);
    if (typeof value !== "number") return null;
    // file_ref_t (from 6.13) counts from zero (include/linux/file_ref.h).
    return path?.startsWith("f_ref") === true ? value + 1 : value;
  }
}
