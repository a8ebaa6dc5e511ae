import { expect, test } from "vitest";
import { commOf, EventLine, flagsOf, prefixLength, readEventLine, toTime } from "./text-line.js";

interface Parts {
  comm: string;
  tid: number;
  cpu: number;
  flags: number | null;
  time: bigint;
  name: string;
  body: string;
}

function read(text: string, glued = 0): Parts | null {
  const bytes = Buffer.from(text);
  const line = new EventLine();
  if (!readEventLine(bytes, 0, bytes.length, glued, line)) return null;
  return {
    comm: commOf(bytes, line),
    tid: line.tid,
    cpu: line.cpu,
    flags: flagsOf(bytes, line),
    time: toTime(line.seconds, line.nanos),
    name: line.named ? bytes.toString("utf8", line.nameStart, line.nameEnd) : "",
    body: bytes.toString("utf8", line.bodyStart, line.bodyEnd),
  };
}

/** Each a line that some kernel or trace-cmd printed. */
const LINES: [what: string, line: string, parts: Partial<Parts>][] = [
  [
    "kernel, four flags",
    "          <idle>-0     [002] d..2 21926.770185: sched_switch: prev_comm=swapper/2 prev_pid=0",
    { comm: "<idle>", tid: 0, cpu: 2, flags: 0x01, time: 21926770185000n, name: "sched_switch" },
  ],
  [
    "colon and space in the task's name",
    "    tmux: server-1613  [000] d.h1 21926.770742: sched_stat_runtime: comm=tmux: server pid=1613",
    { comm: "tmux: server", tid: 1613, flags: 0x09, name: "sched_stat_runtime", body: "comm=tmux: server pid=1613" },
  ],
  [
    "slash and space in the task's name",
    "       CPU 0/KVM-7289    [023] d....  2925.640961: kvm_entry: vcpu 0",
    { comm: "CPU 0/KVM", tid: 7289, cpu: 23, flags: 0x01, time: 2925640961000n, name: "kvm_entry", body: "vcpu 0" },
  ],
  [
    "task forgotten, thread group unknown",
    "           <...>-19161 (-----) [001] ...1 683201.354908: tracing_mark_write: trace_event_clock_sync: parent_ts=1",
    { comm: "", tid: 19161, cpu: 1, flags: 0, name: "tracing_mark_write" },
  ],
  [
    "thread group",
    "  surfaceflinger-598   (  598) [004] .... 10852.771242: tracing_mark_write: B|598|some event",
    { comm: "surfaceflinger", tid: 598, cpu: 4, body: "B|598|some event" },
  ],
  [
    "time without padding",
    "       <unknown>-200   (-----) [000] .... 0.090000: cpu_frequency_limits: min=500000 max=2800000 cpu_id=6",
    { comm: "", tid: 200, time: 90000000n, name: "cpu_frequency_limits" },
  ],
  [
    "no flags",
    "       supervise-3055  [000] 2172164.145829: myprobe: (io_submit_init.isra.6+0x74/0x100 <- bio_alloc) arg1=ffff8800e5584840",
    { comm: "supervise", flags: null, time: 2172164145829000n, name: "myprobe" },
  ],
  [
    "beyond what a double can hold in nanoseconds",
    "            bash-11886 [003] d... 19601233.618462: readline: (0x48db60)",
    { time: 19601233618462000n, body: "(0x48db60)" },
  ],
  [
    "a wide old column",
    "          kworker/6:1-457     [000] d..2  109.999957: bprint:               0xc042f8a0f: thermal_gpu_power_get: frequency=420",
    { comm: "kworker/6:1", tid: 457, time: 109999957000n, name: "bprint" },
  ],
  [
    "indented with a tab",
    "\t   <...>-15430 [006]  7115.449594: sched_switch:          prev_comm=trace-cmd prev_pid=15430",
    { comm: "", tid: 15430, cpu: 6, time: 7115449594000n, body: "prev_comm=trace-cmd prev_pid=15430" },
  ],
  [
    "the stack's pseudo event",
    "            sshd-5121  [000] d... 6897275.911309: <stack trace>",
    { comm: "sshd", name: "", body: "<stack trace>" },
  ],
  [
    "function tracer",
    "          svscan-1678  [000] .... 6412438.703521: do_nanosleep <-hrtimer_nanosleep",
    { name: "", body: "do_nanosleep <-hrtimer_nanosleep" },
  ],
  [
    "trace-cmd",
    "          insmod-134   [001]    53.113068: module_get:           kvm call_site=resolve_symbol refcnt=2",
    { time: 53113068000n, flags: null, name: "module_get", body: "kvm call_site=resolve_symbol refcnt=2" },
  ],
  [
    "trace-cmd -t",
    "          insmod-134   [001]    53.113067537: module_get:           kvm call_site=resolve_symbol refcnt=2",
    { time: 53113067537n, name: "module_get" },
  ],
  [
    "trace-cmd -l",
    "  insmod-134     1...1.    53.113068: module_get:           kvm call_site=resolve_symbol refcnt=2",
    { comm: "insmod", tid: 134, cpu: 1, flags: 0, time: 53113068000n },
  ],
  [
    "trace-cmd -l, flags set and the name cut",
    "qemu-sys-483882   7d..1. 22149.949586: kvm_entry:             vcpu 0 rip 0xffffffffa13f2e30",
    { comm: "qemu-sys", tid: 483882, cpu: 7, flags: 0x01, name: "kvm_entry" },
  ],
  [
    "trace-cmd -l -R",
    "trace-cm-120     0-0x9    16.168491: irq_handler_entry:     irq=28 name=virtio1-requests",
    { comm: "trace-cm", tid: 120, cpu: 0, flags: 0x09, time: 16168491000n, body: "irq=28 name=virtio1-requests" },
  ],
  [
    "trace-cmd --ts-diff",
    "          insmod-134   [001]    53.516117: (+284587) regops:               (ffffffffc049ded0) type=4",
    { time: 53516117000n, name: "regops", body: "(ffffffffc049ded0) type=4" },
  ],
  [
    "trace-cmd --ts-diff, first event",
    "          insmod-134   [001]    53.113068:          module_get:           kvm call_site=resolve_symbol refcnt=2",
    { name: "module_get" },
  ],
  [
    "trace-cmd --raw-ts, glued to the CPU",
    " qemu-system-x86-483882 [007]64642412873143: kvm_entry:             vcpu 0 rip 0xffffffffa13f2e30",
    { comm: "qemu-system-x86", tid: 483882, cpu: 7, time: 64642412873143n, name: "kvm_entry" },
  ],
  [
    "trace-cmd --raw-ts, short",
    "          insmod-134   [001] 53113067537: module_get:           kvm call_site=resolve_symbol refcnt=2",
    { time: 53113067537n, name: "module_get" },
  ],
  [
    "latency format, microseconds since its start",
    "      ps-6143    2d..1  259us+: trace_hardirqs_on <-_raw_spin_unlock_irqrestore",
    {
      comm: "ps",
      tid: 6143,
      cpu: 2,
      flags: 0x01,
      time: 259000n,
      body: "trace_hardirqs_on <-_raw_spin_unlock_irqrestore",
    },
  ],
  [
    "latency format, the stack",
    "      ps-6143    2d..1  306us : <stack trace>",
    { comm: "ps", time: 306000n, body: "<stack trace>" },
  ],
];

