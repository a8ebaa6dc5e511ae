import { describe, expect, it } from "vitest";
import { auditFiles } from "../testing/audits.js";
import { fixture } from "../testing/program.js";

/** Culprit of the first leak, what it was inlined from, and the events that bear the blame's note. */
async function blamed(name: string): Promise<unknown> {
  const outcome = await auditFiles(fixture(`${name}.dat.xz`));
  const leak = outcome.findings.find(({ rule }) => rule === "leak");
  return {
    function: leak?.culprit.function,
    site: leak?.culprit.site,
    context: leak?.culprit.context,
    says: leak?.explanation.replace(/^.*?\. (?=What|Nothing)/, ""),
    noted: leak?.evidence.filter(({ note }) => note === "taken, and never given back").length,
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
