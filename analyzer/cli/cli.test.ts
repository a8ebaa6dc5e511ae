import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { RULES } from "../rules/index.js";
import { buildProgram, type Ended, fixture, start } from "../testing/program.js";
import { run } from "./program.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
function file(name: string, content: string | Buffer): string {
  writeFileSync(path(name), content);
  return path(name);
}

let main = "";
let remove = () => {};
beforeAll(() => {
  ({ main, remove } = buildProgram());
});
afterAll(() => remove());
/** In this process: quicker, where nothing depends on pipes. */
async function ktally(...args: string[]): Promise<Ended> {
  const written = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((chunk, ...rest) => {
      written[name] += String(chunk);
      const done = rest.find((value) => typeof value === "function") as (() => void) | undefined;
      done?.();
      return true;
    }),
  );
  try {
    return { code: await run(args), ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
/** As a process of its own. */
const program = (...args: string[]): Promise<Ended> => start(main, args);

const BUG = fixture("seed0-stale-device-ops-6.1.dat.xz");
const CLEAN = fixture("seq-get-after-zero-healthy.txt");

/** One clear line on standard error, exit 2, nothing on standard output. */
function expectRefusal(ended: Ended, message: RegExp): void {
  expect(ended).toMatchObject({ code: 2, stdout: "" });
  expect(ended.stderr).toMatch(message);
  expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(ended.stderr).not.toMatch(/ {4}at |node:|this is a bug/);
}

describe("analyze ends with", () => {
  it("1 when a bug is found, with the report on standard output", async () => {
    const ended = await program("analyze", BUG);
    expect(ended).toMatchObject({ code: 1, stderr: "" });
    expect(ended.stdout).toMatch(/^1 bug/);
  });

  it("0 when all judged classes are clean", async () => {
    expect(await ktally("analyze", "--class", "kvm", CLEAN)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^No bug found in kvm/),
    });
  });

  it("125 when a class was only partly seen, and 0 where that is allowed", async () => {
    const late = file(
      "late.txt",
      "wl-1 [000] ..... 10.000000: put: (kvm_put_kvm+0x0/0x80 [kvm]) kvm=0xffffca47c0409000 refs=4\n",
    );
    expect((await ktally("analyze", late)).code).toBe(125);
    expect((await ktally("analyze", "--allow-partial", late)).code).toBe(0);
    expect((await ktally("analyze", "--class", "vfio_group", "--allow-partial", late)).code).toBe(125);
  });

  it("what --stuck-after calls stuck", async () => {
    const stuck = fixture("unbind-stuck-5.10.dat.xz");
    expect((await ktally("analyze", stuck)).stdout).toMatch(/does not go away: .* has waited for 16 s/);
    expect((await ktally("analyze", "--stuck-after", "16.9", stuck)).stdout).not.toMatch(/does not go away/);
    expectRefusal(await ktally("analyze", "--stuck-after", "soon", stuck), /Give seconds/);
  });

  it("its code and nothing else under --quiet", async () => {
    expect(await ktally("analyze", "--quiet", BUG)).toEqual({ code: 1, stdout: "", stderr: "" });
  });
});

describe("the classes to judge", () => {
  it("do not swallow the trace behind them, by comma or once each", async () => {
    for (const classes of [
      ["--class", "kvm,kvm_core"],
      ["--class", "kvm", "--class", "kvm_core"],
    ]) {
      const { stdout } = await ktally("analyze", ...classes, "--format", "json", BUG);
      const judged = (JSON.parse(stdout).coverage as { class: string; judged: boolean }[]).filter(
        (entry) => entry.judged,
      );
      expect(judged.map((entry) => entry.class)).toEqual(["kvm", "kvm_core"]);
    }
  });

  it("must be known", async () => {
    expectRefusal(await ktally("analyze", "--class", "nope", BUG), /^ktally: --class nope: there is no such class/);
  });
});

