/** Loads and checks the catalog: one resource class per YAML file. */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { z } from "zod";
import { readCompiled } from "./compiled.js";
import { parseCondition } from "./condition.js";
import { type ClassEntry, classSchema, type Effect, type EffectEntry, type FunctionEntry } from "./schema.js";

/** An argument of a function's prototype. */
export interface Parameter {
  name: string;
  pointer: boolean;
  /** Name of the struct that it points to. */
  struct: string | null;
}

export interface Prototype {
  returns: "void" | "int" | "bool" | "pointer" | "long";
  parameters: readonly Parameter[];
}

/** A function with its meaning in every class that names it. */
export interface CataloguedFunction {
  name: string;
  prototype: Prototype;
  meanings: readonly { class: ClassEntry; entry: FunctionEntry }[];
}

export interface Catalog {
  classes: ReadonlyMap<string, ClassEntry>;
  functions: ReadonlyMap<string, CataloguedFunction>;
  /** `system:event` -> classes. */
  tracepoints: ReadonlyMap<string, readonly ClassEntry[]>;
  /** Function with inlined operations -> classes whose counter they change. */
  sites: ReadonlyMap<string, readonly ClassEntry[]>;
}

/** What is wrong with an entry, as `file:line:col: message`. */
export class CatalogError extends Error {
  override name = "CatalogError";
  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

/**
 * Reads all `*.yaml` of a folder and further files of the user's own (a class of theirs replaces ours of that name).
 * `compiled` names the file with the folder's classes as the build left them; it is used if it is there and of these
 * texts.
 * @throws CatalogError with every problem of every file.
 */
export function loadCatalog(folder: string, more: readonly string[] = [], compiled: string | null = null): Catalog {
  const files = catalogFiles(folder);
  const problems: string[] = [];
  const texts = files.map((file) => readText(file, problems));
  const checked = compiled === null ? null : readCompiled(compiled, texts);
  const parsed = checked ?? files.map((file, index) => parseText(file, texts[index] ?? null, problems));
  const own = more.map((file) => parseText(file, readText(file, problems), problems));
  const classes = new Map<string, ClassEntry>();
  for (const entry of [...parsed, ...own]) if (entry !== null) classes.set(entry.class, withPlainLookups(entry));
  if (checked === null || more.length > 0) {
    if (problems.length === 0) checkReferences(classes, problems);
    if (problems.length === 0) checkOrders(classes, problems);
  }
  if (problems.length > 0) throw new CatalogError(problems);
  return buildCatalog(classes);
}

/** One per class, in the order in which they are read. */
export function catalogFiles(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".yaml"));
  return names.sort().map((name) => join(folder, name));
}

function parseText(file: string, text: string | null, problems: string[]): ClassEntry | null {
  return text === null ? null : parseClass(file, text, problems);
}

function readText(file: string, problems: string[]): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    problems.push(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code}); name a catalog entry in YAML`);
    return null;
  }
}

/** Loaded where a text has to be parsed, which after a build is seldom. */
function yaml(): typeof import("yaml") {
  return createRequire(import.meta.url)("yaml");
}

/** Parses one class entry; problems are appended as `file:line:col: message`. */
export function parseClass(file: string, text: string, problems: string[]): ClassEntry | null {
  const { LineCounter, parseDocument } = yaml();
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  for (const error of document.errors) problems.push(`${at(error.pos[0])}: ${error.message}`);
  if (document.errors.length > 0) return null;
  const result = classSchema.safeParse(document.toJS());
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const { path, message } = describe(issue);
    problems.push(`${at(nodeOffset(document.contents, path))}: ${path.join(".") || "entry"}: ${message}`);
  }
  return null;
}

/** These are asked for names that traces bring, and one may be called `constructor`. */
function withPlainLookups(entry: ClassEntry): ClassEntry {
  for (const names of [entry.functions, entry.sites, entry.tracepoints]) Object.setPrototypeOf(names, null);
  return entry;
}

/** The path that a reader should look at: of the offending key itself where one is too many. */
function describe(issue: z.core.$ZodIssue): { path: PropertyKey[]; message: string } {
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    return { path: [...issue.path, key], message: "is not a word of the catalog" };
  }
  return { path: [...issue.path], message: issue.message };
}

/** Offset of the innermost node of a path that exists. */
function nodeOffset(root: unknown, path: readonly PropertyKey[]): number {
  let node = root;
  let offset = 0;
  for (const key of path) {
    const pair = pairOf(node, key);
    if (pair === null) break;
    offset = pair.offset;
    node = pair.value;
  }
  return offset;
}

function pairOf(node: unknown, key: PropertyKey): { offset: number; value: unknown } | null {
  const { isNode } = yaml();
  if (!isNode(node) || !("items" in node)) return null;
  for (const [index, item] of (node.items as unknown[]).entries()) {
    if (isNode(item)) {
      if (index === key) return { offset: item.range?.[0] ?? 0, value: item };
      continue;
    }
    const pair = item as { key: unknown; value: unknown };
    if (isNode(pair.key) && "value" in pair.key && String(pair.key.value) === String(key)) {
      return { offset: pair.key.range?.[0] ?? 0, value: pair.value };
    }
  }
  return null;
}

/** Names in one entry that another entry, or the same one, must have. */
function checkReferences(classes: ReadonlyMap<string, ClassEntry>, problems: string[]): void {
  const prototypes = new Map<string, string>();
  for (const entry of classes.values()) {
    const say = (message: string) => problems.push(`class ${entry.class}: ${message}`);
    if (entry.parent !== undefined && !classes.has(entry.parent)) say(`parent ${entry.parent} is no class`);
    if (entry.table && entry.table.owner !== "module" && !classes.has(entry.table.owner)) {
      say(`table.owner ${entry.table.owner} is no class`);
    }
    if (entry.table?.owner_by !== undefined && !classes.has(entry.table.owner_by)) {
      say(`table.owner_by ${entry.table.owner_by} is no class`);
    }
    if (entry.kind === "counted" && !entry.counter) say("a counted class needs a counter");
    if (entry.kind === "entry" && !entry.table) say("a class of entries needs a table");
    for (const [name, func] of Object.entries(entry.functions)) {
      const known = prototypes.get(name);
      if (known !== undefined && known !== func.prototype) {
        say(`functions.${name}: its prototype differs from the one in another class`);
      }
      prototypes.set(name, func.prototype);
      const names = new Set(parsePrototype(func.prototype).parameters.map((parameter) => parameter.name));
      const isArgument = (word: string) => names.has(baseOf(word));
      for (const effect of func.effects) {
        const { object, key, ops, exclusive, parent, target, amount } = effect;
        const tested = conditionsOf(effect).map((text) => parseCondition(text)?.of ?? "ret");
        for (const word of [key, ops, exclusive, parent, target, amount, ...tested]) {
          if (word === undefined || word === "ret" || isArgument(word)) continue;
          say(`functions.${name}: there is no argument ${baseOf(word)}`);
        }
        if (object !== undefined && object !== "ret" && !isArgument(object) && !entry.names?.includes(object)) {
          say(`functions.${name}: ${object} is neither an argument nor one of the class's names`);
        }
      }
    }
  }
}

