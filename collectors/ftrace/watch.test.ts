import { expect, test } from "vitest";
import type { ModuleBuild } from "../modules.js";
import type { PlannedProbe, ProbePlan } from "../plan.js";
import { renderKprobeEvent } from "./kprobe-events.js";
import { FakeTracefs, ROOT } from "./testing/fake-tracefs.js";
import { Tracefs } from "./tracefs.js";
import { Watch } from "./watch.js";

const PLANNED: ModuleBuild = { buildId: "aa", srcversion: null };

function probe(event: string, module: string | null = "kvm"): PlannedProbe {
  return {
    event,
    kind: "kprobe",
    module,
    symbol: event,
    offset: 0,
    function: event,
    classes: ["kvm"],
    site: null,
    arguments: [],
    filter: null,
    rate: "per-object",
  };
}

/** A recording of three probes on a kernel whose clock and modules the test sets. */
function watched(limit = 1000) {
  const probes = [probe("hot"), probe("warm"), probe("builtin", null)];
  const plan: ProbePlan = {
    schema: 1,
    kernel: { release: "6.1", buildId: null },
    modules: { kvm: PLANNED },
    probes,
    classes: [],
  };
  const files = new FakeTracefs(probes.map(renderKprobeEvent));
  const tracefs = new Tracefs(ROOT, files);
  tracefs.createInstance();
  files.log.length = 0;
  const host = { time: 0n, build: PLANNED as ModuleBuild | null, marks: [] as string[] };
  const watch = new Watch(tracefs, {
    plan,
    limit,
    now: () => host.time,
    buildOf: () => host.build,
    mark: (text) => host.marks.push(text),
  });
  const look = (seconds: number, hits: Record<string, number>) => {
    host.time += BigInt(seconds * 1e9);
    for (const one of probes) files.hits.set(renderKprobeEvent(one), { hits: hits[one.event] ?? 0, missed: 0 });
    watch.look();
  };
  return { watch, look, files, host };
}

test("the hottest probe is switched off when all together are too hot, and the trace says so", () => {
  const { watch, look, files, host } = watched();
  look(1, { hot: 500, warm: 400 });
  expect(files.log).toEqual([]);
  look(1, { hot: 2500, warm: 800 });
  expect(files.log).toEqual(["write instances/ktally/events/ktally/hot/enable 0"]);
  expect(watch.unarmed).toEqual([
    {
      event: "hot",
      why: "guard",
      text: "2000 hits per second, 2400 of all probes: more than 1000 in all",
      atNs: "2000000000",
    },
  ]);
  expect(host.marks).toEqual([`ktally: hot is switched off: ${watch.unarmed[0]!.text}`]);
  look(1, { hot: 2500, warm: 1200 });
  expect(watch.unarmed).toHaveLength(1);
});

test("hits before a module's reload are kept: the kernel counts anew", () => {
  const { watch, look } = watched();
  look(1, { hot: 30, warm: 5 });
  look(1, { hot: 2, warm: 5, builtin: 1 });
  expect(watch.counts()).toEqual({
    hot: { hits: 32, missed: 0 },
    warm: { hits: 5, missed: 0 },
    builtin: { hits: 1, missed: 0 },
  });
  expect(watch.hits()).toBe(38);
});

test("another build of a module: its probes are switched off, those of the kernel proper are not", () => {
  const { watch, look, files, host } = watched();
  look(1, {});
  host.build = null;
  look(1, {});
  host.build = { buildId: "bb", srcversion: null };
  look(1, {});
  look(1, {});
  expect(watch.modules.map(({ build }) => build)).toEqual(["planned", "absent", "other"]);
  expect(files.log).toEqual([
    "write instances/ktally/events/ktally/hot/enable 0",
    "write instances/ktally/events/ktally/warm/enable 0",
  ]);
  expect(host.marks).toEqual(["ktally: kvm is another build than planned for: its probes are switched off"]);
  host.build = PLANNED;
  look(1, {});
  expect(files.log.slice(2)).toEqual([
    "write instances/ktally/events/ktally/hot/enable 1",
    "write instances/ktally/events/ktally/warm/enable 1",
  ]);
});

test("probes that the kernel refused cannot be switched", () => {
  const { look, files, host } = watched();
  files.definitions.length = 0;
  host.build = { buildId: "bb", srcversion: null };
  look(1, {});
  expect(files.log).toEqual([]);
});

test("the same build comes back: nothing happens", () => {
  const { watch, look, files, host } = watched();
  look(1, {});
  host.build = null;
  look(1, {});
  host.build = PLANNED;
  look(1, {});
  expect(watch.modules.map(({ build }) => build)).toEqual(["planned", "absent", "planned"]);
  expect(files.log).toEqual([]);
});