describe("results go where the user wants them", () => {
  it("--format json", async () => {
    const ended = await ktally("analyze", "--format", "json", BUG);
    expect(JSON.parse(ended.stdout)).toMatchObject({ schema: 1, exit: 1 });
  });

  it("--output FILE", async () => {
    expect(await ktally("analyze", "--output", path("report.txt"), BUG)).toEqual({ code: 1, stdout: "", stderr: "" });
    expect(readFileSync(path("report.txt"), "utf8")).toMatch(/^1 bug/);
    expectRefusal(await ktally("analyze", "--output", path("none/x"), BUG), /cannot be written/);
  });

  it("--db FILE, then query", async () => {
    expect((await ktally("analyze", "--quiet", "--db", path("a.db"), BUG)).code).toBe(1);
    expect(await ktally("query", path("a.db"), "SELECT name, generation FROM modules WHERE name = 'kvm_amd'")).toEqual({
      code: 0,
      stdout: "name\tgeneration\nkvm_amd\t1\nkvm_amd\t2\n",
      stderr: "",
    });
    const json = await ktally("query", "--json", path("a.db"), "SELECT first_ns, 9007199254740993 AS big FROM sources");
    expect(JSON.parse(json.stdout)).toEqual({ first_ns: expect.any(Number), big: "9007199254740993" });
    expectRefusal(await ktally("query", path("a.db"), "DROP TABLE events"), /only statements that read/);
    expectRefusal(await ktally("query", path("none.db"), "SELECT 1"), /no such file/);
  });

  it("--db with --keep-all keeps what touches no class, and judges the same", async () => {
    const trace = fixture("noisy-6.1.dat.xz");
    await ktally("analyze", "--quiet", "--db", path("some.db"), trace);
    await ktally("analyze", "--quiet", "--db", path("all.db"), "--keep-all", trace);
    const count = async (db: string) => (await ktally("query", path(db), "SELECT count(*) FROM events")).stdout;
    // 930 records, half of them stacks.
    expect(await count("all.db")).toBe("count(*)\n465\n");
    expect(await count("some.db")).toBe("count(*)\n242\n");
    expect((await ktally("diff", path("some.db"), path("all.db"))).stdout).toMatch(/^0 new, 0 gone/m);
    const verdicts = "SELECT class, state, effects FROM coverage ORDER BY class";
    expect(await ktally("query", path("all.db"), verdicts)).toEqual(await ktally("query", path("some.db"), verdicts));
    expectRefusal(await ktally("analyze", "--keep-all", trace), /--keep-all: name a database/);
  });

  it("a closed pipe is no error", async () => {
    const ended = await start(
      main,
      [
        "query",
        path("a.db"),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT i, hex(zeroblob(50)) FROM n",
      ],
      { head: 100 },
    );
    expect(ended).toMatchObject({ code: 0, stderr: "" });
  });

  it("a closed pipe does not hide a bug", async () => {
    const ended = await start(main, ["analyze", "--format", "json", fixture("create-device-race-6.1.dat.xz")], {
      head: 1,
    });
    expect(ended).toMatchObject({ code: 1, stderr: "" });
  });

  it("no colour where there is no terminal", async () => {
    expect((await program("analyze", BUG)).stdout).not.toMatch(/\u001b/);
  });
});

