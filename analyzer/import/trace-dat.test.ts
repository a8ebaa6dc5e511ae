import { describe, expect, it } from "vitest";
import { ByteWriter } from "./testing/byte-writer.js";
import {
  exampleTrace,
  FUNCTION,
  GRAPH_ENTRY,
  GRAPH_EXIT,
  INIT,
  kvmPut,
  MODULE_GET,
  PUT,
  REGISTER,
  stack,
  USER_STACK,
} from "./testing/example-trace.js";
import { eventsOf, memoryInput, readItems } from "./testing/memory-input.js";
import type { BuiltPage } from "./testing/ring-buffer-builder.js";
import { type BuiltTrace, buildTraceDat } from "./testing/trace-dat-builder.js";
import { traceDat } from "./trace-dat.js";
import { type TraceItem, UnreadableInput, type Wants } from "./trace-event.js";

async function read(file: Buffer, wants?: Wants) {
  const reader = await traceDat.open(memoryInput(file));
  const items = await readItems(reader, wants);
  return { items, events: eventsOf(items), facts: reader.facts };
}

/** One line per item, in the words of the kernel's text. */
function tell(item: TraceItem): string {
  if (item.kind === "gap") return `${item.code} cpu=${item.cpu} ${item.from}..${item.to} lost=${item.lost}`;
  const at = item.probe.at === null ? "" : ` at ${item.probe.at.symbol}+${item.probe.at.offset}`;
  const back = item.returnsTo === null ? "" : ` to ${item.returnsTo.symbol}+${item.returnsTo.offset}`;
  const stackText = item.stack === null ? "" : ` <- ${item.stack.frames.map(({ symbol }) => symbol).join(" ")}`;
  const task = `${item.comm}-${item.tid} [${item.cpu}] ${item.time}..${item.nextOnCpu}`;
  return `${task} ${item.probe.kind} ${item.probe.name}(${item.args.join(", ")})${at}${back}${stackText}`;
}

/** The example with these pages on CPU 0 only. */
function pages(...list: BuiltPage[]): BuiltTrace {
  return exampleTrace({ buffers: new Map([["", new Map([[0, list]])]]) });
}

/** A recording in which nobody set a probe: only there are calls events. */
function withoutProbes(built: BuiltTrace): BuiltTrace {
  return { ...built, formats: built.formats.filter(({ system }) => system === "ftrace") };
}

const EXAMPLE = [
  "CPU 0/KVM-70 [1] 1005..2000 kprobe p_kvm_put_kvm_0(18446612686364999680, -1, last) at kvm_put_kvm.part.0+0 <- kvm_put_kvm.part.0 kvm_init",
  "insmod-71 [4] 1500..1507 tracepoint module_get(3221237760, 3, kvm_amd)",
  "<idle>-0 [4] 1507..1508 tracepoint arrays(swapper, relative, 303132330000, 0102)",
  "-99 [4] 1508..null print print(3221237760, hello\n)",
  "insmod-71 [1] 2000..null kretprobe r_register_0(-17) at kvm_register_device_ops+0 to kvm_init+32",
];

describe("every variant of the format tells the same", () => {
  for (const version of [6, 7] as const) {
    for (const compression of version === 6 ? (["none"] as const) : (["none", "zlib", "zstd"] as const)) {
      for (const littleEndian of [true, false]) {
        for (const longSize of [4, 8] as const) {
          for (const pageSize of [4096, 65536]) {
            const order = littleEndian ? "little" : "big";
            it(`v${version} ${compression}, ${order}-endian, ${longSize}-byte long, pages of ${pageSize}`, async () => {
              const file = buildTraceDat(exampleTrace({ version, compression, littleEndian, longSize, pageSize }));
              expect(traceDat.sniff(file)).toBe(true);
              const { items, facts } = await read(file);
              expect(items.map(tell)).toEqual(EXAMPLE);
              expect(facts).toMatchObject({
                format: version === 6 ? "trace.dat v6" : `trace.dat v7 (${compression})`,
                clock: "mono",
                clockIsTime: true,
                kernel: "6.1.0-test",
                eventCount: 6,
                gaps: [],
                diagnostics: [],
              });
              expect([...facts.cpus]).toEqual([
                [1, { first: 1005n, last: 2000n }],
                [4, { first: 1500n, last: 1508n }],
              ]);
            });
          }
        }
      }
    }
  }
});

