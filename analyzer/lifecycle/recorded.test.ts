// Lines are those of a trace_pipe recording on 6.1 (times and numbers changed), sidecars are made up.
import { describe, expect, it } from "vitest";
import type { Recording } from "../../collectors/recording.js";
import { auditReaders } from "../audit.js";
import { findingLines } from "../testing/audits.js";
import { makeRecording, plannedClass, plannedProbe } from "../testing/recordings.js";
import { catalog, openText } from "../testing/text.js";

async function audit(text: string, recording: Recording | null) {
  const reader = await openText(text);
  const outcome = await auditReaders([reader], { catalog, classes: null }, null, [recording]);
  const classIn = (name: string) => outcome.coverage.find((coverage) => coverage.class.class === name)!;
  return { outcome, findings: findingLines(outcome), classIn };
}

const FORK = "node-90 [001] ..... 2.000000: sched_process_fork: comm=node pid=90 child_comm=node child_pid=100\n";
const EXIT = "work-100 [000] ..... 20.000000: sched_process_exit: comm=work pid=100 prio=120\n";
const END = "node-90 [001] ..... 30.000000: tracing_mark_write: ktally: recording ends\n";
const VM = "kvm=0xffffca47c0409000";
/** A VM that loses its last reference but one. */
const LEFT = `work-100 [000] ..... 10.000000: kvm_arch_init_vm: (kvm_arch_init_vm+0x0/0x40 [kvm]) ${VM} refs=1
work-100 [000] ..... 10.000100: kvm_arch_init_vm_ret: (kvm_dev_ioctl+0x1/0x40 [kvm] <- kvm_arch_init_vm) ret=0
work-100 [000] d.Z.. 10.000200: site: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${VM} refs=1 delta=1
work-100 [000] d.Z.. 10.010000: site: (kvm_vm_release+0x1b/0x40 [kvm]) ${VM} refs=2 delta=-1
`;
const CREATE = ["kvm_arch_init_vm", "kvm_arch_init_vm="].map((text) => plannedProbe(text, "kvm"));
const DESTROY = ["kvm_destroy_vm", "kvm_arch_destroy_vm"].map((text) => plannedProbe(text, "kvm"));

function kvmRecording(more: Partial<Recording> = {}): Recording {
  return makeRecording([...CREATE, ...DESTROY], [plannedClass("kvm")], more);
}

describe("what a command left behind when its processes and files were gone", () => {
  const run = FORK + LEFT + EXIT + END;

  it("is a leak, derived", async () => {
    const { findings } = await audit(run, kvmRecording());
    expect(findings).toEqual([expect.stringMatching(/^leak derived kvm \S+ kvm_vm_ioctl$/)]);
  });

  it("is nothing where no recorder says that the command is gone: it is alive at the end", async () => {
    expect((await audit(run, null)).findings).toEqual([]);
  });

  it.each<[string, string, Partial<Recording>]>([
    ["it was not quiet yet", run, { settled: { quiet: false } }],
    ["the trace is cut off before its end", FORK + LEFT + EXIT, {}],
    ["events were lost", run, { losses: [{ cpu: 0, overrun: 3, dropped: 0 }] }],
    ["a hit of the destruction was missed", run, { counts: { kvm_destroy_vm: { hits: 0, missed: 1 } } }],
    [
      "the destruction's probe was refused",
      run,
      { unarmed: [{ event: "kvm_destroy_vm", why: "refused", text: "", atNs: null }] },
    ],
    [
      "the destruction's probe was switched off before the end",
      run,
      { unarmed: [{ event: "kvm_destroy_vm", why: "guard", text: "", atNs: "15000000000" }] },
    ],
    [
      "its file was handed to another process",
      run,
      { openAfter: [{ pid: 7, comm: "b", file: "anon_inode:kvm-vcpu:0" }] },
    ],
    ["other processes cannot be seen", run, { allProcessesSeen: false }],
    ["the recorder was killed", run, { endedNs: null }],
    ["only one process was recorded", run, { narrowed: "only process 100 and its children were recorded" }],
  ])("is only suspected where %s", async (_, text, more) => {
    const { findings } = await audit(text, kvmRecording(more));
    expect(findings).toEqual([expect.stringMatching(/^leak suspected/)]);
  });

  it("is no less a leak because another VM's process has the like open all the time", async () => {
    const other = { pid: 7, comm: "qemu", file: "anon_inode:kvm-vm" };
    const { findings } = await audit(run, kvmRecording({ openBefore: [other], openAfter: [other] }));
    expect(findings).toEqual([expect.stringMatching(/^leak derived/)]);
  });

  it.each([
    [
      "a process of the command lives on",
      `${FORK}${FORK.replace("node-90", "work-100").replace("child_pid=100", "child_pid=101")}${LEFT}${EXIT}${END}`,
    ],
    ["somebody else made it", FORK + LEFT.replaceAll("work-100", "qemu-77") + EXIT + END],
    ["the command's number was somebody's before: its fork was not seen", LEFT + EXIT + END],
  ])("is nothing when %s", async (_, text) => {
    expect((await audit(text, kvmRecording())).findings).toEqual([]);
  });

  it("is told of a child process, too", async () => {
    const fork = "work-100 [001] ..... 3.000000: sched_process_fork: comm=work pid=100 child_comm=work child_pid=101\n";
    const exit = "work-101 [001] ..... 19.000000: sched_process_exit: comm=work pid=101 prio=120\n";
    const { findings } = await audit(
      FORK + fork + LEFT.replaceAll("work-100", "work-101") + exit + EXIT + END,
      kvmRecording(),
    );
    expect(findings).toEqual([expect.stringMatching(/^leak derived/)]);
  });

  it("is nothing when it was destroyed", async () => {
    const gone = `work-100 [000] d.Z.. 10.020000: site: (kvm_vcpu_release+0x1b/0x40 [kvm]) ${VM} refs=1 delta=-1
work-100 [000] ..... 10.030000: kvm_destroy_vm: (kvm_destroy_vm+0x0/0x40 [kvm]) ${VM}\n`;
    const { findings, classIn } = await audit(FORK + LEFT + gone + EXIT + END, kvmRecording());
    expect(findings).toEqual([]);
    expect(classIn("kvm")).toMatchObject({ state: "complete", judged: true });
  });
});

