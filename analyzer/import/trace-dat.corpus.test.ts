import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openTrace } from "./registry.js";
import { damaged, readsOrRefuses } from "./testing/damage.js";
import { eventsOf, memoryInput, readItems } from "./testing/memory-input.js";
import { traceDat } from "./trace-dat.js";
import type { TraceEvent } from "./trace-event.js";

const SHARED = new URL("../../../shared/", import.meta.url).pathname;

/** trace-cmd report FILE 2>/dev/null | grep -cE '\[[0-9]{3}\] +[0-9]+\.[0-9]+: ' */
const COUNTS: Record<string, number> = {
  "traces/clean-5.10.dat": 132,
  "traces/clean-6.1.dat": 172,
  // trace-cmd 3.1 cannot read zlib; this is clean-6.1.dat in another dress.
  "traces/clean-6.1-zlib.dat": 172,
  "traces/clean-6.12.dat": 152,
  "traces/clean-7.2.dat": 152,
  "traces/noisy-6.1.dat": 930,
  "traces/reload-5.10.dat": 59,
  "traces/reload-6.1.dat": 24,
  "traces/reload-6.12.dat": 125,
  "traces/reload-7.2.dat": 125,
  "traces/seed0-stale-device-ops-6.1.dat": 42,
  "traces/stranger-iommu-driver-twice-5.10.dat": 32,
  "traces/stranger-manyvms-6.12.dat": 1844,
  "traces/stranger-unbind-waited-5.10.dat": 46,
  "traces/stranger-vcpu-fd-leak-6.12.dat": 202,
  "corpus/trappy/raw_trace.dat": 757,
  "corpus/trappy/trace.dat": 525,
  "corpus/trappy/trace_idle.dat": 43,
  "corpus/trappy/history/trace.0dd00955.dat": 51797,
  "corpus/trappy/history/trace.1c2171e6.dat": 1411,
  "corpus/trappy/history/trace.3c2dac83.dat": 547,
  "corpus/trappy/history/trace.3ea303c8.dat": 1585,
  "corpus/trappy/history/trace.40acbc17.dat": 2464,
  "corpus/trappy/history/trace.45cee66b.dat": 2292,
  "corpus/trappy/history/trace.58ae8401.dat": 2432,
  "corpus/trappy/history/trace.870cec7b.dat": 59176,
  "corpus/trappy/history/trace.cd00b6f8.dat": 45254,
};

async function read(name: string) {
  const reader = await openTrace(SHARED + name);
  const items = await readItems(reader);
  reader.close();
  return { events: eventsOf(items), facts: reader.facts };
}

describe("counts as trace-cmd does, without findings, in order", () => {
  it.each(Object.entries(COUNTS))("%s %i", async (name, count) => {
    const { events, facts } = await read(name);
    expect(facts).toMatchObject({ eventCount: count, diagnostics: [], gaps: [] });
    expect(events.every((event, index) => index === 0 || events[index - 1]!.time <= event.time)).toBe(true);
  });
});

/** As trace-cmd report -t prints a line, values without their field's formatting. */
function line(event: TraceEvent): string {
  const { address } = event.probe.at ?? { address: null };
  const back = event.returnsTo === null ? "" : ` <- ${event.returnsTo.address?.toString(16)}`;
  const place = address === null ? "" : ` (${address.toString(16)}${back})`;
  const values = event.args.map((value, index) => {
    const text = typeof value === "bigint" && value > 0xffffffffn ? `0x${value.toString(16)}` : String(value);
    return ` ${event.probe.fields[index]}=${text}`;
  });
  return `${event.comm}-${event.tid} [${event.cpu}] ${event.time} ${event.probe.name}:${place}${values.join("")}`;
}

