import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { catalog } from "../testing/text.js";
import type { CallSite } from "./call-sites.js";
import { type Lesson, pairSites } from "./pairs.js";

const kvm = catalog.classes.get("kvm") as CallSite["class"];

/** Sites by name, the puts in capitals: `a`, `b(vCPU file)`, `A`. */
function sites(...texts: string[]): CallSite[] {
  return texts.map((text, index) => {
    const [, name = "", files] = /^(\w+)(?:\((.*)\))?$/.exec(text) ?? [];
    const does = name === name.toUpperCase() ? "put" : "get";
    return { id: index, class: kvm, does, function: name, caller: null, name, files: files ? files.split("|") : [] };
  });
}

/** Lives, as how often each site was passed: `a2 A2 b1 B1`. */
function lives(all: readonly CallSite[], ...texts: string[]): Lesson[] {
  return texts.map(
    (text) =>
      new Map(
        text.split(" ").map((word) => {
          const [, name, count] = /^(\w)(\d)$/.exec(word) ?? [];
          return [all.find((site) => site.name === name) as CallSite, Number(count)];
        }),
      ),
  );
}

/** `a=A b|c=B`, in order of the alphabet. */
function paired(all: readonly CallSite[], lessons: readonly Lesson[]): string {
  const names = (list: readonly CallSite[]) =>
    list
      .map(({ name }) => name)
      .sort()
      .join("|");
  return pairSites(all, lessons)
    .map(({ gets, puts }) => `${names(gets)}=${names(puts)}`)
    .sort()
    .join(" ");
}

describe("call sites are paired", () => {
  it("by how often balanced lives passed them", () => {
    const all = sites("a", "b", "A", "B");
    expect(paired(all, lives(all, "a1 A1 b2 B2", "a1 A1"))).toBe("a=A b=B");
  });

  it("by their files where the counts are equal, else not at all", () => {
    const named = sites("a(VM file)", "b(vCPU file|device file)", "A(VM file)", "B(vCPU file)");
    expect(paired(named, lives(named, "a1 b1 A1 B1"))).toBe("a=A b=B");
    const nameless = sites("a", "b", "A", "B");
    expect(paired(nameless, lives(nameless, "a1 b1 A1 B1"))).toBe("a|b=A|B");
  });

  it("several with one, where more than one life shows it", () => {
    const all = sites("a", "b", "c", "C", "A");
    expect(paired(all, lives(all, "a1 b2 A3 c1 C1", "a2 b1 A3 c1 C1"))).toBe("a|b=A c=C");
    const once = sites("a", "b", "c", "A", "C");
    expect(paired(once, lives(once, "a1 b2 c4 A3 C4"))).toBe("a|b=A c=C");
  });

  it("by the catalog alone, where no life was balanced", () => {
    const all = sites("a(VM file)", "b(vCPU file|device file)", "A(VM file)", "B(vCPU file)", "D(device file)", "c");
    expect(paired(all, [])).toBe("a=A b=B|D c=");
  });

  it("a file's get with nothing else, where its release was not seen", () => {
    const all = sites("a(VM file)", "b", "B", "C");
    expect(paired(all, [])).toBe("a= b=B|C");
  });

  it("one that no life taught joins those of its files", () => {
    const all = sites("a", "b(vCPU file)", "A", "B(vCPU file)", "C(vCPU file)");
    expect(paired(all, lives(all, "a1 A1 b2 B2", "a1 A1"))).toBe("a=A b=B|C");
  });

  it("each in one pair, and all lives balanced in every pair that they taught", () => {
    const all = sites("a", "b", "c", "d", "A", "B", "C", "D");
    const life = fc.array(fc.nat({ max: 3 }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(life, { maxLength: 5 }), (counts) => {
        const lessons = counts.map((of) => {
          const words = of.flatMap((count, index) =>
            count === 0 ? [] : ["abcd"[index], "ABCD"[index]].map((name) => `${name}${count}`),
          );
          return words.length === 0 ? new Map() : (lives(all, words.join(" "))[0] as Lesson);
        });
        const pairs = pairSites(all, lessons);
        expect(pairs.flatMap(({ gets, puts }) => [...gets, ...puts]).length).toBe(all.length);
        for (const { gets, puts, lessons: shown } of pairs) {
          if (shown === 0) continue;
          for (const lesson of lessons) {
            const sum = (list: readonly CallSite[]) => list.reduce((total, site) => total + (lesson.get(site) ?? 0), 0);
            expect(sum(gets)).toBe(sum(puts));
          }
        }
      }),
    );
  });
});
