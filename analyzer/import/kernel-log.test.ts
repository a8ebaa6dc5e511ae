import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { kernelLog } from "./kernel-log.js";
import { fileOf, readAll, streamOf } from "./testing/text-input.js";
import type { KernelReport } from "./trace-event.js";

const FIXTURES = new URL("../../fixtures/", import.meta.url).pathname;
const LOGS = ["seed0", "create-device-race", "eventfd-double-put"].map((name) =>
  readFileSync(`${FIXTURES}dmesg-${name}-6.1.txt`, "utf8"),
);

async function reportsOf(text: string | Buffer): Promise<KernelReport[]> {
  const input = fileOf(text);
  expect(kernelLog.sniff(input.head)).toBe(true);
  return (await readAll(kernelLog, input)).facts.reports ?? [];
}

/** What must not depend on the form that the log is kept in. */
function essence(reports: readonly KernelReport[]): unknown[] {
  return reports.map(({ time: _, clock: _clock, line: _line, ...rest }) => rest);
}

const DMESG = /^\[\s*(\d+)\.(\d+)\] (.*)$/;

/** Every line of a log in another form. */
function dressed(log: string, dress: (text: string, seconds: string, micros: string) => string): string {
  return log
    .split("\n")
    .map((line) => {
      const [, seconds = "0", micros = "0", text = ""] = DMESG.exec(line) ?? [];
      return line === "" ? "" : dress(text, seconds, micros);
    })
    .join("\n");
}

const FORMS: Record<string, Parameters<typeof dressed>[1]> = {
  "without times": (text) => text,
  "a console with line ends of its own": (text, s, us) => `[${s.padStart(5)}.${us}] ${text}\r`,
  "caller ids": (text, s, us) => `[${s.padStart(5)}.${us}][  T201] ${text}`,
  levels: (text, s, us) => `<4>[${s.padStart(5)}.${us}] ${text}`,
  "/dev/kmsg": (text, s, us) => `4,1234,${s}${us},-;${text}`,
  "human times": (text) => `[Tue Nov 24 20:33:45 2026] ${text}`,
  syslog: (text, s, us) => `Nov 24 20:33:45 host kernel: [${s.padStart(5)}.${us}] ${text}`,
  "journal short": (text) => `Nov 24 20:33:45 host kernel: ${text}`,
  "journal JSON": (text, s, us) =>
    JSON.stringify({ _TRANSPORT: "kernel", MESSAGE: text, _SOURCE_MONOTONIC_TIMESTAMP: `${s}${us}` }),
  "journal export": (text, s, us) =>
    `__CURSOR=s=1\n_TRANSPORT=kernel\n_SOURCE_MONOTONIC_TIMESTAMP=${s}${us}\nMESSAGE=${text}\n`,
};

describe.each(Object.entries(FORMS))("%s", (_, dress) => {
  it("tells the same reports as dmesg", async () => {
    for (const log of LOGS) {
      const plain = await reportsOf(log);
      expect(plain).toHaveLength(1);
      expect(essence(await reportsOf(dressed(log, dress)))).toEqual(essence(plain));
    }
  });
});

it("reads a WARN with its task, place, stack, registers and modules", async () => {
  const [report] = await reportsOf(LOGS[0] ?? "");
  expect(report).toMatchObject({
    kind: "warning",
    time: 29_776_127_000n,
    clock: "boot",
    cpu: 0,
    tid: 201,
    comm: "insmod",
    source: "virt/kvm/kvm_main.c:5991",
    at: { symbol: "kvm_init", offset: 0x3d6, module: "kvm" },
    kernel: "6.1.0-56-amd64",
    unloaded: ["kvm_amd"],
  });
  expect(report?.modules).toContain("kvm_amd");
  expect(report?.stack?.frames.map(({ symbol }) => symbol)).toEqual([
    "kvm_init",
    "trace_clock_x86_tsc",
    "do_one_initcall",
    "do_init_module",
    "__do_sys_finit_module",
    "do_syscall_64",
    "entry_SYSCALL_64_after_hwframe",
  ]);
  // The kernel's registers, not those of user space that are printed below them.
  expect(report?.registers.get("RDI")).toBe(0xffffffffc05fe6a0n);
});

