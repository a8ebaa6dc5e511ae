import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ftraceText } from "./ftrace-text.js";
import { fileOf, type Reading, readAll, streamOf } from "./testing/text-input.js";
import { REGISTER, RELOAD } from "./testing/trace-cmd-text.js";
import { type Probe, UnreadableInput } from "./trace-event.js";

const read = (text: string | Buffer, wants?: (probe: Probe) => boolean) => readAll(ftraceText, fileOf(text), wants);

/** One line per item: time in µs, CPU, name and values of events, code and span of gaps. */
function tell({ items }: Reading): string[] {
  const micros = (time: bigint | null) => (time === null ? "-" : String(time / 1000n));
  return items.map((item) =>
    item.kind === "gap"
      ? `${item.code} cpu ${item.cpu ?? "any"} ${micros(item.from)}..${micros(item.to)} lost ${item.lost ?? "?"}`
      : `${micros(item.time)} cpu ${item.cpu} ${item.probe.name} ${item.args.join(" ")} next ${micros(item.nextOnCpu)}`,
  );
}

describe("trace-cmd report", () => {
  test("gives function, caller and stack of a probe that prints addresses only", async () => {
    const { facts, events } = await read(REGISTER);
    expect(facts).toMatchObject({ format: "trace-cmd report", eventCount: 7, gaps: [], diagnostics: [] });
    expect(events.map((event) => [event.probe.name, event.probe.kind, event.args])).toEqual([
      ["module_load", "tracepoint", ["OE", "kvm_amd"]],
      ["regops", "kprobe", [0xffffffffc054a6a0n, "kvm_vfio_ops+0x0", 4n]],
      ["regops_ret", "kretprobe", [0n]],
      ["module_put", "tracepoint", ["do_init_module", 1n, "kvm_amd"]],
    ]);
    const [, entry, exit] = events;
    const at = { address: 0xffffffffc049ded0n, symbol: "kvm_register_device_ops", offset: null, module: null };
    expect(entry!.probe.at).toEqual(at);
    expect(exit!.probe.at).toEqual(at);
    expect(exit!.returnsTo).toMatchObject({ address: 0xffffffffc0497c3cn, symbol: "kvm_init" });
    expect(entry!.stack!.frames.length).toBe(8);
    expect(events.map((event) => event.nextOnCpu)).toEqual([53516117000n, 53516693000n, 53529705000n, null]);
    expect(facts.cpus).toEqual(new Map([[1, { first: 53225276000n, last: 53529705000n }]]));
  });

  test("names of -R for the addresses", async () => {
    const text = `cpus=2
          insmod-134   [001]    53.516117: regops:                __probe_ip=ffffffffc049ded0 ops=0xffffffffc054a6a0 sym=kvm_vfio_ops+0x0 type=4
          insmod-134   [001]    53.516693: regops_ret:            __probe_func=ffffffffc049ded0 __probe_ret_ip=ffffffffc0497c3c ret=-17
`;
    const { events } = await read(text);
    expect(events.map((event) => [event.probe.kind, event.probe.at?.address, event.probe.fields])).toEqual([
      ["kprobe", 0xffffffffc049ded0n, ["ops", "sym", "type"]],
      ["kretprobe", 0xffffffffc049ded0n, ["ret"]],
    ]);
    expect(events[1]!.returnsTo?.address).toBe(0xffffffffc0497c3cn);
    expect(events[1]!.args).toEqual([-17n]);
  });

  test("names alone, as -N and -L print stacks: an entry where functions begin, else inside the function", async () => {
    const hit = (address: string) => `
          insmod-134   [001]    53.516117: regops:               (${address}) ops=0xffffffffc054a6a0 sym=kvm_vfio_ops+0x0 type=4
          insmod-134   [001]    53.516693: kernel_stack:         \t=> kvm_register_device_ops
\t=> kvm_init
\t=> 0x0
`;
    const place = async (address: string) => (await read(`cpus=2${hit(address)}`)).events[0]?.probe.at;
    expect(await place("ffffffffc049ded0")).toMatchObject({ symbol: "kvm_register_device_ops", offset: null });
    expect(await place("ffffffffc049ded4")).toMatchObject({ symbol: "kvm_register_device_ops", offset: null });
    expect(await place("ffffffffc049dedb")).toMatchObject({ symbol: "kvm_register_device_ops", offset: 11 });
  });

  test("lines of several files", async () => {
    const text = `reload-6.1.dat: cpus=2
reload-7.2.dat: cpus=2
reload-7.2.dat:         modprobe-147   [000]    11.120652: module_free:          kvm_amd
reload-7.2.dat:         modprobe-147   [000]    11.121948: module_put:           ccp call_site=module_unload_free refcnt=1
reload-6.1.dat:         modprobe-136   [000]    32.668429: module_free:          kvm
`;
    const reading = await read(text);
    expect(reading.events.map((event) => event.comm)).toEqual(["modprobe", "modprobe", "modprobe"]);
    expect(tell(reading)[1]).toBe("11121948 cpu 0 module_put module_unload_free 1 ccp next -");
    expect(reading.facts.diagnostics).toMatchObject([{ severity: "warning", line: null }]);
  });
});