describe("records of the function_graph tracer", () => {
  const enter = (func: bigint, tid = 70) => ({ format: GRAPH_ENTRY, delta: 1, tid, values: [func, 0n] });
  const exit = (func: bigint, tid = 70) => ({ format: GRAPH_EXIT, delta: 1, tid, values: [func, 0n, 0n, 1n, 2n] });

  // What trace-cmd report prints of these very files: a function that calls none is one line.
  it.each([
    ["calls one that calls none", 3, [enter(INIT), enter(PUT), exit(PUT), exit(INIT)]],
    ["calls the same twice", 4, [enter(INIT), enter(PUT), exit(PUT), enter(PUT), exit(PUT), exit(INIT)]],
    ["is interrupted by an event", 3, [enter(PUT), kvmPut(1, 1n), exit(PUT)]],
    ["is left by another task", 2, [enter(PUT), exit(PUT, 71)]],
    ["is left by another function", 2, [enter(PUT), exit(INIT)]],
    ["was entered before the trace", 3, [exit(PUT), exit(PUT), enter(PUT)]],
  ])("a function that %s", async (_, count, records) => {
    for (const wants of [() => true, () => false]) {
      const { facts } = await read(buildTraceDat(pages({ time: 0n, records })), wants);
      expect(facts.eventCount).toBe(count);
    }
  });

  it("is a hit of a probe where nobody set one, and proves nothing by what it does not show", async () => {
    const built = pages({ time: 0n, records: [enter(PUT), exit(PUT)] });
    expect((await read(buildTraceDat(built))).events).toEqual([]);
    const { events, facts } = await read(buildTraceDat(withoutProbes(built)));
    expect(events.map(tell)).toEqual([
      "CPU 0/KVM-70 [0] 1..2 kprobe funcgraph_entry() at kvm_put_kvm.part.0+0",
      "CPU 0/KVM-70 [0] 2..null kretprobe funcgraph_exit() at kvm_put_kvm.part.0+0",
    ]);
    expect(facts.gaps.map(({ code }) => code)).toEqual(["left-out"]);
  });

  it("may go on in the next page", async () => {
    const file = buildTraceDat(pages({ time: 0n, records: [enter(PUT)] }, { time: 9n, records: [exit(PUT)] }));
    expect((await read(file)).facts.eventCount).toBe(1);
  });
});

describe("records of the function tracer", () => {
  it("are hits of probes on the functions, with the arguments where they were recorded", async () => {
    const call = (args: bigint[]) => ({ format: FUNCTION, delta: 1, tid: 70, values: [REGISTER, INIT, args] });
    const records = [call([1n, 2n, 3n, 4n, 5n, 6n]), call([])];
    const { events, facts } = await read(buildTraceDat(withoutProbes(pages({ time: 0n, records }))));
    expect(events.map(({ probe, args }) => [probe.kind, probe.at?.symbol, probe.fields.join(), args])).toEqual([
      ["kprobe", "kvm_register_device_ops", "arg1,arg2,arg3,arg4,arg5,arg6", [1n, 2n, 3n, 4n, 5n, 6n]],
      ["kprobe", "kvm_register_device_ops", "arg1,arg2,arg3,arg4,arg5,arg6", Array(6).fill(null)],
    ]);
    expect(facts.gaps).toEqual([]);
  });
});

