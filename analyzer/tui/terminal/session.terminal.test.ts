import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fixture } from "../../testing/program.js";
import { themeFor } from "../drawing/theme.js";
import { Terminals, type TestTerminal } from "../testing/terminal.js";

const SEED0 = fixture("seed0-stale-device-ops-6.1.dat.xz");

let terminals: Terminals;
beforeAll(async () => {
  terminals = await Terminals.open();
});
afterAll(() => terminals.close());

/** The terminal is as it was before: its own screen, a cursor, echo, no mouse reports. */
async function expectRestored(terminal: TestTerminal): Promise<void> {
  expect(terminal.fact("alternate_on")).toBe("0");
  expect(terminal.fact("cursor_flag")).toBe("1");
  expect(terminal.fact("wrap_flag")).toBe("1");
  expect(terminal.fact("mouse_any_flag")).toBe("0");
  terminal.type("echoed");
  await terminal.shows("echoed");
}

describe("the terminal is given back", () => {
  it("after quitting", async () => {
    const terminal = terminals.start(["tui", SEED0]);
    await terminal.shows("stale-ops");
    expect(terminal.fact("alternate_on")).toBe("1");
    terminal.press("q");
    await terminal.shows("[ended 0]");
    await expectRestored(terminal);
  });

  it.each([
    ["TERM", 143],
    ["INT", 130],
    ["HUP", 129],
  ])("after SIG%s, with status %d", async (signal, status) => {
    const terminal = terminals.start(["tui", SEED0]);
    await terminal.shows("stale-ops");
    process.kill(terminal.pid(), `SIG${signal}`);
    await terminal.shows(`[ended ${status}]`);
    await expectRestored(terminal);
  });

  it.each(["screen", "timer"])("after an error of a %s that nobody caught, which is told then", async (thrower) => {
    const terminal = terminals.shell(
      `${terminals.programLine("analyzer/tui/testing/failing-session.js")}; echo "[ended $?]"; exec cat`,
    );
    await terminal.shows("fails soon");
    terminal.press(thrower.slice(0, 1));
    await terminal.shows(`thrown by a ${thrower}`, "[ended 3]");
    await expectRestored(terminal);
  });

  it("while it is suspended", async () => {
    const shell = terminals.shell("PS1='$ ' exec bash --norc --noprofile -i");
    await shell.shows("$");
    shell.type(`${terminals.commandLine("tui", SEED0)}\n`);
    await shell.shows("stale-ops", "Story");
    shell.press("C-z");
    await shell.shows("Stopped");
    expect(shell.fact("alternate_on")).toBe("0");
    shell.type("fg\n");
    await shell.shows("stale-ops", "Story");
    shell.press("q");
    await shell.until("is the shell's again", () => shell.fact("alternate_on") === "0");
  });
});

it("a session that somebody stopped goes on whole", async () => {
  const shell = terminals.shell("PS1='$ ' exec bash --norc --noprofile -i");
  await shell.shows("$");
  shell.type(`${terminals.commandLine("tui", SEED0)}\n`);
  await shell.shows("stale-ops", "Story");
  process.kill(shell.pid(), "SIGSTOP");
  await shell.shows("Stopped");
  shell.type("stty sane; fg\n");
  await shell.until("is whole", (screen) => screen.includes("Story") && !/Stopped|stty/.test(screen));
  shell.press("5");
  await shell.shows("Coverage 1/");
  shell.press("q");
  await shell.until("is the shell's again", () => shell.fact("alternate_on") === "0");
});