describe("tells what trace-cmd tells", () => {
  it("seed0-stale-device-ops-6.1.dat", async () => {
    const { events, facts } = await read("traces/seed0-stale-device-ops-6.1.dat");
    // trace-cmd report -R -t, but for `sym`, which it prints as a symbol
    expect(events.filter(({ probe }) => probe.system === "kl").map(line)).toEqual([
      "insmod-134 [1] 53228489928 kvm_init: (ffffffffc0497920)",
      "insmod-134 [1] 53516116657 regops: (ffffffffc049ded0) ops=0xffffffffc054a6a0 sym=0xffffffffc054a6a0 type=4",
      "insmod-134 [1] 53516692705 regops_ret: (ffffffffc049ded0 <- ffffffffc0497c3c) ret=0",
      "rmmod-135 [1] 57691643602 kvm_exit: (ffffffffc0496a00)",
      "insmod-136 [1] 62188324527 kvm_init: (ffffffffc0497920)",
      "insmod-136 [1] 62203535291 regops: (ffffffffc049ded0) ops=0xffffffffc054a6a0 sym=0xffffffffc054a6a0 type=4",
      "insmod-136 [1] 62203691302 regops_ret: (ffffffffc049ded0 <- ffffffffc0497c3c) ret=-17",
    ]);
    expect(facts).toMatchObject({ format: "trace.dat v7 (zstd)", clock: "global", kernel: "6.1.0-56-amd64" });
    expect(facts.listed.find(({ name }) => name === "unregops")).toMatchObject({ kind: "kprobe", fired: false });
    expect(facts.symbols?.nearest(0xffffffffc054a6a0n)).toEqual({ symbol: "kvm_vfio_ops", offset: 0n, module: "kvm" });
  });

  it("clean-6.1.dat, with its stacks", async () => {
    const { events } = await read("traces/clean-6.1.dat");
    const first = events.find(({ probe }) => probe.name === "uc11");
    expect(first && line(first)).toBe(
      "wl-115 [0] 26952420726 uc11: (ffffffffc049ec3e) kvm=0xffffca47c0409000 refs=1 delta=1",
    );
    expect(first?.stack?.frames.map(({ symbol, address }) => `${symbol} (${address?.toString(16)})`)).toEqual([
      "kvm_vm_ioctl (ffffffffc049ec3f)",
      "__x64_sys_ioctl (ffffffff91781db0)",
      "do_syscall_64 (ffffffff91e43e1d)",
      "entry_SYSCALL_64_after_hwframe (ffffffff92000126)",
    ]);
    expect(first?.flags).toBe(0x48);
    expect(events.every(({ stack }) => stack !== null)).toBe(true);
  });

  it("noisy-6.1.dat", async () => {
    const { events } = await read("traces/noisy-6.1.dat");
    const exits = events.filter(({ probe }) => probe.name === "kvm_exit").map(line);
    expect(exits).toHaveLength(13);
    expect(exits[0]).toBe(
      "wl-122 [0] 16389066540 kvm_exit: exit_reason=1024 guest_rip=4096 isa=2 info1=0x100000014 info2=4096" +
        " intr_info=0 error_code=0 vcpu_id=0",
    );
  });

  it("trace_idle.dat, version 6", async () => {
    const { events } = await read("corpus/trappy/trace_idle.dat");
    expect(events.slice(1, 3).map(line)).toEqual([
      "<idle>-0 [5] 162534215764200 cpu_idle: state=2 cpu_id=5",
      "<idle>-0 [2] 162534216000680 cpu_idle: state=4294967295 cpu_id=2",
    ]);
  });

  it("the same in zlib as in zstd", async () => {
    const [zlib, zstd] = await Promise.all([read("traces/clean-6.1-zlib.dat"), read("traces/clean-6.1.dat")]);
    expect(zlib.events.map(line)).toEqual(zstd.events.map(line));
    expect(zlib.events.map(({ stack }) => stack)).toEqual(zstd.events.map(({ stack }) => stack));
  });
});

it("a function of an unloaded module has no name: kallsyms was written after the unload", async () => {
  const { events } = await read("traces/reload-6.1.dat");
  const unregister = events.find(({ probe }) => probe.name === "iommuunreg");
  expect(unregister?.probe.at).toEqual({ address: 0xffffffffc06cb7e0n, symbol: null, offset: null, module: null });
});

describe("damage", () => {
  const bytes = (name: string) => readFileSync(SHARED + name);

  it.each(["traces/noisy-6.1.dat", "traces/clean-6.1-zlib.dat", "corpus/trappy/trace.dat"])(
    "at random: %s",
    async (name) => {
      await fc.assert(
        fc.asyncProperty(damaged(bytes(name)), (copy) => readsOrRefuses(traceDat, copy)),
        { numRuns: 60 },
      );
    },
  );

  it("a cut anywhere in the CPU data gives a beginning of each CPU's events, and a gap", async () => {
    const whole = bytes("traces/stranger-manyvms-6.12.dat");
    const events = await eventsIn(whole);
    // trace-cmd dump --summary: the data of CPU 0 begins at 1470464, that of CPU 1 at 1482752
    for (const size of [1471000, 1476000, 1480000, 1482000, 1485000, 1489000]) {
      const reader = await traceDat.open(memoryInput(whole.subarray(0, size)));
      let found: string[];
      try {
        found = eventsOf(await readItems(reader)).map(line);
      } catch (error) {
        expect(String(error)).toContain("without one event");
        continue;
      }
      expect(found.length).toBeGreaterThan(0);
      expect(found.length).toBeLessThan(events.length);
      for (const cpu of ["[0]", "[1]"]) {
        const ofCpu = found.filter((text) => text.includes(cpu));
        expect(ofCpu).toEqual(events.filter((text) => text.includes(cpu)).slice(0, ofCpu.length));
      }
      expect(reader.facts.gaps.some(({ code, cpu }) => code === "damaged" && cpu === null)).toBe(true);
    }
  });

  async function eventsIn(file: Buffer): Promise<string[]> {
    return eventsOf(await readItems(await traceDat.open(memoryInput(file)))).map(line);
  }
});
