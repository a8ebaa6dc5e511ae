import { expect, test } from "vitest";
import { REGISTER } from "./testing/trace-cmd-text.js";
import { readHead } from "./text-sniff.js";

const head = (text: string) => readHead(Buffer.from(text));

const KERNEL = `# tracer: nop
#
# entries-in-buffer/entries-written: 4/4   #P:2
#
#                              _-----=> irqs-off
#                             / _----=> need-resched
#                            | / _---=> hardirq/softirq
#                            || / _--=> preempt-depth
#                            ||| /     delay
#           TASK-PID   CPU#  ||||    TIMESTAMP  FUNCTION
#              | |       |   ||||       |         |
          kprobe-27952 [001] d... 6910580.008086: do_sys_open: (do_sys_open+0x0/0x220)
`;

test("both kinds are known by their first lines", () => {
  expect(head(KERNEL)).toMatchObject({ isTrace: true, report: false, refusal: null });
  expect(head(REGISTER)).toMatchObject({ isTrace: true, report: true, refusal: null });
});

test("and without a header by their lines", () => {
  const events = (text: string) =>
    text
      .split("\n")
      .filter((line) => line.includes("] "))
      .join("\n");
  expect(head(events(KERNEL))).toMatchObject({ isTrace: true, report: false, hasHeader: false });
  expect(head(events(REGISTER))).toMatchObject({ isTrace: true, report: true, hasHeader: false });
});

test.each([
  ["prose", "Demonstrations of kprobe, the Linux ftrace version.\n\nThis traces the kernel do_sys_open() function:\n"],
  [
    "prose around events",
    `This is one line.\nThis is another.\n          kprobe-26042 [001] d... 6910441.001452: do_sys_open: (do_sys_open+0x0/0x220)\n`,
  ],
  [
    "perf script",
    "migration/0      18 [000] 12942.039622:                sched:sched_switch: prev_comm=migration/0\n\tffffffffb7ad6b30 __schedule+0x8e0 ([kernel.kallsyms])\n",
  ],
  ["bytes", "\u0017\u0008\u0044tracing\u0000\u0001\u0002"],
  ["nothing", ""],
])("%s is not ours", (_, text) => {
  expect(head(text).isTrace).toBe(false);
});

test.each([
  [
    "function_graph",
    "# tracer: function_graph\n#\n# CPU  DURATION                  FUNCTION CALLS\n 0)   0.198 us    |          _raw_spin_lock_irqsave();\n",
  ],
  ["option raw", "# tracer: nop\n#\n134 1 53113067537 type: 1234\n135 0 53113067538 type: 1234\n"],
  [
    "option verbose",
    "# tracer: wakeup\n#\n          insmod     134 1 0 00000000 00000000 [000001c2] 53.113ms (+0.001ms): module_free: kvm\n",
  ],
  ["option bin", `# tracer: nop\n#\n${"\0\u0001\u0002".repeat(60)}`],
])("%s is refused, with what to do", (_, text) => {
  expect(head(text).isTrace).toBe(true);
  expect(head(text).refusal).toMatch(/trace_options|current_tracer/);
});

test("the width of what stands before each line of a merged report", () => {
  expect(head("reload-6.1.dat: cpus=2\nreload-7.2.dat: cpus=2\n").prefix).toBe(16);
  expect(head("cpus=2\n").prefix).toBe(0);
});

test("the width of flags that are glued to the time", () => {
  const line = (column: string) => ` qemu-system-x86-533825 [005] ${column}303280081900681: kvm_halt_poll_ns: vcpu 0\n`;
  expect(head(line("d..11") + line("d..1.")).gluedFlags).toBe(5);
  expect(head(KERNEL).gluedFlags).toBe(0);
});