describe("what is known already", () => {
  const STALE = "stale-ops:kvm_device_ops:kvm_exit";

  it("by a suppression does not count, is named, and takes its consequence with it", async () => {
    const known = file("known.txt", `# ours\n${STALE}\nleak:*:nothing\n`);
    const ended = await ktally("analyze", "--suppressions", known, BUG);
    expect(ended.code).toBe(125);
    expect(ended.stdout).toMatch(/^No bug that is not suppressed was found/);
    expect(ended.stdout).toMatch(new RegExp(`^suppressed\n +2 {2}${STALE}\n`, "m"));
    expect(ended.stderr).toBe(`ktally: ${known}:3: leak:*:nothing suppressed nothing\n`);
    const json = JSON.parse((await ktally("analyze", "--suppressions", known, "--format", "json", BUG)).stdout);
    expect(json.exit).toBe(125);
    expect(json.findings.map((finding: { suppressed_by: string }) => finding.suppressed_by)).toEqual([STALE, STALE]);
    expect((await ktally("analyze", "--allow-partial", "--suppressions", known, BUG)).code).toBe(0);
  });

  it("by a suppression of something else does count", async () => {
    const other = file("other.txt", "stale-ops:kvm_device_ops:kvm_init\n");
    expect((await ktally("analyze", "--quiet", "--suppressions", other, BUG)).code).toBe(1);
  });

  it("by a baseline, JSON or database, does not count; what the baseline lacks does", async () => {
    await ktally("analyze", "--format", "json", "--output", path("bug.json"), BUG);
    await ktally("analyze", "--format", "json", "--output", path("clean.json"), CLEAN);
    await ktally("analyze", "--quiet", "--db", path("bug.db"), BUG);
    expect((await ktally("analyze", "--quiet", "--baseline", path("bug.json"), BUG)).code).toBe(125);
    expect((await ktally("analyze", "--quiet", "--baseline", path("bug.db"), BUG)).code).toBe(125);
    expect((await ktally("analyze", "--quiet", "--baseline", path("clean.json"), BUG)).code).toBe(1);
    // Another recording of the same bug, with other probes.
    const other = fixture("seed0-6.1-stranger.dat.xz");
    expect((await ktally("analyze", "--quiet", "--baseline", path("bug.json"), other)).code).toBe(125);
  });

  it("in a file that is none of ours is told in one line", async () => {
    expectRefusal(await ktally("analyze", "--baseline", CLEAN, BUG), /is neither a JSON report nor a database/);
    expectRefusal(await ktally("analyze", "--baseline", file("x.json", "{ no"), BUG), /is no JSON/);
    expectRefusal(await ktally("analyze", "--baseline", file("y.json", "{}"), BUG), /is no report of ktally/);
    expectRefusal(await ktally("analyze", "--baseline", path("none.json"), BUG), /there is no such file/);
    expectRefusal(await ktally("analyze", "--suppressions", path("none"), BUG), /cannot be read/);
    expectRefusal(await ktally("analyze", "--suppressions", file("z", "leak\n"), BUG), /z:1: "leak" is not rule:/);
  });

  it("diff says what is new, gone and the same, of reports, databases and traces", async () => {
    const added = await ktally("diff", path("clean.json"), path("bug.db"));
    expect(added.code).toBe(1);
    expect(added.stdout).toMatch(
      /^new {3}[0-9a-f]{16} {2}stale-ops · kvm_device_ops · proven {3}.*\n(.*\n)*2 new, 0 gone, 0 the same\n$/,
    );
    const gone = await ktally("diff", path("bug.json"), CLEAN);
    expect(gone).toMatchObject({ code: 0, stdout: expect.stringMatching(/0 new, 2 gone, 0 the same\n$/) });
    const same = await ktally("diff", "--format", "json", path("bug.json"), BUG);
    expect(same.code).toBe(0);
    expect(JSON.parse(same.stdout)).toMatchObject({ new: [], gone: [], same: [{ rule: "stale-ops" }, {}] });
    expectRefusal(await ktally("diff", path("none"), BUG), /there is no such file/);
  });
});

describe("input", () => {
  it("may come from standard input", async () => {
    const ended = await start(main, ["analyze", "--class", "kvm", "-"], { input: readFileSync(CLEAN) });
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect((await start(main, ["analyze", "--quiet", "-"], { input: readFileSync(BUG) })).code).toBe(1);
  });

  it.each([
    ["a missing file", () => path("missing.dat"), /missing\.dat: there is no such file/],
    ["an empty file", () => file("empty", ""), /is empty/],
    ["a directory", () => folder, /is a directory/],
    ["what is no trace", () => file("notes.md", "# Notes\n\nnothing here\n"), /format is not known/],
    ["a header without events", () => file("cut.dat", readFileSync(BUG).subarray(0, 600)), /cut\.dat: /],
  ])("that is %s is told in one line", async (_, make, message) => {
    expectRefusal(await program("analyze", make()), message);
  });

  it("with a name that would write on the terminal is shown harmlessly", async () => {
    expectRefusal(await ktally("analyze", path("\u001b[2Jx")), /\\e\[2Jx: there is no such file/);
  });
});

describe("wrong use", () => {
  it.each([
    [[], /Usage: ktally/],
    [["nothing"], /unknown command 'nothing'/],
    [["analyze"], /missing required argument 'file'/],
    [["analyze", "--format", "xml", "x"], /Allowed choices are html, json, junit, sarif, text/],
    [["analyze", "--nothing", "x"], /unknown option '--nothing'/],
    [["explain", "nothing"], /there is no rule nothing/],
    [["catalog", "show", "nothing"], /there is no class nothing/],
    [["analyze", "--catalog", "/nothing.yaml", "x"], /nothing\.yaml: cannot be read/],
    [["catalog", "check", "/nothing.yaml"], /nothing\.yaml: cannot be read/],
  ])("%j", async (args, message) => {
    const ended = await ktally(...args);
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).toMatch(message);
    expect(ended.stderr).not.toMatch(/this is a bug/);
  });
});