describe("an unregister that no event shows", () => {
  const OPS = [
    "kvm_register_device_ops",
    "kvm_register_device_ops=",
    "kvm_unregister_device_ops",
    "kvm_init",
    "kvm_exit",
  ];
  const probes = OPS.map((text) => plannedProbe(text, "kvm_device_ops"));
  const run = `insmod-140 [000] ..... 9.9: module_load: kvm_amd OE
insmod-140 [000] ..... 10.0: kvm_init: (kvm_init+0x0/0x3e0 [kvm])
insmod-140 [000] ..... 10.1: kvm_register_device_ops: (kvm_register_device_ops+0x0/0x40 [kvm]) ops=0xffffffffc054a6a0 type=4
insmod-140 [000] ..... 10.2: kvm_register_device_ops_ret: (kvm_init+0x31c/0x3e0 [kvm] <- kvm_register_device_ops) ret=0
rmmod-141 [000] ..... 11.0: kvm_exit: (kvm_exit+0x0/0xb0 [kvm])
rmmod-141 [000] ..... 11.1: module_free: kvm_amd
`;
  const plan = (more: Partial<Recording> = {}) => makeRecording(probes, [plannedClass("kvm_device_ops")], more);

  it("is missing, derived, where the plan says that its probe was armed though it never fired", async () => {
    expect((await audit(run, plan())).findings).toEqual([expect.stringMatching(/^stale-ops derived/)]);
    expect((await audit(run, null)).findings).toEqual([]);
  });

  it("is no news where the module was loaded again and none of its probes was seen to work since", async () => {
    const load = "insmod-139 [000] ..... 9.8: module_load: kvm\n";
    expect((await audit(load + run, plan())).findings).toEqual([expect.stringMatching(/^stale-ops derived/)]);
    const late = run.replace(
      "rmmod-141 [000] ..... 11.1",
      "insmod-139 [000] ..... 11.05: module_load: kvm\nrmmod-141 [000] ..... 11.1",
    );
    expect((await audit(late, plan())).findings).toEqual([]);
  });

  it("cannot be told when the module was another build than planned", async () => {
    const modules = [
      { atNs: "1000000000", beforeNs: "1000000000", name: "kvm", build: "planned" as const },
      { atNs: "9500000000", beforeNs: "9000000000", name: "kvm", build: "other" as const },
    ];
    const { findings, classIn } = await audit(run, plan({ modules }));
    expect(findings).toEqual([]);
    expect(classIn("kvm_device_ops")).toMatchObject({ state: "blind", judged: true });
    expect(classIn("kvm_device_ops").reasons.map(({ text }) => text)).toContain(
      "another build of kvm was loaded before 9.500: its events are void",
    );
  });
});

