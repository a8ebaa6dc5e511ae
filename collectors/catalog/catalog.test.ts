import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CatalogError, catalogFiles, conditionsOf, loadCatalog, parseClass, parsePrototype } from "./catalog.js";
import { compile } from "./compiled.js";
import { catalogFolder, defaultCatalog } from "./default.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-catalog-"));
afterAll(() => rmSync(folder, { recursive: true }));

function problemsOf(text: string): string[] {
  const problems: string[] = [];
  parseClass("x.yaml", text, problems);
  return problems;
}

/** What loading says with this entry beside our own. */
function loading(text: string, name = "own.yaml"): string[] {
  const file = join(folder, name);
  writeFileSync(file, text);
  try {
    loadCatalog(catalogFolder(), [file]);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(CatalogError);
    return (error as CatalogError).problems.map((problem) => problem.replace(`${folder}/`, ""));
  }
}

const OWN = `class: kvm_irq_bypass
title: irq bypass consumer
kind: entry
table:
  key: consumer
  ops: consumer
  duplicate: refused
  duplicate_errors: [EBUSY]
  home: irqbypass
  owner: module
  empty_unregister: legal
functions:
  irq_bypass_register_consumer:
    prototype: int irq_bypass_register_consumer(struct irq_bypass_consumer *consumer)
    refusal: caller
    effects:
      - { effect: register, key: consumer, ops: consumer, when: ret == 0 }
`;

describe("a compiled catalog", () => {
  const texts = () => catalogFiles(catalogFolder()).map((file) => readFileSync(file, "utf8"));
  const compiled = join(folder, "catalog.json");

  it("is the catalog", () => {
    const catalog = loadCatalog(catalogFolder());
    writeFileSync(compiled, compile(texts(), catalog.classes.values()));
    const again = loadCatalog(catalogFolder(), [], compiled);
    expect([...again.classes]).toStrictEqual([...catalog.classes]);
    expect(again).toStrictEqual(catalog);
  });

  it("takes classes of the user's own, and checks them", () => {
    const own = join(folder, "kvm_irq_bypass.yaml");
    writeFileSync(own, OWN.replaceAll("consumer", "producer").replace("key: producer,", "key: nothing,"));
    writeFileSync(compiled, compile(texts(), loadCatalog(catalogFolder()).classes.values()));
    expect(() => loadCatalog(catalogFolder(), [own], compiled)).toThrow(/there is no argument nothing/);
  });

  it("is not used once a text has changed", () => {
    const [first, ...others] = texts();
    writeFileSync(compiled, compile([`${first}\n`, ...others], []));
    expect(loadCatalog(catalogFolder(), [], compiled).classes.size).toBe(texts().length);
  });
});

describe("our own catalog", () => {
  it("loads, each file named after its class", () => {
    const names = readdirSync(catalogFolder()).filter((name) => name.endsWith(".yaml"));
    expect([...defaultCatalog().classes.keys()].sort()).toEqual(names.map((name) => name.replace(".yaml", "")).sort());
  });

  it("names every argument that an effect speaks of in the function's prototype", () => {
    for (const known of defaultCatalog().functions.values()) {
      expect(known.prototype.parameters.every(({ name }) => /^[a-z_]\w*$/i.test(name))).toBe(true);
      // A condition needs something to look at.
      const effects = known.meanings.flatMap(({ entry }) => entry.effects);
      const conditional = effects.some((effect) => conditionsOf(effect).some((text) => text.includes("ret")));
      if (conditional) expect(known.prototype.returns, known.name).not.toBe("void");
    }
  });
});

