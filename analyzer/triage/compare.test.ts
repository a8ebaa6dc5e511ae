import { describe, expect, it } from "vitest";
import { compare, hasError } from "./compare.js";
import type { EarlierFinding } from "./earlier.js";

/** `a leak derived`: fingerprint, rule, verdict; more words: `note`, or what suppresses it. */
function finding(text: string): EarlierFinding {
  const [fingerprint = "", rule = "", verdict = "", more] = text.split(" ");
  return {
    fingerprint,
    rule,
    verdict,
    class: "kvm",
    level: more === "note" ? more : "error",
    title: text,
    suppressed_by: more === undefined || more === "note" ? null : more,
  };
}

describe("two audits", () => {
  it("have findings that are new, gone, and the same as the second tells them", () => {
    const before = ["a leak suspected", "b leak derived"].map(finding);
    const after = ["a leak proven", "c extra-put proven"].map(finding);
    const { added, gone, same } = compare(before, after);
    expect([added, gone, same].map((list) => list.map(({ title }) => title))).toEqual([
      ["c extra-put proven"],
      ["b leak derived"],
      ["a leak proven"],
    ]);
  });

  it("count a fingerprint once, by its surest finding", () => {
    const after = ["a leak suspected", "a leak derived", "a leak suspected"].map(finding);
    expect(compare([], after).added.map(({ title }) => title)).toEqual(["a leak derived"]);
  });

  it.each([
    ["a leak proven", true],
    ["a leak derived", true],
    ["a leak suspected", false],
    ["a unregister-stuck derived note", false],
    ["a leak proven baseline", false],
  ])("%s is an error: %s", (text, expected) => {
    expect(hasError([finding(text)])).toBe(expected);
  });
});
