import { expect, test } from "vitest";
import { ftraceText } from "./ftrace-text.js";
import { streamOf } from "./testing/text-input.js";
import type { Input, TraceItem } from "./trace-event.js";

const LINE =
  "            work-1     [000] .....     1.00000N: kvm_put: (kvm_put_kvm+0x0/0x40 [kvm]) kvm=0xffffcfc200679000";
const lines = [1, 2, 3].map((number) => LINE.replace("N", String(number)));

/** Sends the lines and then nothing, until it is let go. */
function silentStream(): { input: Input; letGo: () => void } {
  let letGo = () => {};
  const silence = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const input: Input = {
    ...streamOf(lines.join("\n")),
    lines: (async function* () {
      yield* lines;
      await silence;
    })(),
  };
  return { input, letGo };
}

test("a live stream that falls silent does not keep its last events back", async () => {
  const { input, letGo } = silentStream();
  const items: TraceItem[] = [];
  for await (const batch of (await ftraceText.open(input)).read(() => true)) {
    items.push(...batch);
    // Without the events this would never come.
    if (items.length === 3) letGo();
  }
  expect(items.map((item) => item.kind === "event" && item.nextOnCpu)).toEqual([1_000_002_000n, 1_000_003_000n, null]);
});

test("who waits for a silent stream may give up", async () => {
  const { input } = silentStream();
  for await (const batch of (await ftraceText.open(input)).read(() => true)) if (batch.length === 0) break;
});

test("an error of the stream reaches the reader", async () => {
  const input: Input = {
    ...streamOf(lines.join("\n")),
    // biome-ignore lint/correctness/useYield: it fails before
    lines: (async function* () {
      throw new Error("the pipe broke");
    })(),
  };
  const read = async () => {
    for await (const _ of (await ftraceText.open(input)).read(() => true));
  };
  await expect(read()).rejects.toThrow("the pipe broke");
});
