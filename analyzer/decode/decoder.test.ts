import { describe, expect, it } from "vitest";
import { findingLines } from "../testing/audits.js";
import { auditDrawn, decodeDrawn, operationsIn, worldAfter } from "../testing/text.js";

const VM = "kvm=0xffffca47c0409000";
const OPS = "ops=0xffffffffc054a6a0 type=4";

/** `effect outcome [result]` of every operation as known at the end. */
async function outcomesIn(text: string): Promise<string[]> {
  const operations = await operationsIn(text);
  return operations.map(({ effect, outcome, result }) => `${effect} ${outcome}${result === null ? "" : ` ${result}`}`);
}

describe("when an effect counts", () => {
  it.each([
    ["an int that must be 0", "kvm_register_device_ops", "ret=0", "register done 0"],
    ["an int that must be 0, as 64 bits", "kvm_register_device_ops", "arg1=0xffffffef", "register refused -17"],
    ["an int that must be 0, signed", "kvm_register_device_ops", "ret=-17", "register refused -17"],
    ["a bool of which only 8 bits count", "kvm_get_kvm_safe", "ret=0xffff0001", "get done 1"],
    ["a bool that is false, with rubbish above", "kvm_get_kvm_safe", "ret=0xffff00", "get refused 0"],
    ["a result that was not recorded", "kvm_register_device_ops", "", "register unknown"],
    ["a result that could not be read", "kvm_register_device_ops", "ret=(fault)", "register unknown"],
  ])("%s", async (_, name, ret, expected) => {
    const args = name === "kvm_get_kvm_safe" ? VM : OPS;
    expect(
      await outcomesIn(`
        wl-1 [000] ..... 10.0: p1: (${name}+0x0/0x40 [kvm]) ${args}
        wl-1 [000] ..... 10.1: r1: (caller+0x3c/0x90 [kvm] <- ${name}) ${ret}`),
    ).toEqual([expected]);
  });

  it("an object that is returned is known by the return, an error is none", async () => {
    const create = (ret: string) =>
      operationsIn(`
        wl-1 [000] ..... 10.0: p1: (vfio_create_group+0x0/0x40 [vfio]) arg1=0xffff888104e5a000
        wl-1 [000] ..... 10.1: r1: (vfio_x+0x3c/0x90 [vfio] <- vfio_create_group) ret=${ret}`);
    expect(await create("0xffff888104e5b000")).toMatchObject([
      { effect: "create", outcome: "done", object: 0xffff888104e5b000n },
    ]);
    expect(await create("0xfffffffffffffff4")).toMatchObject([
      { effect: "create", outcome: "refused", object: null, result: -12 },
    ]);
    expect(await create("-12")).toMatchObject([{ outcome: "refused", object: null }]);
  });

  it("an object that a function stores is known where it does so, its holders with it", async () => {
    const operations = await operationsIn(`
      wl-1 [000] ..... 10.0: p1: (vfio_fops_open+0x0/0x90 [vfio]) filep=0xffff888104e5a000
      wl-1 [000] ..... 10.1: p2: (vfio_fops_open+0x53/0x90 [vfio]) container=0xffff888104e5b000
      wl-1 [000] ..... 10.2: r1: (misc_open+0x3c/0x90 <- vfio_fops_open) ret=0`);
    expect([...new Set(operations)]).toMatchObject([
      { effect: "create", outcome: "done", object: 0xffff888104e5b000n },
      { effect: "open", outcome: "done", object: 0xffff888104e5b000n },
    ]);
  });

  it("a call whose return nobody records stays unknown; one whose return came late is decided", async () => {
    expect(
      await outcomesIn(`
        wl-1 [000] ..... 10.0: p1: (kvm_register_device_ops+0x0/0x40 [kvm]) ${OPS}
        wl-1 [000] ..... 10.5: module_get: kvm call_site=x refcnt=2`),
    ).toEqual(["register unknown", "get done"]);
    expect(
      await outcomesIn(`
        wl-1 [000] ..... 10.0: p1: (kvm_register_device_ops+0x0/0x40 [kvm]) ${OPS}
        wl-1 [000] ..... 10.5: module_get: kvm call_site=x refcnt=2
        wl-1 [000] ..... 10.6: r1: (caller+0x3c/0x90 [kvm] <- kvm_register_device_ops) ret=-17`),
    ).toEqual(["register refused -17", "get done"]);
  });
});

