import { expect, test } from "vitest";
import { defaultCatalog } from "../catalog/default.js";
import { KernelSymbols } from "../snapshot/kernel-symbols.js";
import { readBuiltIn } from "./built-in.js";
import type { RunningCode } from "./live-sites.js";
import { findOperations } from "./operations.js";
import { readSymbols } from "./symbols.js";

const TEXT = 0xffff_ffff_8100_0000n;
const NOP = "0f1f440000";
/** mov $-1,%eax; lock xadd %eax,(%rdi). */
const PUT = "b8fffffffff00fc107";

/** The operations found in a kernel whose functions follow each other, each filled up with int3 to 32 bytes. */
function operationsOf(functions: Record<string, string>): string[] {
  const memory = Buffer.concat(
    Object.values(functions).map((hex) => Buffer.concat([Buffer.from(hex, "hex"), Buffer.alloc(32, 0xcc)], 32)),
  );
  const lines = [...Object.keys(functions), "the_end"].map(
    (name, index) => `${(TEXT + BigInt(index * 32)).toString(16)} T ${name}\n`,
  );
  const symbols = new KernelSymbols(Buffer.from(lines.join("")));
  const running: RunningCode = {
    find: (symbol, module) => symbols.find(symbol, module),
    extent: (symbol) => symbols.extent(symbol),
    nameAt: (address) => symbols.functionAt(address),
    read: (address, length) => memory.subarray(Number(address - TEXT), Number(address - TEXT) + length),
  };
  return readBuiltIn(defaultCatalog(), running, readSymbols(lines.join(""))).functions.flatMap((code) =>
    findOperations(code).map(
      ({ offset, delta, address: { root } }) => `${code.names[0]}+${offset} ${delta} ${root?.text}`,
    ),
  );
}

/** call of the function that is `distance` places further on, from 5 bytes behind the start. */
const call = (distance: number): string => {
  const bytes = Buffer.from("e800000000", "hex");
  bytes.writeInt32LE(distance * 32 - 10, 1);
  return bytes.toString("hex");
};

test("Operations in the kernel's own functions are found in its memory", () => {
  expect(operationsOf({ eventfd_ctx_put: `${NOP}${PUT}c3`, nobody_asked: `${NOP}${PUT}c3` })).toEqual([
    "eventfd_ctx_put+10 -1 di",
  ]);
  // je over ret; int3
  expect(operationsOf({ eventfd_ctx_put: `${NOP}7402c3cc${PUT}c3` })).toEqual(["eventfd_ctx_put+14 -1 di"]);
  expect(operationsOf({ eventfd_ctx_put: `${NOP}${call(1)}c3`, refcount_dec_and_mutex_lock: `${NOP}c3` })).toEqual([
    "eventfd_ctx_put+5 -1 di",
  ]);
});

test("A function with somebody's breakpoint in it is left alone: what follows cannot be decoded", () => {
  expect(operationsOf({ eventfd_ctx_put: `${NOP}cc${PUT}c3` })).toEqual([]);
});
