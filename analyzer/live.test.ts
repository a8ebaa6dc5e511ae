import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, expect, it } from "vitest";
import { defaultCatalog } from "../collectors/catalog/default.js";
import { openTrace } from "./import/registry.js";
import { replayed } from "./import/replay.js";
import type { TraceReader } from "./import/trace-event.js";
import { analyze } from "./index.js";
import { watchAudit } from "./live.js";
import { openAuditDatabase } from "./store/database.js";
import { fixture } from "./testing/program.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-live-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Everything that a database holds, in words. */
const CONTENTS = [
  "SELECT * FROM story ORDER BY event, object, function",
  "SELECT * FROM objects ORDER BY id",
  "SELECT * FROM registrations ORDER BY id",
  "SELECT * FROM coverage ORDER BY class",
  "SELECT rule, verdict, title, explanation, culprit FROM findings ORDER BY id",
  "SELECT finding, seq, call, note FROM evidence ORDER BY finding, seq",
  "SELECT object, kind, what, count FROM holders ORDER BY object, kind, what",
  "SELECT class, count FROM creations ORDER BY class",
  "SELECT operation, stack, count FROM balance_counts ORDER BY operation, stack",
  "SELECT value FROM meta WHERE key IN ('state', 'exit') ORDER BY key",
];

function contents(db: string): unknown[] {
  const database = openAuditDatabase(db);
  try {
    return CONTENTS.map((sql) => database.prepare(sql).safeIntegers().all());
  } finally {
    database.close();
  }
}

/** Hands over a few items at a time, so that many snapshots fall in between. */
function inPieces(reader: TraceReader, size: number): TraceReader {
  return {
    facts: reader.facts,
    async *read(wants) {
      for await (const batch of reader.read(wants)) {
        for (let at = 0; at < batch.length; at += size) yield batch.slice(at, at + size);
      }
    },
    close: () => reader.close(),
  };
}

it.each(["seed0-6.1", "kvmuser-leak-6.1", "healthy-random-01-7.2", "healthy-threads-vm-6.12"])(
  "%s: an audit that was watched comes to the same as one that was not",
  async (name) => {
    const trace = fixture(`${name}.dat.xz`);
    const whole = join(folder, `${name}.db`);
    const watched = join(folder, `${name}-watched.db`);
    const analysis = await analyze([trace], { db: whole });
    analysis.close();
    const exit = await watchAudit(async () => inPieces(await openTrace(trace), 7), {
      catalog: defaultCatalog(),
      classes: null,
      db: watched,
      signal: new AbortController().signal,
      every: 0,
    });
    expect(exit).toBe(analysis.exit);
    expect(contents(watched)).toEqual(contents(whole));
  },
);

it("an audit that is stopped keeps what had come", async () => {
  const stop = new AbortController();
  stop.abort();
  const db = join(folder, "stopped.db");
  const open = async () => replayed(await openTrace(fixture("seed0-6.1.dat.xz")), 1, stop.signal);
  await watchAudit(open, { catalog: defaultCatalog(), classes: null, db, signal: stop.signal });
  const database = openAuditDatabase(db);
  expect(database.prepare("SELECT count(*) FROM findings").pluck().get()).toBe(0);
  database.close();
});

it("a stream that falls silent shows what is alive, and since when", async () => {
  const stream = new PassThrough();
  const stop = new AbortController();
  const db = join(folder, "silent.db");
  const open = () => openTrace("-", stream);
  const audit = watchAudit(open, { catalog: defaultCatalog(), classes: null, db, signal: stop.signal, every: 0 });
  // The recorder sends a head before there is any event.
  stream.write("# tracer: nop\n#\n");
  stream.write(
    "            work-322     [001] .....    56.382528: kvm_create: (kvm_arch_init_vm+0x0/0x40 [kvm]) kvm=0xffffcd4600705000\n" +
      "            work-322     [001] .....    56.383750: kvm_created: (kvm_dev_ioctl+0x1f4/0xb30 [kvm] <- kvm_arch_init_vm) ret=0\n",
  );
  const database = openAuditDatabase(db, true);
  const shown = () => {
    const rows = database.prepare(
      "SELECT class, state, first_ns, last_ns FROM objects, sources WHERE sources.relevant = 2",
    );
    return rows.all();
  };
  await expect
    .poll(shown, { timeout: 30_000 })
    .toEqual([{ class: "kvm", state: "alive", first_ns: 56_382_528_000, last_ns: 56_383_750_000 }]);
  stop.abort();
  await audit;
  database.close();
});

it("a replay hands over every item once, in order, however fast", async () => {
  const read = async (make: (reader: TraceReader) => TraceReader) => {
    const reader = await openTrace(fixture("seed0-6.1.dat.xz"));
    const items = [];
    for await (const batch of make(reader).read(() => true))
      items.push(...batch.map((item) => ({ ...item, stack: null })));
    reader.close();
    return items;
  };
  const plain = await read((reader) => reader);
  expect(await read((reader) => replayed(reader, 1e9, new AbortController().signal))).toEqual(plain);
});
