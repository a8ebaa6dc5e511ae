import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import BetterSqlite from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Analysis, analyze } from "../index.js";
import { fixture } from "../testing/program.js";
import { drawn } from "../testing/text.js";
import { AuditView } from "./audit-view.js";
import { createAuditDatabase, openAuditDatabase, UnusableDatabase } from "./database.js";
import { runQuery } from "./query.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-store-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

function file(name: string, text: string): string {
  writeFileSync(path(name), drawn(text));
  return path(name);
}

const TRACE = file(
  "kvm.txt",
  `wl-115 [000] d.Z.. 10.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) kvm=0xffffca47c0409000 refs=1 delta=1
   wl-115 [000] d.Z.. 10.010000: uc: (kvm_put_kvm+0x11/0x80 [kvm]) kvm=0xffffca47c0409000 refs=2 delta=-1
   wl-115 [000] d.Z.. 10.020000: uc: (kvm_vcpu_release+0x1b/0x40 [kvm]) kvm=0xffffca47c0409000 refs=1 delta=-1
   wl-115 [000] ..... 10.020050: destroy: (kvm_destroy_vm+0x0/0x3d0 [kvm]) kvm=0xffffca47c0409000`,
);

async function made(name: string, ...traces: string[]): Promise<string> {
  (await analyze(traces.length > 0 ? traces : [TRACE], { db: path(name) })).close();
  return path(name);
}

function rows(db: string, sql: string): unknown[][] {
  const database = openAuditDatabase(db);
  try {
    return [...runQuery(database, sql).rows];
  } finally {
    database.close();
  }
}

describe("a written audit", () => {
  it("reads back as it was", async () => {
    const analysis = await analyze([TRACE], { db: path("a.db") });
    const now = [
      analysis.view.coverage(),
      analysis.view.findings(),
      [...analysis.view.objects()],
      analysis.view.sources(),
    ];
    const exit = analysis.exit;
    analysis.close();
    const database = openAuditDatabase(path("a.db"));
    const view = new AuditView(database);
    expect([view.coverage(), view.findings(), [...view.objects()], view.sources()]).toEqual(now);
    expect(Number(view.meta("exit"))).toBe(exit);
    database.close();
  });

  it("keeps times and addresses beyond 2^53 exactly", async () => {
    const late = file(
      "late.txt",
      `wl-1 [000] d.Z.. 9007199254.740993: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) kvm=0xffffca47c0409001 refs=1 delta=1
       wl-1 [000] d.Z.. 9007199254.740995: uc: (kvm_put_kvm+0x11/0x80 [kvm]) kvm=0xffffca47c0409001 refs=2 delta=-1`,
    );
    const db = await made("late.db", late);
    expect(rows(db, "SELECT time_ns, a0 FROM events WHERE id = 1")).toEqual([
      [9007199254740993000n, BigInt.asIntN(64, 0xffffca47c0409001n)],
    ]);
    expect(rows(db, "SELECT printf('0x%x', address) FROM objects")).toEqual([["0xffffca47c0409001"]]);
    const database = openAuditDatabase(db);
    expect([...new AuditView(database).objects()][0]?.address).toBe(0xffffca47c0409001n);
    database.close();
  });

  it("replaces the one that was there", async () => {
    await made("twice.db");
    const before = rows(path("twice.db"), "SELECT * FROM story");
    await made("twice.db");
    expect(rows(path("twice.db"), "SELECT * FROM story")).toEqual(before);
  });

  it("is not given up for a trace that cannot be read", async () => {
    await made("kept.db");
    await expect(analyze([path("missing.txt")], { db: path("kept.db") })).rejects.toThrow(/no such file/);
    expect(rows(path("kept.db"), "SELECT count(*) FROM objects")).toEqual([[1n]]);
  });

  it("is told to be incomplete when its import was interrupted", async () => {
    const stop = new AbortController();
    stop.abort();
    await expect(analyze([TRACE], { db: path("cut.db"), signal: stop.signal })).rejects.toThrow();
    expect(() => openAuditDatabase(path("cut.db"))).toThrow(/import was interrupted/);
    await made("cut.db");
    expect(rows(path("cut.db"), "SELECT count(*) FROM objects")).toEqual([[1n]]);
  });
});