describe("a broken entry is named by file, line and column", () => {
  it.each([
    [
      "an unknown word",
      "class: a\ntitle: A\nkind: object\ncolour: red\n",
      ["x.yaml:4:1: colour: is not a word of the catalog"],
    ],
    [
      "a class in capitals",
      "class: Kvm\ntitle: A\nkind: object\n",
      ["x.yaml:1:1: class: must be lower case letters, digits and _"],
    ],
    [
      "a missing title",
      "class: a\nkind: object\n",
      ["x.yaml:1:1: title: Invalid input: expected string, received undefined"],
    ],
    [
      "a wrong kind",
      "class: a\ntitle: A\nkind: thing\n",
      ['x.yaml:3:1: kind: Invalid option: expected one of "counted"|"object"|"entry"|"instance"|"machine"'],
    ],
    [
      "a word too many in an effect",
      "class: a\ntitle: A\nkind: object\nfunctions:\n  f:\n    prototype: int f(void)\n    effects:\n      - { effect: create, objet: dev }\n",
      ["x.yaml:8:27: functions.f.effects.0.objet: is not a word of the catalog"],
    ],
    [
      "something that is no prototype",
      "class: a\ntitle: A\nkind: object\nfunctions:\n  f:\n    prototype: f\n    effects: [{ effect: create }]\n",
      ["x.yaml:6:5: functions.f.prototype: must be a C prototype: type name(type arg, ...)"],
    ],
    [
      "a condition that nobody can evaluate",
      "class: a\ntitle: A\nkind: object\nfunctions:\n  f:\n    prototype: int f(int b)\n    effects:\n      - effect: create\n        when: ret = 0\n",
      [expect.stringMatching(/^x\.yaml:9:9: functions\.f\.effects\.0\.when: must be a test such as ret == 0, /)],
    ],
    ["the same key twice", "class: a\nclass: b\n", ["x.yaml:2:1: Map keys must be unique"]],
    ["no YAML at all", "class: [a\n", [expect.stringMatching(/^x\.yaml:2:1: /)]],
    ["an empty file", "", [expect.stringMatching(/^x\.yaml:1:1: entry: Invalid input/)]],
    ["a list", "- a\n", [expect.stringMatching(/^x\.yaml:1:1: entry: Invalid input/)]],
    [
      "a tracepoint without its system",
      "class: a\ntitle: A\nkind: object\ntracepoints:\n  load: { effect: create, object: name }\n",
      [expect.stringMatching(/^x\.yaml:5:3: tracepoints\.load: /)],
    ],
  ])("%s", (_, text, expected) => {
    expect(problemsOf(text)).toEqual(expected);
  });

  it("all problems of a file are told, not the first alone", () => {
    expect(problemsOf("class: A\nkind: thing\ncolour: red\n")).toHaveLength(4);
  });
});

describe("entries of the user's own", () => {
  it("add a class", () => {
    expect(loading(OWN)).toEqual([]);
    const catalog = loadCatalog(catalogFolder(), [join(folder, "own.yaml")]);
    expect(
      catalog.functions.get("irq_bypass_register_consumer")?.meanings.map(({ class: entry }) => entry.class),
    ).toContain("kvm_irq_bypass");
  });

  it("replace ours of the same name", () => {
    const file = join(folder, "kvm_core.yaml");
    writeFileSync(file, "class: kvm_core\ntitle: mine\nkind: instance\n");
    const catalog = loadCatalog(catalogFolder(), [file]);
    expect(catalog.classes.get("kvm_core")?.title).toBe("mine");
    expect(catalog.functions.has("kvm_exit")).toBe(false);
  });

  it.each([
    ["a parent that is no class", `${OWN}parent: nothing\n`, /parent nothing is no class/],
    ["an owner that is no class", OWN.replace("owner: module", "owner: nothing"), /table\.owner nothing is no class/],
    [
      "a key that is no argument",
      OWN.replace("key: consumer, ops", "key: consumr, ops"),
      /irq_bypass_register_consumer: there is no argument consumr/,
    ],
    ["an entry class without a table", "class: a\ntitle: A\nkind: entry\n", /a class of entries needs a table/],
    ["a counted class without a counter", "class: a\ntitle: A\nkind: counted\n", /a counted class needs a counter/],
    [
      "another prototype than ours",
      "class: a\ntitle: A\nkind: object\nfunctions:\n  kvm_exit:\n    prototype: int kvm_exit(int x)\n    effects: [{ effect: destroy }]\n",
      /functions\.kvm_exit: its prototype differs/,
    ],
  ])("may not have %s", (_, text, expected) => {
    expect(loading(text)).toEqual([expect.stringMatching(expected)]);
  });

  it("that cannot be read are named", () => {
    expect(() => loadCatalog(catalogFolder(), [join(folder, "nothing.yaml")])).toThrow(
      /nothing\.yaml: cannot be read \(ENOENT\)/,
    );
    expect(() => loadCatalog(catalogFolder(), [folder])).toThrow(/cannot be read \(EISDIR\)/);
  });
});

describe("prototypes", () => {
  it.each([
    ["void f(void)", "void", []],
    ["void f()", "void", []],
    ["int f(struct kvm *kvm, u32 type)", "int", ["*kvm", "type"]],
    ["struct vfio_group *f(struct iommu_group *iommu_group, int type)", "pointer", ["*iommu_group", "type"]],
    ["bool f(const struct kvm *kvm)", "bool", ["*kvm"]],
    ["unsigned long f(unsigned long a)", "long", ["a"]],
    ["static int f(char **names)", "int", ["*names"]],
    ["struct vfio_group* f(int a)", "pointer", ["a"]],
  ])("%s", (text, returns, parameters) => {
    const known = parsePrototype(text);
    expect(known.returns).toBe(returns);
    expect(known.parameters.map(({ name, pointer }) => (pointer ? `*${name}` : name))).toEqual(parameters);
  });
});
