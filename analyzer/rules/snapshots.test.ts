/** What one moment tells alone, and what its values add to a trace. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { writeRecording } from "../../collectors/sidecar.js";
import { type Snapshot, snapshotModel } from "../../collectors/snapshot/model.js";
import { type AuditOutcome, auditReaders, runAudit } from "../audit.js";
import { snapshotFile } from "../import/snapshot.js";
import { fileOf } from "../import/testing/text-input.js";
import type { TraceReader } from "../import/trace-event.js";
import { coverageStates, findingLines, memoryReader, record } from "../testing/audits.js";
import { makeRecording } from "../testing/recordings.js";

const FIXTURES = new URL("../../fixtures/", import.meta.url).pathname;
const TAKEN: Snapshot = snapshotModel.parse(JSON.parse(readFileSync(`${FIXTURES}snapshot-7.2.json`, "utf8")));
const catalog = defaultCatalog();

const readerOf = (snapshot: Snapshot): Promise<TraceReader> => snapshotFile.open(fileOf(JSON.stringify(snapshot)));

async function audit(snapshot: Snapshot, ...traces: TraceReader[]): Promise<AuditOutcome> {
  return auditReaders([...traces, await readerOf(snapshot)], { catalog, classes: null }, null);
}

describe("a snapshot alone", () => {
  it("suspects a machine that no process shows a file of, and judges no class", async () => {
    const outcome = await audit(TAKEN);
    expect(findingLines(outcome)).toEqual(["leak suspected kvm 0xffff8b8881842000 not recorded"]);
    expect(coverageStates(outcome)).toEqual({});
  });

  it("suspects nothing where the open files of others are hidden", async () => {
    const unread = ["the open files of 3 processes: only root may see them; run ktally as root"];
    expect((await audit({ ...TAKEN, unread })).findings).toEqual([]);
  });

  it("proves an entry left behind when no module is loaded that could own it", async () => {
    const modules = TAKEN.modules.filter(({ name }) => name !== "kvm_amd");
    const outcome = await audit({ ...TAKEN, modules, objects: [], files: [] });
    expect(findingLines(outcome)).toEqual(["stale-ops proven kvm_device_ops 4 kvm_exit"]);
    expect(outcome.findings[0]?.object.label).toBe("kvm_device_ops type 4 (kvm_vfio_ops)");
  });

  const waiters = [
    { pid: 500, tid: 500, comm: "sh", stack: ["vfio_unregister_group_dev", "vfio_pci_core_unregister_device"] },
  ];
  const device = TAKEN.objects.find((object) => object.class === "vfio_device");
  if (!device) throw new Error("the fixture has no device");

  it("notes an unbind that waits for who has the device open", async () => {
    const file = {
      ...{ pid: 77, comm: "qemu", fd: 9, link: "anon_inode:[vfio-device]", file: "0x1", count: 1, id: null },
      object: { class: "vfio_device", address: device.address },
    };
    const outcome = await audit({ ...TAKEN, objects: [device], files: [file], waiters });
    expect(outcome.findings).toMatchObject([
      {
        rule: "unregister-stuck",
        level: "note",
        verdict: "derived",
        culprit: { function: "vfio_unregister_group_dev" },
      },
    ]);
    expect(outcome.findings[0]?.explanation).toContain("qemu (77) fd 9: anon_inode:[vfio-device]");
  });

  it("suspects an unbind that waits for nobody", async () => {
    const outcome = await audit({ ...TAKEN, objects: [device], files: [], waiters });
    expect(outcome.findings).toMatchObject([{ rule: "unregister-stuck", level: "error", verdict: "suspected" }]);
  });
});

describe("beside a trace", async () => {
  const recording = await record(`${FIXTURES}clean-6.1.dat.xz`);
  const alone = await auditReaders([memoryReader(recording)], { catalog, classes: null }, null);
  const machine = [...alone.world.objects.all()].find((object) => object.class.class === "kvm");
  if (!machine) throw new Error("the fixture has no virtual machine");
  const put = machine.history.find(({ effect, read }) => effect === "put" && read !== null);
  if (!put?.read) throw new Error("no value was read at a put");

  const moment = (refs: number): Snapshot => ({
    ...{ ...TAKEN, modules: [], entries: [], files: [], mappings: [], waiters: [] },
    objects: [
      {
        ...{ class: "kvm", address: `0x${(machine.key as bigint).toString(16)}`, parent: null, values: {}, links: {} },
        refs,
        // Right before a put that reads the counter, too.
        read_ns: String(put.event.time - 1n),
      },
    ],
  });
  const withClock = (clock: string | null) => memoryReader({ ...recording, facts: { ...recording.facts, clock } });
  const kvm = (outcome: AuditOutcome) => coverageStates(outcome).kvm;

  it("a value that fits changes nothing", async () => {
    const outcome = await audit(moment(put.read?.value ?? 0), withClock("mono"));
    expect(kvm(outcome)).toBe("complete");
    expect(findingLines(outcome).filter((line) => !line.startsWith("leak suspected"))).toEqual(findingLines(alone));
  });

  it("one that does not fit lowers the coverage and accuses nobody", async () => {
    const outcome = await audit(moment((put.read?.value ?? 0) + 3), withClock("mono"));
    expect(kvm(outcome)).toBe("partial");
    expect(outcome.findings.filter(({ verdict }) => verdict !== "suspected")).toEqual([]);
  });

  it("under another clock its values are not put among the events", async () => {
    expect(kvm(await audit(moment(99), withClock("local")))).toBe("complete");
  });
});

it("a recording's own snapshots, in its sidecar, are values of its ledgers", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ktally-recorded-"));
  try {
    const trace = join(folder, "trace.txt");
    copyFileSync(`${FIXTURES}seq-get-after-zero-healthy.txt`, trace);
    writeRecording(trace, makeRecording([], [], { snapshots: [TAKEN, TAKEN] }));
    const outcome = await runAudit([trace], { catalog, classes: null }, null);
    expect(outcome.sources.map(({ path }) => path.slice(trace.length))).toEqual(["", " (its snapshots)"]);
    const entry = catalog.classes.get("kvm");
    const shared = entry && outcome.world.objects.find(entry, 0xffff8b8881844000n);
    expect(shared?.ledger?.value()).toBe(4);
    // A machine that was held by no file before the command ran is not its doing.
    expect(findingLines(outcome)).toEqual([]);
    writeRecording(trace, makeRecording([], [], { snapshots: [{ ...TAKEN, objects: [] }, TAKEN] }));
    expect(findingLines(await runAudit([trace], { catalog, classes: null }, null))).toEqual([
      "leak suspected kvm 0xffff8b8881842000 not recorded",
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
