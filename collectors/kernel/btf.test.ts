import fc from "fast-check";
import { expect, test } from "vitest";
import { BtfError, readBtf } from "./btf.js";
import { addRefcount, BtfBuilder } from "./testing/btf-builder.js";

/** A kernel with `struct kvm`, and a module whose `struct vfio_device` uses the kernel's types. */
function kernelAndModule() {
  const kernel = new BtfBuilder();
  const int = kernel.int("int", 4);
  const refcount = addRefcount(kernel, int);
  const kvm = kernel.struct("kvm", 64, [
    ["nr", kernel.const(int), 8],
    ["users_count", refcount, 24],
    ["", kernel.struct("", 8, [["inner", int, 4]]), 32],
  ]);
  kernel.function("kvm_put_kvm", 0, [["kvm", kernel.pointer(kvm)]]);
  const module = new BtfBuilder(kernel);
  const device = module.struct("vfio_device", 32, [
    ["kvm", module.pointer(kvm), 8],
    ["refcount", refcount, 16],
  ]);
  module.function("vfio_open", int, [
    ["device", module.pointer(module.const(device))],
    ["flags", module.int("unsigned int", 4, false)],
  ]);
  return { kernel: kernel.build(), module: module.build() };
}

test("A field is found by its path, through typedefs, qualifiers and anonymous members", () => {
  const btf = readBtf(kernelAndModule().kernel, "vmlinux");
  expect(btf.field("kvm", "users_count.refs.counter")).toMatchObject({
    offset: 24,
    type: { kind: "int", size: 4, signed: true },
  });
  expect(btf.field("kvm", "inner")?.offset).toBe(36);
  expect(btf.field("kvm", "nr")?.type).toMatchObject({ kind: "int", name: "int" });
  expect(btf.field("kvm", "users_count.refs.nothing")).toBeNull();
  expect(btf.field("vfio_device", "refcount")).toBeNull();
  expect(btf.sizeOf("kvm")).toBe(64);
});

test("A module's BTF continues the numbers and the strings of the kernel's", () => {
  const { kernel, module } = kernelAndModule();
  const btf = readBtf(module, "vfio", readBtf(kernel, "vmlinux"));
  expect(btf.field("vfio_device", "refcount.refs.counter")?.offset).toBe(16);
  expect(btf.field("vfio_device", "kvm")?.type).toMatchObject({ kind: "pointer", target: { name: "kvm", size: 64 } });
  expect(btf.field("kvm", "users_count")?.offset).toBe(24);
  expect(btf.hasFunction("vfio_open")).toBe(true);
  expect(btf.hasFunction("kvm_put_kvm")).toBe(false);
});

test("A prototype has its parameters by name and type", () => {
  const { kernel, module } = kernelAndModule();
  const btf = readBtf(module, "vfio", readBtf(kernel, "vmlinux"));
  expect(btf.prototype("vfio_open")).toMatchObject({
    returns: { kind: "int", size: 4, signed: true },
    parameters: [
      { name: "device", type: { kind: "pointer", target: { kind: "struct", name: "vfio_device" } } },
      { name: "flags", type: { kind: "int", size: 4, signed: false } },
    ],
  });
  expect(btf.prototype("kvm_put_kvm")?.returns.kind).toBe("void");
  expect(btf.prototype("kvm_get_kvm")).toBeNull();
});

test("A bit field says from which bit and how many", () => {
  const types = new BtfBuilder();
  const unsigned = types.int("unsigned int", 4, false);
  types.bitStruct("flags", 4, [["ready", unsigned, 11, 1]]);
  expect(readBtf(types.build(), "vmlinux").field("flags", "ready")).toMatchObject({
    offset: 1,
    bits: { offset: 3, size: 1 },
  });
});

test("Structs of one name that disagree about a field give no answer", () => {
  const types = new BtfBuilder();
  const int = types.int("int", 4);
  types.struct("pool", 8, [["users", int, 0]]);
  types.struct("pool", 8, [
    ["users", int, 4],
    ["same", int, 0],
  ]);
  const btf = readBtf(types.build(), "vmlinux");
  expect(btf.field("pool", "users")).toBeNull();
  expect(btf.field("pool", "same")?.offset).toBe(0);
});

test("Types before one of an unknown kind are used, and the rest is named as damage", () => {
  const types = new BtfBuilder();
  types.struct("kept", 4, [["value", types.int("int", 4), 0]]);
  types.unknown();
  types.struct("lost", 4, []);
  const btf = readBtf(types.build(), "vmlinux");
  expect(btf.field("kept", "value")?.offset).toBe(0);
  expect(btf.sizeOf("lost")).toBeNull();
  expect(btf.damage).toMatch(/^vmlinux: offset \d+: a type of the unknown kind 31; the 2 types before it are used$/);
});

test("A module's BTF without the kernel's says what is missing", () => {
  expect(() => readBtf(kernelAndModule().module, "vfio.ko")).toThrow("give the kernel's, too");
});

test("Text, a cut file and BTF of a big-endian machine are refused with file and offset", () => {
  const { kernel } = kernelAndModule();
  expect(() => readBtf(Buffer.from("no BTF at all, only text"), "f")).toThrow("f: offset 0: no BTF");
  expect(() => readBtf(kernel.subarray(0, -1), "f")).toThrow(`f: offset ${kernel.length - 1}: the BTF is cut`);
  expect(() => readBtf(Buffer.concat([Buffer.from("eb9f", "hex"), kernel.subarray(2)]), "f")).toThrow("big-endian");
});

test("Whatever bytes are wrong, reading ends with an answer or a BtfError", () => {
  const { kernel } = kernelAndModule();
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(kernel.length - 25), fc.nat(255)), { maxLength: 6 }), (changes) => {
      const damaged = Buffer.from(kernel);
      for (const [at, value] of changes) damaged[24 + at] = value;
      try {
        const btf = readBtf(damaged, "f");
        btf.field("kvm", "users_count.refs.counter");
        btf.prototype("kvm_put_kvm");
      } catch (error) {
        expect(error).toBeInstanceOf(BtfError);
      }
    }),
    { numRuns: 2000 },
  );
});