describe("kernel text", () => {
  const text = `# tracer: nop
#
          insmod-134     [001] .....    53.228489: kvm_init: (kvm_init+0x0/0x3e0 [kvm])
          insmod-134     [001] .....    53.228490: <stack trace>
 => kvm_init
 => 0xffffffffc061e041
 => do_one_initcall
            bash-431     [000] d....    53.228491: regops: (kvm_register_device_ops+0x0/0x60 [kvm]) type=4
          insmod-134     [001] .....    53.516693: regops_ret: (kvm_init+0x31c/0x3e0 [kvm] <- kvm_register_device_ops) ret=0x0
       qemu-7289    [001] d....  2925.640961: kvm_exit: vcpu 0 reason npf rip 0x1005
          rmmod-135     [001] .....  2925.640962: kvm_exit: (kvm_exit+0x0/0xd0 [kvm])
`;

  test("gives the probed location, told from a tracepoint of the same name", async () => {
    const { facts, events } = await read(text);
    expect(facts.format).toBe("ftrace text");
    expect(
      events.map(({ probe }) => [probe.kind, probe.name, probe.at?.symbol, probe.at?.offset, probe.at?.module]),
    ).toEqual([
      ["kprobe", "kvm_init", "kvm_init", 0, "kvm"],
      ["kprobe", "regops", "kvm_register_device_ops", 0, "kvm"],
      ["kretprobe", "regops_ret", "kvm_register_device_ops", null, null],
      ["tracepoint", "kvm_exit", undefined, undefined, undefined],
      ["kprobe", "kvm_exit", "kvm_exit", 0, "kvm"],
    ]);
    expect(events[2]!.returnsTo).toEqual({ address: null, symbol: "kvm_init", offset: 0x31c, module: "kvm" });
    expect(events[0]!.stack!.frames.map((frame) => frame.symbol)).toEqual(["kvm_init", null, "do_one_initcall"]);
    expect(events[0]!.nextOnCpu).toBe(53516693000n);
  });

  test("a uprobe's user address is no kernel location", async () => {
    const { events } = await read("            bash-11886 [003] d... 19601233.618462: readline: (0x48db60)\n");
    expect(events[0]!.probe).toMatchObject({ kind: "tracepoint", at: null });
  });

  test("a marker's further lines belong to it", async () => {
    const { facts, events } = await read(
      "           <...>-191   [001] ...1  6832.354908: tracing_mark_write: first\nsecond\n third\n",
    );
    expect(events[0]!.probe).toMatchObject({ kind: "print", fields: ["buf"] });
    expect(events[0]!.args).toEqual(["first\nsecond\n third"]);
    expect(facts.eventCount).toBe(1);
  });

  test("a call that the function tracer shows is a hit of a probe on that function", async () => {
    const { events } = await read(`# tracer: function
          svscan-1678  [000] .... 6412438.703521: do_nanosleep <-hrtimer_nanosleep
          vmstat-28371 [000] .... 6412453.216241: sys_nanosleep <-system_call
`);
    expect(events.map(({ probe, args }) => [probe.kind, probe.at?.symbol, probe.at?.offset, args])).toEqual([
      ["kprobe", "do_nanosleep", 0, []],
      ["kprobe", "sys_nanosleep", 0, []],
    ]);
  });
});

