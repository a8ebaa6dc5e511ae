import { describe, expect, it } from "vitest";
import { perfData } from "./perf-data.js";
import { KVM_PUT, KVM_RETURN } from "./testing/example-trace.js";
import { eventsOf, memoryInput, readItems } from "./testing/memory-input.js";
import { type BuiltPerf, type BuiltSample, buildPerf, header } from "./testing/perf-data-builder.js";

const FORMATS = [KVM_PUT, KVM_RETURN];
const AT = 0xffffffffc049ded0n;

function put(time: bigint, cpu = 0, delta = -1n, tid = 7): BuiltSample {
  const values = [AT, 0xffff888100001000n, delta, "because"];
  return { record: { format: KVM_PUT, tid, values }, time, cpu, chain: [AT + 1n, 0xffffffff81000010n] };
}

async function read(perf: Omit<BuiltPerf, "formats">) {
  const reader = await perfData.open(memoryInput(buildPerf({ formats: FORMATS, ...perf })));
  const items = await readItems(reader);
  return { facts: reader.facts, items, events: eventsOf(items) };
}

const VARIANTS = [
  ["a file", {}],
  ["a pipe", { isPipe: true }],
  ["a big-endian file", { littleEndian: false }],
  ["a big-endian pipe", { littleEndian: false, isPipe: true }],
] as const;

describe.each(VARIANTS)("%s", (_, variant) => {
  it("tells the values, the stack and the task of each sample", async () => {
    const returned = { format: KVM_RETURN, tid: 8, values: [AT, 0xffffffff81000020n, -17n] };
    const records = [{ comm: "qemu", tid: 7, time: 0n }, put(100n), { record: returned, time: 200n, cpu: 1 }];
    const { events, facts } = await read({ ...variant, records });
    expect(facts).toMatchObject({ eventCount: 2, diagnostics: [], gaps: [] });
    expect(events[0]).toMatchObject({
      probe: { kind: "kprobe", system: "kprobes", name: "p_kvm_put_kvm_0", fields: ["kvm", "delta", "why"] },
      time: 100n,
      cpu: 0,
      tid: 7,
      comm: "qemu",
      args: [0xffff888100001000n, -1n, "because"],
    });
    expect(events[0]?.probe.at?.address).toBe(AT);
    expect(events[0]?.stack?.frames.map(({ address }) => address)).toEqual([AT + 1n, 0xffffffff81000010n]);
    expect(events[1]).toMatchObject({ probe: { kind: "kretprobe" }, args: [-17n], tid: 8 });
  });
});

describe("order", () => {
  const times = ({ events }: Awaited<ReturnType<typeof read>>) => events.map(({ time, cpu }) => `${time}@${cpu}`);

  it("is that of time within and across rounds", async () => {
    const records = [put(10n), put(40n), put(20n, 1), "round", put(50n), put(30n, 1), "round", put(60n)] as const;
    expect(times(await read({ records: [...records] }))).toEqual(["10@0", "20@1", "30@1", "40@0", "50@0", "60@0"]);
  });

  it("gives each event the time of the next record of its CPU", async () => {
    const { events } = await read({ records: [put(10n), put(40n), put(20n, 1)] });
    expect(events.map(({ nextOnCpu }) => nextOnCpu)).toEqual([40n, null, null]);
  });

  it("tells a task's name as it was at the time", async () => {
    const task = (comm: string, time: bigint) => ({ comm, tid: 7, time });
    const fork = { fork: { child: 8, parent: 7 }, time: 12n };
    const records = [put(10n), put(30n), put(15n, 1, -1n, 8), task("old", 0n), task("new", 20n), fork];
    const { events } = await read({ records });
    expect(events.map(({ comm }) => comm)).toEqual(["old", "old", "new"]);
  });
});

describe("losses", () => {
  it("lie between the records around them, on their CPU", async () => {
    const { facts } = await read({ records: [put(10n), { lost: 3, time: 20n, cpu: 0 }, put(15n, 1), put(30n)] });
    expect(facts.gaps).toEqual([{ kind: "gap", code: "lost-events", cpu: 0, from: 10n, to: 30n, lost: 3 }]);
  });

  it("are counted once when perf counts them at the end, too", async () => {
    const lost = { lost: 3, time: 20n, cpu: 0 };
    const { facts } = await read({ records: [put(10n), lost, put(30n), { lostSamples: 3 }] });
    expect(facts.gaps).toHaveLength(1);
    const more = await read({ records: [put(10n), lost, put(30n), { lostSamples: 5 }] });
    expect(more.facts.gaps.map((gap) => gap.lost)).toEqual([3, 2]);
  });

  it.each([
    ["one hit in n", { period: 100n }],
    ["some tasks", { command: ["perf", "record", "-e", "kprobes:*", "-p", "12"] }],
  ])("the recorder was told to take only %s", async (_, told) => {
    const { facts } = await read({ records: [put(10n)], ...told });
    expect(facts.gaps).toMatchObject([{ code: "left-out", cpu: null, from: null, to: null, lost: null }]);
  });

  it("none when it records the whole machine", async () => {
    const command = ["perf", "record", "-ag", "-e", "kprobes:*"];
    expect((await read({ records: [put(10n)], command })).facts.gaps).toEqual([]);
  });
});

describe("damage", () => {
  const NONSENSE = Buffer.alloc(64, 0xff);

  it("costs what it covers: reading goes on at the next records", async () => {
    const many = Array.from({ length: 6 }, (_, index) => put(BigInt(100 + index)));
    const { events, facts } = await read({ records: [put(10n), NONSENSE, ...many] });
    expect(events.map(({ time }) => time)).toEqual([10n, 100n, 101n, 102n, 103n, 104n, 105n]);
    expect(facts.gaps).toMatchObject([{ code: "damaged", from: 10n, to: 100n }]);
    expect(facts.diagnostics[0]).toMatchObject({ severity: "error", offset: expect.any(Number) });
  });

  it("a killed recorder has not written where its records end, nor what its events are", async () => {
    await expect(read({ records: [put(10n)], isKilled: true })).resolves.toMatchObject({
      facts: { eventCount: 1, diagnostics: [{ offset: 40 }, { message: expect.stringContaining("no format") }] },
    });
  });

  it("what perf says at its end goes into the pipe and is no record", async () => {
    const word = Buffer.from("[ perf record: Woken up 1 times to write data ]\n");
    const { facts } = await read({ isPipe: true, records: [put(10n), word] });
    expect(facts).toMatchObject({ eventCount: 1, diagnostics: [], gaps: [] });
  });

  it("compressed records that are none end the reading there", async () => {
    const junk = Buffer.from("this is no zstd stream at all...");
    const compressed = Buffer.concat([header(true, 81, junk.length), junk]);
    const { facts, events } = await read({ isPipe: true, records: [put(10n), compressed, put(20n)] });
    expect(events.map(({ time }) => time)).toEqual([10n, 20n]);
    expect(facts.gaps).toMatchObject([{ code: "damaged" }]);
  });
});