it("reads a page fault with the address", async () => {
  const [report] = await reportsOf(LOGS[1] ?? "");
  expect(report).toMatchObject({ kind: "oops", tid: 191, comm: "work", at: { symbol: "kvm_vm_ioctl", module: "kvm" } });
  expect(report?.addresses).toContain(0xffffca130042a9f0n);
});

it("reads what refcount_t says, and who called it", async () => {
  const [report] = await reportsOf(LOGS[2] ?? "");
  expect(report).toMatchObject({ kind: "refcount", tid: 240, title: "refcount_t: underflow; use-after-free." });
  expect(report?.stack?.frames.slice(0, 2).map(({ symbol }) => symbol)).toEqual([
    "refcount_warn_saturate",
    "vfio_pci_core_close_device",
  ]);
});

/** The kernels of the lab have neither: in the form of mm/kasan/report.c, report_generic.c and kernel/locking/lockdep.c. */
const MADE = {
  kasan: `==================================================================
BUG: KASAN: slab-use-after-free in vfio_device_put_registration+0x1f/0x70 [vfio]
Write of size 4 at addr ffff888104a2c0d0 by task qemu/1412

CPU: 1 UID: 0 PID: 1412 Comm: qemu Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
Call Trace:
 <TASK>
 dump_stack_lvl+0x5d/0x80
 print_report+0x174/0x4f6
 kasan_report+0xb9/0x170
 vfio_device_put_registration+0x1f/0x70 [vfio]
 vfio_device_fops_release+0x41/0x80 [vfio]
 __fput+0x17c/0x4e0
 </TASK>

Allocated by task 1377:
 kasan_save_stack+0x30/0x50
 __kasan_kmalloc+0xaa/0xb0
 _vfio_alloc_device+0x2c/0xa0 [vfio]

Freed by task 1398:
 kasan_save_stack+0x30/0x50
 __kasan_slab_free+0x3c/0x60
 vfio_device_release+0x6e/0x90 [vfio]

The buggy address belongs to the object at ffff888104a2c000
 which belongs to the cache kmalloc-1k of size 1024
The buggy address is located 208 bytes inside of
 freed 1024-byte region [ffff888104a2c000, ffff888104a2c400)

Memory state around the buggy address:
 ffff888104a2c000: fa fb fb fb fb fb fb fb fb fb fb fb fb fb fb fb
>ffff888104a2c080: fb fb fb fb fb fb fb fb fb fb fb fb fb fb fb fb
                                                 ^
==================================================================
`,
  lockdep: `======================================================
WARNING: possible circular locking dependency detected
6.1.0 #1 Not tainted
------------------------------------------------------
qemu/1412 is trying to acquire lock:
ffff888104a2c0d0 (&group->group_rwsem){++++}-{3:3}, at: vfio_file_set_kvm+0x41/0x90 [vfio]

but task is already holding lock:
ffff888106b11028 (&kv->lock){+.+.}-{3:3}, at: kvm_vfio_set_group+0x8f/0x330 [kvm]

which lock already depends on the new lock.

the existing dependency chain (in reverse order) is:

-> #1 (&kv->lock){+.+.}-{3:3}:
       __mutex_lock+0xd4/0xbf0
       kvm_vfio_release+0x36/0xc0 [kvm]

-> #0 (&group->group_rwsem){++++}-{3:3}:
       down_write+0x3a/0xc0
       vfio_file_set_kvm+0x41/0x90 [vfio]

stack backtrace:
CPU: 1 PID: 1412 Comm: qemu Not tainted 6.1.0 #1
Call Trace:
 <TASK>
 down_write+0x3a/0xc0
 vfio_file_set_kvm+0x41/0x90 [vfio]
 kvm_vfio_set_group+0x1b2/0x330 [kvm]
 </TASK>
`,
};

function timed(text: string): string {
  return text.replaceAll(/^/gm, "[  100.000000] ");
}

