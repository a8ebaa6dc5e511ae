/** Texts and recordings of others, in the folder beside the repository. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { ftraceText } from "./ftrace-text.js";
import { kernelText } from "./testing/kernel-text.js";
import { fileOf, readAll, streamOf } from "./testing/text-input.js";
import { traceDat } from "./trace-dat.js";
import type { TraceEvent } from "./trace-event.js";

const SHARED = fileURLToPath(new URL("../../../shared/", import.meta.url));

/** Prose that quotes traces, and the output of other tools: not for this importer. */
const NOT_OURS = /^bpftrace\/|^perf-tools\/(?!kprobe_)|perf-stacktrace/;

/** Paths under `corpus/` with the number of event lines that its manifest counts. */
function manifest(): [path: string, events: number][] {
  let folder = "";
  const found: [string, number][] = [];
  for (const line of readFileSync(`${SHARED}corpus/MANIFEST.md`, "utf8").split("\n")) {
    const heading = /^## (\S+)/.exec(line);
    if (heading) folder = heading[1]!;
    const row = /^\| (\S+\.(?:txt|html)) \|/.exec(line);
    if (row) found.push([`${folder}/${row[1]}`, Number(/(\d+) event lines/.exec(line)?.[1] ?? 0)]);
  }
  return found;
}

describe("texts of the corpus", () => {
  const texts = manifest();
  test("are listed", () => expect(texts.length).toBeGreaterThan(40));

  test.each(texts)("%s: %i event lines", async (path, count) => {
    const bytes = readFileSync(`${SHARED}corpus/${path}`);
    expect(ftraceText.sniff(bytes.subarray(0, 65_536))).toBe(!NOT_OURS.test(path));
    if (NOT_OURS.test(path)) return;
    const { facts, items } = await readAll(ftraceText, fileOf(bytes));
    expect(facts.eventCount).toBe(count);
    // Examples of several runs behind each other, as documentation has them.
    expect(facts.gaps.map(({ code }) => code)).toEqual(path === "perf-tools/kprobe_example.txt" ? ["left-out"] : []);
    const stream = await readAll(ftraceText, streamOf(bytes.toString()));
    // Of a stream nobody can tell whether its last line had an end.
    const cut = bytes.at(-1) === 0x0a ? 0 : 1;
    expect(stream.items.slice(0, items.length - cut)).toEqual(items.slice(0, items.length - cut));
  });
});

describe("a recording printed as the kernel prints it is the recording", () => {
  const names = existsSync(`${SHARED}traces`) ? readdirSync(`${SHARED}traces`) : [];

  test.each(names.filter((name) => name.endsWith(".dat")))("%s", async (name) => {
    const reader = await traceDat.open(fileOf(readFileSync(`${SHARED}traces/${name}`)));
    const items = [];
    for await (const batch of reader.read(() => true)) items.push(...batch);
    const { symbols } = reader.facts;
    const recorded = items.filter((item) => item.kind === "event");
    for (const options of [{}, { flags: false }, { header: false }, { tgid: true }]) {
      const { facts, events } = await readAll(ftraceText, fileOf(kernelText(items, { symbols, ...options })));
      expect(facts.diagnostics).toEqual([]);
      expect(events.map((event) => comparable(event, "flags" in options))).toEqual(
        recorded.map((event) => comparable(event, "flags" in options)),
      );
    }
  });

  /** What both sources know: microseconds, symbols, the flags that have letters. */
  function comparable(event: TraceEvent, isFlagless: boolean): unknown {
    const { probe, stack, returnsTo } = event;
    // Symbols among the values are addresses in a trace.dat, taints are bits, and other tracepoints have a body.
    const values = probe.at
      ? event.args
      : probe.fields.flatMap((field, index) =>
          /^module_|^workqueue_/.test(probe.name) && !/^(?:ip|taints|function)$/.test(field) ? [event.args[index]] : [],
        );
    return {
      name: probe.name,
      kind: probe.kind,
      fields: probe.at ? probe.fields : [],
      at: probe.at?.symbol ?? null,
      module: probe.kind === "kprobe" ? probe.at?.module : null,
      time: event.time / 1000n,
      next: event.nextOnCpu === null ? null : event.nextOnCpu / 1000n,
      task: [event.cpu, event.tid, event.comm],
      flags: isFlagless ? null : (event.flags ?? 0) & 0x5d,
      values,
      returnsTo: returnsTo && [returnsTo.symbol, returnsTo.offset],
      stack: stack?.frames.map((frame) => frame.symbol ?? frame.address) ?? null,
    };
  }
});