describe("stacks", () => {
  const frames = [PUT + 1n, INIT];

  it("belong to the record right before, of the same task", async () => {
    const other = { ...kvmPut(1, 2n), tid: 71 };
    const { events } = await read(
      buildTraceDat(
        pages({ time: 0n, records: [kvmPut(1, 1n), other, stack(1, 70, ...frames), stack(1, 71, ...frames)] }),
      ),
    );
    expect(events.map((event) => event.stack)).toEqual([null, null]);
  });

  it("are one object when they are equal", async () => {
    const put = [kvmPut(1, 1n), stack(1, 70, ...frames)];
    const { events } = await read(buildTraceDat(pages({ time: 0n, records: [...put, ...put] })));
    expect(events[0]?.stack?.frames).toHaveLength(2);
    expect(events[1]?.stack).toBe(events[0]?.stack);
    expect(events[0]?.stack?.frames[1]).toBe(events[1]?.stack?.frames[1]);
  });

  it("end at a frame of all ones", async () => {
    const record = stack(1, 70, PUT, 0xffffffffffffffffn, INIT);
    const { events } = await read(buildTraceDat(pages({ time: 0n, records: [kvmPut(1, 1n), record] })));
    expect(events[0]?.stack?.frames).toHaveLength(1);
  });

  it("have as many frames as they count, whatever lies behind", async () => {
    const record = { ...stack(1, 70, PUT, INIT, 0x1234n), values: [2n, [PUT, INIT, 0x1234n]] };
    const { events } = await read(buildTraceDat(pages({ time: 0n, records: [kvmPut(1, 1n), record] })));
    expect(events[0]?.stack?.frames).toHaveLength(2);
  });

  it("do not end their event's window, nor does its user stack", async () => {
    const user = { format: USER_STACK, delta: 1, tid: 70, values: [70n, [1n, 2n]] };
    const records = [kvmPut(1, 1n), stack(1, 70, ...frames), user, kvmPut(5, 1n)];
    const { events, facts } = await read(buildTraceDat(pages({ time: 0n, records })));
    expect(events.map((event) => event.nextOnCpu)).toEqual([8n, null]);
    expect(facts.eventCount).toBe(4);
  });

  it("at the start of a page behind a loss belong to a lost event", async () => {
    const { items } = await read(
      buildTraceDat(
        pages(
          { time: 0n, records: [kvmPut(1, 1n)] },
          { time: 10n, missed: 7, records: [stack(1, 70, ...frames), kvmPut(1, 2n)] },
        ),
      ),
    );
    expect(items.map(tell)).toEqual([
      "CPU 0/KVM-70 [0] 1..11 kprobe p_kvm_put_kvm_0(1, -1, last) at kvm_put_kvm.part.0+0",
      "lost-events cpu=0 1..11 lost=7",
      "CPU 0/KVM-70 [0] 12..null kprobe p_kvm_put_kvm_0(2, -1, last) at kvm_put_kvm.part.0+0",
    ]);
  });
});

describe("what is wanted", () => {
  it("is asked once per format, and for kprobe events once per address", async () => {
    const moved = (delta: number) => ({ ...kvmPut(delta, 9n), values: [REGISTER, 9n, -1n, ""] });
    const get = { format: MODULE_GET, delta: 1, values: [INIT, 3n, "kvm"] };
    const records = [kvmPut(1, 1n), moved(1), get, kvmPut(1, 2n), moved(1), get];
    const asked: string[] = [];
    const { events, facts } = await read(buildTraceDat(pages({ time: 0n, records })), (probe) => {
      asked.push(`${probe.name} ${probe.at?.symbol}`);
      return probe.at?.address === PUT;
    });
    expect(asked).toEqual([
      "p_kvm_put_kvm_0 kvm_put_kvm.part.0",
      "p_kvm_put_kvm_0 kvm_register_device_ops",
      "module_get undefined",
    ]);
    expect(events.map(({ time, nextOnCpu }) => [time, nextOnCpu])).toEqual([
      [1n, 2n],
      [4n, 5n],
    ]);
    expect(events[0]?.probe).toBe(events[1]?.probe);
    expect(facts.eventCount).toBe(6);
    expect(facts.cpus.get(0)).toEqual({ first: 1n, last: 6n });
  });

  it("does not change what is listed", async () => {
    const { facts } = await read(buildTraceDat(exampleTrace()), () => false);
    const fired = facts.listed.filter((event) => event.fired).map(({ name, kind }) => `${name} ${kind}`);
    expect(fired).toEqual([
      "kernel_stack tracepoint",
      "print print",
      "module_get tracepoint",
      "p_kvm_put_kvm_0 kprobe",
      "r_register_0 kretprobe",
      "arrays tracepoint",
    ]);
    expect(facts.listed.find((event) => event.name === "p_kvm_put_kvm_0")?.fields).toEqual(["kvm", "delta", "why"]);
    expect(facts.listed.find((event) => event.name === "module_put")?.fired).toBe(false);
  });
});

