import { expect, it } from "vitest";
import { defaultCatalog } from "../catalog/default.js";
import { loadStructures } from "./structures.js";

it("every file names a structure that exists, by a pattern that is one", () => {
  const { structures, files, tables } = loadStructures();
  expect(structures.map((structure) => structure.class)).toContain("kvm");
  for (const { link } of files) expect(() => new RegExp(link)).not.toThrow();
  const { classes } = defaultCatalog();
  for (const { class: name } of [...structures, ...tables]) expect([...classes.keys()]).toContain(name);
});
