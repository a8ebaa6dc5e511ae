/** On a snapshot of a 7.2 guest: a VM with all kinds of files, one shared by fork, one kept by a vCPU's file, one in flight. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Snapshot, snapshotModel } from "../../collectors/snapshot/model.js";
import { describeHolder, findObjects, objectsOfProcess, whoHolds, whoHoldsDevice, whoHoldsModule } from "./holders.js";

const path = new URL("../../fixtures/snapshot-7.2.json", import.meta.url).pathname;
const snapshot: Snapshot = snapshotModel.parse(JSON.parse(readFileSync(path, "utf8")));

const machine = (pid: number) => {
  const object = findObjects(snapshot, "kvm").find(({ values }) => values.pid === pid);
  if (!object) throw new Error(`no virtual machine of ${pid}`);
  return whoHolds(snapshot, object);
};

describe("a virtual machine", () => {
  it("is held by its own file, its vCPUs' and its devices': one reference each, by whomever it is shared", () => {
    const held = machine(206);
    expect(held).toMatchObject({ refs: 4, unexplained: 0, perhaps: [] });
    expect(held.holders.map(describeHolder)).toEqual([
      "sleep (206) fd 3: anon_inode:kvm-vm",
      "sleep (206) fd 4: anon_inode:kvm-vcpu:0",
      "sleep (206) fd 8: anon_inode:kvm-vfio",
      "sleep (206) fd 9: anon_inode:kvm-vm-stats",
    ]);
    expect(held.close[0]).toContain("anon_inode:kvm-vfio");
    const shared = machine(214);
    expect(shared).toMatchObject({ refs: 1, unexplained: 0 });
    expect(shared.holders.map(describeHolder)).toEqual(["sleep (214) fd 3, sleep (221) fd 3: anon_inode:kvm-vm"]);
  });

  it("may live by a vCPU's file alone", () => {
    expect(machine(210)).toMatchObject({ refs: 1, unexplained: 0, holders: [{ link: "anon_inode:kvm-vcpu:0" }] });
  });

  it("that no process shows a file of is said to be in flight or kept by the kernel", () => {
    const held = machine(223);
    expect(held).toMatchObject({ refs: 1, unexplained: 1, holders: [], close: [] });
    expect(held.perhaps.join("\n")).toMatch(/SCM_RIGHTS.*the kernel itself/s);
  });
});

describe("what people type", () => {
  it.each(["0000:00:02.0", "00:02.0"])("the device %s", (word) => {
    const [device, ...others] = findObjects(snapshot, word);
    expect(others).toEqual([]);
    expect(device).toMatchObject({ class: "vfio_device", values: { open_count: 0 } });
    expect(whoHolds(snapshot, device!)).toMatchObject({ unexplained: 0, own: ["the registration of the device"] });
  });

  it("the group by its file, and anything by its address", () => {
    expect(findObjects(snapshot, "/dev/vfio/2")).toMatchObject([{ class: "vfio_group" }]);
    expect(findObjects(snapshot, "0xffff8b8881844000")).toMatchObject([{ class: "kvm", values: { pid: 206 } }]);
    expect(findObjects(snapshot, "nothing")).toEqual([]);
  });

  it("a module", () => {
    const held = whoHoldsModule(snapshot, "kvm-amd");
    expect(held?.refs).toBe(6);
    expect(held?.holders.map(({ link }) => link)).toContain("anon_inode:kvm-vcpu:0");
    expect(held?.perhaps).toEqual(["virtual machine 0xffff8b8881842000 is alive, and no process shows a file of it"]);
    expect(whoHoldsModule(snapshot, "ext4")).toBeNull();
  });

  it("a device whose structure could not be read, by its group's file", () => {
    const file = { pid: 9, comm: "qemu", fd: 3, file: null, count: null, object: null, id: null };
    const bare: Snapshot = {
      ...snapshot,
      objects: [],
      devices: [{ name: "0000:00:03.0", group: "7", driver: "vfio-pci" }],
      files: [
        { ...file, link: "/dev/vfio/7" },
        { ...file, fd: 4, link: "anon_inode:[vfio-device]" },
        { ...file, pid: 10, link: "/dev/vfio/8" },
      ],
    };
    expect(whoHoldsDevice(bare, "00:03.0")?.close).toEqual([
      "qemu (9) fd 4: anon_inode:[vfio-device]",
      "qemu (9) fd 3: /dev/vfio/7",
    ]);
    expect(whoHoldsDevice(bare, "00:04.0")).toBeNull();
  });

  it("a process", () => {
    expect(objectsOfProcess(snapshot, 206).map((object) => object.class)).toEqual([
      "kvm",
      "kvm_device",
      "vfio_group",
      "vfio_device",
      "vfio_container",
    ]);
    expect(objectsOfProcess(snapshot, 221).map((object) => object.class)).toEqual(["kvm"]);
    expect(objectsOfProcess(snapshot, 1)).toEqual([]);
  });
});

it("a damaged snapshot never throws where it is asked", () => {
  for (let left = 0; left < snapshot.objects.length; left++) {
    const part = { ...snapshot, objects: snapshot.objects.filter((_, index) => index !== left) };
    for (const object of part.objects) expect(whoHolds(part, object).label).not.toBe("");
  }
});
