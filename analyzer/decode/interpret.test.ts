import { describe, expect, it } from "vitest";
import type { Probe } from "../import/trace-event.js";
import { catalog, eventsIn, operationsIn } from "../testing/text.js";
import { type Interpretation, interpret, isPointerLike, withoutCloneSuffix } from "./interpret.js";

const VM = "0xffffca47c0409000";

/** The meaning of the first line. */
async function meaningOf(body: string): Promise<Interpretation> {
  const [event] = await eventsIn(`wl-115 [000] ..... 10.000000: ${body}`);
  return interpret((event as { probe: Probe }).probe, catalog);
}

it("the function tracer's registers beyond the prototype are no counter, as a stranger's argument there may be", () => {
  const probe: Probe = {
    kind: "kprobe",
    system: null,
    name: "x",
    fields: ["arg1", "arg2"],
    at: { address: null, symbol: "kvm_put_kvm", offset: 0, module: null },
  };
  expect(interpret(probe, catalog)).toMatchObject({ arguments: { counter: { field: 1, guess: true } } });
  expect(interpret({ ...probe, system: "ftrace" }, catalog)).toMatchObject({ arguments: { counter: null } });
});

function summary(meaning: Interpretation): string {
  switch (meaning.role) {
    case "entry":
    case "return":
      return `${meaning.role} ${meaning.function.name}`;
    case "site":
      return `site ${meaning.class.class} in ${meaning.function}`;
    case "tracepoint":
      return `tracepoint ${meaning.event}`;
    default:
      return meaning.role;
  }
}

describe("what a probe is about", () => {
  it.each([
    [
      "a tracepoint of the catalog",
      "module_get: kvm_amd call_site=kvm_dev_ioctl refcnt=2",
      "tracepoint module:module_get",
    ],
    ["the tracepoint kvm_exit, which is no function", "kvm_exit: reason EXIT_IOIO rip 0x7 info 0 0", "other"],
    ["a probe on the function kvm_exit", "kvm_exit: (kvm_exit+0x0/0xb0 [kvm])", "entry kvm_exit"],
    ["an entry after endbr", `p1: (kvm_put_kvm+0x4/0x80 [kvm]) arg1=${VM}`, "entry kvm_put_kvm"],
    ["a return probe", "r1: (kvm_dev_ioctl+0x3c/0x90 [kvm] <- kvm_arch_init_vm) arg1=0x0", "return kvm_arch_init_vm"],
    ["a clone of a function", `p1: (kvm_put_kvm.part.0+0x0/0x80 [kvm]) arg1=${VM}`, "entry kvm_put_kvm"],
    ["a clone of a clone", `p1: (kvm_put_kvm.isra.0.cold+0x0/0x80 [kvm]) arg1=${VM}`, "entry kvm_put_kvm"],
    [
      "a site by its fields",
      `uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) kvm=${VM} refs=1 delta=1`,
      "site kvm in kvm_vm_ioctl",
    ],
    [
      "a site under other names",
      `p3: (kvm_vcpu_release+0x1b/0x40 [kvm]) vm=${VM} users=1 inc=-1`,
      "site kvm in kvm_vcpu_release",
    ],
    [
      "a site by its values",
      `p3: (kvm_vcpu_release+0x1b/0x40 [kvm]) arg1=${VM} arg2=1 arg3=-1`,
      "site kvm in kvm_vcpu_release",
    ],
    [
      "a site in a function that the catalog does not know",
      `uc: (kvm_new_ioctl+0x1b/0x40 [kvm]) kvm=${VM} refs=1 delta=1`,
      "site kvm in kvm_new_ioctl",
    ],
    [
      "a site without a function by the class that has inlined ones, of those with this word",
      `uc: (ffffffffc0286605) group=${VM} refs=2 delta=1`,
      "site vfio_group in null",
    ],
    ["a body of a function without sites", "p3: (kvm_arch_init_vm+0x1b/0x40 [kvm]) arg1=1", "other"],
    ["a function of no class", "p3: (do_sys_open+0x0/0x40) arg1=1", "other"],
  ])("%s", async (_, body, expected) => {
    expect(summary(await meaningOf(body))).toBe(expected);
  });

  it.each([
    ["p_kvm_put_kvm_0", null, "entry kvm_put_kvm"],
    ["p_kvm_kvm_put_kvm_0", null, "entry kvm_put_kvm"],
    ["r_kvm_kvm_register_device_ops_0", null, "return kvm_register_device_ops"],
    ["p_vfio_iommu_type1_vfio_register_iommu_driver_4", null, "entry vfio_register_iommu_driver"],
    ["kvm_put_kvm", "probe", "entry kvm_put_kvm"],
    ["kvm_put_kvm_1", "probe", "entry kvm_put_kvm"],
    ["kvm_register_device_ops__return", "probe", "return kvm_register_device_ops"],
    ["p_do_sys_open_0", null, "other"],
    ["mine", null, "unknown"],
  ])("the name %s of system %s, where no symbol is known", (name, system, expected) => {
    const kind = name.startsWith("r_") || name.endsWith("__return") ? "kretprobe" : "kprobe";
    const at = { address: 0xffffffffc0501230n, symbol: null, offset: null, module: null };
    expect(summary(interpret({ kind, system, name, fields: [], at }, catalog))).toBe(expected);
  });

  it("a tracepoint of another system that has the same name is another one", () => {
    const probe = { kind: "tracepoint", name: "module_get", fields: ["name", "refcnt"], at: null } as const;
    expect(summary(interpret({ ...probe, system: "module" }, catalog))).toBe("tracepoint module:module_get");
    expect(summary(interpret({ ...probe, system: "mine" }, catalog))).toBe("other");
    expect(summary(interpret({ ...probe, system: "module", fields: ["refcnt"] }, catalog))).toBe("other");
  });
});

