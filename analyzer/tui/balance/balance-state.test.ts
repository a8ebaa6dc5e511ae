import { expect, it } from "vitest";
import type { BalancePair } from "../../store/balance.js";
import { type BalanceState, balanceRows, reduceBalance, startBalance } from "./balance-state.js";

const pair = (name: string, net: number): BalancePair => ({
  class: name,
  gets: 3 + net,
  puts: 3,
  net,
  shown_by: 1,
  sites: [
    {
      name: "kvm_vm_ioctl+0xcde",
      does: "get",
      count: 3 + net,
      stacks: [{ count: 3 + net, frames: ["kvm_vm_ioctl", "ksys"] }],
    },
    { name: "kvm_vcpu_release", does: "put", count: 3, stacks: [{ count: 3, frames: [] }] },
  ],
});
const PAIRS = [pair("kvm", 1), pair("kvm", 0), pair("vfio_group", 0)];

const after = (state: BalanceState, ...commands: string[]) =>
  commands.reduce((now, command) => reduceBalance(now, command, 20), state);
const keys = (state: BalanceState) => balanceRows(state).map(({ key }) => key);

it("what is left is unfolded, what came to nothing is not", () => {
  expect(keys(startBalance(PAIRS))).toEqual(["0", "0/0", "0/1", "1", "2"]);
});

it("a site unfolds into its stacks, and folds back from any of its lines", () => {
  const open = after(startBalance(PAIRS), "down", "unfold");
  expect(keys(open)).toEqual(["0", "0/0", "0/0/0/0", "0/0/0/1", "0/1", "1", "2"]);
  const folded = after(open, "down", "down", "fold");
  expect(keys(folded)).toEqual(["0", "0/0", "0/1", "1", "2"]);
  expect(folded.list.selected).toBe(1);
  expect(keys(after(folded, "fold"))).toEqual(["0", "1", "2"]);
});

it("everything at once, and nothing", () => {
  const all = after(startBalance(PAIRS), "unfold-all");
  expect(keys(all)).toHaveLength(3 + 6 + 9);
  expect(keys(after(all, "fold-all"))).toEqual(["0", "1", "2"]);
});

it("classes go round, all of them first", () => {
  const kvm = after(startBalance(PAIRS), "next-class");
  expect(kvm.class).toBe("kvm");
  expect(keys(after(kvm, "next-class"))).toEqual(["2"]);
  expect(after(kvm, "previous-class").class).toBeNull();
});
