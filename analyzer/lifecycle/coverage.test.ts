import { describe, expect, it } from "vitest";
import type { AuditOutcome } from "../audit.js";
import { auditReaders } from "../audit.js";
import { auditDrawn, catalog, openText } from "../testing/text.js";

const VM = "kvm=0xffffca47c0409000";
const GET = (at: string, refs: number, vm = VM) => `
  wl-1 [000] d.Z.. ${at}: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${vm} refs=${refs} delta=1`;
const PUT = (at: string, refs: number, vm = VM) => `
  wl-1 [000] d.Z.. ${at}: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${vm} refs=${refs} delta=-1`;
const DESTROY = (at: string, vm = VM) => `
  wl-1 [000] ..... ${at}: destroy: (kvm_destroy_vm+0x0/0x3d0 [kvm]) ${vm}`;
const LIFE = GET("10.000000", 1) + PUT("10.010000", 2) + PUT("10.020000", 1) + DESTROY("10.020050");

function classIn(outcome: AuditOutcome, name: string) {
  const found = outcome.coverage.find((coverage) => coverage.class.class === name);
  return {
    state: found?.state,
    judged: found?.judged,
    codes: [...new Set(found?.reasons.map((reason) => reason.code))],
  };
}

const kvm = async (text: string) => classIn(await auditDrawn(text), "kvm");

describe("a class whose counter was read from first to last", () => {
  it("is complete", async () => {
    expect(await kvm(LIFE)).toEqual({ state: "complete", judged: true, codes: [] });
  });

  it("is complete also when an object is alive at the end", async () => {
    expect(await kvm(LIFE + GET("11.000000", 1))).toMatchObject({ state: "complete", codes: [] });
  });
});

