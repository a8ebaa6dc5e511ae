import { expect, it } from "vitest";
import { readLogLine } from "./kernel-log-line.js";

const WORDS = "WARNING: CPU: 0 PID: 201 at virt/kvm/kvm_main.c:5991 kvm_init+0x3d6/0x3f0 [kvm]";
const BOOT = 29_776_127_000n;

it.each([
  ["nothing", WORDS, null, null],
  ["dmesg", `[   29.776127] ${WORDS}`, BOOT, null],
  ["dmesg with nanoseconds", `[   29.776127000] ${WORDS}`, BOOT, null],
  ["dmesg -d", `[   29.776127 <    0.000127>] ${WORDS}`, BOOT, null],
  ["dmesg -r", `<4>[   29.776127] ${WORDS}`, BOOT, null],
  ["dmesg -x", `kern  :warn  : [   29.776127] ${WORDS}`, BOOT, null],
  ["a task as caller", `[   29.776127][  T201] ${WORDS}`, BOOT, "T201"],
  ["a CPU as caller, set apart", `[   29.776127] [    C1] ${WORDS}`, BOOT, "C1"],
  ["journalctl -o short-monotonic", `[   29.776127] host kernel: ${WORDS}`, BOOT, null],
  ["syslog with boot time", `Nov 24 20:33:45 host kernel: [   29.776127] ${WORDS}`, BOOT, null],
  ["logread", `Sun Sep  1 19:30:19 2019 kern.warn kernel: [   29.776127] ${WORDS}`, BOOT, null],
  ["a CI log of a console", `2026-09-17T03:25:48.5680391Z [   29.776127] ${WORDS}\r`, BOOT, null],
  ["colours", `\u001b[32m[   29.776127] \u001b[0m\u001b[1m${WORDS}\u001b[0m`, BOOT, null],
  ["quoted in a mail", `    [   29.776127] ${WORDS}`, BOOT, null],
  ["dmesg -T", `[Tue Nov 24 20:33:45 2026] ${WORDS}`, BigInt(Date.UTC(2026, 10, 24, 20, 33, 45)) * 1_000_000n, null],
  [
    "journalctl -o short-iso",
    `2026-11-24T21:33:45+0100 host kernel: ${WORDS}`,
    BigInt(Date.UTC(2026, 10, 24, 20, 33, 45)) * 1_000_000n,
    null,
  ],
  [
    "journalctl -o short-precise",
    `Nov 24 20:33:45.000127 host kernel: ${WORDS}`,
    BigInt(Date.UTC(1970, 10, 24, 20, 33, 45)) * 1_000_000n + 127_000n,
    null,
  ],
])("%s", (_, raw, time, caller) => {
  expect(readLogLine(raw)).toMatchObject({ text: WORDS, time, caller });
});

it("keeps what only looks like a prefix", () => {
  const lines = [
    "vfio-pci 0000:65:00.0: Device is currently in use",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [sh:12]",
    "[<ffffffffa045bcac>] kvm_init+0x234/0x282 [kvm]",
    "<TASK>",
  ];
  for (const line of lines) expect(readLogLine(line)?.text).toBe(line);
  expect(readLogLine(`Nov 24 20:33:45 host kernel: ${lines[0]}`)?.text).toBe(lines[0]);
});

it("leaves other programs out, but not those that unload modules", () => {
  expect(readLogLine("Nov 24 20:33:45 host sshd[12]: BUG: not the kernel's")).toBeNull();
  const said = "Nov 24 20:33:45 host sudo[12]: rmmod: ERROR: Module kvm_amd is in use";
  expect(readLogLine(said)?.text).toContain("Module kvm_amd is in use");
});
