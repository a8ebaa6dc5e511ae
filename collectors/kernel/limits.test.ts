import { expect, test } from "vitest";
import type { PlannedProbe } from "../plan.js";
import { withinLimits } from "./limits.js";

function probe(event: string, args: PlannedProbe["arguments"] = []): PlannedProbe {
  return {
    event,
    kind: "kprobe",
    module: "kvm",
    symbol: event,
    offset: 0,
    function: event,
    classes: [],
    site: null,
    arguments: args,
    filter: null,
    rate: "rare",
  };
}

test("Each event has a name of its own, of letters that ftrace takes, and no longer than it takes", () => {
  const long = "vfio_".repeat(20);
  const { kept } = withinLimits([probe("release"), probe("release"), probe("remove.isra.0"), probe(long), probe(long)]);
  expect(kept.map(({ event }) => event)).toEqual([
    "release",
    "release_2",
    "remove_isra_0",
    long.slice(0, 63),
    `${long.slice(0, 61)}_2`,
  ]);
});

test("What ftrace would refuse is left out and told", () => {
  const deep = `+0x10(${"+0x10(".repeat(10)}%di${")".repeat(11)}`;
  const { kept, dropped } = withinLimits([
    probe("f", [
      { name: "kvm", fetch: "%di", type: "x64" },
      { name: "deep", fetch: deep, type: "x64" },
      { name: "common_pid", fetch: "%si", type: "u32" },
    ]),
  ]);
  expect(kept[0]?.arguments.map(({ name }) => name)).toEqual(["kvm"]);
  expect(dropped.map(({ argument }) => argument)).toEqual(["deep", "common_pid"]);
});

test("A tracepoint that two classes want is recorded once", () => {
  const tracepoint = { ...probe("module_load"), kind: "tracepoint" as const, module: "module" };
  expect(withinLimits([tracepoint, tracepoint]).kept).toHaveLength(1);
});