/** Functions that an order or a module's reference speaks of must be known, or nobody would notice them. */
function checkOrders(classes: ReadonlyMap<string, ClassEntry>, problems: string[]): void {
  const known = new Set([...classes.values()].flatMap((entry) => Object.keys(entry.functions)));
  for (const entry of classes.values()) {
    for (const name of entry.module_refs.flatMap(({ put }) => put)) {
      if (!known.has(name)) problems.push(`class ${entry.class}: module_refs: ${name} is no function`);
    }
    for (const [caller, { phase_of, effects }] of Object.entries(entry.functions)) {
      for (const name of [phase_of, ...effects.map(({ within }) => within)]) {
        if (name !== undefined && !known.has(name))
          problems.push(`class ${entry.class}: ${caller}: ${name} is no function`);
      }
    }
    for (const row of entry.order) {
      const not = row.not === "last put" ? undefined : row.not;
      const before = row.before === "get" ? undefined : row.before;
      for (const name of [not, row.during, before, row.within, row.inside]) {
        if (name !== undefined && !known.has(name))
          problems.push(`class ${entry.class}: order: ${name} is no function`);
      }
    }
  }
}

function buildCatalog(classes: ReadonlyMap<string, ClassEntry>): Catalog {
  const functions = new Map<string, CataloguedFunction>();
  const tracepoints = new Map<string, ClassEntry[]>();
  const sites = new Map<string, ClassEntry[]>();
  for (const entry of classes.values()) {
    for (const [name, func] of Object.entries(entry.functions)) {
      const known = functions.get(name);
      const meanings = [...(known?.meanings ?? []), { class: entry, entry: func }];
      functions.set(name, { name, prototype: known?.prototype ?? parsePrototype(func.prototype), meanings });
    }
    for (const name of Object.keys(entry.tracepoints)) append(tracepoints, name, entry);
    for (const name of Object.keys(entry.sites)) append(sites, name, entry);
  }
  return { classes, functions, tracepoints, sites };
}

/** `ops` of `ops->owner`. */
export function baseOf(expression: string): string {
  return expression.split("->", 1)[0] ?? expression;
}

/** What must hold for an effect to take place. */
export function conditionsOf({ when }: Pick<EffectEntry, "when">): readonly string[] {
  return when === undefined ? [] : typeof when === "string" ? [when] : when;
}

/** Functions of a class that have an effect. */
export function functionsWith(entry: ClassEntry, effect: Effect): string[] {
  return Object.entries(entry.functions)
    .filter(([, spec]) => spec.effects.some((candidate) => candidate.effect === effect))
    .map(([name]) => name);
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** Reads a C prototype such as `struct vfio_group *f(struct iommu_group *iommu_group, int type)`. */
export function parsePrototype(text: string): Prototype {
  const open = text.indexOf("(");
  const head = text.slice(0, open).trim();
  const inner = text.slice(open + 1, text.lastIndexOf(")")).trim();
  const parameters =
    inner === "" || inner === "void"
      ? []
      : inner.split(",").map((part) => ({
          name: /([A-Za-z_]\w*)\s*$/.exec(part)?.[1] ?? "",
          pointer: part.includes("*"),
          struct: /\bstruct\s+(\w+)\s*\*/.exec(part)?.[1] ?? null,
        }));
  return { returns: returnType(head), parameters };
}

function returnType(head: string): Prototype["returns"] {
  if (head.includes("*")) return "pointer";
  const first = head.replace(/^(static|inline|extern)\s+/, "").split(/\s+/)[0];
  if (first === "void" || first === "bool" || first === "int") return first;
  return "long";
}