describe("values", () => {
  it("that the kernel could not read are null", async () => {
    const { events } = await read(buildTraceDat(pages({ time: 0n, records: [kvmPut(0, 1n, 1n, "(fault)")] })));
    expect(events[0]?.args).toEqual([1n, 1n, null]);
  });

  it("with a locator beyond the record are null", async () => {
    const file = buildTraceDat(pages({ time: 0n, records: [kvmPut(0, 1n, 1n, "0123456789")] }));
    const locator = file.indexOf(Buffer.from([32, 0, 11, 0]));
    file.writeUInt16LE(60_000, locator + 2);
    expect((await read(file)).events[0]?.args).toEqual([1n, 1n, null]);
  });
});

describe("several buffers and CPUs", () => {
  const at = (...times: bigint[]): BuiltPage[] => times.map((time) => ({ time, records: [kvmPut(0, time)] }));

  it.each([6, 7] as const)("make one stream by time, version %s", async (version) => {
    const buffers = new Map([
      [
        "",
        new Map([
          [0, at(1n, 5n, 9n)],
          [3, at(1n, 4n)],
        ]),
      ],
      ["mine", new Map([[0, at(2n, 9n)]])],
    ]);
    const { events } = await read(buildTraceDat(exampleTrace({ version, buffers })));
    expect(events.map(({ time, cpu }) => `${time}@${cpu}`)).toEqual(["1@0", "1@3", "2@0", "4@3", "5@0", "9@0", "9@0"]);
  });
});

describe("clocks", () => {
  it("that count cycles are scaled where the file says how", async () => {
    const scale = Buffer.alloc(16);
    scale.writeUInt32LE(735842807, 0);
    scale.writeUInt32LE(31, 4);
    const options: BuiltTrace["options"] = [[14, scale]];
    // Raw time and scale of a real file; the result is what trace-cmd prints for it.
    const trace = pages({ time: 64642408808543n, records: [kvmPut(0, 1n)] });
    const { events, facts } = await read(buildTraceDat({ ...trace, clock: "local [x86-tsc]\n", options }));
    expect(events[0]?.time).toBe(22149948193188n);
    expect(facts).toMatchObject({ clock: "x86-tsc", clockIsTime: true });
  });

  it("that count cycles are raw else", async () => {
    const trace = pages({ time: 64642408808543n, records: [kvmPut(0, 1n)] });
    const { events, facts } = await read(buildTraceDat({ ...trace, clock: "local [x86-tsc]\n" }));
    expect(events[0]?.time).toBe(64642408808543n);
    expect(facts.clockIsTime).toBe(false);
  });

  it("of a guest become the host's", async () => {
    const shift = new ByteWriter(true).u64(0x1234).u32(0).u32(1).u32(1);
    shift.u64(0).u64(63430235715905n).u64(1).u64(0);
    const scale = new ByteWriter(true).u32(735842807).u32(31).u64(0);
    const options: BuiltTrace["options"] = [
      [12, shift.toBuffer()],
      [14, scale.toBuffer()],
    ];
    // Raw time, offset and scale of a real file; the result is what trace-cmd prints for it.
    const trace = pages({ time: 1212173092638n, records: [kvmPut(0, 1n)] });
    const { events, facts } = await read(buildTraceDat({ ...trace, clock: "local [x86-tsc]\n", options }));
    expect(events[0]?.time).toBe(22149948193188n);
    expect(facts.hostTraceId).toBe(0x1234n);
  });

  it("are moved by the offsets of the recording", async () => {
    const options: BuiltTrace["options"] = [
      [1, "0x10\0"],
      [7, "-6\0"],
    ];
    const { events } = await read(buildTraceDat({ ...pages({ time: 100n, records: [kvmPut(0, 1n)] }), options }));
    expect(events[0]?.time).toBe(100n + 16_000n - 6n);
  });
});

