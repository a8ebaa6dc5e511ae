/** Compares the instructions of a plan's sites with those in the running kernel: a wrong one is never probed. */
import type { PlannedProbe, ProbePlan } from "../plan.js";
import { DECREMENTS } from "./operations.js";

/** The running kernel's memory and symbols, as far as they can be read. */
export interface RunningCode {
  /** Addresses of the symbols of this name; none while the module is not loaded. */
  find(symbol: string, module: string | null): readonly bigint[];
  /** Where a function of the kernel itself is, and how many bytes lie between it and the next symbol. */
  extent(symbol: string): { address: bigint; size: number } | null;
  /** The function of the kernel itself that begins at an address. */
  nameAt(address: bigint): string | null;
  /** Null where nothing is mapped. */
  read(address: bigint, length: number): Buffer | null;
}

const LOCK = 0xf0;
/** What the kernel writes over `lock` where only one CPU can ever run (alternatives_smp_switch, arch/x86). */
const NO_LOCK = 0x3e;
const CALL = 0xe8;

/**
 * Leaves out sites whose instruction is another one. Modules that are not loaded cannot be looked at: their sites stay,
 * and hold for the build that the plan names.
 */
export function compareSites(plan: ProbePlan, running: Pick<RunningCode, "find" | "read">): ProbePlan {
  const helpers = new Set([...DECREMENTS].flatMap((name) => running.find(name, null)));
  const wrong = plan.probes.filter((probe) => probe.site !== null && !isThere(probe, running, helpers));
  return {
    ...plan,
    compared: true,
    probes: plan.probes.filter((probe) => !wrong.includes(probe)),
    classes: plan.classes.map((entry) => {
      const lost = wrong.filter((probe) => probe.classes.includes(entry.class));
      if (lost.length === 0) return entry;
      const missing = lost.map((probe) => ({
        function: probe.function,
        reason: "patched" as const,
        text: `+0x${probe.offset.toString(16)}: the running kernel has another instruction there`,
      }));
      return { ...entry, covered: "partly", missing: [...entry.missing, ...missing] };
    }),
  };
}

function isThere(
  { module, symbol, offset, site }: PlannedProbe,
  running: Pick<RunningCode, "find" | "read">,
  helpers: ReadonlySet<bigint>,
): boolean {
  const [start, ...more] = running.find(symbol, module);
  if (start === undefined) return true;
  const expected = Buffer.from(site?.bytes ?? "", "hex");
  const address = start + BigInt(offset);
  const found = running.read(address, expected.length);
  if (found === null || more.length > 0) return false;
  if (expected[0] === CALL && expected.length === 5) {
    // The file does not know yet where a call leads.
    return found[0] === CALL && helpers.has(BigInt.asUintN(64, address + 5n + BigInt(found.readInt32LE(1))));
  }
  const lock = expected[0] === LOCK && found[0] === NO_LOCK;
  return expected.subarray(lock ? 1 : 0).equals(found.subarray(lock ? 1 : 0));
}
