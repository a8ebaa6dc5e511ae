import { expect, test } from "vitest";
import { readBlacklist, readSymbols, readTraceable } from "./symbols.js";

// Lines of a 6.1 kernel's files.
const KALLSYMS = `ffffffff9c0ab9d0 T eventfd_ctx_put
ffffffff9bc01230 t kvm_guest_cpu_online.part.0
ffffffff9d8128c0 D init_task
ffffffffc0a3d4f0 T kvm_put_kvm	[kvm]
ffffffffc0a3d4f0 t vfio_device_remove_group.isra.0	[vfio]
ffffffffc0a40000 t release	[vfio]
ffffffffc0a40100 t release	[vfio]
`;

test("Functions are known by module, clones by the name before the suffix, data only by name", () => {
  const symbols = readSymbols(KALLSYMS);
  expect(symbols.count("eventfd_ctx_put", null)).toBe(1);
  expect(symbols.count("kvm_put_kvm", null)).toBe(0);
  expect(symbols.count("kvm_put_kvm", "kvm")).toBe(1);
  expect(symbols.count("release", "vfio")).toBe(2);
  expect(symbols.count("init_task", null)).toBe(0);
  expect(symbols.has("init_task")).toBe(true);
  expect(symbols.clones("vfio_device_remove_group", "vfio")).toEqual(["vfio_device_remove_group.isra.0"]);
  expect(symbols.clones("kvm_guest_cpu_online", null)).toEqual(["kvm_guest_cpu_online.part.0"]);
});

test("System.map is read the same, and hidden addresses matter not", () => {
  expect(readSymbols("0000000000000000 T eventfd_ctx_put\n").count("eventfd_ctx_put", null)).toBe(1);
  expect(readSymbols("").has("anything")).toBe(false);
});

test("What ftrace may enter and what kprobes refuse are lists of names", () => {
  const traceable = readTraceable("eventfd_ctx_put\nkvm_put_kvm [kvm]\n");
  expect([traceable.has("kvm_put_kvm"), traceable.has("refcount_warn_saturate")]).toEqual([true, false]);
  const blacklist = readBlacklist("0xffffffff9bc00000-0xffffffff9bc00040\tdo_int3\n0x0-0x0\tkvm_exit_noinstr [kvm]\n");
  expect([blacklist.has("do_int3"), blacklist.has("kvm_exit_noinstr"), blacklist.has("kvm_init")]).toEqual([
    true,
    true,
    false,
  ]);
});
