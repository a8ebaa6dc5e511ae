import { describe, expect, it } from "vitest";
import { worldAfter } from "../testing/text.js";
import type { World } from "./world.js";

/** `name #generation up|ended|failed` of every owner seen last of its name. */
function owners(world: World): string[] {
  return [...world.owners.known].map((owner) => {
    const state = owner.ended === null ? "up" : owner.failed ? "failed" : "ended";
    return `${owner.name} #${owner.generation} ${state}${owner.ended ? ` at ${owner.ended.id}` : ""}`;
  });
}

const LOAD = "insmod-140 [000] .....  9.900000: module_load: kvm_amd OE";
const INIT = "insmod-140 [000] ..... 10.000000: kvm_init: (kvm_init+0x0/0x3e0 [kvm])";
const INIT_RET = "insmod-140 [000] ..... 10.200000: kvm_init_ret: (svm_init+0x2b/0x1000 [kvm_amd] <- kvm_init)";
const LOADED = "insmod-140 [000] ..... 10.300000: module_put: kvm_amd call_site=do_init_module refcnt=1";
const EXIT = "rmmod-141 [000] ..... 11.000000: kvm_exit: (kvm_exit+0x0/0xb0 [kvm])";
const UNREG = "rmmod-141 [000] ..... 11.010000: unregops: (kvm_unregister_device_ops+0x0/0x20 [kvm]) type=4";
const EXIT_RET = "rmmod-141 [000] ..... 11.020000: kvm_exit_ret: (svm_exit+0x10/0x30 [kvm_amd] <- kvm_exit) arg1=0x0";
const FREE = "rmmod-141 [000] ..... 11.100000: module_free: kvm_amd";

const ownersAfter = async (...lines: string[]) => owners(await worldAfter(lines.join("\n")));

describe("an instance", () => {
  it("is up once its init has returned 0, and ends when its exit returns", async () => {
    expect(await ownersAfter(LOAD, INIT, `${INIT_RET} ret=0`, LOADED)).toEqual(["kvm_amd #1 up", "kvm_core #1 up"]);
    expect(await ownersAfter(LOAD, INIT, `${INIT_RET} ret=0`, LOADED, EXIT, UNREG, EXIT_RET)).toEqual([
      "kvm_amd #1 up",
      "kvm_core #1 ended at 7",
    ]);
  });

  it("whose init fails has ended with it", async () => {
    expect(await ownersAfter(LOAD, INIT, `${INIT_RET} ret=-12`)).toEqual(["kvm_amd #1 up", "kvm_core #1 failed at 3"]);
  });

  it("with an entry probe on its exit only ends at the task's next event, unregisters excepted", async () => {
    expect(await ownersAfter(INIT, `${INIT_RET} ret=0`, EXIT)).toEqual(["kvm_core #1 up"]);
    expect(await ownersAfter(INIT, `${INIT_RET} ret=0`, EXIT, UNREG)).toEqual(["kvm_core #1 up"]);
    expect(await ownersAfter(INIT, `${INIT_RET} ret=0`, EXIT, UNREG, FREE)).toEqual(
      ["kvm_core #1 ended at 5", "kvm_amd #1 ended at 5"].reverse(),
    );
  });

  it("does not end by what its exit calls, where stacks show it", async () => {
    const inside = (frames: string) => `
      rmmod-141 [000] ..... 11.005000: module_put: irqbypass call_site=x refcnt=1
      rmmod-141 [000] ..... 11.005000: <stack trace>
      ${frames}`;
    const called = await worldAfter(
      [INIT, `${INIT_RET} ret=0`, EXIT, inside("=> module_put\n=> kvm_exit\n=> svm_exit")].join("\n"),
    );
    expect(owners(called)).toContain("kvm_core #1 up");
    const outside = await worldAfter(
      [INIT, `${INIT_RET} ret=0`, EXIT, inside("=> module_put\n=> svm_exit")].join("\n"),
    );
    expect(owners(outside)).toContain("kvm_core #1 ended at 4");
  });

  it("does not end by another task's events", async () => {
    expect(
      await ownersAfter(
        INIT,
        `${INIT_RET} ret=0`,
        EXIT,
        "other-9 [000] ..... 11.005000: module_get: vfio call_site=x refcnt=2",
      ),
    ).toContain("kvm_core #1 up");
  });

  it("that was there before the trace is known by its exit", async () => {
    expect(await ownersAfter(EXIT, EXIT_RET)).toEqual(["kvm_core #1 ended at 2"]);
  });

  it("ends when the module goes whose init began it, though nobody recorded its exit", async () => {
    expect(await ownersAfter(LOAD, INIT, `${INIT_RET} ret=0`, LOADED, FREE)).toEqual([
      "kvm_amd #1 ended at 5",
      "kvm_core #1 ended at 5",
    ]);
  });

  it("is another one after the next load", async () => {
    const again = [INIT, INIT_RET].map((line) => line.replaceAll("10.", "20."));
    expect(
      await ownersAfter(INIT, `${INIT_RET} ret=0`, EXIT, EXIT_RET, again[0] as string, `${again[1]} ret=0`),
    ).toEqual(["kvm_core #2 up"]);
  });
});

describe("a module", () => {
  it("is loading from its load to the end of its init, for its own task only", async () => {
    const world = await worldAfter(`${LOAD}\n${INIT}`);
    const event = (tid: number) => ({ tid, cpu: 0, flags: 0 }) as never;
    expect(world.owners.loading(event(140))?.name).toBe("kvm_amd");
    expect(world.owners.loading(event(141))).toBeNull();
    expect((await worldAfter(`${LOAD}\n${LOADED}`)).owners.loading(event(140))).toBeNull();
  });

  it("that is freed by the task that loaded it had a failing init", async () => {
    const freed = "insmod-140 [000] ..... 10.400000: module_free: kvm_amd";
    expect(await ownersAfter(LOAD, LOADED, freed)).toEqual(["kvm_amd #1 failed at 3"]);
    expect(await ownersAfter(LOAD, LOADED, FREE)).toEqual(["kvm_amd #1 ended at 3"]);
  });

  it("that one task loads and unloads was unloaded, where the stack shows the system call", async () => {
    const free = `insmod-140 [000] ..... 12.400000: module_free: kvm_amd
      insmod-140 [000] ..... 12.400000: <stack trace>
      => free_module
      => __do_sys_delete_module
      => do_syscall_64`;
    expect(await ownersAfter(LOAD, LOADED, free)).toEqual(["kvm_amd #1 ended at 3"]);
  });

  it("loaded anew without its free being seen is another load", async () => {
    expect(await ownersAfter(LOAD, LOADED, LOAD.replace("9.9", "12.9"))).toEqual(["kvm_amd #2 up"]);
  });

  it("in use since before the trace is known, with no beginning", async () => {
    const world = await worldAfter("wl-1 [000] ..... 10.0: module_get: kvm_amd call_site=kvm_dev_ioctl refcnt=4");
    expect(world.owners.module("kvm_amd")).toMatchObject({ generation: 1, began: null });
    expect([...world.owners.changed]).toEqual([]);
  });
});
