import { expect, test } from "vitest";
import { framesInBody, parseLocation, TextStacks } from "./text-stack.js";

test.each([
  ["kvm_put_kvm", null, "kvm_put_kvm", null, null],
  ["kvm_init+0x31c/0x3e0 [kvm]", null, "kvm_init", 0x31c, "kvm"],
  ["do_sys_open+0x0/0x220", null, "do_sys_open", 0, null],
  ["io_submit_init.isra.6+0x74/0x100", null, "io_submit_init.isra.6", 0x74, null],
  ["kvm_register_device_ops (ffffffffc049ded1)", 0xffffffffc049ded1n, "kvm_register_device_ops", null, null],
  ["kvm_put_kvm <ffffffffc0485a0a>", 0xffffffffc0485a0an, "kvm_put_kvm", null, null],
  ["kvm_init+0x31c/0x3e0 [kvm] <ffffffffc0497c3c>", 0xffffffffc0497c3cn, "kvm_init", 0x31c, "kvm"],
  ["ffffffffc061e041", 0xffffffffc061e041n, null, null, null],
  ["0xffffffffc061e041", 0xffffffffc061e041n, null, null, null],
  ["[unknown/kretprobe'd]", null, null, null, null],
  ["[FTRACE TRAMPOLINE]", null, null, null, null],
])("%s", (text, address, symbol, offset, module) => {
  expect(parseLocation(text)).toEqual({ address, symbol, offset, module });
});

test("equal stacks are one object, and padding is no frame", () => {
  const stacks = new TextStacks();
  const stack = stacks.intern(["try_module_get", "load_module", "0x0"]);
  expect(stack?.frames.map((frame) => frame.symbol)).toEqual(["try_module_get", "load_module"]);
  expect(stacks.intern(["try_module_get", "load_module", "0x0"])).toBe(stack);
  expect(stacks.intern(["load_module"])?.frames[0]).toBe(stack?.frames[1]);
  expect(stacks.intern(["0x0"])).toBeNull();
});

test("frames on the event line", () => {
  expect(framesInBody("\t=> trace_event_raw_event_module_refcnt")).toEqual(["trace_event_raw_event_module_refcnt"]);
  expect(framesInBody("<stack trace >")).toEqual([]);
  const raw = "size=1 caller=ARRAY[37, 83, 54, 91, ff, ff, ff, ff, a7, 49, 68, 00, 68, 01, 00, 01]";
  expect(framesInBody(raw)).toEqual(["ffffffff91548337"]);
});
