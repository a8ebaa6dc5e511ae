import { expect, test } from "vitest";
import { readBtf } from "./btf.js";
import { compileExpression, type Names } from "./expression.js";
import { addRefcount, BtfBuilder } from "./testing/btf-builder.js";

const types = new BtfBuilder();
const int = types.int("int", 4);
const refcount = addRefcount(types, int);
const kvm = types.struct("kvm", 64, [["users_count", refcount, 16]]);
types.struct("kvm_vcpu", 16, [["kvm", types.pointer(kvm), 8]]);
const file = types.struct("file", 64, [["private_data", types.pointer(0), 32]]);
types.function("release", 0, [["filp", types.pointer(file)]]);
const btf = readBtf(types.build(), "vmlinux");

const names: Names = new Map([
  ["filp", { fetch: "%si", type: "x64", struct: "file" }],
  ["vcpu", { fetch: "%di", type: "x64", struct: "kvm_vcpu" }],
  ["nr", { fetch: "%dx", type: "u32", struct: null }],
]);

test.each([
  ["vcpu", "%di", "kvm_vcpu"],
  ["vcpu->kvm", "+0x8(%di)", "kvm"],
  ["vcpu->kvm->users_count.refs.counter", "+0x10(+0x8(%di))", null],
  ["((struct kvm_vcpu *)filp->private_data)->kvm", "+0x8(+0x20(%si))", "kvm"],
  ["(struct kvm *)filp->private_data", "+0x20(%si)", "kvm"],
])("%s is read as %s", (text, fetch, struct) => {
  expect(compileExpression(text, names, btf)).toMatchObject({ fetch, struct });
});

test("The type is that of what is read", () => {
  expect(compileExpression("vcpu->kvm->users_count.refs.counter", names, btf)?.type).toBe("s32");
  expect(compileExpression("vcpu->kvm", names, btf)?.type).toBe("x64");
});

test.each(["kvm", "vcpu->nothing", "nr->kvm", "vcpu->kvm +", "vcpu->", "((vcpu)", "filp->private_data->kvm", ""])(
  "%s names what is not there",
  (text) => {
    expect(compileExpression(text, names, btf)).toBeNull();
  },
);

test("A field of a struct that only a cast names is read without knowing what the struct holds", () => {
  expect(compileExpression("(struct vfio_device *)filp->private_data", names, btf)).toMatchObject({
    fetch: "+0x20(%si)",
    struct: "vfio_device",
  });
});
