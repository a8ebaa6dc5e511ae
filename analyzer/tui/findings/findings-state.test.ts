import { expect, it } from "vitest";
import type { ListedFinding } from "../../store/browse/findings.js";
import { type FindingsState, reduceFindings, rowsOf, startFindings, withFilter, withHeads } from "./findings-state.js";

function head(id: number, more: Partial<ListedFinding> = {}): ListedFinding {
  return {
    id,
    rule: "leak",
    variant: "leak",
    level: "error",
    verdict: "derived",
    class: "kvm",
    label: `virtual machine ${id}`,
    address: 0xffffca47c0409000n + BigInt(id),
    key: null,
    generation: 1,
    consequence_of: null,
    fingerprint: `bug ${id}`,
    title: "",
    culprit: "kvm_vm_ioctl",
    time_ns: BigInt(id),
    ...more,
  };
}

const HEADS = [
  head(1, { verdict: "suspected", culprit: "kvm_init" }),
  head(2, { fingerprint: "same bug" }),
  head(3, { fingerprint: "same bug", label: "virtual machine 0" }),
  head(4, { consequence_of: 3, rule: "extra-put", culprit: "kvm_put_kvm" }),
  head(5, { verdict: "proven", rule: "stale-ops" }),
  head(6, { level: "note", rule: "unregister-stuck" }),
];

const lines = (state: FindingsState) => rowsOf(state).map(({ head: { id }, role, count }) => `${role} ${id} ×${count}`);
const after = (state: FindingsState, ...commands: string[]) =>
  commands.reduce((now, command) => reduceFindings(now, command, 5), state);

it("errors come first, the surest on top; one bug is one line; notes come last", () => {
  expect(lines(startFindings(HEADS))).toEqual(["cause 5 ×1", "cause 2 ×2", "cause 1 ×1", "cause 6 ×1"]);
});

it("a cause unfolds into the other objects it hit and what followed, and folds from any of its lines", () => {
  const unfolded = after(startFindings(HEADS), "down", "unfold");
  expect(lines(unfolded).slice(1, 4)).toEqual(["cause 2 ×2", "same 3 ×1", "consequence 4 ×1"]);
  const folded = after(unfolded, "down", "down", "fold");
  expect(lines(folded)).toHaveLength(4);
  expect(folded.list.selected).toBe(1);
});

it("each finding has its own line when they are not grouped", () => {
  const flat = after(startFindings(HEADS), "group");
  expect(lines(flat)).toHaveLength(HEADS.length);
  expect(lines(flat)).toContain("consequence 4 ×1");
});

it("the finding that is selected stays so when the order changes", () => {
  const sorted = after(startFindings(HEADS), "last", "sort");
  expect(sorted.sort).toBe("rule");
  expect(rowsOf(sorted)[sorted.list.selected]?.head.id).toBe(6);
  expect(lines(after(sorted, "reverse"))).toEqual(lines(sorted).reverse());
});

it("a filter wants all its words, anywhere in the line, addresses too", () => {
  expect(lines(withFilter(startFindings(HEADS), "LEAK kvm_init", 5))).toEqual(["cause 1 ×1"]);
  expect(lines(withFilter(startFindings(HEADS), "0xffffca47c0409005", 5))).toEqual(["cause 5 ×1"]);
  // A consequence brings its cause.
  expect(lines(withFilter(startFindings(HEADS), "kvm_put_kvm", 5))).toEqual(["cause 2 ×2"]);
  expect(lines(after(withFilter(startFindings(HEADS), "nothing", 5), "back"))).toHaveLength(4);
});

it("what comes in later does not move the selection", () => {
  const before = after(startFindings(HEADS), "down");
  const now = withHeads(before, [...HEADS, head(7, { verdict: "proven" })], 5);
  expect(rowsOf(now)[now.list.selected]?.head.id).toBe(2);
  expect(lines(now)).toContain("cause 7 ×1");
});

it("an empty list takes every command", () => {
  const empty = after(startFindings([]), "down", "unfold", "fold", "sort", "group", "last", "story-down");
  expect(rowsOf(empty)).toEqual([]);
});
