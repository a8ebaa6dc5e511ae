import { existsSync, readdirSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { exitCode } from "./exit-code.js";
import { kernelText } from "./import/testing/kernel-text.js";
import {
  auditFiles,
  auditText,
  coverageStates,
  findingLines,
  ledgers,
  type Recording,
  record,
} from "./testing/audits.js";
import { asStranger } from "./testing/strangers.js";

const FOLDER = "../shared/traces";
const names = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => name.endsWith(".dat")) : [];

/** What is true of each trace: its README, and the truth files beside the strangers'. */
const EXPECTED: Record<string, { exit: number; findings: string[]; coverage: Record<string, string> }> = {
  "clean-5.10.dat": { exit: 0, findings: [], coverage: { kvm: "complete", module: "complete" } },
  "clean-6.1.dat": { exit: 0, findings: [], coverage: { kvm: "complete", module: "complete" } },
  "clean-6.1-zlib.dat": { exit: 0, findings: [], coverage: { kvm: "complete", module: "complete" } },
  "clean-6.12.dat": { exit: 125, findings: [], coverage: { kvm: "partial", module: "complete" } },
  "clean-7.2.dat": { exit: 125, findings: [], coverage: { kvm: "partial", module: "complete" } },
  "noisy-6.1.dat": { exit: 125, findings: [], coverage: { kvm: "partial", module: "complete" } },
  "reload-5.10.dat": {
    exit: 125,
    findings: [],
    coverage: { kvm_core: "blind", kvm_device_ops: "blind", module: "complete" },
  },
  "reload-6.1.dat": {
    exit: 125,
    findings: [],
    coverage: { kvm_core: "blind", kvm_device_ops: "blind", module: "complete", vfio_iommu_driver: "blind" },
  },
  "reload-6.12.dat": {
    exit: 125,
    findings: [],
    coverage: { kvm_core: "blind", kvm_device_ops: "blind", module: "complete" },
  },
  "reload-7.2.dat": {
    exit: 125,
    findings: [],
    coverage: { kvm_core: "blind", kvm_device_ops: "blind", module: "complete" },
  },
  "seed0-stale-device-ops-6.1.dat": {
    exit: 1,
    findings: [
      "stale-ops proven kvm_device_ops 4 kvm_exit",
      "-> double-registration proven kvm_device_ops 4 kvm_register_device_ops",
    ],
    coverage: { kvm_core: "partial", kvm_device_ops: "partial", module: "complete" },
  },
  "stranger-iommu-driver-twice-5.10.dat": {
    exit: 1,
    findings: [
      "stale-ops proven vfio_iommu_driver 0xffffffffc057c080 vfio_register_iommu_driver",
      "-> double-registration proven vfio_iommu_driver 0xffffffffc057c080 vfio_register_iommu_driver",
      "double-registration proven vfio_iommu_driver 0xffffffffc057c080 vfio_register_iommu_driver",
    ],
    coverage: { module: "complete", vfio_iommu_driver: "partial" },
  },
  "stranger-manyvms-6.12.dat": {
    exit: 125,
    findings: [],
    coverage: {
      irq_bypass_consumer: "partial",
      irq_bypass_producer: "complete",
      irqfd: "partial",
      kvm: "partial",
      kvm_device: "complete",
      module: "complete",
      vfio_container: "partial",
      vfio_device: "partial",
      vfio_device_file: "partial",
      vfio_group: "partial",
    },
  },
  "stranger-unbind-waited-5.10.dat": {
    exit: 125,
    findings: [],
    coverage: { module: "complete", vfio_device: "partial", vfio_group: "partial", vfio_group_dev: "partial" },
  },
  "stranger-vcpu-fd-leak-6.12.dat": {
    exit: 125,
    findings: ["leak suspected kvm 0xffffd002400f9000 kvm_put_kvm"],
    coverage: { kvm: "partial", module: "complete", vcpu: "partial" },
  },
};

describe.each(names)("%s", (name) => {
  const path = `${FOLDER}/${name}`;
  let recording: Recording;
  let expected: string[];

  beforeAll(async () => {
    recording = await record(path);
    expected = ledgers(await auditFiles(path));
  });

  it("is judged as what is known of it", async () => {
    const outcome = await auditFiles(path);
    expect({
      exit: exitCode(outcome, false),
      findings: findingLines(outcome),
      coverage: coverageStates(outcome),
    }).toEqual(EXPECTED[name]);
  });

  it("tells the same as the kernel's own text of it", async () => {
    const text = kernelText(recording.items, { symbols: recording.facts.symbols });
    const outcome = await auditText(text);
    expect(ledgers(outcome)).toEqual(expected);
    expect(findingLines(outcome)).toEqual(EXPECTED[name]?.findings);
  });

  it("counts once when it is given with its own text", async () => {
    const text = kernelText(recording.items, { symbols: recording.facts.symbols });
    const outcome = await auditText(text, path);
    expect(ledgers(outcome)).toEqual(expected);
    expect(findingLines(outcome)).toEqual(EXPECTED[name]?.findings);
  });

  it.each([
    { names: "automatic", numberedArguments: true, unsigned: true },
    { names: "numbered", numberedArguments: true, unsigned: true },
    { names: "numbered", numberedArguments: false, unsigned: false },
  ] as const)("tells the same under a stranger's names %o", async (style) => {
    const items = asStranger(recording.items, style);
    const bare = { stacks: false, flags: false, header: false };
    for (const options of [{}, bare]) {
      const outcome = await auditText(kernelText(items, { symbols: recording.facts.symbols, ...options }));
      expect(findingLines(outcome)).toEqual(EXPECTED[name]?.findings);
      expect(ledgers(outcome)).toEqual(expected);
    }
  });

  it("raises no alarm beyond its own when flags and stacks are missing", async () => {
    const text = kernelText(recording.items, {
      symbols: recording.facts.symbols,
      stacks: false,
      flags: false,
      header: false,
    });
    const outcome = await auditText(text);
    expect(findingLines(outcome)).toEqual(EXPECTED[name]?.findings);
  });
});
