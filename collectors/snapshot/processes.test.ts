import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { waiters } from "./processes.js";

const STACK = "[<0>] wait_woken+0x5f/0x70\n[<0>] vfio_unregister_group_dev+0x107/0x1a0 [vfio]\n";

/** A /proc with one thread. */
function procWith(wchan: string, state: string, stack = STACK): string {
  const proc = mkdtempSync(join(tmpdir(), "ktally-proc-"));
  const task = join(proc, "258", "task", "258");
  mkdirSync(task, { recursive: true });
  writeFileSync(join(task, "wchan"), wchan);
  writeFileSync(join(task, "stat"), `258 (ba) sh) ${state} 1 258`);
  writeFileSync(join(task, "stack"), stack);
  writeFileSync(join(task, "comm"), "bash\n");
  return proc;
}

test.each([
  ["in the function itself", "vfio_unregister_group_dev", "S", 1],
  ["below it, uninterruptibly", "schedule_timeout", "D", 1],
  ["somewhere that the kernel could not tell", "0", "S", 1],
  ["nowhere: it runs", "0", "R", 0],
  ["for something else", "do_wait", "S", 0],
])("a thread that waits %s", (_, wchan, state, count) => {
  const found = waiters(new Set(["vfio_unregister_group_dev"]), procWith(wchan, state));
  expect(found).toHaveLength(count);
  for (const { comm, tid, stack } of found) {
    expect([comm, tid, ...stack]).toEqual(["bash", 258, "wait_woken", "vfio_unregister_group_dev"]);
  }
});

test("a thread that sleeps in other code is not one", () => {
  const stack = "[<0>] do_wait+0x1/0x2\n";
  expect(waiters(new Set(["vfio_unregister_group_dev"]), procWith("0", "S", stack))).toEqual([]);
});