describe("coverage by the plan", () => {
  const release = (at: string) =>
    `work-100 [000] ..... ${at}: kvm_vfio_release: (kvm_vfio_release+0x0/0x40 [kvm]) dev=0xffff888104e5a000\n`;
  const probes = ["kvm_vfio_release", "kvm_vfio_destroy", "kvm_vfio_create"].map((text) =>
    plannedProbe(text, "kvm_device"),
  );

  it.each<[string, Partial<Recording>, string]>([
    ["complete where all was armed", {}, "complete"],
    ["partial after a miss", { counts: { kvm_vfio_create: { hits: 0, missed: 2 } } }, "partial"],
    [
      "partial without a probe",
      { unarmed: [{ event: "kvm_vfio_create", why: "refused", text: "", atNs: null }] },
      "partial",
    ],
    ["partial when the recorder was killed", { endedNs: null }, "partial"],
  ])("%s", async (_, more, state) => {
    const { classIn } = await audit(release("10.0"), makeRecording(probes, [plannedClass("kvm_device")], more));
    expect(classIn("kvm_device")).toMatchObject({ state, judged: true });
  });

  it("blind where all that happened happened to another build", async () => {
    const modules = [{ atNs: "9500000000", beforeNs: "9000000000", name: "kvm", build: "other" as const }];
    const { classIn, findings } = await audit(
      release("10.0"),
      makeRecording(probes, [plannedClass("kvm_device")], { modules }),
    );
    expect(findings).toEqual([]);
    expect(classIn("kvm_device")).toMatchObject({ state: "blind", judged: true });
    expect(classIn("kvm_device").reasons.map(({ text }) => text)).toEqual([
      "another build of kvm was loaded before 9.500: its events are void",
    ]);
  });

  it("a probe inside a function is not taken for the one at its entry, though it is called the same", async () => {
    const open = { ...plannedProbe("vfio_fops_open", "vfio_container"), module: "vfio" };
    const stored = { ...open, event: "vfio_fops_open_53", offset: 0x53 };
    const { outcome } = await audit(
      `work-100 [000] ..... 10.0: vfio_fops_open: (vfio_fops_open+0x0/0x90 [vfio]) filep=0xffff888104e5a000
work-100 [000] ..... 10.1: vfio_fops_open: (vfio_fops_open+0x53/0x90 [vfio]) container=0xffff888104e5b000
work-100 [000] ..... 10.2: vfio_fops_open_ret: (misc_open+0x3c/0x90 <- vfio_fops_open) ret=0
`,
      makeRecording([open, stored, { ...open, event: "vfio_fops_open_ret", kind: "kretprobe" }], []),
    );
    const [container] = [...outcome.world.objects.all()].filter((object) => object.class.class === "vfio_container");
    expect(container).toMatchObject({ key: 0xffff888104e5b000n, state: "alive" });
  });

  it("classes of the plan are judged, others are not", async () => {
    const { classIn } = await audit(FORK + LEFT, makeRecording(probes, [plannedClass("kvm_device")]));
    expect(classIn("kvm_device")).toMatchObject({ state: "absent", judged: true });
    expect(classIn("kvm").judged).toBe(false);
  });

  it("by holders counts, and says so", async () => {
    const run =
      "work-100 [000] ..... 12.1: kvm_vcpu_release: (kvm_vcpu_release+0x0/0x80 [kvm]) inode=0xffff888104e5a000\n";
    const { classIn } = await audit(
      run,
      makeRecording([plannedProbe("kvm_vcpu_release", "kvm")], [plannedClass("kvm", { covered: "holders" })]),
    );
    expect(classIn("kvm")).toMatchObject({ state: "complete", reasons: [{ code: "by-holders" }] });
  });

  it("what the plan could not have is told in its words, what this kernel does not have is not", async () => {
    const missing = [
      { function: "kvm_vfio_create", reason: "inlined" as const, text: "kvm_vfio_create is inlined" },
      { function: "kvm_vfio_destroy", reason: "other-era" as const, text: "kvm_vfio_destroy is of another era" },
    ];
    const { classIn } = await audit(
      release("10.0"),
      makeRecording(probes.slice(0, 1), [plannedClass("kvm_device", { covered: "partly", missing })]),
    );
    expect(classIn("kvm_device").reasons.map(({ text }) => text)).toEqual(["kvm_vfio_create is inlined"]);
  });
});
