import { describe, expect, it } from "vitest";
import { alarms } from "../testing/audits.js";
import { auditDrawn, worldAfter } from "../testing/text.js";
import type { World } from "./world.js";

const A = "kvm=0xffffca47c0409000";
const DEV = "dev=0xffff888104e5a000";
const DEVICE = "device=0xffff888104e5b000";

/** `class #generation state` of every life that is the last of its key. */
function lives(world: World): string[] {
  return [...world.objects.all()].map((object) => `${object.class.class} #${object.generation} ${object.state}`);
}

/** A virtual machine's whole life at A, beginning at a time in seconds. */
function life(at: number, destroy = true): string {
  return `
    wl-1 [000] d.Z.. ${at}.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${A} refs=1 delta=1
    wl-1 [000] d.Z.. ${at}.010000: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${A} refs=2 delta=-1
    wl-1 [000] d.Z.. ${at}.020000: uc: (kvm_vcpu_release+0x1b/0x40 [kvm]) ${A} refs=1 delta=-1
    ${destroy ? `wl-1 [000] ..... ${at}.020050: destroy: (kvm_destroy_vm+0x0/0x3d0 [kvm]) ${A}` : ""}`;
}

describe("an address that comes back", () => {
  it("WHEN the first object's destruction was seen THEN the next one is another life", async () => {
    expect(lives(await worldAfter(life(10) + life(11)))).toEqual(["kvm #2 destroyed"]);
  });

  it("WHEN no destruction is recorded THEN a value above zero after zero begins another life", async () => {
    expect(lives(await worldAfter(life(10, false) + life(11, false)))).toEqual(["kvm #2 alive"]);
  });

  it("WHEN the creation is recorded THEN it begins the life, whatever the one before came to", async () => {
    const create = (at: number) => `
      wl-1 [000] ..... ${at}.000000: init: (kvm_arch_init_vm+0x0/0x40 [kvm]) ${A}
      wl-1 [000] ..... ${at}.000010: init_ret: (kvm_dev_ioctl+0x1/0x40 [kvm] <- kvm_arch_init_vm) ret=0`;
    const world = await worldAfter(create(10) + create(11));
    expect(lives(world)).toEqual(["kvm #2 alive"]);
    expect([...world.objects.all()][0]?.created?.event.id).toBe(3);
  });

  it("WHEN the value after the destruction is zero THEN it is the object that is gone", async () => {
    const world = await worldAfter(`${life(10)}
      peer-2 [001] d.Z.. 10.020060: uc: (kvm_get_kvm+0x11/0x40 [kvm]) ${A} refs=0 delta=1`);
    expect(lives(world)).toEqual(["kvm #1 destroyed"]);
  });

  it("WHEN two last puts overlap THEN it is one object that went below zero", async () => {
    const world = await worldAfter(`
      wl-1   [000] d.Z.. 10.010000: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${A} refs=2 delta=-1
      wl-1   [000] d.Z.. 10.020000: uc: (kvm_vcpu_release+0x1b/0x40 [kvm]) ${A} refs=1 delta=-1
      peer-2 [001] d.Z.. 10.020001: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${A} refs=1 delta=-1`);
    expect(lives(world)).toEqual(["kvm #1 alive"]);
  });
});