describe("a terminal", () => {
  it("may be resized", async () => {
    const terminal = terminals.start(["tui", SEED0]);
    await terminal.shows("stale-ops");
    terminal.resize(200, 60);
    await terminal.shows("to blame", "fixed by");
    terminal.resize(60, 20);
    await terminal.until(
      "fits",
      (screen) => /^ 1 Findings .*…$/m.test(screen) && screen.trimEnd().split("\n").length === 20,
    );
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });

  it("has colours, unless NO_COLOR says otherwise", async () => {
    const coloured = terminals.start(["tui", SEED0]);
    await coloured.shows("stale-ops");
    expect(coloured.colours()).toMatch(/\u001b\[(3[0-7]|38;)/);
    coloured.press("q");
    const plain = terminals.start(["tui", SEED0], { env: { NO_COLOR: "1" } });
    await plain.shows("stale-ops");
    expect(plain.colours()).not.toMatch(/\u001b\[[0-9;]*(3[0-7]|4[0-7]|38|48)[;m]/);
    plain.press("q");
  });

  it("has ktally's own colours where it says that its background is light or dark", async () => {
    for (const [colour, background] of [
      ["#ffffff", "light"],
      ["#101010", "dark"],
    ] as const) {
      const { selected } = themeFor("256", background).grounds;
      const terminal = terminals.start(["tui", SEED0], { background: colour });
      await terminal.shows("stale-ops");
      await terminal.until("has its colours", () => terminal.colours().includes(selected));
      // The answer pressed no key.
      expect(terminal.screen()).toContain("Story");
      terminal.press("q");
      await terminal.shows("[ended 0]");
    }
  });

  it("is needed: without one there is a sentence and status 2", async () => {
    const piped = terminals.shell(
      `${terminals.commandLine("tui", SEED0)} 2>&1 | cat; ${terminals.commandLine("tui", SEED0)} >/dev/null; echo "[ended $?]"; cat`,
    );
    await piped.shows("tui needs a terminal; ktally analyze prints", "[ended 2]");
  });
});

describe("beside keys", () => {
  it("the mouse chooses and scrolls, and text is pasted only where it is asked for", async () => {
    const terminal = terminals.start(["tui", SEED0]);
    await terminal.shows("stale-ops", "Story");
    terminal.type("\u001b[<0;58;1M");
    await terminal.shows("Coverage 1/");
    terminal.type("\u001b[<65;5;5M\u001b[<65;5;5M");
    await terminal.shows("Coverage 3/");
    terminal.type("\u001b[200~1q\u001b[201~j");
    await terminal.shows("Coverage 4/");
    terminal.press("1", "/");
    terminal.type("\u001b[200~nothing\rq\u001b[201~");
    await terminal.shows("filter nothing q", "nothing has these words");
    terminal.press("Escape");
    await terminal.shows("Findings 1/1");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });
});

describe("a finding goes", () => {
  it("to the clipboard, as text and as JSON", async () => {
    const terminal = terminals.start(["tui", SEED0]);
    await terminal.shows("stale-ops");
    terminal.press("y");
    await terminal.shows("copied the finding as text");
    await terminal.until("has the text", () => /to blame +kvm_exit/.test(terminal.clipboard()));
    terminal.press("Y");
    await terminal.shows("copied the finding as JSON");
    await terminal.until("has the JSON", () => terminal.clipboard().startsWith("{"));
    expect(JSON.parse(terminal.clipboard())).toMatchObject({ rule: "stale-ops", culprit: { function: "kvm_exit" } });
    terminal.press("q");
  });

  it("to the pager and the editor, and back", async () => {
    const program = join(terminals.folder, "fake");
    writeFileSync(
      program,
      `#!/bin/sh\ncp "$2" ${join(terminals.folder, "seen-")}$1\necho "[$1 has it]"\nread answer\n`,
    );
    chmodSync(program, 0o755);
    const terminal = terminals.start(["tui", SEED0], {
      env: { PAGER: `${program} pager`, EDITOR: `${program} editor` },
    });
    for (const [key, name] of [
      ["v", "pager"],
      ["e", "editor"],
    ] as const) {
      await terminal.shows("stale-ops", "Story");
      terminal.press(key);
      await terminal.shows(`[${name} has it]`);
      expect(terminal.fact("alternate_on")).toBe("0");
      terminal.press("Enter");
      await terminal.until("is ktally's again", () => terminal.fact("alternate_on") === "1");
      expect(readFileSync(join(terminals.folder, `seen-${name}`), "utf8")).toMatch(/stayed registered after kvm_exit/);
    }
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });

  it("nowhere when there is no such program, and that is said", async () => {
    const terminal = terminals.start(["tui", SEED0], { env: { PAGER: "/nonexistent/pager" } });
    await terminal.shows("stale-ops");
    terminal.press("v");
    await terminal.shows("set PAGER to a program that can");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });
});
