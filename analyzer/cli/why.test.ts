/** Who holds what, and gets against puts, as a user reads it: the whole output, looked at once and kept. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeRecording } from "../../collectors/sidecar.js";
import { snapshotModel } from "../../collectors/snapshot/model.js";
import { buildProgram, fixture, start } from "../testing/program.js";
import { makeRecording } from "../testing/recordings.js";

let main = "";
let remove = () => {};
const folder = mkdtempSync(join(tmpdir(), "ktally-why-"));
beforeAll(() => {
  ({ main, remove } = buildProgram());
});
afterAll(() => {
  remove();
  rmSync(folder, { recursive: true });
});

async function said(...args: string[]): Promise<string> {
  const ended = await start(main, args);
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  return ended.stdout;
}
async function refusal(...args: string[]): Promise<string> {
  const ended = await start(main, args);
  expect(ended).toMatchObject({ code: 2, stdout: "" });
  return ended.stderr;
}

const LEAK = fixture("vcpu-fd-leak-6.1.dat.xz");
const STUCK = fixture("unbind-stuck-5.10.dat.xz");
const OPEN = fixture("seq-unregister-stuck-open.txt");

describe("why", () => {
  it("names the file of a device that does not unbind", async () => {
    await expect(await said("why", OPEN, "vfio_device")).toMatchFileSnapshot("testing/why-device-open.txt");
  });

  it("of a module names what lives on its code first, and that a leak has nothing to close", async () => {
    await expect(await said("why", LEAK, "kvm_amd")).toMatchFileSnapshot("testing/why-kvm-amd.txt");
  });

  it("understands an address, a label of a report, a class, and a device that the trace does not name", async () => {
    const device = "VFIO device 0xffffa01fc0864060";
    const [, ...byClass] = (await said("why", STUCK, "vfio_device")).split("to let go of");
    expect(byClass).toHaveLength(1);
    for (const subject of ["0xffffa01fc0864060", "ffffa01fc0864060", device, "vfio_device"]) {
      expect(await said("why", STUCK, subject)).toMatch(
        new RegExp(`^${device} +alive, counter 1\n +reference +sh \\(193\\)`),
      );
    }
    expect(await said("why", STUCK, "0000:00:05.0")).toMatch(
      new RegExp(`^The trace does not say which device 0000:00:05\\.0 is\\. It has:\n\n${device} `),
    );
    expect(await said("why", fixture("seed0-6.1.dat.xz"), "kvm_device_ops")).toMatch(/nobody called kvm_unregister/);
  });

  it("tells what a task holds, and what is not there", async () => {
    expect(await said("why", LEAK, "--pid", "197")).toContain("virtual machine 0xffffd0c4c0411000   alive, counter 2");
    expect(await refusal("why", LEAK, "--pid", "1")).toMatch(/^ktally: task 1 holds nothing in .*recorded\n$/);
    expect(await refusal("why", LEAK, "0xffff000000000000")).toMatch(/0xffff000000000000: is not in .*\n$/);
    expect(await refusal("why", LEAK, "nothing")).toMatch(/nothing: is not in /);
    expect(await refusal("why", LEAK, "--pid", "x")).toMatch(/--pid x: is no number/);
    expect(await refusal("why", join(folder, "none"), "kvm")).toMatch(/there is no such file/);
  });

  it("says of a healthy trace that nothing has to be closed", async () => {
    const answer = await said("why", fixture("healthy-clean-6.1.dat.xz"));
    expect(answer).toContain("\n  1. unregister VFIO device ");
    expect(answer).not.toMatch(/leaked|close the/);
  });
});

describe("balance", () => {
  it("puts the get that no put gives back first, with its stacks", async () => {
    const tree = (await said("balance", LEAK)).replace(LEAK, "TRACE");
    await expect(tree).toMatchFileSnapshot("testing/balance.txt");
  });

  it("of a database is that of its trace, of an object its own", async () => {
    const db = join(folder, "leak.db");
    await start(main, ["analyze", "--quiet", "--db", db, LEAK]);
    const ofTrace = await said("balance", LEAK);
    expect((await said("balance", db)).split("\n").slice(1)).toEqual(ofTrace.split("\n").slice(1));
    expect(await said("why", db, "kvm_amd")).toBe(await said("why", LEAK, "kvm_amd"));
    const one = await said("balance", db, "0xffffd0c4c0411000");
    expect(one).toMatch(/^virtual machine 0xffffd0c4c0411000, life 1\n\nkvm {3}4 taken, 2 given back, \+2\n/);
    expect(await refusal("balance", db, "0x1")).toMatch(/0x1: is not in /);
  });
});

describe("why, from a snapshot", () => {
  const SNAPSHOT = fixture("snapshot-7.2.json");
  const TAKEN = snapshotModel.parse(JSON.parse(readFileSync(SNAPSHOT, "utf8")));

  it("names who holds what, and what has to be closed; in either order of words", async () => {
    const answer = await said("why", SNAPSHOT, "kvm_amd");
    expect(answer).toMatch(/^module kvm_amd {3}6 references\n/);
    expect(answer).toContain("held by     sleep (214) fd 3, sleep (221) fd 3: anon_inode:kvm-vm");
    expect(await said("why", "kvm_amd", SNAPSHOT)).toBe(answer);
    expect(await said("why", SNAPSHOT, "--pid", "221")).toMatch(/^virtual machine 0x/);
  });

  it("and a trace of the same host: who the trace does not name, and what it does not call so", async () => {
    const trace = join(folder, "trace.txt");
    copyFileSync(fixture("seq-get-after-zero-healthy.txt"), trace);
    writeRecording(trace, makeRecording([], [], { snapshots: [TAKEN] }));
    const held = /anon_inode:kvm-vm, fd 3 {3}sleep \(206\)/;
    expect(await said("why", trace, "0xffff8b8881844000")).toMatch(held);
    expect(await said("why", "0000:00:02.0", trace)).toContain("VFIO device");
    rmSync(`${trace}.ktally.json`);
    expect(await said("why", trace, SNAPSHOT, "0000:00:02.0")).toContain("VFIO device");
  });

  it("says what is not there, and what is damaged", async () => {
    expect(await refusal("why", SNAPSHOT, "ext4")).toMatch(
      /ext4: is no object, device, module or file; there are kvm,/,
    );
    const damaged = join(folder, "damaged.json");
    writeFileSync(damaged, '{"ktally": "snapshot", "objects": 3}');
    expect(await refusal("why", damaged, "kvm")).toMatch(/is damaged: .*take it again\n$/);
    writeFileSync(damaged, '{"ktally": "snapshot", ');
    expect(await refusal("why", damaged, "kvm")).toMatch(/the snapshot is damaged/);
  });
});
