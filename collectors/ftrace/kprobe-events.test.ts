import { expect, test } from "vitest";
import type { PlannedProbe, ProbePlan } from "../plan.js";
import { renderKprobeEvents } from "./kprobe-events.js";

const probe: PlannedProbe = {
  event: "kvm_init",
  kind: "kprobe",
  module: "kvm",
  symbol: "kvm_init",
  offset: 0,
  function: "kvm_init",
  classes: ["kvm_core"],
  site: null,
  arguments: [],
  filter: null,
  rate: "rare",
};

function plan(...probes: PlannedProbe[]): ProbePlan {
  return { schema: 1, kernel: { release: "6.12", buildId: null }, modules: {}, probes, classes: [] };
}

test("A module's probes are written MODULE:SYMBOL, built-in code without, tracepoints not at all", () => {
  const builtIn = { ...probe, event: "warned", module: null, symbol: "refcount_warn_saturate" };
  const tracepoint: PlannedProbe = { ...probe, kind: "tracepoint", module: "module", symbol: "module_get" };
  expect(renderKprobeEvents(plan(probe, builtIn, tracepoint))).toEqual([
    "p:ktally/kvm_init kvm:kvm_init",
    "p:ktally/warned refcount_warn_saturate",
  ]);
});

test("A site has its offset and its arguments, a return probe room for many calls at once", () => {
  const site: PlannedProbe = {
    ...probe,
    event: "get",
    symbol: "kvm_vm_ioctl",
    offset: 0x155f,
    site: { effect: "get", bytes: "f0410fc186381a0000", next: "kvm_arch_vcpu_precreate", conditional: false },
    arguments: [
      { name: "kvm", fetch: "%r14", type: "x64" },
      { name: "refs", fetch: "+0x1a38(%r14)", type: "s32" },
      { name: "delta", fetch: "\\1", type: "s32" },
    ],
  };
  const returned: PlannedProbe = {
    ...probe,
    event: "kvm_init_ret",
    kind: "kretprobe",
    arguments: [{ name: "ret", fetch: "$retval", type: "s32" }],
  };
  expect(renderKprobeEvents(plan(site, returned))).toEqual([
    "p:ktally/get kvm:kvm_vm_ioctl+0x155f kvm=%r14:x64 refs=+0x1a38(%r14):s32 delta=\\1:s32",
    "r64:ktally/kvm_init_ret kvm:kvm_init ret=$retval:s32",
  ]);
});