it("reads who used freed memory, who had allocated it and who had freed it", async () => {
  const [report, ...others] = await reportsOf(timed(MADE.kasan));
  expect(others).toEqual([]);
  expect(report).toMatchObject({
    kind: "kasan",
    bug: "slab-use-after-free",
    tid: 1412,
    comm: "qemu",
    at: { symbol: "vfio_device_put_registration", module: "vfio" },
  });
  expect(report?.addresses).toContain(0xffff888104a2c000n);
  expect(report?.related.map(({ what, tid, stack }) => [what, tid, stack?.frames.at(-1)?.symbol])).toEqual([
    ["allocated", 1377, "_vfio_alloc_device"],
    ["freed", 1398, "vfio_device_release"],
  ]);
});

it("reads the locks of a possible deadlock, and who takes them", async () => {
  const [report, ...others] = await reportsOf(timed(MADE.lockdep));
  expect(others).toEqual([]);
  expect(report).toMatchObject({ kind: "lockdep", tid: 1412, comm: "qemu" });
  expect(report?.related.map(({ what, stack }) => [what, stack?.frames.at(-1)?.symbol])).toEqual([
    ["lock", "kvm_vfio_release"],
    ["lock", "vfio_file_set_kvm"],
  ]);
  expect(report?.stack?.frames.at(-1)?.symbol).toBe("kvm_vfio_set_group");
});

it("reads a hung task with its stack", async () => {
  const reports = await reportsOf(readFileSync(`${FIXTURES}dmesg-unbind-hung-6.1.txt`, "utf8"));
  expect(reports.map(({ kind }) => kind)).toEqual(["device-in-use", "hung-task"]);
  expect(reports[1]).toMatchObject({ tid: 206, comm: "bash", clock: "boot", time: 33_719_083_000n });
  expect(reports[1]?.stack?.frames.map(({ symbol }) => symbol)).toContain("vfio_unregister_group_dev");
});

it("two reports that are printed at the same time are told apart by their callers", async () => {
  const lines = LOGS.map((log, index) =>
    dressed(log, (text, s, us) => `[${s.padStart(5)}.${us}][  T${index + 1}] ${text}`).split("\n"),
  );
  const [first = [], second = []] = lines;
  // In turns, the second from where its report begins.
  const from = second.findIndex((line) => line.includes("BUG: unable"));
  const start = first.findIndex((line) => line.includes("cut here"));
  const mixed = first.flatMap((line, index) => [line, ...(index < start ? [] : [second[from + index - start] ?? ""])]);
  const together = await reportsOf(mixed.join("\n"));
  const apart = [...(await reportsOf(first.join("\n"))), ...(await reportsOf(second.join("\n")))];
  expect(new Set(essence(together))).toEqual(new Set(essence(apart)));
});

it("a stream is read like a file", async () => {
  for (const log of LOGS) {
    const { facts } = await readAll(kernelLog, streamOf(log));
    expect(facts.reports).toEqual(await reportsOf(log));
  }
});

it("any cut of a log is read to its end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...LOGS), fc.double({ min: 0.1, max: 1, noNaN: true }), async (log, part) => {
      const cut = log.slice(0, Math.floor(log.length * part));
      const reports = (await readAll(kernelLog, fileOf(cut))).facts.reports ?? [];
      expect(reports.length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 50 },
  );
});

it("any text ends in reports or none, never in an error", async () => {
  const word = fc.constantFrom(
    "WARNING: ",
    "BUG: KASAN: ",
    "[<",
    "] ",
    "RIP: 0010:",
    "<4>",
    "[ 1.2]",
    "Call Trace:",
    "\n",
    "+0x1/0x2",
    "=\n",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(word, fc.string()), { maxLength: 60 }), async (parts) => {
      const { facts } = await readAll(kernelLog, fileOf(`kernel: x\n${parts.join("")}`));
      expect(facts.reports).toBeDefined();
    }),
    { numRuns: 200 },
  );
});

it("a log without a report says so", async () => {
  const quiet = (LOGS[0] ?? "").split("\n").slice(0, 20).join("\n");
  const { facts } = await readAll(kernelLog, fileOf(quiet));
  expect(facts.reports).toEqual([]);
  expect(facts.diagnostics[0]?.message).toContain("no report of the kernel in it");
});
