import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matches, parseSuppressions, suppressionOf } from "./suppressions.js";

const LEAK = { rule: "leak", class: { class: "kvm" } } as const;
const FUNCTIONS = ["kvm_get_kvm", "kvmuser_open_device", "vfio_device_open"];

describe("a suppression file", () => {
  it("has lines, comments and room", () => {
    const found = parseSuppressions("# all\n\n leak:kvm:*  # why\r\nextra-put: kvm : kvm_put_kvm\n", "known.txt");
    expect(found.map(({ pattern, at }) => `${at} ${pattern}`)).toEqual([
      "known.txt:3 leak:kvm:*",
      "known.txt:4 extra-put: kvm : kvm_put_kvm",
    ]);
  });

  it.each(["leak", "leak:kvm", "leak:kvm:", "a:b:c:d", "leak::f"])("refuses %s, with its line", (line) => {
    expect(() => parseSuppressions(`# one\n${line}\n`, "known.txt")).toThrow(/^known\.txt:2: .* rule:class:function/);
  });
});

describe("a suppression", () => {
  it.each([
    ["leak:kvm:kvm_get_kvm", true],
    ["leak:kvm:kvmuser_open_device", true],
    ["leak:*:kvmuser_*", true],
    ["*:*:*", true],
    ["leak:kvm:kvm_get", false],
    ["extra-put:kvm:*", false],
    ["leak:vfio_group:*", false],
  ])("%s: %s", (line, expected) => {
    const all = parseSuppressions(line, "f");
    expect(suppressionOf(LEAK, FUNCTIONS, all) !== null).toBe(expected);
    expect(all[0]?.uses).toBe(expected ? 1 : 0);
  });

  it("is used in the order of the file, once per finding", () => {
    const all = parseSuppressions("leak:kvm:nothing\nleak:kvm:*\nleak:*:*", "f");
    suppressionOf(LEAK, FUNCTIONS, all);
    suppressionOf(LEAK, FUNCTIONS, all);
    expect(all.map(({ uses }) => uses)).toEqual([0, 2, 0]);
  });
});

describe("wildcards", () => {
  const part = fc.stringMatching(/^[ab_]{0,4}$/);

  it("match whatever stands in their place", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(part, part), { maxLength: 4 }), part, (pairs, end) => {
        const pattern = `${pairs.map(([literal]) => `${literal}*`).join("")}${end}`;
        const text = `${pairs.map(([literal, any]) => literal + any).join("")}${end}`;
        expect(matches(pattern, text)).toBe(true);
      }),
    );
  });

  it("say the same as a regular expression", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ab*]{0,6}$/), fc.stringMatching(/^[ab]{0,8}$/), (pattern, text) => {
        expect(matches(pattern, text)).toBe(new RegExp(`^${pattern.replace(/\*+/g, ".*")}$`).test(text));
      }),
    );
  });

  it("cannot be made to take for ever", () => {
    expect(matches(`${"*a".repeat(5_000)}b`, "a".repeat(10_000))).toBe(false);
  });
});
