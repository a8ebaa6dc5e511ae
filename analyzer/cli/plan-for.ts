import { release } from "node:os";
import type { Catalog } from "../../collectors/catalog/catalog.js";
import { openKernel, runningKernel } from "../../collectors/kernel/kernel-view.js";
import { compareSites } from "../../collectors/kernel/live-sites.js";
import { makePlan } from "../../collectors/kernel/make-plan.js";
import type { ProbePlan } from "../../collectors/plan.js";
import { type Memory, openKernelMemory, UnreadableMemory } from "../../collectors/snapshot/kernel-memory.js";
import { KernelSymbols } from "../../collectors/snapshot/kernel-symbols.js";

/** The plan for the kernel that runs. `modules`: its modules, where they are not below /lib/modules. */
export async function planForRunning(
  catalog: Catalog,
  classes: ReadonlySet<string> | null,
  modules?: string,
): Promise<ProbePlan> {
  const files = runningKernel();
  const view = await openKernel({ ...files, modules: modules ?? files.modules }, catalog);
  const plan = makePlan(view, catalog, classes);
  return compareWithMemory({ ...plan, kernel: { ...plan.kernel, release: release() } });
}

/** Without the right to read the kernel's memory the plan stays as its files say. */
function compareWithMemory(plan: ProbePlan): ProbePlan {
  const symbols = KernelSymbols.ofRunningKernel();
  if (!symbols.areVisible()) return plan;
  let memory: Memory;
  try {
    memory = openKernelMemory();
  } catch (error) {
    if (error instanceof UnreadableMemory) return plan;
    throw error;
  }
  try {
    const find = (symbol: string, module: string | null) => symbols.find(symbol, module);
    return compareSites(plan, { find, read: (address, length) => memory.read(address, length) });
  } finally {
    memory.close();
  }
}