describe("destruction", () => {
  it("has phases: kvm_arch_destroy_vm inside kvm_destroy_vm is the same one", async () => {
    const outcome = await auditDrawn(`${life(10)}
      wl-1 [000] ..... 10.020060: arch: (kvm_arch_destroy_vm+0x0/0x3d0 [kvm]) ${A}`);
    expect(lives(outcome.world)).toEqual(["kvm #1 destroyed"]);
    expect(alarms(outcome)).toEqual([]);
  });

  it("WHEN the same phase comes again THEN another life lay between, whose creation was not seen", async () => {
    const world = await worldAfter(`
      wl-1 [000] ..... 10.000000: destroy: (kvm_destroy_vm+0x0/0x3d0 [kvm]) ${A}
      wl-1 [000] ..... 10.000010: arch: (kvm_arch_destroy_vm+0x0/0x3d0 [kvm]) ${A}
      wl-1 [000] ..... 11.000000: destroy: (kvm_destroy_vm+0x0/0x3d0 [kvm]) ${A}
      wl-1 [000] ..... 11.000010: arch: (kvm_arch_destroy_vm+0x0/0x3d0 [kvm]) ${A}`);
    expect(lives(world)).toEqual(["kvm #2 destroyed"]);
  });

  it("that counts at its return has not happened before", async () => {
    const text = `
      wl-1 [000] ..... 10.000000: reg: (vfio_register_group_dev+0x0/0x80 [vfio]) ${DEVICE}
      wl-1 [000] ..... 10.000010: reg_ret: (probe+0x1/0x80 [x] <- vfio_register_group_dev) ret=0
      wl-1 [000] ..... 11.000000: unreg: (vfio_unregister_group_dev+0x0/0x80 [vfio]) ${DEVICE}`;
    expect(lives(await worldAfter(text))).toEqual(["vfio_device #1 alive"]);
    const returned = "wl-1 [000] ..... 12.000000: unreg_ret: (remove+0x1/0x80 [x] <- vfio_unregister_group_dev) ret=0";
    expect(lives(await worldAfter(`${text}\n${returned}`))).toEqual(["vfio_device #1 destroyed"]);
  });
});

describe("creation", () => {
  const create = (ret: number, inside = "") => `
    wl-1 [000] ..... 10.000000: create: (kvm_vfio_create+0x0/0x80 [kvm]) ${DEV} type=4
    ${inside}
    wl-1 [000] ..... 10.000100: create_ret: (kvm_vm_ioctl+0x1/0x80 [kvm] <- kvm_vfio_create) ret=${ret}`;

  it("that fails with -EBUSY begins no life", async () => {
    expect(lives(await worldAfter(create(-16)))).toEqual([]);
    expect(lives(await worldAfter(create(0)))).toEqual(["kvm_device #1 alive"]);
  });

  it("that fails begins no life either when the task was seen inside it and no return had been recorded before", async () => {
    const inside = "wl-1 [000] ..... 10.000010: module_get: vfio call_site=x refcnt=3";
    expect(lives(await worldAfter(create(-16, inside)))).toEqual(["module #1 alive"]);
  });

  it("that nobody records the return of begins a life", async () => {
    const { world } = await auditDrawn(`wl-1 [000] ..... 10.0: create: (kvm_vfio_create+0x0/0x80 [kvm]) ${DEV} type=4`);
    expect(lives(world)).toEqual(["kvm_device #1 alive"]);
  });

  it("WHEN somebody uses the object before its creator returns THEN it is the same life", async () => {
    const world = await worldAfter(`
      wl-1   [000] ..... 10.000000: reg: (vfio_register_group_dev+0x0/0x80 [vfio]) ${DEVICE}
      udev-2 [001] d.Z.. 10.000010: uc: (vfio_device_try_get_registration+0x11/0x80 [vfio]) ${DEVICE} refs=1 delta=1
      wl-1   [000] ..... 10.000100: reg_ret: (probe+0x1/0x80 [x] <- vfio_register_group_dev) ret=0
      udev-2 [001] d.Z.. 10.010010: uc: (vfio_device_put_registration+0x11/0x80 [vfio]) ${DEVICE} refs=2 delta=-1`);
    expect(lives(world)).toEqual(["vfio_device #1 alive"]);
    expect([...world.objects.all()][0]?.ledger?.breaks).toEqual([]);
  });

  it("WHEN its result is not recorded THEN the close of a file shows that it took place", async () => {
    const round = (at: number, task: string) => `
      ${task} [000] ..... ${at}.000000: init: (kvm_arch_init_vm+0x0/0x40 [kvm]) ${A}
      ${task} [000] ..... ${at}.000010: init_ret: (kvm_dev_ioctl+0x1/0x40 [kvm] <- kvm_arch_init_vm)
      ${task} [000] ..... ${at}.100000: release: (kvm_vm_release+0x0/0x30 [kvm]) ${A}
      ${task} [000] ..... ${at}.100010: destroy: (kvm_destroy_vm+0x0/0x3d0 [kvm]) ${A}`;
    const outcome = await auditDrawn(round(10, "wl-1") + round(11, "wl-2"));
    expect(lives(outcome.world)).toEqual(["kvm #2 destroyed"]);
    expect(outcome.findings).toEqual([]);
  });

  it("WHEN it fails after all though the object was touched THEN nothing is there any more", async () => {
    const world = await worldAfter(`
      wl-1   [000] ..... 10.000000: reg: (vfio_register_group_dev+0x0/0x80 [vfio]) ${DEVICE}
      wl-1   [000] d.Z.. 10.000010: uc: (vfio_device_put_registration+0x11/0x80 [vfio]) ${DEVICE} refs=1 delta=-1
      wl-1   [000] ..... 10.000100: reg_ret: (probe+0x1/0x80 [x] <- vfio_register_group_dev) ret=-22`);
    expect(lives(world)).toEqual(["vfio_device #1 destroyed"]);
  });
});