describe("why a class was not seen completely", () => {
  it.each([
    [
      "started-late",
      "the first value is not that of a new object",
      LIFE.replace("refs=1 delta=1", "refs=4 delta=1")
        .replaceAll("refs=2", "refs=5")
        .replace("refs=1 delta=-1", "refs=4 delta=-1"),
    ],
    ["unseen-change", "a value does not follow from the one before", LIFE.replace("refs=2", "refs=3")],
    ["unseen-change", "the last put is missing", GET("10.000000", 1) + PUT("10.010000", 2) + DESTROY("10.020050")],
    [
      "unseen-end",
      "the counter reached zero and nothing was destroyed",
      GET("10.000000", 1) + PUT("10.010000", 2) + PUT("10.020000", 1),
    ],
    [
      "unseen-end",
      "another object has the address",
      LIFE.replace(DESTROY("10.020050"), "") + LIFE.replaceAll("10.0", "11.0"),
    ],
    [
      "lost-events",
      "the trace says that events are missing",
      LIFE.replace(PUT("10.010000", 2), "\nCPU:0 [LOST 3 EVENTS]"),
    ],
    [
      "no-values",
      "puts are recorded without the counter",
      `${GET("10.000000", 1)}\nwl-1 [000] ..... 10.1: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM}`,
    ],
    [
      "no-values",
      "only creation and destruction are recorded",
      `
      wl-1 [000] ..... 10.0: init: (kvm_arch_init_vm+0x0/0x40 [kvm]) ${VM}
      wl-1 [000] ..... 10.1: init_ret: (kvm_dev_ioctl+0x1/0x40 [kvm] <- kvm_arch_init_vm) ret=0${DESTROY("11.0")}`,
    ],
    [
      "no-values",
      "only creation is recorded",
      `
      wl-1 [000] ..... 10.0: init: (kvm_arch_init_vm+0x0/0x40 [kvm]) ${VM}
      wl-1 [000] ..... 10.1: init_ret: (kvm_dev_ioctl+0x1/0x40 [kvm] <- kvm_arch_init_vm) ret=0`,
    ],
    [
      "inlined",
      "entry probes alone do not see inlined gets",
      `wl-1 [000] ..... 10.1: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM} refs=2`,
    ],
    [
      "no-object",
      "an operation does not say what it is about",
      `${LIFE}\nwl-1 [000] ..... 12.1: put: (kvm_put_kvm+0x0/0x80 [kvm])`,
    ],
    [
      "by-holders",
      "only files are recorded",
      "wl-1 [000] ..... 12.1: rel: (kvm_vcpu_release+0x0/0x80 [kvm]) arg1=0xffff888104e5a000",
    ],
    ["not-probed", "functions have no probe", `wl-1 [000] ..... 10.1: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM} refs=2`],
    [
      "result-unknown",
      "the result of a get is not recorded",
      `${LIFE}\nwl-1 [000] ..... 12.1: safe: (kvm_get_kvm_safe+0x0/0x80 [kvm]) ${VM} refs=0`,
    ],
  ])("%s: %s", async (code, _, text) => {
    const { state, codes } = await kvm(text);
    expect(codes).toContain(code);
    expect(state).toBe("partial");
  });

  it("damaged: a part of the file cannot be read", async () => {
    const reader = await openText(LIFE);
    const read = reader.read.bind(reader);
    reader.read = async function* (wants) {
      yield* read(wants);
      yield [{ kind: "gap", code: "damaged", cpu: null, from: 1n, to: null, lost: null }];
    };
    const outcome = await auditReaders([reader], { catalog, classes: null }, null);
    expect(classIn(outcome, "kvm")).toMatchObject({ state: "partial", codes: expect.arrayContaining(["damaged"]) });
  });

  it("probe-never-fired: a listed probe that may be about the class has no event", async () => {
    const reader = await openText(
      "insmod-1 [000] ..... 10.0: regops: (kvm_register_device_ops+0x0/0x40 [kvm]) ops=0xffffffffc054a6a0 type=4",
    );
    reader.facts.listed.push({ system: "kprobes", name: "unreg_x", kind: "kprobe", fields: ["type"], fired: false });
    const outcome = await auditReaders([reader], { catalog, classes: null }, null);
    expect(classIn(outcome, "kvm_device_ops").codes).toContain("probe-never-fired");
  });

  it("function-unknown: a probe's function cannot be told", async () => {
    const reader = await openText(
      `${LIFE.replace("refs=2", "refs=3")}\nwl-1 [000] ..... 12.1: mine: (0xffffffffc0501230) a=1`,
    );
    const outcome = await auditReaders([reader], { catalog, classes: null }, null);
    expect(classIn(outcome, "kvm").codes).toContain("function-unknown");
  });

  it("unseen-unregister and started-late: what tables show", async () => {
    const register = (at: number) => `
      insmod-1 [000] ..... ${at}.1: reg: (vfio_register_iommu_driver+0x0/0xc0 [vfio]) ops=0xffffffffc057c080
      insmod-1 [000] ..... ${at}.2: reg_ret: (fake_init+0x12/0x1000 [fakeiommu] <- vfio_register_iommu_driver) ret=0`;
    const twice = await auditDrawn(register(10) + register(11));
    expect(classIn(twice, "vfio_iommu_driver").codes).toContain("unseen-unregister");
    const late = await auditDrawn(
      "rmmod-1 [000] ..... 9.9: unreg: (vfio_unregister_iommu_driver+0x0/0x80 [vfio]) ops=0xffffffffc057c080",
    );
    expect(classIn(late, "vfio_iommu_driver").codes).toContain("started-late");
  });
});

describe("a class without an effect", () => {
  it("is blind when its module came or went", async () => {
    const outcome = await auditDrawn("insmod-1 [000] ..... 9.9: module_load: kvm_amd OE");
    expect(classIn(outcome, "kvm_core")).toEqual({ state: "blind", judged: true, codes: ["no-effect-seen"] });
  });

  it("is absent and not judged when only stacks show it, or nothing does", async () => {
    const outcome = await auditDrawn(`
      wl-1 [000] ..... 9.900000: module_get: vfio call_site=x refcnt=2
      wl-1 [000] ..... 9.900000: <stack trace>
      => try_module_get
      => vfio_group_fops_open`);
    expect(classIn(outcome, "vfio_group")).toEqual({ state: "absent", judged: false, codes: ["seen-in-stacks"] });
    expect(classIn(outcome, "kvm")).toEqual({ state: "absent", judged: false, codes: [] });
  });
});

describe("which classes are judged", () => {
  it("those that were asked for, whatever else was seen", async () => {
    const outcome = await auditDrawn(LIFE, { classes: ["kvm_core"] });
    expect([classIn(outcome, "kvm").judged, classIn(outcome, "kvm_core").judged]).toEqual([false, true]);
  });
});
