import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { runAudit } from "../audit.js";
import type { Operation } from "../decode/operation.js";
import { Deferred } from "../lifecycle/deferred.js";
import { auditFiles } from "../testing/audits.js";
import { fixture } from "../testing/program.js";

/** Culprit of the first finding of a rule, what it was inlined from, and the events that bear the blame's note. */
async function blamed(name: string, rule = "leak", note = "taken, and never given back"): Promise<unknown> {
  const outcome = await auditFiles(fixture(`${name}.dat.xz`));
  const leak = outcome.findings.find((finding) => finding.rule === rule);
  return {
    function: leak?.culprit.function,
    site: leak?.culprit.site,
    context: leak?.culprit.context,
    says: leak?.explanation.replace(/^.*?\. (?=What|Nothing)/, ""),
    noted: leak?.evidence.filter((one) => one.note === note).length,
  };
}

describe("of a leak is to blame the get that nobody gives back", () => {
  it("in a module that calls the function which counts", async () => {
    expect(await blamed("kvmuser-leak-6.1")).toEqual({
      function: "kvm_get_kvm",
      site: null,
      context: "called by kvmuser_open_device, run by sh (194)",
      says: "Nothing gives back what kvm_get_kvm ← kvmuser_open_device took.",
      noted: 1,
    });
  });

  it("in an ioctl, whose other gets were given back", async () => {
    expect(await blamed("vcpu-fd-leak-6.1")).toEqual({
      function: "kvm_vm_ioctl",
      site: "kvm_get_kvm",
      context: "run by work (197)",
      says: "What kvm_vm_ioctl+0xcde takes is given back by kvm_vcpu_release+0x1b, as balanced objects in this trace show; here it was not (2 times).",
      noted: 2,
    });
  });

  it("where the creation was not recorded", async () => {
    expect(await blamed("container-leak-5.10")).toMatchObject({
      function: "vfio_group_fops_unl_ioctl",
      says: "Nothing gives back what vfio_group_fops_unl_ioctl+0x178 took.",
    });
  });
});

describe("of a put too many is to blame the one that no get goes with", () => {
  it.each([
    ["kvmuser-extra-put-6.12", "kvmuser_close_device", 239],
    ["assigned-irq-a-6.1", "kvm_free_assigned_irq", 194],
  ])("%s", async (name, caller, tid) => {
    expect(await blamed(name, "extra-put", "dropped, though nobody had taken it")).toMatchObject({
      function: "kvm_put_kvm",
      context: `called by ${caller}, run by sh (${tid})`,
      says: expect.stringMatching(new RegExp(`Nothing took what kvm_put_kvm ← ${caller} gives back\\.$`)),
      noted: 1,
    });
  });
});

describe("what a kworker does", () => {
  it("was decided where its work was queued", async () => {
    const deferred = new Deferred();
    const origins: string[] = [];
    const catalog = defaultCatalog();
    await runAudit(
      [fixture("assigned-irq-a-6.1.dat.xz")],
      { catalog, classes: null },
      {
        begin() {},
        event() {},
        aside: (operation) => deferred.aside(operation),
        operation(operation) {
          deferred.operation(operation);
          const origin = deferred.origin(operation.event);
          if (operation.class.class !== "kvm") return;
          const from = origin?.event.stack?.frames.map(({ symbol }) => symbol).includes("queue_work_on");
          origins.push(`${operation.event.comm} ${operation.effect} ${from ?? "-"}`);
        },
      },
    );
    // Only the work's own put was queued elsewhere: by the interrupt's handler.
    expect(origins.filter((line) => !line.endsWith("-"))).toEqual(["kworker/1:0 put true"]);
    expect(origins.filter((line) => line.startsWith("sh"))).not.toEqual([]);
  });

  it("or where its callback was handed over to wait for readers", async () => {
    const deferred = new Deferred();
    const origins: (string | undefined)[] = [];
    const path = join(tmpdir(), `ktally-rcu-${process.pid}.txt`);
    const lines = [
      "work-214 [001] ..... 10.000000: rcu_callback: rcu_preempt rhp=0xffff8c3023c12108 func=vfio_pci_eventfd_rcu_free 3",
      "rcuop/1-20 [001] ..... 10.100000: rcu_invoke_callback: rcu_preempt rhp=0xffff8c3023c12108 func=vfio_pci_eventfd_rcu_free",
      "rcuop/1-20 [001] ..... 10.100010: put: (eventfd_ctx_put+0x0/0x30) ctx=0xffff8c3023c13000",
      "work-214 [001] ..... 10.200000: put: (eventfd_ctx_put+0x0/0x30) ctx=0xffff8c3023c14000",
    ];
    writeFileSync(path, lines.map((line) => `${line.padStart(16)}\n`).join(""));
    const observer = {
      begin() {},
      event() {},
      aside: (operation: Operation) => deferred.aside(operation),
      operation(operation: Operation) {
        deferred.operation(operation);
        origins.push(deferred.origin(operation.event)?.event.comm);
      },
    };
    await runAudit([path], { catalog: defaultCatalog(), classes: null }, observer);
    rmSync(path);
    expect(origins).toEqual(["work", undefined]);
  });
});
