import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ftraceText } from "./ftrace-text.js";
import { NameSet } from "./name-set.js";
import { eventsOf, memoryInput, readItems } from "./testing/memory-input.js";
import type { TraceEvent } from "./trace-event.js";

async function read(text: string) {
  const reader = await ftraceText.open(memoryInput(Buffer.from(text)));
  const items = await readItems(reader);
  // A `}` without a name is nobody's return.
  const events = eventsOf(items).filter(({ probe }) => probe.at !== null);
  return { events, facts: reader.facts };
}

/** `kprobe kvm_put_kvm(kvm=0x1)` */
function tell({ probe, args }: TraceEvent): string {
  const values = probe.fields.map((field, index) => {
    const value = args[index];
    return `${field}=${typeof value === "bigint" && value > 9n ? `0x${value.toString(16)}` : value}`;
  });
  return `${probe.kind} ${probe.at?.symbol}(${values.join(", ")})`;
}

describe("the function tracer", () => {
  // Linux 7.2, options func-args and none; 6.12.
  test.each([
    [
      "            work-208     [000] ...1.    36.242760: kvm_arch_init_vm(kvm=0xffff8939829b4000, type=0x0) <-kvm_dev_ioctl",
      "kprobe kvm_arch_init_vm(kvm=0xffff8939829b4000, type=0)",
    ],
    [
      "            work-208     [000] ...1.    36.243196: set_or_clear_apicv_inhibit(inhibits=0xffff8939829b5400, reason=0 [APICV_INHIBIT_REASON_DISABLED], set=0x1) <-kvm_arch_init_vm",
      "kprobe set_or_clear_apicv_inhibit(inhibits=0xffff8939829b5400, reason=0, set=1)",
    ],
    [
      "        modprobe-190     [000] ...1.    16.199943: kvm_register_device_ops() <-kvm_init",
      "kprobe kvm_register_device_ops()",
    ],
    [
      "        modprobe-224     [000] .....    18.597891: kvm_get_arch_capabilities <-kvm_get_feature_msr.constprop.0",
      "kprobe kvm_get_arch_capabilities()",
    ],
    ["        modprobe-224     [000] .....    18.597930: kvm_init <-0xffffffffc06c605e", "kprobe kvm_init()"],
  ])("%s", async (line, told) => {
    const { events, facts } = await read(`# tracer: function\n#\n${line}\n`);
    expect(events.map(tell)).toEqual([told]);
    expect(events[0]!.probe.at!.offset).toBe(0);
    expect(facts.gaps).toEqual([]);
  });

  test("trace-cmd's report of it", async () => {
    const { events } = await read(`cpus=2
        modprobe-235   [001]    65.691760: function:             kvm_init
        modprobe-235   [001]    65.692775: function:                kvm_register_device_ops
`);
    expect(events.map(tell)).toEqual(["kprobe kvm_init()", "kprobe kvm_register_device_ops()"]);
  });
});

describe("function_graph", () => {
  // Linux 7.2, options funcgraph-args, -abstime, -proc and -tail.
  const TEXT = `# tracer: function_graph
#
#     TIME        CPU  TASK/PID         DURATION                  FUNCTION CALLS
#      |          |     |    |           |   |                     |   |   |   |
  130.382111 |   0)    work-211    |               |    kvm_vm_ioctl [kvm](filp=0xffff893982218000, ioctl=0x4020ae46, arg=0x7ffce1c43150) {
  130.385140 |   0)    work-211    |   1.393 us    |      kvm_put_kvm_no_destroy [kvm](kvm=0xffff8939829b4000);
  130.421490 |   0)    work-211    | * 39378.90 us |    } /* kvm_vm_ioctl [kvm] */
  130.421500 |   0)    work-211    |   2.164 us    |  }
`;

  test("a function that calls none is left when its duration is over", async () => {
    const { events } = await read(TEXT);
    expect(events.map(tell)).toEqual([
      "kprobe kvm_vm_ioctl(filp=0xffff893982218000, ioctl=0x4020ae46, arg=0x7ffce1c43150)",
      "kprobe kvm_put_kvm_no_destroy(kvm=0xffff8939829b4000)",
      "kretprobe kvm_put_kvm_no_destroy()",
      "kretprobe kvm_vm_ioctl()",
    ]);
    expect(events[2]!.time - events[1]!.time).toBe(1393n);
    expect(events[1]!.nextOnCpu).toBe(events[2]!.time);
  });

  test("proves nothing by what it does not show", async () => {
    const { facts } = await read(TEXT);
    expect(facts.gaps.map(({ code }) => code)).toEqual(["left-out"]);
    expect(facts.diagnostics.map(({ message }) => message).join()).toContain("some callers only");
  });

  // By print_graph_retval() of Linux 6.5 and 7.0: no kernel of Debian's has option funcgraph-retval.
  test.each([
    ["kvm_init [kvm](); /* = -17 */", "-17"],
    ["} /* kvm_init [kvm] = 0x0 */", "0"],
    ["kvm_init(opts=0x1); /* <-svm_init+0x10/0x20 ret=-17 */", "-17"],
    ["} /* kvm_init ret=0xffff888100000000 */", "0xffff888100000000"],
  ])("%s", async (body, result) => {
    const line = `   25.128230 |   0)  modprob-203   |   2.173 us    |  ${body}\n`;
    const { events } = await read(`# tracer: function_graph\n#\n${line}`);
    expect(tell(events.at(-1)!)).toBe(`kretprobe kvm_init(ret=${result})`);
  });

  test("trace-cmd's report of it", async () => {
    const { events } = await read(`cpus=2
        modprobe-251   [001]   114.147679: funcgraph_entry:                   |  kvm_init() {
        modprobe-251   [001]   114.148965: funcgraph_entry:      + 28.953 us  |    kvm_register_device_ops();
        modprobe-251   [001]   114.159551: funcgraph_exit:       # 11860.885 us |  }
`);
    expect(events.map(tell)).toEqual([
      "kprobe kvm_init()",
      "kprobe kvm_register_device_ops()",
      "kretprobe kvm_register_device_ops()",
    ]);
  });
});

test("a set of names holds those that were added and no others", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ minLength: 1, maxLength: 40 }), { maxLength: 300 }), (names) => {
      const set = new NameSet();
      // Few hashes: most names meet others on their way.
      const has = (name: string) => set.has(Buffer.from(name), 0, Buffer.byteLength(name), name.length % 3);
      for (const [index, name] of names.entries()) {
        if (index % 2 === 0) set.add(Buffer.from(name), 0, Buffer.byteLength(name), name.length % 3);
      }
      for (const [index, name] of names.entries()) expect(has(name)).toBe(index % 2 === 0);
    }),
    { numRuns: 50 },
  );
});
