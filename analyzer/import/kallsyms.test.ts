import { describe, expect, it } from "vitest";
import { parseKallsyms } from "./kallsyms.js";

/** Lines as the kernel prints them: modules out of order, several names for one address. */
const TEXT = `0000000000001000 A cpu_debug_store
0000000000036020 a kvm_running_vcpu\t[kvm]
ffffffff81000000 T _stext
ffffffff81000010 t __pfx_do_thing
ffffffff81000020 t do_thing
ffffffff81000020 T do_thing_exported
ffffffff81000020 T __cfi_do_thing_exported
ffffffff81000020 T do_thing_exported.cold
ffffffff81000100 d some_data
ffffffff81000200 W weak_thing
ffffffff81000300 T __cpuidle_text_start
ffffffff81000300 t default_idle
ffffffffc0600000 t vfio_init\t[vfio]
ffffffffc0600100 b vfio_state\t[vfio]
ffffffffc0500000 t kvm_exit.part.0\t[kvm]
ffffffffc0500040 T kvm_get_kvm\t[kvm]
ffffffff82000000 D last_data
`;

const table = parseKallsyms(Buffer.from(TEXT))!;

function locate(address: bigint): string {
  const { symbol, offset, module } = table.locate(address);
  return `${symbol}+${offset}${module === null ? "" : ` [${module}]`}`;
}

describe("locate", () => {
  it.each([
    [0xffffffff81000000n, "_stext+0"],
    [0xffffffff8100000fn, "_stext+15"],
    [0xffffffff81000210n, "weak_thing+16"],
    [0xffffffffc0500044n, "kvm_get_kvm+4 [kvm]"],
    [0xffffffffc0500001n, "kvm_exit.part.0+1 [kvm]"],
    [0xffffffffc060000cn, "vfio_init+12 [vfio]"],
  ])("%x is in a function", (address, expected) => {
    expect(locate(address)).toBe(expected);
  });

  it("prefers the exported plain name among several", () => {
    expect(locate(0xffffffff81000024n)).toBe("do_thing_exported+4");
  });

  it("prefers a function to a mark of the linker", () => {
    expect(locate(0xffffffff81000301n)).toBe("default_idle+1");
  });

  it.each([
    ["data lies nearer", 0xffffffff81000104n],
    ["a module's data lies nearer", 0xffffffffc0600104n],
    ["the nearest function is too far", 0xffffffffc0510040n],
    ["nothing lies below", 0xffff888000000000n],
    ["it is in user space", 0x7f0000001000n],
  ])("names no function where %s", (_, address) => {
    expect(table.locate(address)).toEqual({ address, symbol: null, offset: null, module: null });
  });
});

it("nearest takes symbols of any type", () => {
  expect(table.nearest(0xffffffffc0600108n)).toEqual({ symbol: "vfio_state", offset: 8n, module: "vfio" });
  expect(table.nearest(0xffffffff82100000n)).toEqual({ symbol: "last_data", offset: 0x100000n, module: null });
  expect(table.nearest(0xffff888000000000n)).toBeNull();
});

it("has knows functions by name, whatever the compiler appended", () => {
  expect(table.has("kvm_exit")).toBe(true);
  expect(table.has("kvm_exit.constprop.0")).toBe(true);
  expect(table.has("vfio_state")).toBe(false);
});

it("modules have ranges, without their per-CPU variables", () => {
  expect([...table.modules()]).toEqual([
    ["kvm", { start: 0xffffffffc0500000n, end: 0xffffffffc0500040n }],
    ["vfio", { start: 0xffffffffc0600000n, end: 0xffffffffc0600100n }],
  ]);
});

it("a table of zeros, as the kernel shows it to users, is none", () => {
  expect(parseKallsyms(Buffer.from("0000000000000000 T a\n0000000000000000 t b\n"))).toBeNull();
  expect(parseKallsyms(Buffer.alloc(0))).toBeNull();
});

it("damaged lines are left out", () => {
  const damaged = TEXT.replace("ffffffff81000010 t", "fffff\xfff81000010 t").replace("W weak_thing", "W\0weak");
  const rest = parseKallsyms(Buffer.from(damaged, "latin1"))!;
  expect(rest.locate(0xffffffff81000012n).symbol).toBe("_stext");
  expect(rest.locate(0xffffffffc0500044n).symbol).toBe("kvm_get_kvm");
});

it("addresses of 32-bit kernels", () => {
  const small = parseKallsyms(Buffer.from("c0008000 T _text\nbf000000 t usb_init\t[usb]"))!;
  expect(small.locate(0xbf000004n)).toEqual({ address: 0xbf000004n, symbol: "usb_init", offset: 4, module: "usb" });
});
