import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { coverageStates } from "../testing/audits.js";
import { auditDrawn, catalog } from "../testing/text.js";
import type { LedgerBreak } from "./ledger.js";
import type { World } from "./world.js";

const RUNS = Number(process.env.KTALLY_WORLDS ?? 1000);

interface Step {
  kind: "get" | "put" | "run" | "record";
  cpu: number;
  pause: number;
}

/**
 * A module's references on several CPUs. The operation is done, then its record is reserved (that is its time), then the
 * value is read: it may hold what others have done meanwhile. Returns the lines in order of time.
 */
function references(cpus: number, start: number, steps: readonly Step[]): string[] {
  interface Going {
    delta: number;
    /** Line that was reserved; -1 before. */
    line: number;
  }
  let now = 10_000_000;
  let value = start;
  const lines: string[] = [];
  const going = new Map<number, Going>();
  const advance = (cpu: number) => {
    const operation = going.get(cpu);
    if (!operation) return;
    if (operation.line < 0) {
      operation.line = lines.length;
      const name = operation.delta > 0 ? "module_get" : "module_put";
      const time = `${Math.floor(now / 1e6)}.${String(now % 1e6).padStart(6, "0")}`;
      lines.push(`wl-${100 + cpu} [00${cpu}] ..... ${time}: ${name}: kvm_amd call_site=kvm_dev_ioctl refcnt=`);
    } else {
      lines[operation.line] = `${lines[operation.line]}${value}`;
      going.delete(cpu);
    }
  };
  const finish = (cpu: number) => {
    while (going.has(cpu)) advance(cpu);
  };
  for (const step of steps) {
    const cpu = step.cpu % cpus;
    now += step.pause;
    if (step.kind === "get" || step.kind === "put") {
      finish(cpu);
      const delta = step.kind === "get" ? 1 : -1;
      if (value + delta < 2) continue;
      value += delta;
      going.set(cpu, { delta, line: -1 });
    } else {
      advance(cpu);
    }
  }
  for (let cpu = 0; cpu < cpus; cpu++) finish(cpu);
  // Long after, once more.
  now += 1_000_000;
  for (let count = 0; count < 2; count++) {
    value += 1;
    now += 1_000_000;
    lines.push(
      `wl-100 [000] ..... ${Math.floor(now / 1e6)}.500000: module_get: kvm_amd call_site=kvm_dev_ioctl refcnt=${value}`,
    );
  }
  return lines;
}

function breaksOf(world: World): string[] {
  const module = catalog.classes.get("module");
  const breaks: LedgerBreak[] = [...world.objects.all()]
    .filter((object) => object.class === module)
    .flatMap((object) => [...(object.ledger?.breaks ?? [])]);
  return breaks.map(({ expected, read }) => `${expected.join("|")}!${read}`);
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom("get" as const, "put" as const, "run" as const, "record" as const, "run" as const),
    cpu: fc.nat({ max: 7 }),
    pause: fc.constantFrom(0, 1, 3, 20),
  }),
  { maxLength: 50 },
);

describe("references that are printed after each operation", () => {
  it("show no break on a complete recording of up to 8 CPUs", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 3, max: 9 }),
        steps,
        async (cpus, start, plan) => {
          const { world } = await auditDrawn(references(cpus, start, plan).join("\n"));
          expect(breaksOf(world)).toEqual([]);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it("show a break when an operation was not recorded", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 8 }), steps, fc.nat(), async (cpus, plan, pick) => {
        const quiet = "wl-100 [000] ..... 9.000000: module_put: kvm_amd call_site=kvm_dev_ioctl refcnt=5";
        const lines = [quiet, ...references(cpus, 5, plan)];
        fc.pre(lines.length > 3);
        // Not the first, and not the last two: before and after them nothing is known.
        const missing = 1 + (pick % (lines.length - 3));
        const { world } = await auditDrawn(lines.filter((_, index) => index !== missing).join("\n"));
        expect(breaksOf(world)).not.toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  it("WHEN another CPU's get is in the value already THEN its record owes the difference", async () => {
    const { world } = await auditDrawn(`
      wl-100 [000] ..... 10.000000: module_get: kvm_amd call_site=kvm_dev_ioctl refcnt=4
      wl-100 [000] ..... 10.100000: module_get: kvm_amd call_site=kvm_dev_ioctl refcnt=6
      wl-101 [001] ..... 10.100003: module_get: kvm_amd call_site=kvm_dev_ioctl refcnt=6
      wl-100 [000] ..... 11.000000: module_put: kvm_amd call_site=__fput refcnt=5`);
    expect(breaksOf(world)).toEqual([]);
  });

  it("WHEN nobody records the difference THEN it is a break, also when the module is never used again", async () => {
    const outcome = await auditDrawn(`
      wl-100 [000] ..... 10.000000: module_get: kvm_amd call_site=kvm_dev_ioctl refcnt=4
      wl-100 [000] ..... 10.100000: module_get: kvm_amd call_site=kvm_dev_ioctl refcnt=6
      wl-100 [000] ..... 12.000000: module_get: vfio call_site=kvm_dev_ioctl refcnt=6`);
    expect(breaksOf(outcome.world)).toEqual(["5!6"]);
    expect(coverageStates(outcome).module).toBe("partial");
  });

  it("WHEN the trace ends a moment after the difference THEN its record may have been next", async () => {
    const { world } = await auditDrawn(`
      wl-100 [000] ..... 10.000000: module_get: kvm_amd call_site=kvm_dev_ioctl refcnt=4
      wl-100 [000] ..... 10.100000: module_get: kvm_amd call_site=kvm_dev_ioctl refcnt=6`);
    expect(breaksOf(world)).toEqual([]);
  });
});