test.each(LINES)("%s", (_, line, parts) => {
  expect(read(line)).toMatchObject(parts);
});

test("a task named like columns is read to the last of them", () => {
  expect(read("       a-1 [000]-55    [001] d..2 21926.770185: sched_switch: prev_pid=0")).toMatchObject({
    comm: "a-1 [000]",
    tid: 55,
    cpu: 1,
  });
});

test("flags glued to a raw time are split where the file's other lines are", () => {
  const line = " qemu-system-x86-533825 [005] d..1.303280081900681: kvm_halt_poll_ns: vcpu 0";
  expect(read(line)).toBeNull();
  expect(read(line, 5)).toMatchObject({ flags: 0x01, time: 303280081900681n, name: "kvm_halt_poll_ns" });
});

test("a clock that counts is told from one that measures", () => {
  const line = new EventLine();
  for (const [time, counts] of [
    ["53.113068", false],
    ["303280081900681", true],
  ] as const) {
    const bytes = Buffer.from(`          insmod-134   [001] .....  ${time}: module_free: kvm`);
    expect(readEventLine(bytes, 0, bytes.length, 0, line)).toBe(true);
    expect(line.counts).toBe(counts);
  }
});

test.each([
  "# tracer: nop",
  " => kvm_put_kvm",
  " gid=4",
  "CPU:1 [LOST 12 EVENTS]",
  "migration/0      18 [000] 12942.039622:                sched:sched_switch: prev_comm=migration/0 prev_pid=18",
  "            bash-11886 [003] d... 19601233.6184",
  "            bash-11886 [003] d... 19601233.618462:",
  "            bash-11886 [99999999] d... 19601233.618462: readline: (0x48db60)",
  "-",
  "",
])("%j is no event line", (line) => {
  expect(read(line)).toBeNull();
});

test("context letters become common_flags", () => {
  const flags = (column: string) =>
    read(`          insmod-134   [001] ${column}    53.113068: module_free: kvm`)?.flags;
  expect(["dNh..", "..s..", "..H2.", "..z..", "d.Z..", "bn...", "DpL.1..", "....."].map(flags)).toEqual([
    0x0d, 0x10, 0x18, 0x40, 0x49, 0x04, 0x01, 0,
  ]);
});

test("the prefix of a merged report is left out, where the line has it", () => {
  const length = (text: string) => prefixLength(Buffer.from(text), 0, Buffer.byteLength(text), 16);
  expect(length("reload-7.2.dat:         modprobe-147   [000]    11.120652: module_free:          kvm_amd")).toBe(16);
  expect(length("                        modprobe-147   [000]    11.120652: module_free:          kvm_amd")).toBe(16);
  expect(length("        modprobe-147   [000]    11.120652: module_free:          kvm_amd")).toBe(0);
});