describe("a long life", () => {
  it("keeps its first and last operations, and says how many are left out", async () => {
    const lines = Array.from({ length: 200 }, (_, index) => {
      const [site, refs, delta] = index % 2 === 0 ? ["kvm_vm_ioctl+0xcde", 1, 1] : ["kvm_put_kvm+0x11", 2, -1];
      return `wl-1 [000] d.Z.. 10.${String(index).padStart(6, "0")}: uc: (${site}/0x13a0 [kvm]) ${A} refs=${refs} delta=${delta}`;
    });
    const [vm] = (await worldAfter(lines.join("\n"))).objects.all();
    expect(vm?.omitted).toBe(128);
    expect(vm?.history.map(({ event }) => event.id)).toEqual([...range(1, 32), ...range(161, 200)]);
    expect(vm?.ledger?.breaks).toEqual([]);
  });
});

/** Lives at addresses of their own, after the one at A. */
function otherLives(count: number): string {
  const others = Array.from({ length: count }, (_, index) =>
    life(11 + index).replaceAll(A, `kvm=0xffffca47d${index.toString(16).padStart(4, "0")}000`),
  );
  return others.join("\n");
}

describe("an object destroyed a while ago", () => {
  const kept = async (text: string) => {
    const world = await worldAfter(text);
    const vm = [...world.objects.all()].find(({ key }) => key === BigInt(A.slice(4)));
    return [...(vm?.history.map(({ effect }) => effect) ?? []), vm?.omitted];
  };

  it("WHEN nothing was wrong with it THEN its beginning and its end are kept", async () => {
    expect(await kept(life(10))).toEqual(["get", "put", "put", "destroy", 0]);
    expect(await kept(life(10) + otherLives(100))).toEqual(["get", "destroy", 2]);
  });

  it("WHEN references were left THEN all of it is kept", async () => {
    const leaking = life(10).replace(/.*kvm_vcpu_release.*\n/, "");
    expect(await kept(leaking + otherLives(100))).toEqual(["get", "put", "destroy", 0]);
  });

  it("WHEN it was used in the meantime THEN all of it is kept", async () => {
    const use = `peer-2 [001] ..... 10.500000: stats: (kvm_vm_stats_read+0x0/0x80 [kvm]) ${A}`;
    expect(await kept(`${life(10)}\n${use}${otherLives(100)}`)).toEqual(["get", "put", "put", "destroy", "use", 0]);
  });

  it("WHEN it is used THEN the story is told in order", async () => {
    const late = `peer-2 [001] d.Z.. 900.000000: uc: (kvm_get_kvm+0x11/0x40 [kvm]) ${A} refs=0 delta=1`;
    const { findings } = await auditDrawn(`${life(10)}${otherLives(100)}\n${late}`);
    expect(findings.map(({ variant }) => variant)).toEqual(["get-after-zero"]);
    expect(findings[0]?.evidence.map(({ event }) => event.id)).toEqual([1, 4, 405]);
  });
});

describe("a trace with many objects", () => {
  it("forgets those that were destroyed long ago, but not how many lives there were at their address", async () => {
    const text = life(10) + otherLives(4200);
    const before = await worldAfter(text);
    expect([...before.objects.all()]).toHaveLength(4096);
    const after = await worldAfter(text + life(9000));
    expect(lives(after).at(-1)).toBe("kvm #2 destroyed");
  });
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
