import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { alarms } from "../testing/audits.js";
import { auditDrawn, catalog, worldAfter } from "../testing/text.js";
import { runWorld, type WorldPlan, type WorldStep } from "../testing/worlds.js";
import type { KernelObject } from "./objects.js";
import type { World } from "./world.js";

const RUNS = Number(process.env.KTALLY_WORLDS ?? 1000);

function machine(object: World): KernelObject[] {
  const kvm = catalog.classes.get("kvm");
  return [...object.objects.all()].filter((candidate) => candidate.class === kvm);
}

function theVm(world: World): KernelObject {
  const [vm, ...others] = machine(world);
  expect(others).toEqual([]);
  return vm as KernelObject;
}

/** `expected!read` of each break. */
function breaksOf(object: KernelObject): string[] {
  return (object.ledger?.breaks ?? []).map(({ expected, read }) => `${expected.join("|")}!${read}`);
}

const cpu = fc.nat({ max: 15 });
const pause = fc.constantFrom(0, 0, 1, 1, 2, 50);
function steps(tries: boolean): fc.Arbitrary<WorldStep[]> {
  const kinds: ("get" | "put" | "try-get")[] = tries ? ["get", "put", "try-get"] : ["get", "put"];
  return fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom(...kinds), cpu, pause }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("run" as const), cpu }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("other" as const), cpu, pause }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("migrate" as const), cpu, to: cpu }) },
    ),
    { minLength: 1, maxLength: 40 },
  );
}
function plans(cpus: fc.Arbitrary<number>, tries: boolean): fc.Arbitrary<WorldPlan> {
  return fc.record({ cpus, start: fc.integer({ min: 3, max: 12 }), steps: steps(tries) });
}

