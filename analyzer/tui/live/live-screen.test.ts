import { afterAll, beforeAll, expect, it } from "vitest";
import { type Analysis, analyze } from "../../index.js";
import { AuditBrowser } from "../../store/browse/audit-browser.js";
import { fixture } from "../../testing/program.js";
import { plain } from "../drawing/picture.js";
import { LiveScreen } from "./live-screen.js";

let analysis: Analysis;
beforeAll(async () => {
  analysis = await analyze([fixture("kvmuser-leak-6.1.dat.xz")], { keepEvents: true });
});
afterAll(() => analysis.close());

it("what is alive grows older while nothing happens, until the recording is over", () => {
  const audit = new AuditBrowser(analysis.database);
  const { from, to } = audit.recording.span();
  let now: bigint | null = to;
  const screen = new LiveScreen(audit, { words: () => "recording", hold: () => {}, now: () => now });
  const draw = () => plain(screen.draw({ columns: 100, rows: 30 }));
  const atTheLastEvent = draw();
  expect(atTheLastEvent).toContain("virtual machine 0xffffcf5cc0421000");
  now = from + 600_000_000_000n;
  screen.refresh();
  expect(draw()).toMatch(/● 600 s/);
  now = null;
  screen.refresh();
  expect(draw()).toBe(atTheLastEvent);
});