describe("stacks", () => {
  const event = (cpu: number, pid: number, micros: number, body: string) =>
    `          insmod-${String(pid).padEnd(5)} [00${cpu}]    53.${String(micros).padStart(6, "0")}: ${body}\n`;
  const stack = (cpu: number, pid: number, micros: number) =>
    `${event(cpu, pid, micros, "kernel_stack:         <stack trace >")}=> try_module_get (ffffffff91548175)\n`;
  const stacks = async (text: string) => (await read(`cpus=2\n${text}`)).events.map((each) => each.stack !== null);

  test("belong to the last event of their CPU and task, lines of others between", async () => {
    const text = event(0, 1, 1, "module_free: kvm") + event(1, 2, 2, "module_free: ccp") + stack(0, 1, 3);
    expect(await stacks(text)).toEqual([true, false]);
  });

  test("of another task belong to an event that is missing", async () => {
    expect(await stacks(event(0, 1, 1, "module_free: kvm") + stack(0, 2, 3))).toEqual([false]);
  });

  test("after a loss belong to an event that is missing", async () => {
    const text = `${event(0, 1, 1, "module_free: kvm")}CPU:0 [EVENTS DROPPED]\n${stack(0, 1, 3)}`;
    expect(await stacks(text)).toEqual([false]);
  });

  test("of users are read over", async () => {
    const text = `${event(0, 1, 1, "module_free: kvm")}${stack(0, 1, 2)}${event(0, 1, 3, "user_stack:           \t=> 0x7fd77245b687")}\t=> 0x0\n`;
    const { events } = await read(`cpus=2\n${text}`);
    expect(events[0]!.stack!.frames.length).toBe(1);
    expect(events[0]!.nextOnCpu).toBeNull();
  });
});

describe("losses", () => {
  test("become gaps before the first event after them", async () => {
    const lines = RELOAD.split("\n");
    const text = [
      ...lines.slice(0, 4),
      "CPU:0 [LOST 12 EVENTS]",
      "CPU:0 [LOST 3 EVENTS]",
      ...lines.slice(4, 6),
      "",
    ].join("\n");
    const reading = await read(text);
    expect(tell(reading).slice(2, 5)).toEqual([
      "32749034 cpu 0 module_free ccp next 34399322",
      "lost-events cpu 0 32749034..34399322 lost 15",
      "34399322 cpu 0 module_get resolve_symbol 3 irqbypass next 34974626",
    ]);
    expect(reading.facts.gaps).toEqual(reading.items.filter((item) => item.kind === "gap"));
  });

  test("of a CPU that never prints again stay open", async () => {
    const reading = await read(`${RELOAD}CPU:1 [EVENTS DROPPED]\nCPU:5 [EVENTS DROPPED]\n`);
    expect(tell(reading).slice(-2)).toEqual(["lost-events cpu 1 36774007..- lost ?", "lost-events cpu 5 -..- lost ?"]);
  });

  test("before the text begins are told by its header and by late CPUs", async () => {
    const text = `# tracer: nop
#
# entries-in-buffer/entries-written: 69657/223807   #P:2
#
          insmod-134     [001] .....    53.113067: module_get: kvm call_site=resolve_symbol refcnt=2
##### CPU 0 buffer started ####
          insmod-134     [000] .....    53.113513: module_get: ccp call_site=resolve_symbol refcnt=2
`;
    expect(tell(await read(text)).filter((line) => line.startsWith("over"))).toEqual([
      "overwritten cpu any -..53113067 lost 154150",
      "overwritten cpu 0 -..53113513 lost ?",
    ]);
  });

  test("an event line that cannot be read is one", async () => {
    const reading = await read(RELOAD.replace("   34.399322:", "   34.39X322:"));
    expect(tell(reading)[3]).toBe("damaged cpu any 32749034..34974626 lost ?");
    expect(reading.facts.diagnostics).toMatchObject([
      { line: 5, offset: RELOAD.split("\n").slice(0, 4).join("\n").length + 1 },
    ]);
  });
});