describe("one operation seen by several probes counts once", () => {
  it("GIVEN two tracers' entry probes, with other names for the arguments", async () => {
    expect(
      await outcomesIn(`
        wl-1 [000] ..... 10.000000: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM} refs=2
        wl-1 [000] ..... 10.000001: p_kvm_put_kvm_0: (kvm_put_kvm+0x4/0x80 [kvm]) arg1=0xffffca47c0409000
        wl-1 [000] ..... 10.100000: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM} refs=1
        wl-1 [000] ..... 10.100001: p_kvm_put_kvm_0: (kvm_put_kvm+0x4/0x80 [kvm]) arg1=0xffffca47c0409000`),
    ).toEqual(["put done", "put done"]);
  });

  it("GIVEN two tracers' entry probes of which the second tells the object or the count", async () => {
    for (const first of ["", VM]) {
      const [operation, ...more] = await operationsIn(`
        wl-1 [000] ..... 10.000000: p1: (kvm_put_kvm+0x0/0x80 [kvm]) ${first}
        wl-1 [000] ..... 10.000400: p2: (kvm_put_kvm+0x4/0x80 [kvm]) ${VM} refs=2`);
      expect(operation).toMatchObject({ object: 0xffffca47c0409000n, read: { value: 2 } });
      expect(new Set([operation, ...more])).toHaveLength(1);
    }
  });

  it("GIVEN two tracers' entry and return probes on a register that is refused THEN one entry is accused, the right one", async () => {
    const outcome = await auditDrawn(`
      insmod-140 [000] .....  9.900000: module_load: kvm_amd OE
      insmod-140 [000] ..... 10.000000: kvm_init: (kvm_init+0x0/0x3e0 [kvm])
      insmod-140 [000] ..... 10.100000: regops: (kvm_register_device_ops+0x0/0x40 [kvm]) ${OPS}
      insmod-140 [000] ..... 10.100001: p2: (kvm_register_device_ops+0x0/0x40 [kvm]) ${OPS}
      insmod-140 [000] ..... 10.100100: regops_ret: (kvm_init+0x31c/0x3e0 [kvm] <- kvm_register_device_ops) ret=-17
      insmod-140 [000] ..... 10.100101: r2: (kvm_init+0x31c/0x3e0 [kvm] <- kvm_register_device_ops) ret=-17
      insmod-140 [000] ..... 10.200000: kvm_init_ret: (svm_init+0x2b/0x1000 [kvm_amd] <- kvm_init) ret=-17`);
    expect(findingLines(outcome)).toEqual([
      "stale-ops proven kvm_device_ops 4 kvm_exit",
      "-> double-registration proven kvm_device_ops 4 kvm_register_device_ops",
    ]);
  });

  it("GIVEN two tracers' return probes on what returns an object THEN it has one life", async () => {
    const world = await worldAfter(`
      wl-1 [000] ..... 10.000000: r1: (vfio_x+0x3c/0x90 [vfio] <- vfio_create_group) ret=0xffff888104e5b000
      wl-1 [000] ..... 10.000001: r2: (vfio_x+0x3c/0x90 [vfio] <- vfio_create_group) ret=0xffff888104e5b000`);
    expect([...world.objects.all()].map(({ generation }) => generation)).toEqual([1]);
  });

  it("GIVEN two tracers' probes on one instruction", async () => {
    expect(
      await operationsIn(`
        wl-1 [000] d.Z.. 10.000000: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=2 delta=-1
        wl-1 [000] d.Z.. 10.000001: p9: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=2 delta=-1
        wl-1 [000] d.Z.. 10.000400: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=1 delta=-1`),
    ).toHaveLength(2);
  });

  it("GIVEN an entry probe and a site inside the call THEN the site's value is the operation's", async () => {
    const [operation, ...more] = await operationsIn(`
      wl-1 [000] ..... 10.000000: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM}
      wl-1 [000] d.Z.. 10.000001: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=2 delta=-1`);
    expect([operation?.read?.value, more]).toEqual([2, []]);
  });

  it("GIVEN an entry probe without arguments THEN the site inside it tells the object, and the put is not lost", async () => {
    const world = await worldAfter(`
      wl-1 [000] d.Z.. 10.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=1 delta=1
      wl-1 [000] ..... 10.010000: put: (kvm_put_kvm+0x0/0x80 [kvm])
      wl-1 [000] d.Z.. 10.010001: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=2 delta=-1
      wl-1 [000] d.Z.. 10.020000: uc: (kvm_vcpu_release+0x1b/0x40 [kvm]) ${VM} refs=1 delta=-1`);
    const [vm] = world.objects.all();
    expect(vm?.history.map(({ effect, read }) => `${effect}@${read?.value}`)).toEqual(["get@1", "put@2", "put@1"]);
    expect(vm?.ledger?.breaks).toEqual([]);
  });

  it("a site of another task inside the same function is another operation", async () => {
    expect(
      await operationsIn(`
        wl-1   [000] ..... 10.000000: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM}
        peer-2 [001] d.Z.. 10.000001: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=2 delta=-1`),
    ).toHaveLength(2);
  });

  it("an ioctl with several sites has several operations", async () => {
    expect(
      await operationsIn(`
        wl-1 [000] d.Z.. 10.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=1 delta=1
        wl-1 [000] d.Z.. 10.000001: uc: (kvm_vm_ioctl+0xd10/0x13a0 [kvm]) ${VM} refs=2 delta=1`),
    ).toHaveLength(2);
  });
});

describe("what tracepoints tell", () => {
  it("the caller without its offset and module", async () => {
    const operations = await operationsIn(`
      wl-1 [000] ..... 10.0: module_get: kvm_amd call_site=kvm_dev_ioctl.part.0+0x12/0x50 [kvm] refcnt=2
      wl-1 [000] ..... 10.1: module_put: kvm_amd call_site=do_init_module refcnt=1`);
    expect(operations.map(({ callSite, read }) => [callSite, read])).toEqual([
      ["kvm_dev_ioctl", { value: 2, when: "after", guess: false }],
      ["do_init_module", { value: 1, when: "after", guess: false }],
    ]);
  });

  it("every probe's use is kept, with its first and last hit", async () => {
    const { decoder } = await decodeDrawn(`
      wl-1 [000] ..... 10.0: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM}
      wl-1 [000] ..... 10.1: module_get: kvm_amd call_site=x refcnt=2
      wl-1 [000] ..... 10.2: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM}`);
    expect([...decoder.uses].map(({ probe, hits, first, last }) => [probe.name, hits, first.id, last.id])).toEqual([
      ["put", 2, 1, 3],
      ["module_get", 1, 2, 2],
    ]);
  });
});
