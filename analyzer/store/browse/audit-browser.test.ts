import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Analysis, analyze } from "../../index.js";
import { fixture } from "../../testing/program.js";
import { AuditBrowser } from "./audit-browser.js";

describe("the screens' queries", () => {
  let analysis: Analysis;
  let audit: AuditBrowser;
  beforeAll(async () => {
    analysis = await analyze([fixture("healthy-random-01-7.2.dat.xz")], { keepEvents: true });
    audit = new AuditBrowser(analysis.database);
  });
  afterAll(() => analysis.close());

  it("pages of a class are the class, from whichever end they are read", () => {
    for (const { class: name, count } of audit.objects.counts()) {
      const all = audit.objects.lives(name, 0, count, count).map(({ id }) => id);
      expect(all).toHaveLength(count);
      const paged = Array.from({ length: count }, (_, at) => audit.objects.lives(name, at, 1, count)[0]?.id);
      expect(paged).toEqual(all);
    }
  });

  it("operations of an object come in order, page by page, and each has its place", () => {
    const object = [...audit.view.objects()].find(({ class: name }) => name === "kvm");
    const count = audit.operations.count(object!.id);
    const all = audit.operations.page(object!.id, 0, count);
    expect(all).toHaveLength(count);
    expect(all.flatMap((_, at) => audit.operations.page(object!.id, at, 1))).toEqual(all);
    expect(all.map(({ event }) => audit.operations.index(object!.id, event))).toEqual(all.map((_, at) => at));
    for (const [at, { time_ns }] of all.entries()) {
      expect(all.findIndex((row) => row.time_ns >= time_ns)).toBe(
        audit.operations.indexAt(object!.id, all[at]!.time_ns),
      );
    }
  });

  it("a thinned counter line begins and ends as the whole one", () => {
    const [busiest] = [...audit.view.objects()].sort(
      (a, b) => audit.operations.count(b.id) - audit.operations.count(a.id),
    );
    const { from, to } = audit.recording.span();
    const { steps, isThinned } = audit.operations.counterSteps(busiest!.id, from, to, 1_000_000);
    expect(isThinned).toBe(false);
    expect(steps).toHaveLength(audit.operations.count(busiest!.id));
    const thin = audit.operations.counterSteps(busiest!.id, from, to, 16);
    expect(thin.isThinned).toBe(true);
    expect(thin.steps[0]).toEqual(steps[0]);
    expect(steps).toEqual(expect.arrayContaining(thin.steps));
    expect(thin.steps.length).toBeLessThan(steps.length);
  });
});

describe("search", () => {
  let analysis: Analysis;
  let audit: AuditBrowser;
  beforeAll(async () => {
    analysis = await analyze([fixture("kvmuser-leak-6.1.dat.xz")], { keepEvents: true });
    audit = new AuditBrowser(analysis.database);
  });
  afterAll(() => analysis.close());
  const found = (words: string) => audit.search.find(words, 10).map(({ kind, text }) => `${kind} ${text}`);

  it("knows addresses whole and by their end, pids, names of tasks, functions and modules", () => {
    expect(found("0xffffcf5cc0421000")).toEqual(["object virtual machine 0xffffcf5cc0421000"]);
    expect(found("5cc0421000")).toEqual(["object virtual machine 0xffffcf5cc0421000"]);
    expect(found("194")).toContain("task sh 194");
    expect(found("WORK")).toContain("task work 197");
    expect(found("kvm_put_kvm")).toContain("probe kvm_put_kvm+0x11");
    expect(found("kvm_amd")).toContainEqual(expect.stringMatching(/^object .*kvm_amd$/));
    expect(found("  ")).toEqual([]);
    expect(found("%")).toEqual([]);
  });

  it("lists every task once, and all events of each", () => {
    const threads = audit.events.threads();
    expect(new Set(threads.map(({ tid }) => tid)).size).toBe(threads.length);
    const events = threads.reduce((sum, { tid }) => sum + audit.events.count({ tid }), 0);
    expect(events).toBe(analysis.database.prepare("SELECT count(*) FROM events").pluck().get());
  });

  it("reads events page by page, with the values as they were recorded", () => {
    const of = { tid: 194 };
    const count = audit.events.count(of);
    const all = audit.events.page(of, 0, count);
    expect(all.flatMap((_, at) => audit.events.page(of, at, 1))).toEqual(all);
    const made = all.find(({ name }) => name === "kvm_arch_init_vm");
    expect(made?.values).toContainEqual({ name: "kvm", value: "0xffffcf5cc0421000" });
    expect(audit.objects.ofEvent(made!.id)?.label).toBe("virtual machine 0xffffcf5cc0421000");
  });
});

it("a finding leads to its object or to its registration", async () => {
  const leak = await analyze([fixture("kvmuser-leak-6.1.dat.xz")], { keepEvents: true });
  const leaks = new AuditBrowser(leak.database);
  const [head] = leaks.findings.heads();
  const object = leaks.objects.ofFinding(head!);
  expect(object).toMatchObject({ class: "kvm", address: head!.address });
  expect(leaks.findings.notesOn(object!).map(({ event }) => event)).toContain(leaks.findings.eventOf(head!.id));
  leak.close();

  const stale = await analyze([fixture("seed0-stale-device-ops-6.1.dat.xz")], { keepEvents: true });
  const stales = new AuditBrowser(stale.database);
  const [first] = stales.findings.heads();
  expect(stales.objects.ofFinding(first!)).toBeNull();
  const registration = stales.registrations.ofFinding(first!);
  expect(stales.registrations.page(stales.registrations.index(registration!), 1)).toMatchObject([
    { class: "kvm_device_ops", key: 4n, isOrphaned: true, owner: expect.stringMatching(/^kvm_core #/) },
  ]);
  expect(stales.registrations.nextOrphan(0)).toBe(registration);
  stale.close();
});

it("what nothing visible destroys is alive until its last reference is gone", async () => {
  const analysis = await analyze([fixture("device-set-left-6.1.dat.xz")], { keepEvents: true });
  const audit = new AuditBrowser(analysis.database);
  const container = [...audit.view.objects()].find(({ class: name }) => name === "vfio_container");
  const all = audit.operations.page(container!.id, 0, audit.operations.count(container!.id));
  const aliveAt = (at: bigint) => [
    audit.objects.aliveAt(at, 1000).some(({ id }) => id === container!.id),
    audit.objects.aliveCounts(at).some((row) => row.class === "vfio_container"),
  ];
  expect(aliveAt(all[0]!.time_ns)).toEqual([true, true]);
  expect(aliveAt(audit.recording.span().to)).toEqual([false, false]);
  analysis.close();
});
