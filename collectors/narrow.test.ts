import { expect, test } from "vitest";
import { plannedProbe } from "../analyzer/testing/recordings.js";
import { leftOutBy, narrowPlan } from "./narrow.js";
import type { PlannedProbe, ProbePlan } from "./plan.js";

const telling = (name: string, filter: string | null = null): PlannedProbe => ({
  ...plannedProbe(name),
  arguments: [{ name: "kvm", fetch: "%di", type: "x64" }],
  filter,
});

test("For one machine every probe that tells the machine is filtered, on top of its own filter", () => {
  const probes = [telling("kvm_get_kvm"), telling("kvm_vm_release", "ret == 0"), plannedProbe("vfio_fops_open")];
  const plan: ProbePlan = { schema: 1, kernel: { release: "6.1", buildId: null }, modules: {}, probes, classes: [] };
  const filters = narrowPlan(plan, { pid: null, vm: "0xffff888104e5a000" }).probes.map(({ filter }) => filter);
  expect(filters).toEqual(["kvm == 0xffff888104e5a000", "(ret == 0) && kvm == 0xffff888104e5a000", null]);
  expect(narrowPlan(plan, { pid: 1, vm: null })).toEqual(plan);
});

test("What is left out is told", () => {
  expect(leftOutBy({ pid: 12, vm: null })).toBe("only process 12 and its children were recorded");
  expect(leftOutBy({ pid: null, vm: "0x1" })).toBe("of virtual machines only 0x1 was recorded");
  expect(leftOutBy({ pid: null, vm: null })).toBeNull();
});