describe("what is no audit", () => {
  it("another program's database stays as it is", () => {
    const other = new BetterSqlite(path("other.db"));
    other.exec("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)");
    other.close();
    const bytes = readFileSync(path("other.db"));
    expect(() => createAuditDatabase(path("other.db"))).toThrow(/another program's database/);
    expect(() => openAuditDatabase(path("other.db"))).toThrow(/not a ktally database/);
    expect(readFileSync(path("other.db")).equals(bytes)).toBe(true);
  });

  it("a file that is no database stays as it is", () => {
    const bytes = readFileSync(TRACE);
    expect(() => createAuditDatabase(TRACE)).toThrow(/is no database/);
    expect(() => openAuditDatabase(TRACE)).toThrow(/is no database/);
    expect(readFileSync(TRACE).equals(bytes)).toBe(true);
  });

  it("a folder that does not exist, a folder, a missing file", () => {
    expect(() => createAuditDatabase(path("none/x.db"))).toThrow(/folder does not exist/);
    expect(() => createAuditDatabase(folder)).toThrow(/is a directory/);
    expect(() => openAuditDatabase(folder)).toThrow(/is a directory/);
    expect(() => openAuditDatabase(path("none.db"))).toThrow(/no such file/);
    expect(existsSync(path("none.db"))).toBe(false);
  });

  it("a folder that cannot be written", () => {
    if (process.getuid?.() === 0) return;
    chmodSync(folder, 0o500);
    try {
      expect(() => createAuditDatabase(path("new.db"))).toThrow(/cannot be written/);
    } finally {
      chmodSync(folder, 0o700);
    }
  });

  it("an audit of another schema says which", async () => {
    const db = await made("old.db");
    const old = new BetterSqlite(db);
    old.pragma("user_version = 99");
    old.close();
    expect(() => openAuditDatabase(db)).toThrow(/has schema 99, this ktally reads \d+/);
  });
});

describe("SQL of the user's own", () => {
  let db = "";
  beforeAll(async () => {
    db = await made("sql.db");
  });

  it.each([
    ["DELETE FROM events", /only statements that read/],
    ["SELECT 1; SELECT 2", /cannot be run/],
    ["", /cannot be run/],
    ["SELECT nowhere", /no such column: nowhere/],
    ["SELECT abs(-9223372036854775807 - 1)", /integer overflow/],
    ["SELECT json(comm) FROM tasks", /malformed JSON/],
    ["ATTACH DATABASE 'x.db' AS x", /only statements that read/],
    ["PRAGMA user_version = 7", /only statements that read|readonly|cannot be run/],
  ])("%s is refused in a sentence", (sql, expected) => {
    expect(() => rows(db, sql)).toThrow(UnusableDatabase);
    expect(() => rows(db, sql)).toThrow(expected);
  });
});

describe("the views on the bundled recording", () => {
  let analysis: Analysis;
  const all = (sql: string) => analysis.database.prepare(sql).safeIntegers().all() as Record<string, unknown>[];
  beforeAll(async () => {
    analysis = await analyze([fixture("seed0-stale-device-ops-6.1.dat.xz")], { db: path("seed0.db") });
  });
  afterAll(() => analysis.close());

  it("modules: every load, in order", () => {
    expect(
      all(
        "SELECT name, generation, loaded_ns IS NULL AS older, freed_ns > loaded_ns AS freed FROM modules ORDER BY id",
      ),
    ).toEqual([
      { name: "kvm", generation: 1n, older: 1n, freed: null },
      { name: "ccp", generation: 1n, older: 1n, freed: null },
      { name: "kvm_amd", generation: 1n, older: 0n, freed: 1n },
      { name: "kvm_amd", generation: 2n, older: 0n, freed: 1n },
    ]);
  });

  it("timeline: named events in order of time", () => {
    const rows = all("SELECT * FROM timeline ORDER BY id");
    expect(rows.length).toBeGreaterThan(10);
    expect(
      rows.every(
        (row, index) => index === 0 || (row.time_ns as bigint) >= ((rows[index - 1] as typeof row).time_ns as bigint),
      ),
    ).toBe(true);
    expect(new Set(rows.map((row) => row.comm))).toContain("insmod");
  });

  it("story and balance: module references come to what is left", () => {
    const net = all("SELECT class, SUM(net) AS net, SUM(gets) - SUM(puts) AS diff FROM balance GROUP BY class");
    expect(net.every((row) => row.net === row.diff)).toBe(true);
    const stories = all("SELECT object, count(*) AS n FROM story GROUP BY object");
    expect(stories.length).toBe(all("SELECT DISTINCT object FROM ledger").length);
  });

  it("findings come with their evidence, and a consequence points to its root", () => {
    const [root, consequence] = analysis.view.findings();
    expect(root?.evidence.map((event) => event.function)).toContain("kvm_exit");
    expect(consequence?.consequence_of).toBe(root?.id);
  });
});
