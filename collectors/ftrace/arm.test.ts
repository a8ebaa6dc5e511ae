import { expect, test } from "vitest";
import type { PlannedProbe, ProbePlan } from "../plan.js";
import { Refusal } from "../refusal.js";
import { armPlan } from "./arm.js";
import { FakeTracefs, ROOT } from "./testing/fake-tracefs.js";
import { Tracefs } from "./tracefs.js";

function probe(symbol: string, more: Partial<PlannedProbe> = {}): PlannedProbe {
  return {
    event: symbol,
    kind: "kprobe",
    module: "kvm",
    symbol,
    offset: 0,
    function: symbol,
    classes: ["kvm"],
    site: null,
    arguments: [],
    filter: null,
    rate: "per-object",
    ...more,
  };
}

const BUILD = { buildId: "aa", srcversion: null };

function arm(probes: PlannedProbe[], loaded: typeof BUILD | null = BUILD) {
  const files = new FakeTracefs();
  files.contents.set("events/module/module_load", "");
  const plan: ProbePlan = {
    schema: 1,
    kernel: { release: "6.1", buildId: null },
    modules: { kvm: BUILD },
    probes,
    classes: [],
  };
  const armed = armPlan(new Tracefs(ROOT, files), plan, () => loaded);
  return { ...armed, definitions: files.definitions };
}

test("what the kernel takes is armed, what it refuses is told", () => {
  const { events, refused, definitions } = arm([
    probe("kvm_put_kvm", { filter: "refs > 0" }),
    probe("no_such_function"),
    probe("module_load", { kind: "tracepoint", module: "module" }),
    probe("error_report_end", { kind: "tracepoint", module: "error_report" }),
  ]);
  expect(events).toEqual([
    { system: "ktally", event: "kvm_put_kvm", filter: "refs > 0" },
    { system: "module", event: "module_load", filter: null },
  ]);
  expect(refused.map(({ event, text }) => `${event}: ${text}`)).toEqual([
    "no_such_function: the kernel refused it: ENOENT",
    "error_report_end: this kernel has no such tracepoint",
  ]);
  expect(definitions).toEqual(["p:ktally/kvm_put_kvm kvm:kvm_put_kvm"]);
});

test("no instruction of another build is ever probed", () => {
  const { refused, definitions } = arm([probe("kvm_put_kvm"), probe("do_init_module", { module: null })], {
    buildId: "bb",
    srcversion: null,
  });
  expect(definitions).toEqual(["p:ktally/do_init_module do_init_module"]);
  expect(refused[0]?.text).toMatch(/^the kvm that is loaded is another build/);
});

test("a module that is not loaded yet is armed in advance", () => {
  expect(arm([probe("kvm_put_kvm")], null).definitions).toEqual(["p:ktally/kvm_put_kvm kvm:kvm_put_kvm"]);
});

test("a kernel that takes no probe at all is refused", () => {
  expect(() => arm([probe("no_such_function")])).toThrow(Refusal);
  expect(() => arm([probe("no_such_function")])).toThrow(/the kernel refused it: ENOENT/);
});
