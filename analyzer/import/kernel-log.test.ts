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
