import { describe, expect, it } from "vitest";
import { decodeDrawn, eventsIn } from "../testing/text.js";
import { isInside } from "./calls.js";

/** `function=result` of every call that returned, in order of the returns; unpaired ones do not show. */
async function returnsIn(text: string): Promise<string[]> {
  const { signals } = await decodeDrawn(text);
  return signals
    .flat()
    .flatMap((signal) =>
      signal.kind === "return" ? [`${signal.call.function.name}@${signal.call.entry.id}=${signal.result}`] : [],
    );
}

const INIT = "kvm_init: (kvm_init+0x0/0x3e0 [kvm])";
const INIT_RET = "kvm_init_ret: (svm_init+0x2b/0x1000 [kvm_amd] <- kvm_init)";
const REG = "regops: (kvm_register_device_ops+0x0/0x40 [kvm]) ops=0xffffffffc054a6a0 type=4";
const REG_RET = "regops_ret: (kvm_init+0x31c/0x3e0 [kvm] <- kvm_register_device_ops)";

describe("entry and return", () => {
  it("GIVEN nested calls THEN each return finds its own entry", async () => {
    expect(
      await returnsIn(`
        insmod-140 [000] ..... 10.0: ${INIT}
        insmod-140 [000] ..... 10.1: ${REG}
        insmod-140 [001] ..... 10.2: ${REG_RET} ret=0
        insmod-140 [001] ..... 10.3: ${INIT_RET} ret=-12`),
    ).toEqual(["kvm_register_device_ops@2=0", "kvm_init@1=-12"]);
  });

  it("GIVEN two tasks on one CPU THEN their calls do not mix", async () => {
    expect(
      await returnsIn(`
        insmod-140 [000] ..... 10.0: ${REG}
        insmod-141 [000] ..... 10.1: ${REG}
        insmod-140 [000] ..... 10.2: ${REG_RET} ret=1
        insmod-141 [000] ..... 10.3: ${REG_RET} ret=2`),
    ).toEqual(["kvm_register_device_ops@1=1", "kvm_register_device_ops@2=2"]);
  });

  it("GIVEN the idle task THEN each CPU has its own", async () => {
    expect(
      await returnsIn(`
        <idle>-0 [000] ..... 10.0: ${REG}
        <idle>-0 [001] ..... 10.1: ${REG}
        <idle>-0 [000] ..... 10.2: ${REG_RET} ret=1
        <idle>-0 [001] ..... 10.3: ${REG_RET} ret=2`),
    ).toEqual(["kvm_register_device_ops@1=1", "kvm_register_device_ops@2=2"]);
  });

  it("WHEN the inner return was lost THEN the outer call still ends, and the inner one is forgotten", async () => {
    expect(
      await returnsIn(`
        insmod-140 [000] ..... 10.0: ${INIT}
        insmod-140 [000] ..... 10.1: ${REG}
        insmod-140 [000] ..... 10.3: ${INIT_RET} ret=0
        insmod-140 [000] ..... 10.4: ${REG_RET} ret=0`),
    ).toEqual(["kvm_init@1=0"]);
  });

  it("WHEN the same function is entered again THEN the older call had lost its return", async () => {
    expect(
      await returnsIn(`
        insmod-140 [000] ..... 10.0: ${REG}
        insmod-140 [000] ..... 11.0: ${REG}
        insmod-140 [000] ..... 11.1: ${REG_RET} ret=0
        insmod-140 [000] ..... 11.2: ${REG_RET} ret=0`),
    ).toEqual(["kvm_register_device_ops@2=0"]);
  });

  it("GIVEN a function whose return nobody records WHEN it is entered again THEN calls in between go on", async () => {
    const put = "kvm_put_kvm: (kvm_put_kvm+0x0/0x40 [kvm]) kvm=0xffffb39700539000";
    expect(
      await returnsIn(`
        insmod-140 [000] ..... 10.0: ${put}
        insmod-140 [000] ..... 10.1: ${INIT}
        insmod-140 [000] ..... 10.2: ${put}
        insmod-140 [000] ..... 10.3: ${INIT_RET} ret=0`),
    ).toEqual(["kvm_init@2=0"]);
  });

  it("WHEN only the return was seen THEN there is no call", async () => {
    expect(await returnsIn(`insmod-140 [000] ..... 10.2: ${REG_RET} ret=-17`)).toEqual([]);
  });

  it("WHEN a stack shows that a call has ended THEN it does not swallow a later one", async () => {
    expect(
      await returnsIn(`
        insmod-140 [000] ..... 10.0: ${INIT}
        insmod-140 [000] ..... 10.5: ${REG}
        insmod-140 [000] ..... 10.5: <stack trace>
        => kvm_register_device_ops
        => other_init
        => do_one_initcall
        insmod-140 [000] ..... 10.6: ${REG_RET} ret=0
        insmod-140 [000] ..... 10.7: ${INIT_RET} ret=0`),
    ).toEqual(["kvm_register_device_ops@2=0"]);
  });
});

describe("contexts of one task", () => {
  it("hardirq and softirq have calls of their own", async () => {
    for (const flags of ["d.h..", "..s.."]) {
      expect(
        await returnsIn(`
          wl-140 [000] ..... 10.0: ${REG}
          wl-140 [000] ${flags} 10.1: ${REG}
          wl-140 [000] ${flags} 10.2: ${REG_RET} ret=1
          wl-140 [000] ..... 10.3: ${REG_RET} ret=2`),
      ).toEqual(["kvm_register_device_ops@2=1", "kvm_register_device_ops@1=2"]);
    }
  });

  it("the flags of a breakpoint (NMI bit) say nothing of the caller", async () => {
    for (const flags of ["d.Z..", "d.z.."]) {
      expect(
        await returnsIn(`
          wl-140 [000] ${flags} 10.0: ${REG}
          wl-140 [000] ..... 10.3: ${REG_RET} ret=0`),
      ).toEqual(["kvm_register_device_ops@1=0"]);
    }
  });
});

describe("whether an event happened inside a function", () => {
  const inside = async (...frames: string[]) => {
    const lines = frames.map((frame) => `=> ${frame}`).join("\n");
    const [event] = await eventsIn(
      `rmmod-1 [000] ..... 10.0: module_free: kvm_amd${frames.length ? `\nrmmod-1 [000] ..... 10.0: <stack trace>\n${lines}` : ""}`,
    );
    return event ? isInside(event, "kvm_exit") : undefined;
  };
  it("is told by its stack", async () => {
    expect(await inside("free_module", "kvm_exit", "svm_exit")).toBe(true);
    expect(await inside("free_module", "kvm_exit.cold", "svm_exit")).toBe(true);
    expect(await inside("free_module", "__do_sys_delete_module")).toBe(false);
    expect(await inside()).toBeNull();
    expect(await inside("free_module", "kretprobe_trampoline")).toBeNull();
  });
});
