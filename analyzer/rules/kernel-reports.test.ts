/** What a report of the kernel adds to a trace, and what it says alone. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { auditFiles, auditText, findingLines } from "../testing/audits.js";

const FIXTURES = new URL("../../fixtures/", import.meta.url).pathname;
const SEED0_LOG = `${FIXTURES}dmesg-seed0-6.1.txt`;

/** A report as the kernel prints it, around the words that matter (hand-made: only the rule's logic is tested). */
function splat(headline: string, ...frames: string[]): string {
  return [
    "[  100.000001] ------------[ cut here ]------------",
    `[  100.000002] ${headline}`,
    "[  100.000003] WARNING: CPU: 1 PID: 321 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110",
    "[  100.000004] Modules linked in: kvm_amd(E) kvm(E) vfio_pci(E) vfio(E)",
    "[  100.000005] CPU: 1 PID: 321 Comm: qemu Not tainted 6.1.0-56-amd64 #1",
    "[  100.000006] Call Trace:",
    "[  100.000007]  <TASK>",
    ...frames.map((frame) => `[  100.000008]  ${frame}+0x10/0x20 [kvm]`),
    "[  100.000009]  </TASK>",
    "[  100.000010] ---[ end trace 0000000000000000 ]---",
    "",
  ].join("\n");
}

describe("a log alone", () => {
  it.each([
    ["refcount_t: underflow; use-after-free.", "kvm_vcpu_release", "extra-put proven kvm"],
    ["refcount_t: addition on 0; use-after-free.", "kvm_vm_ioctl", "use-after-release proven kvm"],
    ["refcount_t: saturated; leaking memory.", "kvm_get_kvm", "extra-put proven kvm"],
    ["BUG: KASAN: slab-use-after-free in kvm_put_kvm+0x10/0x20 [kvm]", "kvm_put_kvm", "use-after-release proven kvm"],
    [
      "BUG: KFENCE: use-after-free read in vfio_device_put+0x1/0x2 [vfio]",
      "vfio_device_put",
      "use-after-release proven vfio_device",
    ],
    [
      "list_add double add: new=ffff888100000000, prev=ffff888100000010, next=ffff888100000000.",
      "vfio_register_iommu_driver",
      "double-registration proven vfio_iommu_driver",
    ],
  ])("%s", async (headline, frame, expected) => {
    const [line] = findingLines(await auditText(splat(headline, frame)));
    expect(line).toMatch(new RegExp(`^${expected} \\S+ ${frame}$`));
  });

  it.each([
    ["a bug of the past alone", ["vfio_pci_core_close_device"], "extra-put suspected vfio_device"],
    ["a caller of what counts alone", ["put_pid", "kvm_put_kvm"], "extra-put suspected kvm"],
  ])("of which %s tells whose counter it is: it is a suspicion", async (_, frames, expected) => {
    const [line] = findingLines(await auditText(splat("refcount_t: underflow; use-after-free.", ...frames)));
    expect(line).toMatch(new RegExp(`^${expected} \\S+ ${frames[0]}$`));
  });

  it("a warning points to its rule, no more: the call that it follows from is not seen", async () => {
    const withoutRegisters = readFileSync(SEED0_LOG, "utf8").replaceAll(/RAX: \S+/g, "");
    const outcome = await auditText(withoutRegisters);
    expect(findingLines(outcome)).toEqual(["stale-ops suspected kvm_device_ops 0xundefined kvm_init"]);
  });

  it("with the refusal still in its register the warning proves it; told again it is one finding", async () => {
    const log = readFileSync(SEED0_LOG, "utf8");
    const again = log.replaceAll("[   29.7", "[   59.7").replaceAll("PID: 201", "PID: 301");
    const outcome = await auditText(log + again);
    expect(findingLines(outcome)).toEqual(["stale-ops proven kvm_device_ops 0xundefined kvm_init"]);
    expect(outcome.findings[0]?.evidence.map(({ event }) => event.tid)).toEqual([201, 301]);
    const [report] = outcome.reports;
    expect(report?.meaning.lookalikes.map(({ commit }) => commit)).toEqual(["571ee1b68598"]);
    expect(report?.meaning.learn).toBe("ktally record --class kvm_device_ops,kvm_core -o trace.dat");
  });

  it("a crash that tells nothing of its cause is told of the innermost function's class, and no finding", async () => {
    const outcome = await auditFiles(`${FIXTURES}dmesg-mdev-used-after-remove-6.12.txt`);
    expect(outcome.findings).toEqual([]);
    expect(outcome.reports).toMatchObject([
      { report: { kind: "oops", tid: 289, comm: "perl" }, meaning: { class: { class: "vfio_device" }, rule: null } },
    ]);
  });

  it("a splat of another subsystem is nobody's finding", async () => {
    const outcome = await auditText(splat("refcount_t: underflow; use-after-free.", "sk_destruct"));
    expect(outcome.findings).toEqual([]);
    expect(outcome.reports).toMatchObject([{ finding: null, meaning: { class: null } }]);
  });

  it("a task that waits for a device's user is a suspicion: the user may have it open by right", async () => {
    const [, log = ""] = readFileSync(`${FIXTURES}dmesg-unbind-hung-6.1.txt`, "utf8").split(/^(?=.*INFO: task)/m);
    const outcome = await auditText(log);
    expect(findingLines(outcome)).toEqual([
      "unregister-stuck suspected vfio_device 0xundefined vfio_unregister_group_dev",
    ]);
  });

  it("beside the kernel's word that it is in use the hung task is no more than that", async () => {
    const { findings, reports } = await auditFiles(`${FIXTURES}dmesg-unbind-hung-6.1.txt`);
    expect(findings).toMatchObject([{ rule: "unregister-stuck", level: "note", object: { key: "0000:00:03.0" } }]);
    expect(reports.map(({ report, finding }) => [report.kind, finding === findings[0]])).toEqual([
      ["device-in-use", true],
      ["hung-task", true],
    ]);
  });

  it("a device in use is a note that names who waits", async () => {
    const { findings } = await auditFiles(`${FIXTURES}dmesg-unbind-waits-6.1.txt`);
    expect(findings).toMatchObject([{ rule: "unregister-stuck", level: "note", object: { key: "0000:00:03.0" } }]);
    expect(findings[0]?.culprit.function).toBe("vfio_unregister_group_dev");
    expect(findings[0]?.explanation).toContain("bash (204)");
  });
});

