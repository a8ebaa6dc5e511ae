import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { auditDrawn } from "../analyzer/testing/text.js";
import { defaultCatalog } from "./catalog/default.js";

it("README.md's class outside of KVM and VFIO finds what it promises", async () => {
  const text = readFileSync(new URL("README.md", import.meta.url), "utf8");
  const entry = /```yaml\n(# usb_driver\.yaml\n[\s\S]*?)```/.exec(text)?.[1];
  const file = join(tmpdir(), `ktally-usb-driver-${process.pid}.yaml`);
  writeFileSync(file, entry ?? "");
  const call = "usb_register_driver+0x0/0x130 [usbcore]";
  const { findings } = await auditDrawn(
    `
    insmod-140 [000] ..... 9.000000: module_load: mydriver OE
    insmod-140 [000] ..... 9.100000: reg: (${call}) driver=0xffffffffc0402000
    insmod-140 [000] ..... 9.100100: reg_ret: (mydriver_init+0x1f/0x1000 [mydriver] <- usb_register_driver) ret=0
    insmod-140 [000] ..... 9.200000: module_put: mydriver call_site=do_init_module refcnt=1
    rmmod-141 [000] ..... 10.000000: module_free: mydriver
    insmod-150 [000] ..... 11.000000: module_load: mydriver OE
    insmod-150 [000] ..... 11.100000: reg: (${call}) driver=0xffffffffc0402000
    insmod-150 [000] ..... 11.100100: reg_ret: (mydriver_init+0x1f/0x1000 [mydriver] <- usb_register_driver) ret=-16
    insmod-150 [000] ..... 11.200000: module_free: mydriver
    `,
    { catalog: defaultCatalog([file]) },
  );
  const told = findings.map(({ rule, verdict, class: of }) => `${rule} ${verdict} ${of.class}`);
  expect(told).toEqual(["stale-ops proven usb_driver", "double-registration proven usb_driver"]);
});