describe("which value is which", () => {
  const OPS = "0xffffffffc054a6a0";
  it.each([
    ["by name", `ops=${OPS} type=4`],
    ["by name in another order", `type=4 ops=${OPS}`],
    ["by number", `arg1=${OPS} arg2=4`],
    ["by number in another order", `arg2=4 arg1=${OPS}`],
    ["by number from 0", `arg0=${OPS} arg1=4`],
    ["by register", `di=${OPS} si=4`],
    ["by long register", `rdi=${OPS} rsi=4`],
    ["by place", `a=${OPS} b=4`],
    ["one by name, one by place", `type=4 x=${OPS}`],
    ["upper case", `OPS=${OPS} Type=4`],
    ["a symbol before its number", `s="kvm_vfio_ops+0x0" ops=${OPS} type=4`],
    ["rubbish above the 32 bits of the type", `ops=${OPS} type=0x100000004`],
  ])("arguments %s", async (_, values) => {
    const [operation] = await operationsIn(
      `insmod-1 [000] ..... 10.000000: regops: (kvm_register_device_ops+0x0/0x40 [kvm]) ${values}`,
    );
    expect(operation).toMatchObject({ effect: "register", key: 4n, ops: BigInt(OPS) });
  });

  it("arguments of a clone are only read by name", async () => {
    const [named] = await operationsIn(
      `insmod-1 [000] ..... 10.000000: p1: (kvm_register_device_ops.isra.0+0x0/0x40 [kvm]) ops=${OPS} type=4`,
    );
    const [numbered] = await operationsIn(
      `insmod-1 [000] ..... 10.000000: p1: (kvm_register_device_ops.isra.0+0x0/0x40 [kvm]) arg1=${OPS} arg2=4`,
    );
    expect([named?.key, numbered?.key]).toEqual([4n, null]);
  });

  it.each([
    ["refs", 3, false],
    ["users_count", 3, false],
    ["arg2", 3, true],
  ])("a counter called %s is read, as a guess where only its place suggests it", async (name, value, guess) => {
    const [operation] = await operationsIn(
      `wl-1 [000] ..... 10.000000: p1: (kvm_put_kvm+0x0/0x80 [kvm]) arg1=${VM} ${name}=${value}`,
    );
    expect(operation?.read).toEqual({ value, when: "before", guess });
  });

  it("a further argument that holds a pointer is no counter", async () => {
    const [operation] = await operationsIn(
      `wl-1 [000] ..... 10.000000: p1: (kvm_put_kvm+0x0/0x80 [kvm]) arg1=${VM} arg2=0xffffca47c0408000`,
    );
    expect(operation?.read).toBeNull();
  });

  it.each([
    [`kvm=${VM} refs=2 delta=-1`, -1],
    [`kvm=${VM} refs=2 delta=4294967295`, -1],
    [`kvm=${VM} refs=2 delta=0xffffffff`, -1],
    [`kvm=${VM} refs=2 delta=18446744073709551615`, -1],
    [`kvm=${VM} refs=2 delta=1`, 1],
    [`a=${VM} refs=2 d=-1`, -1],
    [`arg1=${VM} arg2=2 arg3=4294967295`, -1],
    [`arg1=-1 arg2=2 arg3=${VM}`, -1],
    [`arg1=18446744073709551615 arg2=2 arg3=${VM}`, -1],
  ])("a site that records %s changes the counter by %i", async (values, delta) => {
    const [operation] = await operationsIn(`wl-1 [000] ..... 10.0: p1: (kvm_put_kvm+0x11/0x80 [kvm]) ${values}`);
    expect(operation).toMatchObject({ delta, object: BigInt(VM), read: { value: 2, guess: false } });
  });

  it("a site without a base object tells nothing", async () => {
    expect(
      await operationsIn("wl-1 [000] ..... 10.0: p1: (kvm_put_kvm+0x11/0x80 [kvm]) kvm=0x0 refs=2 delta=-1"),
    ).toEqual([]);
    expect(
      await operationsIn("wl-1 [000] ..... 10.0: p1: (kvm_put_kvm+0x11/0x80 [kvm]) arg1=7 arg2=2 arg3=-1"),
    ).toEqual([]);
  });

  it("what could be read of a faulting address is kept", async () => {
    const [operation] = await operationsIn(
      `wl-1 [000] ..... 10.000000: p1: (kvm_put_kvm+0x0/0x80 [kvm]) kvm=${VM} refs=(fault)`,
    );
    expect(operation).toMatchObject({ object: BigInt(VM), read: null });
  });
});

describe("helpers", () => {
  it.each([
    ["kvm_release_pfn_clean.part.0", "kvm_release_pfn_clean"],
    ["f.isra.0.constprop.2", "f"],
    ["f.cold", "f"],
    ["f.llvm.123456", "f"],
    ["a.b", "a.b"],
  ])("%s is a clone of %s", (symbol, name) => {
    expect(withoutCloneSuffix(symbol)).toBe(name);
  });

  it("a pointer is NULL, an error or a kernel address, signed or not", () => {
    expect([0n, -17n, 0xffff888104e5a000n, BigInt.asIntN(64, 0xffff888104e5a000n)].map(isPointerLike)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([4n, 0x7fff_0000_0000n, null, "x"].map(isPointerLike)).toEqual([false, false, false, false]);
  });
});