describe("order", () => {
  const line = (cpu: number, micros: number) =>
    `          insmod-134   [00${cpu}]    ${Math.floor(micros / 1e6)}.${String(micros % 1e6).padStart(6, "0")}: module_free:          kvm\n`;

  test("lines that go backwards a little are put in order; equal times keep theirs", async () => {
    const { events } = await read(["cpus=2\n", line(0, 5), line(1, 3), line(0, 7), line(1, 7)].join(""));
    expect(events.map((event) => [event.cpu, event.time])).toEqual([
      [1, 3000n],
      [0, 5000n],
      [0, 7000n],
      [1, 7000n],
    ]);
    expect(events.map((event) => event.nextOnCpu)).toEqual([7000n, 7000n, null, null]);
  });

  test("a record before an event does not end its window", async () => {
    const { events } = await read(["cpus=1\n", line(0, 5), line(0, 3), line(0, 9)].join(""));
    expect(events.map((event) => [event.time, event.nextOnCpu])).toEqual([
      [3000n, 9000n],
      [5000n, 9000n],
      [9000n, null],
    ]);
  });

  test("skipped records end windows, too", async () => {
    const { events } = await read(RELOAD, (probe) => probe.name === "module_free");
    expect(events.map((event) => event.nextOnCpu)).toEqual([32669129000n, 34399322000n]);
  });

  const lossesOf = ({ facts }: Reading) => facts.gaps.map(({ code, from, to }) => [code, from, to]);

  test("what was printed twice counts once, and what came since is new", async () => {
    const first = [line(0, 5), line(1, 6), line(0, 7), line(0, 7)].join("");
    const reading = await read(`cpus=2\n${first}${first}${line(0, 900_000)}`);
    expect(reading.events.map(({ time }) => time)).toEqual([5000n, 6000n, 7000n, 7000n, 900_000_000n]);
    expect(lossesOf(reading)).toEqual([]);
  });

  test("another recording of the same time makes one timeline of what never was one", async () => {
    const first = [line(0, 5), line(0, 200_000), line(0, 400_000)].join("");
    const reading = await read(`cpus=2\n${first}${[line(0, 9), line(0, 200_009)].join("")}`);
    expect(reading.events).toHaveLength(5);
    expect(lossesOf(reading)).toEqual([["left-out", null, null]]);
    expect(reading.facts.diagnostics[0]?.message).toContain("(2 events)");
  });

  test("an older capture behind a long one is read and told", async () => {
    const long = Array.from({ length: 20_000 }, (_, index) => line(0, 1_000_000 + index)).join("");
    const reading = await read(`cpus=1\n${long}${line(0, 5)}`);
    expect(reading.events.length).toBe(20_001);
    expect(reading.facts.cpus.get(0)).toEqual({ first: 5000n, last: 1_019_999_000n });
    expect(lossesOf(reading)).toEqual([["left-out", null, null]]);
  });

  test("a silent CPU does not hold back the others for ever", async () => {
    const busy = (from: number) => Array.from({ length: 90_000 }, (_, index) => line(1, from + index)).join("");
    const reader = await ftraceText.open(fileOf(`cpus=2\n${line(0, 1)}${busy(10)}${line(0, 90_020)}`));
    const batches: number[] = [];
    let first: bigint | null | undefined;
    for await (const batch of reader.read(() => true)) {
      if (first === undefined && batch[0]?.kind === "event") first = batch[0].nextOnCpu;
      batches.push(batch.length);
    }
    expect(first).toBeNull();
    expect(batches.reduce((sum, length) => sum + length)).toBe(90_002);
    expect(Math.max(...batches)).toBeLessThan(80_000);
    expect(reader.facts.diagnostics.map((each) => each.message)).toEqual([
      "1 events: no later record of their CPU is near",
    ]);
  });
});

