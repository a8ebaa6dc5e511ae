import { release } from "node:os";
import type { Catalog } from "../../collectors/catalog/catalog.js";
import { openKernel, runningKernel } from "../../collectors/kernel/kernel-view.js";
import { compareSites, type RunningCode } from "../../collectors/kernel/live-sites.js";
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
  const memory = openMemory();
  try {
    const running = memory === null ? null : runningCode(memory);
    const view = await openKernel({ ...files, modules: modules ?? files.modules }, catalog, running);
    const plan = makePlan(view, catalog, classes);
    const named = { ...plan, kernel: { ...plan.kernel, release: release() } };
    return running === null ? named : compareSites(named, running);
  } finally {
    memory?.close();
  }
}

/** Without the right to read the kernel's memory the plan is as its files say. */
function openMemory(): Memory | null {
  try {
    return openKernelMemory();
  } catch (error) {
    if (error instanceof UnreadableMemory) return null;
    throw error;
  }
}

function runningCode(memory: Memory): RunningCode | null {
  const symbols = KernelSymbols.ofRunningKernel();
  if (!symbols.areVisible()) return null;
  return {
    find: (symbol, module) => symbols.find(symbol, module),
    extent: (symbol) => symbols.extent(symbol),
    nameAt: (address) => symbols.functionAt(address),
    read: (address, length) => memory.read(address, length),
  };
}
