import { expect, test } from "vitest";
import type { PlannedProbe, ProbePlan } from "../plan.js";
import { renderBpftrace } from "./program.js";

const PROBE: PlannedProbe = {
  event: "e",
  kind: "kprobe",
  module: "kvm",
  symbol: "kvm_vm_ioctl",
  offset: 0,
  function: "kvm_vm_ioctl",
  classes: ["kvm"],
  site: null,
  arguments: [],
  filter: null,
  rate: "rare",
};

function render(change: Partial<PlannedProbe>): string {
  const plan: ProbePlan = {
    schema: 1,
    kernel: { release: "6.12", buildId: null },
    modules: {},
    probes: [{ ...PROBE, ...change }],
    classes: [],
  };
  return renderBpftrace(plan).trim();
}

test("Memory behind registers is read through casts, immediates are written out", () => {
  const text = render({
    offset: 0x155f,
    arguments: [
      { name: "kvm", fetch: "+0x8(+0x20(%si))", type: "x64" },
      { name: "refs", fetch: "+0x1a38(%r14)", type: "s32" },
      { name: "delta", fetch: "\\-1", type: "s32" },
      { name: "module", fetch: "-0x18(%di)", type: "string" },
    ],
  });
  expect(text).toBe(
    'kprobe:kvm_vm_ioctl+5471 { printf("time=%llu cpu=%d tid=%d comm=%s func=kprobe:kvm_vm_ioctl+5471 ' +
      'kvm=0x%llx refs=%d delta=%d module=%s\\n", nsecs, cpu, tid, comm, ' +
      '*(uint64 *)(*(uint64 *)(reg("si") + 0x20) + 0x8), *(int32 *)(reg("r14") + 0x1a38), (int32)(-1), ' +
      'str((reg("di") - 0x18), 56)); }',
  );
});

test("A return probe has the result; the entry's arguments are gone", () => {
  const text = render({
    kind: "kretprobe",
    arguments: [
      { name: "ret", fetch: "$retval", type: "s32" },
      { name: "next", fetch: "+0x0($arg4)", type: "u32" },
    ],
  });
  expect(text).toContain('func=kretprobe:kvm_vm_ioctl ret=%d\\n", nsecs, cpu, tid, comm, (int32)retval); }');
});

test("A tracepoint is named by its system; a symbol with a dot is left out", () => {
  expect(render({ kind: "tracepoint", module: "module", symbol: "module_get" })).toMatch(
    /^tracepoint:module:module_get {/,
  );
  expect(render({ symbol: "vfio_device_remove_group.isra.0" })).toBe("");
});