describe("who wants what", () => {
  test("is asked once for each probe, when its function is known", async () => {
    const asked: string[] = [];
    await read(REGISTER, (probe) => {
      asked.push(`${probe.kind} ${probe.name} ${probe.at?.symbol ?? ""} ${probe.fields.join()}`);
      return true;
    });
    expect(asked).toEqual([
      "tracepoint module_load  taints,name",
      "kprobe regops kvm_register_device_ops ops,sym,type",
      "kretprobe regops_ret kvm_register_device_ops ret",
      "tracepoint module_put  ip,refcnt,name",
    ]);
  });

  test("is asked again when the function becomes known only later", async () => {
    const hit = (micros: number) =>
      `          insmod-134   [001]    53.00000${micros}: regops:               (ffffffffc049ded0) type=4\n`;
    const stack = `          insmod-134   [001]    53.000007: kernel_stack:         <stack trace >\n=> kvm_register_device_ops (ffffffffc049ded1)\n`;
    const text = `cpus=2\n${hit(1)}${hit(2)}${hit(6)}${stack}${hit(8)}${hit(9)}`;
    const { events } = await read(text, (probe) => probe.at?.symbol === "kvm_register_device_ops");
    expect(events.map((event) => event.time)).toEqual([53000008000n, 53000009000n]);
  });

  test("nothing: the records are counted", async () => {
    const { facts, items } = await read(REGISTER, () => false);
    expect(items).toEqual([]);
    expect(facts.eventCount).toBe(7);
  });
});

describe("damage", () => {
  test("a missing last line end costs at most the last value", async () => {
    const whole = await read(RELOAD);
    const cut = await read(RELOAD.slice(0, -1));
    expect(cut.events.length).toBe(whole.events.length);
    expect(cut.facts.diagnostics.length).toBe(1);
    const numbers = RELOAD.split("\n").slice(0, 9).join("\n");
    expect((await read(numbers)).events.at(-1)!.args).toEqual(["resolve_symbol", 2n, null]);
    const pointers = RELOAD.split("\n").slice(0, 10).join("\n");
    expect((await read(pointers)).events.at(-1)!.args).toEqual([0xffff8cd7c26b8800n]);
  });

  test("a line that is cut before its body is a gap to the end", async () => {
    const reading = await read(`${RELOAD}        modprobe-138   [001]    36.7`);
    expect(tell(reading).at(-1)).toBe("damaged cpu any 36774007..- lost ?");
  });

  test("Windows line ends change nothing", async () => {
    expect(tell(await read(REGISTER.replaceAll("\n", "\r\n")))).toEqual(tell(await read(REGISTER)));
  });

  test("NUL bytes between lines are told, and the line behind them is read", async () => {
    const lines = RELOAD.split("\n");
    lines[3] = `${"\0".repeat(500)}${lines[3]}`;
    const reading = await read(lines.join("\n"));
    expect(reading.events.length).toBe(10);
    expect(reading.facts.gaps).toMatchObject([{ code: "damaged", from: 32669129000n, to: 32749034000n }]);
  });

  test("a line without end is passed over in chunks", async () => {
    const text = `${RELOAD}${"x".repeat(3 << 20)}\n${RELOAD.replaceAll(/ 3(\d)\./g, " 9$1.")}`;
    const reading = await read(text);
    expect(reading.events.length).toBe(20);
    expect(reading.facts.gaps).toMatchObject([{ code: "damaged" }]);
  });

  test("events may be called what every object has", async () => {
    const names = ["constructor", "__proto__", "toString", "hasOwnProperty"];
    const lines = names.map(
      (name) => `          insmod-134   [001]    53.113068: ${name}: __proto__=1 constructor=2\n`,
    );
    const { events } = await read(`cpus=2\n${lines.join("")}`);
    expect(events.map((event) => [event.probe.name, event.probe.kind, event.args.length])).toEqual(
      names.map((name) => [name, "tracepoint", 3]),
    );
  });

  test("findings of one kind are told some times, then counted", async () => {
    const torn = "          insmod-134   [001]    53.1\n".repeat(1000);
    const { facts } = await read(`${RELOAD}${torn}`);
    expect(facts.diagnostics.length).toBe(21);
    expect(facts.diagnostics.at(-1)!.message).toBe("980 more: an event line that cannot be read");
  });

  test("a trace without events is read with a warning, other text is not", async () => {
    expect((await read("# tracer: nop\n#\n# entries-in-buffer/entries-written: 0/0   #P:2\n")).facts).toMatchObject({
      eventCount: 0,
      diagnostics: [{ severity: "warning" }],
    });
    await expect(read("nothing of a trace\n")).rejects.toThrow(UnreadableInput);
    await expect(read("")).rejects.toThrow(UnreadableInput);
  });

  test("a text that cannot be read says what to do", async () => {
    const text = "# tracer: function_graph\n#\n 0)   0.198 us    |          _raw_spin_lock_irqsave();\n";
    await expect(read(text)).rejects.toThrow(/^made-up.txt: function_graph .* current_tracer nop/);
  });
});

