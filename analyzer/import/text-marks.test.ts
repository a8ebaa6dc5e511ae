import { expect, test } from "vitest";
import { readMark } from "./text-marks.js";

test.each([
  ["CPU:1 [LOST 12 EVENTS]", { kind: "loss", code: "lost-events", cpu: 1, lost: 12 }],
  ["CPU:1 [LOST EVENTS]", { kind: "loss", code: "lost-events", cpu: 1, lost: null }],
  ["CPU:7 [204600 EVENTS DROPPED]", { kind: "loss", code: "lost-events", cpu: 7, lost: 204600 }],
  ["CPU:0 [EVENTS DROPPED]", { kind: "loss", code: "lost-events", cpu: 0, lost: null }],
  ["##### CPU 3 buffer started ####", { kind: "loss", code: "overwritten", cpu: 3, lost: null }],
  [
    "# entries-in-buffer/entries-written: 69657/223807   #P:2",
    { kind: "loss", code: "overwritten", cpu: null, lost: 154150 },
  ],
  ["# entries-in-buffer/entries-written: 4/4   #P:2", { kind: "comment" }],
  ["# tracer: nop", { kind: "capture" }],
  ["cpus=8", { kind: "capture" }],
  ["reload-7.2.dat: cpus=2", { kind: "capture" }],
  ["CPU 3 is empty", { kind: "comment" }],
  ["CPU:1 [SUBBUFFER START]", { kind: "comment" }],
  ["          insmod-134   [001]    53.1131", { kind: "torn" }],
  [" gid=4", null],
])("%s", (line, mark) => {
  expect(readMark(line)).toEqual(mark);
});
