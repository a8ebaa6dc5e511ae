/** One recorder at a time: who has the instance's trace_marker open records. */
import { setTimeout as sleep } from "node:timers/promises";
import { commandLine, openFiles } from "../processes.js";
import { Refusal } from "../refusal.js";
import { GROUP } from "./kprobe-events.js";
import type { Tracefs } from "./tracefs.js";

/** A reaper that undoes the recording of a recorder just killed needs this long at most. */
const REAPER_MS = 10_000;
const RETRY_MS = 50;

/** Processes that record now: recorders, and reapers at work. */
export type Recorders = () => { pid: number; isReaper: boolean }[];

/** As /proc shows them. Other mount namespaces may see another path before it. */
export function recorders(): ReturnType<Recorders> {
  const marker = `/instances/${GROUP}/trace_marker`;
  const pids = new Set(openFiles((file) => file.endsWith(marker)).map(({ pid }) => pid));
  pids.delete(process.pid);
  return [...pids].map((pid) => ({ pid, isReaper: /\breaper\.[jt]s\b/.test(commandLine(pid)) }));
}

/**
 * Takes the instance for this process, new and empty; what a recorder left that died together with its reaper is
 * removed before.
 * @returns the open trace_marker: the instance is taken as long as it is open.
 * @throws Refusal when another recorder has it.
 */
export async function claimInstance(tracefs: Tracefs, others: Recorders = recorders): Promise<number> {
  const deadline = Date.now() + REAPER_MS;
  for (;;) {
    const isNew = tracefs.createInstance();
    const marker = tracefs.openMarker();
    if (marker === null) {
      if (Date.now() > deadline) throw new Refusal(`${tracefs.marker} cannot be opened: this kernel has no instances`);
      continue;
    }
    const holding = others();
    if (holding.length === 0 && isNew) {
      // Events without an instance: somebody removed only that.
      removeEvents(tracefs);
      return marker;
    }
    if (holding.length === 0) {
      removeEvents(tracefs);
      tracefs.closeMarker(marker);
      if (!tracefs.removeInstance() && Date.now() > deadline) {
        throw new Refusal(
          `${tracefs.instance} is left over from a killed recording, and somebody has a file of it open`,
        );
      }
    } else {
      tracefs.closeMarker(marker);
      refuseUnlessReaped(holding, Date.now() > deadline);
    }
    await sleep(RETRY_MS);
  }
}

/** Removes what a dead recorder left in the kernel; says whether there was anything. */
export async function cleanRemains(tracefs: Tracefs, others: Recorders = recorders): Promise<boolean> {
  if (!tracefs.hasRemains()) return false;
  const marker = await claimInstance(tracefs, others);
  tracefs.closeMarker(marker);
  tracefs.removeInstance();
  return true;
}

function removeEvents(tracefs: Tracefs): void {
  const [problem] = tracefs.disarm();
  if (problem !== undefined) throw new Refusal(`a recording that was killed cannot be cleaned up: ${problem}`);
}

function refuseUnlessReaped(holding: ReturnType<Recorders>, tooLate: boolean): void {
  const recorder = holding.find(({ isReaper }) => !isReaper);
  if (recorder === undefined && !tooLate) return;
  const { pid } = recorder ?? holding[0]!;
  throw new Refusal(
    `process ${pid} (${commandLine(pid)}) records already: one recording at a time, wait for it or end it`,
  );
}
