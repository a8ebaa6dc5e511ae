import { describe, expect, it } from "vitest";
import { alarms, findingLines } from "../testing/audits.js";
import { auditDrawn, worldAfter } from "../testing/text.js";
import type { World } from "./world.js";

const A = "ops=0xffffffffc057c080";

/** Entries that are in a table: `class key #generation owner [orphaned]`. */
function entries(world: World): string[] {
  return [...world.registrations.all()].map((entry) => {
    const owner = entry.owner === null ? "nobody" : `${entry.owner.name} #${entry.owner.generation}`;
    return `${entry.class.class} ${entry.key} #${entry.generation} ${owner}${entry.orphaned ? " orphaned" : ""}`;
  });
}

/** One load of a vendor module up to kvm_init's result, by a task and beginning at a second. */
function bringUp(at: number, tid: number, reg: number, init: number): string {
  return `
    insmod-${tid} [000] ..... ${at}.000000: module_load: kvm_amd OE
    insmod-${tid} [000] ..... ${at}.100000: kvm_init: (kvm_init+0x0/0x3e0 [kvm])
    insmod-${tid} [000] ..... ${at}.200000: regops: (kvm_register_device_ops+0x0/0x40 [kvm]) ops=0xffffffffc054a6a0 type=4
    insmod-${tid} [000] ..... ${at}.200100: regops_ret: (kvm_init+0x31c/0x3e0 [kvm] <- kvm_register_device_ops) ret=${reg}
    insmod-${tid} [000] ..... ${at}.300000: kvm_init_ret: (svm_init+0x2b/0x1000 [kvm_amd] <- kvm_init) ret=${init}
    insmod-${tid} [000] ..... ${at}.400000: module_put: kvm_amd call_site=do_init_module refcnt=1`;
}

function takeDown(at: number, tid: number, unregister = true): string {
  return `
    rmmod-${tid} [000] ..... ${at}.000000: kvm_exit: (kvm_exit+0x0/0xb0 [kvm])
    ${unregister ? `rmmod-${tid} [000] ..... ${at}.100000: unregops: (kvm_unregister_device_ops+0x0/0x20 [kvm]) type=4` : ""}
    rmmod-${tid} [000] ..... ${at}.200000: kvm_exit_ret: (svm_exit+0x10/0x30 [kvm_amd] <- kvm_exit) arg1=0x0
    rmmod-${tid} [000] ..... ${at}.300000: module_free: kvm_amd`;
}

const register = (at: number, tid: number, ret: number | null) => `
  insmod-${tid} [000] ..... ${at}.100000: reg: (vfio_register_iommu_driver+0x0/0xc0 [vfio]) ${A}
  ${ret === null ? "" : `insmod-${tid} [000] ..... ${at}.100020: reg_ret: (fake_init+0x12/0x1000 [fakeiommu] <- vfio_register_iommu_driver) ret=${ret}`}`;
const unregister = (at: number, tid: number) =>
  `\nrmmod-${tid} [000] ..... ${at}.000000: unreg: (vfio_unregister_iommu_driver+0x0/0x80 [vfio]) ${A}`;

describe("an entry", () => {
  it("belongs to the instance in whose init it was made, and goes with its unregister", async () => {
    expect(entries(await worldAfter(bringUp(10, 140, 0, 0)))).toEqual(["kvm_device_ops 4 #1 kvm_core #1"]);
    expect(entries(await worldAfter(bringUp(10, 140, 0, 0) + takeDown(11, 141)))).toEqual([]);
  });

  it("that was refused is none", async () => {
    expect(entries(await worldAfter(bringUp(10, 140, -12, -12)))).toEqual([]);
  });

  it("that its owner leaves behind is an orphan", async () => {
    expect(entries(await worldAfter(bringUp(10, 140, 0, 0) + takeDown(11, 141, false)))).toEqual([
      "kvm_device_ops 4 #1 kvm_core #1 orphaned",
    ]);
    // Its init failed after the register: that is an end, too.
    expect(entries(await worldAfter(bringUp(10, 140, 0, -12)))).toEqual(["kvm_device_ops 4 #1 kvm_core #1 orphaned"]);
  });

  it("that is unregistered late, after its owner's end, is no finding", async () => {
    const late = "rmmod-141 [000] ..... 11.400000: unregops: (kvm_unregister_device_ops+0x0/0x20 [kvm]) type=4";
    const outcome = await auditDrawn(`${bringUp(10, 140, 0, 0)}${takeDown(11, 141, false)}
      ${late}${bringUp(20, 150, 0, 0)}${takeDown(21, 151)}`);
    expect(findingLines(outcome)).toEqual([]);
    expect(entries(outcome.world)).toEqual([]);
  });

  it("goes with the module that holds the table", async () => {
    const home = "rmmod-142 [000] ..... 12.000000: module_free: kvm";
    const outcome = await auditDrawn(
      `${bringUp(10, 140, 0, 0)}${takeDown(11, 141, false)}\n${home}${bringUp(20, 150, 0, 0)}${takeDown(21, 151)}`,
    );
    expect(entries(outcome.world)).toEqual([]);
    expect(findingLines(outcome)).toEqual([]);
  });

  it("on a taken key that the table took all the same replaces one whose unregister was not seen", async () => {
    const outcome = await auditDrawn(`${bringUp(10, 140, 0, 0)}${takeDown(11, 141, false)}${bringUp(20, 150, 0, 0)}`);
    expect(entries(outcome.world)).toEqual(["kvm_device_ops 4 #2 kvm_core #2"]);
    expect(alarms(outcome)).toEqual([]);
    const [coverage] = outcome.coverage.filter((entry) => entry.class.class === "kvm_device_ops");
    expect(coverage?.reasons.map((reason) => reason.code)).toContain("unseen-unregister");
  });

  it("of a module's own belongs to the load during which it was made", async () => {
    const world = await worldAfter(`
      insmod-140 [000] ..... 10.000000: module_load: fakeiommu OE
      ${register(10, 140, 0)}`);
    expect(entries(world)).toEqual(["vfio_iommu_driver 18446744072641560704 #1 fakeiommu #1"]);
  });
});

