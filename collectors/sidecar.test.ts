import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Recording } from "./recording.js";
import { readRecording, writeRecording } from "./sidecar.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-sidecar-"));
afterAll(() => rmSync(folder, { recursive: true }));

const recording: Recording = {
  schema: 1,
  version: "0.1.0",
  backend: "trace-cmd",
  clock: "mono",
  plan: { schema: 1, kernel: { release: "6.1", buildId: null }, modules: {}, probes: [], classes: [] },
  unarmed: [],
  bufferKb: 1024,
  startedNs: "9007199254740993",
  endedNs: null,
  counts: {},
  losses: [],
  modules: [],
  command: null,
  settled: null,
  openBefore: [],
  openAfter: [],
  allProcessesSeen: true,
};

test("a recording is found beside its trace, packed or not", () => {
  const trace = join(folder, "a.dat");
  writeRecording(trace, recording);
  expect(readRecording(trace)).toEqual(recording);
  expect(readRecording(`${trace}.xz`)).toEqual(recording);
  expect(readRecording(join(folder, "b.dat"))).toBeNull();
  expect(readRecording("-")).toBeNull();
});

test.each([
  ["no JSON", "{", /JSON/],
  ["another version", JSON.stringify({ ...recording, schema: 2 }), /x\.dat\.ktally\.json: schema: /],
  ["times that are no numbers", JSON.stringify({ ...recording, startedNs: "soon" }), /startedNs: must be decimal/],
  [
    "probes that are none",
    JSON.stringify({ ...recording, plan: { ...recording.plan, probes: [7] } }),
    /plan\.probes\.0/,
  ],
])("%s is an error that says where", (_, text, message) => {
  const trace = join(folder, "x.dat");
  writeFileSync(`${trace}.ktally.json`, text);
  expect(() => readRecording(trace)).toThrow(message);
});