describe("the ledger of a machine with many CPUs", () => {
  it.each([
    { name: "of 2 CPUs", cpus: fc.constant(2), tries: false },
    { name: "of 3 to 8 CPUs", cpus: fc.integer({ min: 3, max: 8 }), tries: false },
    { name: "with attempts that may fail", cpus: fc.integer({ min: 2, max: 8 }), tries: true },
  ])("reports no break on a complete recording $name", async ({ cpus, tries }) => {
    await fc.assert(
      fc.asyncProperty(plans(cpus, tries), async (plan) => {
        const outcome = await auditDrawn(runWorld(plan).lines.join("\n"));
        expect(breaksOf(theVm(outcome.world))).toEqual([]);
        expect(alarms(outcome)).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  it("reports no break with 64 CPUs that each run their instruction at once, though none records anything else", async () => {
    const gets = fc.array(
      fc.record({ kind: fc.constantFrom("get" as const, "put" as const), cpu: fc.nat({ max: 63 }), pause }),
    );
    await fc.assert(
      fc.asyncProperty(gets, async (operations) => {
        const steps = operations.flatMap((step): WorldStep[] => [step, { kind: "run", cpu: step.cpu }]);
        const world = await worldAfter(runWorld({ cpus: 64, start: 20, steps }).lines.join("\n"));
        expect(breaksOf(theVm(world))).toEqual([]);
      }),
      { numRuns: RUNS / 10 },
    );
  });

  it("knows the value again once all is quiet", async () => {
    await fc.assert(
      fc.asyncProperty(plans(fc.integer({ min: 2, max: 8 }), false), async (plan) => {
        const { lines, value } = runWorld(plan);
        const world = await worldAfter(lines.join("\n"));
        const { ledger } = theVm(world);
        ledger?.settle(null);
        expect(ledger?.range()).toEqual({ least: value + 1, greatest: value + 1 });
      }),
      { numRuns: RUNS / 5 },
    );
  });

  it("notices one get or put that was not recorded, at the latest when all is quiet", async () => {
    await fc.assert(
      fc.asyncProperty(plans(fc.integer({ min: 2, max: 8 }), false), fc.nat(), async (plan, pick) => {
        const { lines, operations } = runWorld(plan);
        // The last one is nobody's: after it nothing is read.
        const candidates = operations.slice(1, -1);
        fc.pre(candidates.length > 0);
        const missing = candidates[pick % candidates.length] as (typeof candidates)[number];
        const world = await worldAfter(lines.filter((_, index) => index !== missing.line).join("\n"));
        expect(breaksOf(theVm(world))).not.toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  it("is quick when eight CPUs are in flight all the time", async () => {
    const steps: WorldStep[] = [];
    for (let index = 0; index < 4000; index++) {
      steps.push({ kind: index % 16 < 8 ? "get" : "put", cpu: index, pause: 0 });
      if (index % 3 === 0) steps.push({ kind: "run", cpu: index * 5 });
    }
    const start = performance.now();
    const world = await worldAfter(runWorld({ cpus: 8, start: 20, steps }).lines.join("\n"));
    expect(breaksOf(theVm(world))).toEqual([]);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

const VM = "kvm=0xffffca47c0421000";

describe("the ledger of one object", () => {
  it("WHEN a get and a put on two CPUs both read 2 THEN instants explain it", async () => {
    const world = await worldAfter(`
      wl-115   [000] d.Z.. 11.050000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=2 delta=1
      peer-120 [001] d.Z.. 11.050002: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=2 delta=-1
      wl-115   [000] ..... 11.050010: module_get: vfio call_site=misc_open refcnt=5
      peer-120 [001] ..... 11.050011: module_put: kvm_amd call_site=__fput refcnt=2
      wl-115   [000] d.Z.. 11.100000: uc: (kvm_vcpu_release+0x1b/0x40 [kvm]) ${VM} refs=2 delta=-1`);
    expect(breaksOf(theVm(world))).toEqual([]);
  });

  it("WHEN the first CPU has recorded something else THEN its get is done and the second read of 2 is a break", async () => {
    const world = await worldAfter(`
      wl-115   [000] d.Z.. 11.050000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=2 delta=1
      wl-115   [000] ..... 11.050001: sched_wakeup: comm=kworker/0:1 pid=17 prio=120 target_cpu=000
      peer-120 [001] d.Z.. 11.050004: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=2 delta=-1`);
    expect(breaksOf(theVm(world))).toEqual(["3!2"]);
  });

  it("WHEN a put whose value is not recorded is in flight at the first read THEN it may be part of that value or not", async () => {
    const world = await worldAfter(`
      wl-115   [000] ..... 10.000000: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM}
      peer-120 [001] d.Z.. 10.000001: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=4 delta=1
      wl-115   [000] ..... 10.100000: module_get: vfio call_site=misc_open refcnt=5
      peer-120 [001] d.Z.. 10.200000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=4 delta=1`);
    expect(breaksOf(theVm(world))).toEqual([]);
  });

  it("WHEN two puts overlap and both read the last reference THEN the counter is below zero", async () => {
    const world = await worldAfter(`
      wl-115   [000] d.Z.. 11.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=1 delta=1
      wl-115   [000] d.Z.. 11.010000: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=2 delta=-1
      wl-115   [000] d.Z.. 11.100000: uc: (kvm_vcpu_release+0x1b/0x40 [kvm]) ${VM} refs=1 delta=-1
      peer-120 [001] d.Z.. 11.100002: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=1 delta=-1`);
    const vm = theVm(world);
    expect(breaksOf(vm)).toEqual([]);
    expect(vm.ledger?.range()).toEqual({ least: -1, greatest: -1 });
  });

  it("WHEN the last put is certain THEN it is the one that is told, and a break takes that back", async () => {
    const world = await worldAfter(`
      wl-115   [000] d.Z.. 11.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=1 delta=1
      wl-115   [000] d.Z.. 11.010000: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=2 delta=-1
      wl-115   [000] d.Z.. 11.100000: uc: (kvm_vcpu_release+0x1b/0x40 [kvm]) ${VM} refs=1 delta=-1`);
    const { ledger } = theVm(world);
    expect(ledger?.value()).toBeNull();
    ledger?.settle(null);
    expect(ledger?.value()).toBe(0);
    expect(ledger?.reachedUnused?.function).toBe("kvm_vcpu_release");
    ledger?.forgetValue();
    expect([ledger?.value(), ledger?.range(), ledger?.reachedUnused]).toEqual([null, null, null]);
  });

  it("WHEN an attempt may have failed THEN both values are possible until the next read", async () => {
    const text = `
      wl-115   [000] d.Z.. 11.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=3 delta=1
      wl-115   [000] d.Z.. 11.010000: uc: (kvm_get_kvm_safe+0x1a/0x40 [kvm]) ${VM} refs=4 delta=1`;
    const { ledger } = theVm(await worldAfter(text));
    ledger?.settle(null);
    expect(ledger?.range()).toEqual({ least: 4, greatest: 5 });
    for (const refs of [4, 5, 6]) {
      const world = await worldAfter(`${text}
        wl-115 [000] d.Z.. 11.020000: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=${refs} delta=-1`);
      expect(breaksOf(theVm(world))).toEqual(refs === 6 ? ["4|5!6"] : []);
    }
  });

  it.each([
    { ret: 1, range: { least: 5, greatest: 5 } },
    { ret: 0, range: { least: 4, greatest: 4 } },
  ])("WHEN a conditional get returns $ret THEN the value is certain", async ({ ret, range }) => {
    const world = await worldAfter(`
      wl-115   [000] d.Z.. 11.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=3 delta=1
      peer-120 [001] ..... 11.005000: getsafe: (kvm_get_kvm_safe+0x0/0x40 [kvm]) ${VM} refs=4
      peer-120 [001] ..... 11.005005: getsafe_ret: (kvm_stat_data_open+0x3c/0x90 [kvm] <- kvm_get_kvm_safe) ret=${ret}`);
    const { ledger } = theVm(world);
    ledger?.settle(null);
    expect(ledger?.range()).toEqual(range);
  });

  it("WHEN a conditional get never returns in the trace THEN it may have taken place or not", async () => {
    const world = await worldAfter(`
      wl-115   [000] d.Z.. 11.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=3 delta=1
      peer-120 [001] ..... 11.005000: getsafe: (kvm_get_kvm_safe+0x0/0x40 [kvm]) ${VM} refs=4`);
    const { ledger } = theVm(world);
    ledger?.settle(null);
    expect(ledger?.range()).toEqual({ least: 4, greatest: 5 });
  });

  it("WHEN a site inside the call tells the value THEN the call's put is counted once, with it", async () => {
    const world = await worldAfter(`
      wl-115   [000] d.Z.. 11.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=3 delta=1
      wl-115   [000] ..... 11.010000: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM}
      wl-115   [000] d.Z.. 11.010001: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=4 delta=-1`);
    const { ledger } = theVm(world);
    ledger?.settle(null);
    expect(breaksOf(theVm(world))).toEqual([]);
    expect([ledger?.range()?.least, ledger?.unread]).toEqual([3, 0]);
  });

  it("WHEN another's read needed that put already done THEN the break says which value was due", async () => {
    const world = await worldAfter(`
      wl-115   [000] d.Z.. 11.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=3 delta=1
      wl-115   [000] ..... 11.010000: put: (kvm_put_kvm+0x0/0x80 [kvm]) ${VM}
      peer-120 [001] d.Z.. 11.010001: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=3 delta=1
      wl-115   [000] d.Z.. 11.010002: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${VM} refs=4 delta=-1`);
    expect(breaksOf(theVm(world))).toEqual(["3!4"]);
  });

  it("WHEN events were lost THEN the next value is taken as it is", async () => {
    const world = await worldAfter(`
      wl-115   [000] d.Z.. 11.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=3 delta=1
      CPU:0 [LOST 7 EVENTS]
      wl-115   [000] d.Z.. 11.500000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=9 delta=1`);
    expect(breaksOf(theVm(world))).toEqual([]);
    expect(theVm(world).losses).toBe(1);
  });

  it("WHEN the value is recorded under no name that is a counter's THEN it is no reading", async () => {
    const world = await worldAfter(`
      wl-115   [000] ..... 11.000000: put: (kvm_put_kvm+0x0/0x80 [kvm]) arg1=0xffffca47c0421000 arg2=7
      wl-115   [000] ..... 11.100000: put: (kvm_put_kvm+0x0/0x80 [kvm]) arg1=0xffffca47c0421000 arg2=7`);
    expect(theVm(world).ledger).toMatchObject({ reads: 0, unread: 2, breaks: [] });
  });
});