describe("an unregister that matches nothing", () => {
  const loaded = "insmod-139 [000] ..... 5.000000: module_load: vfio OE";

  it("in a table that is older than the trace is a matter of coverage", async () => {
    const outcome = await auditDrawn(unregister(10, 141) + register(11, 142, 0) + unregister(12, 143));
    expect(findingLines(outcome)).toEqual([]);
  });

  it("after a refused register is told by the return value", async () => {
    const caller = "insmod-140 [000] ..... 9.000000: module_load: fakeiommu OE";
    const outcome = await auditDrawn(`${loaded}\n${caller}\n${register(10, 140, -12)}${unregister(11, 140)}`);
    expect(findingLines(outcome)).toEqual([
      "unmatched-unregister proven vfio_iommu_driver 0xffffffffc057c080 vfio_unregister_iommu_driver",
    ]);
  });

  it("WHEN its caller is older than the trace THEN it may have registered before", async () => {
    const outcome = await auditDrawn(`${loaded}\n${register(10, 140, -12)}${unregister(11, 140)}`);
    expect(findingLines(outcome)).toEqual([
      "unmatched-unregister suspected vfio_iommu_driver 0xffffffffc057c080 vfio_unregister_iommu_driver",
    ]);
  });

  it("WHEN a register succeeded after the refused one THEN the old refusal proves nothing about later unregisters", async () => {
    const outcome = await auditDrawn(
      `${register(10, 140, -12)}${register(11, 141, 0)}${unregister(12, 142)}${unregister(13, 143)}`,
    );
    expect(findingLines(outcome).filter((line) => line.includes("proven"))).toEqual([]);
  });

  it("WHEN events were lost after the refused register THEN a success may be among them", async () => {
    const outcome = await auditDrawn(`${register(10, 140, -12)}\nCPU:0 [LOST 5 EVENTS]${unregister(12, 142)}`);
    expect(alarms(outcome)).toEqual([]);
  });
});

describe("a refusal", () => {
  it("of which only the return was seen does not name a key that nobody passed", async () => {
    const outcome = await auditDrawn(`
      insmod-140 [000] ..... 10.000000: kvm_init: (kvm_init+0x0/0x3e0 [kvm])
      insmod-140 [000] ..... 10.100100: regops_ret: (kvm_init+0x31c/0x3e0 [kvm] <- kvm_register_device_ops) ret=-17
      insmod-140 [000] ..... 10.200000: kvm_init_ret: (svm_init+0x2b/0x1000 [kvm_amd] <- kvm_init) ret=-17`);
    for (const finding of outcome.findings) {
      expect(finding.object.key).toBeNull();
      expect(`${finding.object.label} ${finding.title}`).not.toMatch(/type 0/);
    }
  });

  it("by who already has the entry is a double registration, by a new owner a stale entry", async () => {
    const twice = await auditDrawn(`${bringUp(10, 140, 0, 0)}
      insmod-141 [000] ..... 12.200000: regops: (kvm_register_device_ops+0x0/0x40 [kvm]) ops=0xffffffffc054a6a0 type=4
      insmod-141 [000] ..... 12.200100: regops_ret: (kvm_x+0x31c/0x3e0 [kvm] <- kvm_register_device_ops) ret=-17`);
    expect(findingLines(twice)).toEqual(["double-registration proven kvm_device_ops 4 kvm_register_device_ops"]);
    const stale = await auditDrawn(bringUp(10, 140, 0, 0) + takeDown(11, 141, false) + bringUp(20, 150, -17, -17));
    expect(findingLines(stale)).toEqual([
      "stale-ops proven kvm_device_ops 4 kvm_exit",
      "-> double-registration proven kvm_device_ops 4 kvm_register_device_ops",
    ]);
  });
});