describe("losses", () => {
  const stat = (cpu: number, overrun: number) =>
    `CPU: ${cpu}\nentries: 4\noverrun: ${overrun}\ncommit overrun: 0\ndropped events: 1\nread events: 9\n`;

  it("that only the kernel's counters tell have no place", async () => {
    const { items, facts } = await read(buildTraceDat(exampleTrace({ options: [[2, stat(4, 30)]] })));
    expect(items.map(tell)).toEqual([...EXAMPLE, "overwritten cpu=4 null..null lost=31"]);
    expect(facts.gaps).toHaveLength(1);
  });

  it("that a page marks have one, even before the first record", async () => {
    const trace = pages({ time: 5n, missed: "some", records: [kvmPut(0, 1n)] });
    const { items } = await read(buildTraceDat({ ...trace, options: [[2, stat(0, 30)]] }));
    expect(items.map(tell)[0]).toBe("lost-events cpu=0 null..5 lost=null");
    expect(items).toHaveLength(2);
  });
});

describe("damage", () => {
  const long = Array.from({ length: 40 }, (_, page) => ({
    time: BigInt(page * 1000),
    records: Array.from({ length: 50 }, (_, index) => kvmPut(1, BigInt(index))),
  }));
  const trace = (changes: Partial<BuiltTrace> = {}) =>
    exampleTrace({
      buffers: new Map([
        [
          "",
          new Map([
            [2, long.slice(0, 20)],
            [5, long.slice(20)],
          ]),
        ],
      ]),
      ...changes,
    });

  it.each(["none", "zlib", "zstd"] as const)(
    "a cut version 7 file (%s) gives what stands before the cut",
    async (compression) => {
      const whole = buildTraceDat(trace({ version: 7, compression }));
      const lastData = whole.lastIndexOf("mono\0") - (compression === "none" ? 3 * 4096 : 3000);
      const { events, facts } = await read(whole.subarray(0, lastData));
      expect(events.length).toBeGreaterThan(1000);
      expect(events.length).toBeLessThan(2000);
      expect(new Set(events.map(({ cpu }) => cpu)).has(2)).toBe(false);
      expect(
        facts.gaps.some(
          ({ code, cpu, from, to }) => code === "damaged" && cpu === null && from === null && to === null,
        ),
      ).toBe(true);
      expect(facts.gaps.some(({ code, cpu }) => code === "damaged" && cpu !== null)).toBe(true);
      expect(facts.diagnostics.some(({ message }) => message.includes("numbers are unknown"))).toBe(true);
    },
  );

  it("a cut version 6 file gives what stands before the cut, with the right CPUs", async () => {
    const whole = buildTraceDat(trace({ version: 6 }));
    const { events, facts } = await read(whole.subarray(0, whole.length - 5 * 4096 - 2000));
    expect(events.filter(({ cpu }) => cpu === 2)).toHaveLength(1000);
    expect(events.filter(({ cpu }) => cpu === 5).length).toBeGreaterThan(700);
    const last = events.filter(({ cpu }) => cpu === 5).at(-1)?.time;
    expect(facts.gaps).toEqual([{ kind: "gap", code: "damaged", cpu: 5, from: last, to: null, lost: null }]);
    expect(facts.diagnostics[0]).toMatchObject({ severity: "error", line: null });
    expect(facts.diagnostics[0]?.offset).toBeGreaterThan(0);
  });

  it("a page that makes no sense costs that page only", async () => {
    const file = buildTraceDat(trace({ version: 6 }));
    const page = file.length - 3 * 4096;
    file.writeUInt32LE(0x7fffff, page + 8);
    const { items, facts } = await read(file);
    expect(facts.eventCount).toBe(1950);
    expect(facts.gaps).toEqual([{ kind: "gap", code: "damaged", cpu: 5, from: 36050n, to: 38001n, lost: null }]);
    expect(items.filter(({ kind }) => kind === "gap")).toHaveLength(1);
    expect(facts.diagnostics[0]?.offset).toBe(page);
  });

  it("a chunk that claims gigabytes is passed over", async () => {
    const file = buildTraceDat(trace({ compression: "zlib" }));
    const chunk = file.indexOf(Buffer.from([20, 0, 0, 0])) + 4;
    expect(file.readUInt32LE(chunk + 4)).toBe(4096);
    file.writeUInt32LE(0xf0000000, chunk + 4);
    const { facts } = await read(file);
    expect(facts.eventCount).toBe(1950);
    expect(facts.gaps).toMatchObject([{ code: "damaged", cpu: 2, from: null, to: 1001n }]);
    expect(facts.diagnostics[0]).toMatchObject({ offset: chunk });
  });

  it("symbols that cannot be read are a finding, not an end", async () => {
    const file = buildTraceDat(exampleTrace({ compression: "zlib", kallsyms: "c0001000 T kvm_put_kvm\n".repeat(50) }));
    const section = file.readUInt32LE(file.indexOf(Buffer.from([19, 0, 8, 0, 0, 0])) + 6);
    file.fill(0xff, section + 24, section + 34);
    const { events, facts } = await read(file);
    expect(events).toHaveLength(5);
    expect(facts.symbols).toBeNull();
    expect(facts.diagnostics).toMatchObject([{ severity: "error", offset: section }]);
  });

  it("option tables that run in a circle do not hang", async () => {
    const file = buildTraceDat(exampleTrace());
    const first = Number(file.readBigUInt64LE(10 + 2 + 6 + "none\0".length + "1\0".length));
    const done = file.indexOf(Buffer.from([0, 0, 8, 0, 0, 0]), first);
    file.writeBigUInt64LE(BigInt(first), done + 6);
    const { facts } = await read(file);
    expect(facts.eventCount).toBe(6);
    expect(facts.diagnostics[0]?.message).toContain("circle");
  });

  it("CPUs whose data overlaps are read once", async () => {
    const file = buildTraceDat(exampleTrace({ version: 6 }));
    const table = file.indexOf("flyrecord\0") + 10;
    for (let cpu = 0; cpu < 5; cpu++) file.copy(file, table + cpu * 16, table + 16, table + 32);
    const { facts } = await read(file);
    expect(facts.eventCount).toBe(3);
    expect(facts.diagnostics.length).toBeGreaterThan(0);
  });

  it.each([6, 7] as const)("a header without one event is unreadable, version %s", async (version) => {
    const file = buildTraceDat(exampleTrace({ version }));
    const cut = version === 6 ? file.indexOf("flyrecord\0") + 100 : file.indexOf("mono") - 400;
    await expect(read(file.subarray(0, cut))).rejects.toThrow(UnreadableInput);
    await expect(read(file.subarray(0, cut))).rejects.toThrow(/^test\.dat: .*byte \d+.*record it again$/);
    await expect(read(file.subarray(0, 30))).rejects.toThrow(UnreadableInput);
  });

  it("a sound file without events is only empty", async () => {
    const { facts } = await read(buildTraceDat(exampleTrace({ buffers: new Map([["", new Map()]]) })));
    expect(facts).toMatchObject({ eventCount: 0, gaps: [], diagnostics: [{ severity: "warning" }] });
  });

  it("says what is not known", async () => {
    const file = buildTraceDat(exampleTrace());
    file.write("8", 10);
    await expect(read(file)).rejects.toThrow("test.dat: trace.dat version 8 is not known");
  });
});
