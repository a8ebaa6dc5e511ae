/** Narrows a recording to one process or one virtual machine; the kernel filters, what is left out costs little. */
import type { ProbePlan } from "./plan.js";

export interface Narrowed {
  /** This process and the children that it starts. What work queues and others do for it is left out. */
  pid: number | null;
  /** Address of this struct kvm, as `ktally snapshot` prints it: probes that tell a machine tell no other one. */
  vm: string | null;
}

export function narrowPlan(plan: ProbePlan, { vm }: Narrowed): ProbePlan {
  if (vm === null) return plan;
  const probes = plan.probes.map((probe) => {
    if (probe.kind === "tracepoint" || !probe.arguments.some(({ name }) => name === "kvm")) return probe;
    const only = `kvm == ${vm}`;
    return { ...probe, filter: probe.filter === null ? only : `(${probe.filter}) && ${only}` };
  });
  return { ...plan, probes };
}

/** What such a recording leaves out, in words; null when nothing. */
export function leftOutBy({ pid, vm }: Narrowed): string | null {
  if (pid !== null) return `only process ${pid} and its children were recorded`;
  return vm === null ? null : `of virtual machines only ${vm} was recorded`;
}