describe("what ktally knows", () => {
  it("explain lists every rule, and prints the page of each", async () => {
    const { stdout } = await ktally("explain");
    for (const { meta } of RULES) expect(stdout).toContain(`${meta.id} `);
    for (const { meta } of RULES) {
      const page = await ktally("explain", meta.id);
      expect(page).toMatchObject({ code: 0, stderr: "" });
      expect(page.stdout).toMatch(new RegExp(`^${meta.id}: `));
      expect(page.stdout).toContain("Not accused:");
      expect(page.stdout).toContain("Example, of a kernel that ran");
    }
  });

  it("catalog lists, shows and checks", async () => {
    expect((await ktally("catalog", "list")).stdout).toMatch(/^kvm +virtual machine$/m);
    expect((await ktally("catalog", "show", "kvm_core")).stdout).toContain("class: kvm_core");
    const broken = file("broken.yaml", "class: a\ntitle: A\nkind: thing\n");
    expect((await ktally("catalog", "check", broken)).stderr).toContain("broken.yaml:3:1: kind: Invalid option");
    const fine = file("fine.yaml", "class: a\ntitle: A\nkind: object\n");
    expect(await ktally("catalog", "check", fine)).toMatchObject({ code: 0 });
  });

  it("formats, --version, --help", async () => {
    expect((await ktally("formats")).stdout).toContain("trace.dat");
    expect((await ktally("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await ktally("--help")).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("a large audit that is kept", () => {
  it("is written by a thread of its own, as it would be without one", async () => {
    const lines = Array.from({ length: 9000 }, (_, index) => {
      const [site, refs, delta] = index % 2 === 0 ? ["kvm_vm_ioctl+0xcde", 1, 1] : ["kvm_put_kvm+0x11", 2, -1];
      const time = `10.${String(index * 10).padStart(6, "0")}`;
      return `wl-1 [000] d.Z.. ${time}: uc: (${site}/0x13a0 [kvm]) kvm=0xffffca47c0409000 refs=${refs} delta=${delta}\n`;
    });
    const trace = file("large.txt", lines.join(""));
    const quiet = ["analyze", trace, "--quiet", "--db"];
    expect(await program(...quiet, path("thread.db"))).toMatchObject({ code: 0, stderr: "" });
    expect((await ktally(...quiet, path("here.db"))).code).toBe(0);
    for (const table of ["events", "story", "objects", "tasks"]) {
      const rows = async (db: string) => (await ktally("query", path(db), `SELECT * FROM ${table}`)).stdout;
      const here = await rows("here.db");
      expect(here).not.toBe("");
      expect(await rows("thread.db")).toBe(here);
    }
  });
});

describe("import --explain", () => {
  const folder = fixture("one-run-perf");

  it("says what a file is, how each probe is known, and what to record", async () => {
    const { code, stdout } = await ktally("import", "--explain", `${folder}/perf-probe.data.xz`);
    expect(code).toBe(0);
    expect(stdout).toMatch(/perf-probe\.data\.xz: perf\.data \(zstd\)\n {2}Linux 6\.1\.0-56-amd64, clock perf/);
    expect(stdout).toContain("22 events, 22 relevant, nothing lost");
    expect(stdout).toMatch(/probe:kvm_put_kvm +3 +kvm put +by its name/);
    expect(stdout).toMatch(/ktally probes --class kvm,kvm_device_ops\n$/);
  });

  it("with symbols beside it, by them", async () => {
    const { stdout } = await ktally("import", "--explain", `${folder}/perf.data.xz`, `${folder}/kallsyms.txt.xz`);
    expect(stdout).toMatch(/lab:kvm_kvm_put_kvm_11 +\d+ +kvm get or put +kvm_put_kvm\+0x11 in kvm, by its address/);
    expect(stdout).not.toContain("a copy of /proc/kallsyms");
  });

  it("names the probes that nobody understands", async () => {
    const text = "  work-1 [000] 1.000001: p1: (ffffffffc0362640) a=0x1\n";
    const { stdout } = await ktally("import", "--explain", file("unknown.txt", text.repeat(3)));
    expect(stdout).toMatch(/not understood +events +tells +function\n +p1 +3 +0xffffffffc0362640: no symbol/);
    expect(stdout).toContain("a copy of /proc/kallsyms");
  });

  it("symbols alone are no trace, and import alone does nothing", async () => {
    expectRefusal(await ktally("import", "--explain", `${folder}/kallsyms.txt.xz`), /holds symbols only/);
    expectRefusal(await ktally("import", `${folder}/perf.data.xz`), /--explain/);
  });
});

describe("traces of two kernels", () => {
  it("are not audited as one", async () => {
    const other = fixture("clean-5.10.dat.xz");
    expectRefusal(await ktally("analyze", BUG, other), /recorded on Linux 5\.10.*analyze each by itself/);
  });
});
