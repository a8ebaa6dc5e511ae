/** Every screen, as its user sees it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fixture } from "../testing/program.js";
import { Terminals } from "./testing/terminal.js";

let terminals: Terminals;
beforeAll(async () => {
  terminals = await Terminals.open();
});
afterAll(() => terminals.close());

const SIZES = [
  { columns: 80, rows: 24 },
  { columns: 200, rows: 60 },
];

describe.each(SIZES)("at $columns columns", (size) => {
  it("an object: its counter as a line, its events, a stack on demand, jumps", async () => {
    const terminal = terminals.start(["tui", fixture("kvmuser-leak-6.1.dat.xz")], size);
    await terminal.shows("leak");
    terminal.press("Enter");
    await terminal.shows("alive · refs 1", /2┤.*╺━+┛/, /○ 48\.801953 .*kvm_put_kvm +put +2→1/);
    terminal.press("g");
    await terminal.shows("Events 1/5");
    terminal.press("c");
    await terminal.shows("Events 3/5");
    if (size.columns < 100) terminal.press("Enter");
    await terminal.shows("← kvmuser_open_device", "● 48.766874");
    terminal.press("u");
    await terminal.shows("Events 3/5");
    terminal.press("x");
    await terminal.shows("no events were lost while it lived");
    terminal.press("+");
    await terminal.shows("◂ 260 ms ▸");
    terminal.press("Escape");
    await terminal.shows("Story");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });

  it("objects as lanes, class by class", async () => {
    const terminal = terminals.start(["tui", fixture("healthy-random-01-7.2.dat.xz")], size);
    await terminal.shows("Findings");
    terminal.press("2");
    await terminal.shows("Objects kvm 1/5", /0xffff[0-9a-f]+ +refs 0 +┣━+┫/);
    terminal.press("]");
    await terminal.shows("Objects kvm_device 1/3");
    terminal.press("[", "z");
    await terminal.shows("Objects kvm 1/5", "zoomed");
    terminal.press("Enter");
    await terminal.shows("Events 1/");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });

  it("the balance by call site: what is left is on top, stacks unfold", async () => {
    const terminal = terminals.start(["tui", fixture("kvmuser-leak-6.1.dat.xz")], size);
    await terminal.shows("leak");
    terminal.press("3");
    await terminal.shows("Balance all classes", /\+1 +▾ kvm/, /get kvm_get_kvm/);
    terminal.press("+");
    await terminal.shows(/×[0-9]+ ┌ kvm/);
    terminal.press("1", "Enter");
    await terminal.shows("alive · refs 1");
    terminal.press("b");
    await terminal.shows("Balance virtual machine 0xffffcf5cc0421000");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });

  it("registrations within the lives of their owners, and the one that sticks out", async () => {
    const terminal = terminals.start(["tui", fixture("seed0-6.1.dat.xz")], size);
    await terminal.shows("stale-ops");
    terminal.press("4");
    await terminal.shows(/kvm_amd #1 +┣━+┫/, /● kvm_device_ops 4.*┫━*▶/);
    terminal.press("n");
    await terminal.shows("its owner ended first");
    terminal.press("1", "Enter");
    await terminal.shows("owner kvm_core #", "its owner ended first");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });

  it("coverage, and what to record next", async () => {
    const terminal = terminals.start(["tui", fixture("seed0-6.1.dat.xz")], size);
    await terminal.shows("stale-ops");
    terminal.press("5");
    await terminal.shows(
      /◐ kvm_device_ops +partial/,
      "kvm_unregister_device_ops never fired",
      "no loss is declared",
      "CPU   1",
    );
    terminal.press("v");
    await terminal.shows("to see more");
    terminal.press("q");
    await terminal.shows("Coverage 1/");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });

  it("search by address, pid, task and function", async () => {
    const terminal = terminals.start(["tui", fixture("kvmuser-leak-6.1.dat.xz")], size);
    await terminal.shows("leak");
    terminal.press("6", "/");
    terminal.type("0421000");
    await terminal.shows("virtual machine 0xffffcf5cc0421000");
    terminal.press("C-u");
    terminal.type("kvm_put");
    await terminal.shows(/function +kvm_put_kvm\+0x11/);
    terminal.press("C-u");
    terminal.type("194");
    terminal.press("Enter", "Enter");
    await terminal.shows(/sh 194 1\/[0-9]+/, /kvm_arch_init_vm kvm=0xffffcf5cc0421000 refs=1/);
    terminal.press("j", "j", "Enter");
    await terminal.shows("alive · refs 1", "Events 1/5");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });

  it("SQL of one's own, and what is wrong with it", async () => {
    const terminal = terminals.start(["tui", fixture("kvmuser-leak-6.1.dat.xz")], size);
    await terminal.shows("leak");
    terminal.press("7", ":");
    terminal.type("SELECT class, refs_last FROM objects WHERE state = 'alive'\n");
    await terminal.shows(/kvm +1/, "1/");
    terminal.press(":", "C-u");
    terminal.type("DELETE FROM events\n");
    await terminal.shows("only statements that read are allowed");
    // One without an end: the screen goes on meanwhile, and it goes with us.
    for (const isStopped of [true, false]) {
      terminal.press(":", "C-u");
      terminal.type("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n\n");
      await terminal.shows("running; esc stops it");
      terminal.press("?");
      await terminal.shows("Help: SQL");
      terminal.press("Escape");
      await terminal.shows("running; esc stops it");
      if (!isStopped) continue;
      terminal.press("Escape");
      await terminal.shows("stopped", "then one SELECT");
    }
    terminal.press("q");
    await terminal.shows("[ended 0]");
    expect(terminal.processes("UNION ALL SELECT x + 1")).toEqual([]);
  });

  it("help says every key of the screen it was asked on", async () => {
    const terminal = terminals.start(["tui", fixture("seed0-6.1.dat.xz")], size);
    await terminal.shows("stale-ops");
    terminal.press("?");
    await terminal.shows("Help: Findings", "show only lines with these words");
    terminal.press("G");
    await terminal.shows("suspend ktally");
    terminal.press("Escape");
    await terminal.shows("Story");
    terminal.press("2", "?");
    await terminal.shows("Help: Objects", "objects of the next class");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });
});
