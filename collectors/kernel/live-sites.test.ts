import { expect, test } from "vitest";
import type { PlannedProbe, ProbePlan } from "../plan.js";
import { compareSites } from "./live-sites.js";

const START = 0xffff_ffff_c000_0000n;
const HELPER = 0xffff_ffff_8100_0000n;

/** A plan with one site, and whether it stays when the running kernel has `live` in its place. */
function stays(bytes: string, live: string | null, loaded = true): boolean {
  const probe: PlannedProbe = {
    event: "site",
    kind: "kprobe",
    module: "kvm",
    symbol: "kvm_put_kvm",
    offset: 0x15,
    function: "kvm_put_kvm",
    classes: ["kvm"],
    site: { effect: "put", bytes, next: null, conditional: false },
    arguments: [],
    filter: null,
    rate: "rare",
  };
  const plan: ProbePlan = {
    schema: 1,
    kernel: { release: "6.12", buildId: null },
    modules: {},
    probes: [probe],
    classes: [{ class: "kvm", covered: "exactly", missing: [] }],
  };
  const compared = compareSites(plan, {
    find: (symbol, module) =>
      symbol === "refcount_dec_and_mutex_lock" ? [HELPER] : module === "kvm" && loaded ? [START] : [],
    read: (address) => (address === START + 0x15n && live !== null ? Buffer.from(live, "hex") : null),
  });
  const kept = compared.probes.length === 1;
  expect(compared.classes[0]?.covered).toBe(kept ? "exactly" : "partly");
  return kept;
}

/** `call` of an address, as it stands at the site. */
function callOf(target: bigint): string {
  const call = Buffer.from("e800000000", "hex");
  call.writeInt32LE(Number(BigInt.asIntN(32, target - (START + 0x15n + 5n))), 1);
  return call.toString("hex");
}

test("The instruction of the file stays, with its lock or without where there is one CPU", () => {
  expect(stays("f00fc187381a0000", "f00fc187381a0000")).toBe(true);
  expect(stays("f00fc187381a0000", "3e0fc187381a0000")).toBe(true);
});

test("Another instruction, a breakpoint of somebody's, or code that cannot be read is not probed", () => {
  expect(stays("f00fc187381a0000", "f00fc187401a0000")).toBe(false);
  expect(stays("f00fc187381a0000", "cc0fc187381a0000")).toBe(false);
  expect(stays("f00fc187381a0000", null)).toBe(false);
});

test("A call must lead to a function that counts", () => {
  expect(stays("e800000000", callOf(HELPER))).toBe(true);
  expect(stays("e800000000", callOf(HELPER + 16n))).toBe(false);
  expect(stays("e800000000", "0f1f440000")).toBe(false);
});

test("A module that is not loaded cannot be looked at: its sites stay", () => {
  expect(stays("f00fc187381a0000", null, false)).toBe(true);
});
