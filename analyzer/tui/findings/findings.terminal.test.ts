import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fixture } from "../../testing/program.js";
import { Terminals } from "../testing/terminal.js";

const SEED0 = fixture("seed0-stale-device-ops-6.1.dat.xz");

let terminals: Terminals;
beforeAll(async () => {
  terminals = await Terminals.open();
});
afterAll(() => terminals.close());

describe("findings", () => {
  it("stand above their story at 80x24", async () => {
    const terminal = terminals.start(["tui", SEED0]);
    const screen = await terminal.shows("stale-ops", "kvm_exit() ran (rmmod 135)", "registered");
    expect(screen.split("\n").filter((row) => row !== "").length).toBe(24);
    terminal.press("J", "J", "J", "J", "J", "J", "J", "J", "J", "J", "J", "J", "J", "J", "J", "J", "J", "J", "J", "J");
    await terminal.shows("fixed by");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });

  it("stand beside their story at 200x60, consequences unfold, words filter", async () => {
    const terminal = terminals.start(["tui", SEED0], { columns: 200, rows: 60 });
    await terminal.shows("▸ proven", /to blame +kvm_exit, while rmmod unloads kvm_amd/, "fixed by");
    terminal.press("l");
    await terminal.shows(/↳ proven +double-registration/);
    terminal.press("j");
    await terminal.shows(/was called for a key that was registered already/);
    terminal.press("/");
    terminal.type("nothing like this");
    await terminal.shows("nothing has these words");
    terminal.press("Escape");
    await terminal.shows(/▾ proven +stale-ops/);
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });

  it("of a database are those of the trace", async () => {
    const db = join(terminals.folder, "seed0.db");
    const made = terminals.shell(
      `${terminals.commandLine("analyze", "--quiet", "--db", db, SEED0)}; echo "[made $?]"; cat`,
    );
    await made.shows("[made 1]");
    const terminal = terminals.start(["tui", db]);
    await terminal.shows("stale-ops", "kvm_exit() ran (rmmod 135)");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });
});
