import { describe, expect, it } from "vitest";
import { openText } from "../testing/text.js";
import { readTimeline } from "./timeline.js";
import type { TraceReader } from "./trace-event.js";

async function merged(...readers: TraceReader[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const batch of readTimeline(readers, () => () => true)) {
    for (const item of batch) {
      lines.push(
        item.kind === "gap" ? `gap of cpu ${item.cpu}` : `${item.source} ${item.time / 1000n} ${item.probe.name}`,
      );
    }
  }
  return lines;
}

/** The same recording as a binary source would have it: with nanoseconds. */
async function binary(text: string, nanoseconds = 0n): Promise<TraceReader> {
  const reader = await openText(text);
  reader.facts.format = "trace.dat v6";
  const read = reader.read.bind(reader);
  reader.read = async function* (wants) {
    for await (const batch of read(wants)) {
      yield batch.map((item) => (item.kind === "event" ? { ...item, time: item.time + nanoseconds } : item));
    }
  };
  return reader;
}

const line = (us: number, name: string, cpu = 0) =>
  `wl-1 [00${cpu}] ..... 10.${String(us).padStart(6, "0")}: ${name}: (kvm_exit+0x0/0xb0 [kvm])\n`;

describe("several sources of one machine", () => {
  it("that are the same recording count once", async () => {
    const text = line(1, "a") + line(2, "b") + line(2, "b") + line(9, "a");
    expect(await merged(await openText(text), await openText(text))).toEqual([
      "0 10000001 a",
      "0 10000002 b",
      "0 10000002 b",
      "0 10000009 a",
    ]);
  });

  it("count the binary's events, in whatever order they are named", async () => {
    const text = line(1, "a") + line(5, "b");
    expect(await merged(await openText(text), await binary(text))).toEqual(["1 10000001 a", "1 10000005 b"]);
    expect(await merged(await binary(text), await openText(text))).toEqual(["0 10000001 a", "0 10000005 b"]);
  });

  it.each([400n, 999n])("are the same though text rounds or cuts off %i ns", async (nanoseconds) => {
    const text = line(1, "a") + line(5, "b");
    const rounded = line(2, "a") + line(6, "b");
    expect(await merged(await binary(text, nanoseconds), await openText(text))).toHaveLength(2);
    expect(await merged(await binary(text, nanoseconds), await openText(rounded))).toHaveLength(2);
  });

  it("keep as many equal events as the source with most of them has", async () => {
    const once = line(1, "a");
    expect(await merged(await openText(once), await openText(once + once))).toHaveLength(2);
    expect(await merged(await openText(once + once), await openText(once))).toHaveLength(2);
  });

  it("that are different recordings interleave by time", async () => {
    expect(
      await merged(await openText(line(1, "a") + line(7, "a")), await openText(line(3, "b") + line(9, "b"))),
    ).toEqual(["0 10000001 a", "1 10000003 b", "0 10000007 a", "1 10000009 b"]);
  });

  it("of different CPUs, tasks or names are never taken for each other", async () => {
    expect(await merged(await openText(line(1, "a", 0)), await openText(line(1, "a", 1)))).toHaveLength(2);
    expect(await merged(await openText(line(1, "a")), await openText(line(1, "b")))).toHaveLength(2);
  });
});

describe("a gap of one source", () => {
  const whole = line(10, "a") + line(20, "b") + line(30, "c");
  const lossy = `${line(10, "a")}CPU:0 [LOST 1 EVENTS]\n${line(30, "c")}`;

  it("that another source fills is no loss", async () => {
    expect(await merged(await binary(lossy), await openText(whole))).toEqual([
      "0 10000010 a",
      "1 10000020 b",
      "0 10000030 c",
    ]);
    expect(await merged(await binary(whole), await openText(lossy))).toEqual([
      "0 10000010 a",
      "0 10000020 b",
      "0 10000030 c",
    ]);
  });

  it("that all have is told once", async () => {
    expect((await merged(await binary(lossy), await openText(lossy))).filter((entry) => entry.includes("gap"))).toEqual(
      ["gap of cpu 0"],
    );
  });

  it("that another source fills only in part stays", async () => {
    const more = lossy.replace("LOST 1", "LOST 2");
    expect(
      (await merged(await binary(more), await openText(whole))).filter((entry) => entry.includes("gap")),
    ).toHaveLength(1);
  });
});

describe("long recordings", () => {
  it("come out whole and in order", async () => {
    const text = Array.from({ length: 9000 }, (_, index) => line(index * 3, `e${index % 7}`, index % 2)).join("");
    const lines = await merged(await binary(text, 300n), await openText(text));
    expect(lines).toHaveLength(9000);
    expect(lines.every((entry) => entry.startsWith("0 "))).toBe(true);
    const times = lines.map((entry) => Number(entry.split(" ")[1]));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});