describe("beside a trace", () => {
  const trace = `${FIXTURES}stats-without-reference-6.1.dat.xz`;

  it("a crash that the trace itself recorded proves the finding in whose call it lies", async () => {
    const [before] = (await auditFiles(trace)).findings;
    const [after, ...others] = (await auditFiles(`${FIXTURES}console-stats-without-reference-6.1.dat.xz`)).findings;
    expect(before).toMatchObject({ rule: "use-after-release", verdict: "suspected" });
    expect(after).toMatchObject({ rule: "use-after-release", verdict: "proven", loweredBy: [] });
    expect(after?.sure).toContain("kernel BUG at mm/usercopy.c:101!");
    expect(others).toEqual([]);
  });

  it("a report of another task proves nothing", async () => {
    const log = splat("refcount_t: underflow; use-after-free.", "kvm_vm_stats_read");
    const outcome = await auditText(log, trace);
    expect(outcome.findings.find(({ rule }) => rule === "use-after-release")?.verdict).toBe("suspected");
  });

  it("the log of what the trace shows is no second finding", async () => {
    const seed0 = `${FIXTURES}seed0-stale-device-ops-6.1.dat.xz`;
    const alone = await auditFiles(seed0);
    // The log of this very trace: the warning of its insmod, at its time.
    const log = readFileSync(SEED0_LOG, "utf8").replaceAll("PID: 201", "PID: 136").replaceAll("[   29.7", "[   62.2");
    const outcome = await auditText(log, seed0);
    expect(findingLines(outcome)).toEqual(findingLines(alone));
    expect(outcome.reports).toMatchObject([{ finding: { rule: "stale-ops" } }]);
  });
});