describe("whatever comes", () => {
  const TEXTS = [REGISTER, RELOAD, `${RELOAD}CPU:0 [LOST 2 EVENTS]\n${RELOAD}`];

  test("a stream gives what the file gives", async () => {
    for (const text of TEXTS) {
      const file = await read(text);
      const stream = await readAll(ftraceText, streamOf(text));
      expect(stream.items).toEqual(file.items);
      expect(stream.facts).toEqual({ ...file.facts, path: "-" });
    }
  });

  test("lines may lie across the end of a chunk", async () => {
    const filled = `${"#".padEnd(63)}\n`.repeat(1 << 14);
    const whole = tell(await read(REGISTER));
    for (let before = 1; before < REGISTER.length; before += 37) {
      expect(tell(await read(filled.slice(before) + REGISTER))).toEqual(whole);
    }
  });

  test("captures behind each other are put in order as far as they fit", async () => {
    const { facts, events } = await read(`${REGISTER}${RELOAD}`.repeat(1500));
    expect([facts.eventCount, events.length]).toEqual([1500 * 17, 14]);
    expect(facts.diagnostics.map(({ message }) => message)).toEqual([expect.stringContaining("the clock goes back")]);
  });

  test("flipped bytes never throw, and times stay in order", async () => {
    const flip = fc.record({ at: fc.nat(), byte: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...TEXTS), fc.array(flip, { maxLength: 20 }), async (text, flips) => {
        const bytes = Buffer.from(text);
        for (const { at, byte } of flips) bytes[at % bytes.length] = byte;
        const reading = await orUnreadable(bytes);
        const times = reading?.events.map((event) => event.time) ?? [];
        expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
      }),
      { numRuns: 300 },
    );
  });

  test("any subset of lines can be read", async () => {
    const lines = [...REGISTER.split("\n"), ...RELOAD.split("\n")];
    await fc.assert(
      fc.asyncProperty(fc.subarray(lines), async (some) => {
        await orUnreadable(Buffer.from(some.join("\n")));
      }),
      { numRuns: 300 },
    );
  });

  test("a file cut anywhere loses nothing before the cut", async () => {
    const values = async (text: string) => tell(await read(text)).map((line) => line.replace(/ next .*/, ""));
    const whole = await values(RELOAD);
    for (let length = 200; length < RELOAD.length; length++) {
      const text = RELOAD.slice(0, length);
      const complete = text.split("\n").length - 2;
      expect((await values(text)).slice(0, complete)).toEqual(whole.slice(0, complete));
    }
  });

  test("bytes that are no trace at all", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (bytes) => {
        await orUnreadable(Buffer.from(bytes));
      }),
      { numRuns: 300 },
    );
  });

  async function orUnreadable(bytes: Buffer): Promise<Reading | null> {
    try {
      ftraceText.sniff(bytes);
      return await read(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(UnreadableInput);
      return null;
    }
  }
});
