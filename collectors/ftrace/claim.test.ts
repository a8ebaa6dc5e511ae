import { expect, test } from "vitest";
import { Refusal } from "../refusal.js";
import { claimInstance, cleanRemains } from "./claim.js";
import { FakeTracefs, ROOT } from "./testing/fake-tracefs.js";
import { Tracefs } from "./tracefs.js";

function tracefsWith(...events: string[]) {
  const files = new FakeTracefs(["p:kprobes/mine do_exit", ...events]);
  return { files, tracefs: new Tracefs(ROOT, files) };
}

test("a recorder at work is named, and nothing of its is touched", async () => {
  const { files, tracefs } = tracefsWith("p:ktally/a a");
  tracefs.createInstance();
  const before = files.state();
  const attempt = claimInstance(tracefs, () => [{ pid: process.pid, isReaper: false }]);
  await expect(attempt).rejects.toThrow(Refusal);
  await expect(attempt).rejects.toThrow(new RegExp(`process ${process.pid} \\(.+\\) records already`));
  expect(files.state()).toBe(before);
});

test("a reaper at work is waited for", async () => {
  const { files, tracefs } = tracefsWith("p:ktally/a a");
  tracefs.createInstance();
  let looks = 0;
  await claimInstance(tracefs, () => {
    if (looks++ < 2) return [{ pid: 1, isReaper: true }];
    // It has done its work meanwhile.
    if (looks === 3) {
      tracefs.disarm();
      tracefs.removeInstance();
      tracefs.createInstance();
    }
    return [];
  });
  expect(files.definitions).toEqual(["p:kprobes/mine do_exit"]);
});

test("what a dead recorder left is removed, and only that", async () => {
  const { files, tracefs } = tracefsWith("p:ktally/a a", "r64:ktally/a_ret a");
  tracefs.createInstance();
  await claimInstance(tracefs, () => []);
  expect(files.definitions).toEqual(["p:kprobes/mine do_exit"]);
  expect(files.log.filter((line) => line.startsWith("mkdir"))).toHaveLength(2);
});

test("cleaning says whether there was anything", async () => {
  const { files, tracefs } = tracefsWith();
  expect(await cleanRemains(tracefs, () => [])).toBe(false);
  const before = files.state();
  tracefs.createInstance();
  expect(await cleanRemains(tracefs, () => [])).toBe(true);
  expect(files.state()).toBe(before);
});
