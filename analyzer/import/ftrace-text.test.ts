import { expect, test } from "vitest";
import { ftraceText } from "./ftrace-text.js";
import { fileOf, readAll, streamOf } from "./testing/text-input.js";
import { REGISTER, RELOAD } from "./testing/trace-cmd-text.js";

test("trace-cmd's text gives function, caller and stack of a probe that prints addresses only", async () => {
  const { facts, events } = await readAll(ftraceText, fileOf(REGISTER));
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
  expect(entry!.nextOnCpu).toBe(53516693000n);
  expect(events.at(-1)!.nextOnCpu).toBeNull();
});

test("a stream gives what the file gives", async () => {
  for (const text of [REGISTER, RELOAD]) {
    const file = await readAll(ftraceText, fileOf(text));
    const stream = await readAll(ftraceText, streamOf(text));
    expect(stream.items).toEqual(file.items);
    expect({ ...stream.facts, path: "" }).toEqual({ ...file.facts, path: "" });
  }
});
