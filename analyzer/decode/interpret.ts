/**
 * What a probe is about: which catalogued function, inlined site or tracepoint, and which of its values is what.
 * Decided once per probe; only what depends on values is left to each event.
 */
import {
  type Catalog,
  type CataloguedFunction,
  conditionsOf,
  type Parameter,
} from "../../collectors/catalog/catalog.js";
import { parseCondition } from "../../collectors/catalog/condition.js";
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { CodeLocation, Probe, Value } from "../import/trace-event.js";

export type Interpretation =
  | { role: "entry"; function: CataloguedFunction; arguments: ArgumentMap }
  /** `counter`: field with the returned object's counter, as it is by then. */
  | { role: "return"; function: CataloguedFunction; result: number | null; counter: number | null }
  | { role: "site"; class: ClassEntry; function: string | null; fields: SiteFields }
  /** Inside a function, where it stores what it made: `object` is the effects' name for it, `field` has its address. */
  | { role: "stored"; function: CataloguedFunction; object: string; field: number }
  | { role: "tracepoint"; class: ClassEntry; event: string; object: number; refsAfter: number | null }
  /** A counter's value that a snapshot read: nothing happened to the object. */
  | { role: "reading"; class: ClassEntry; object: number; refs: number }
  /** A kprobe whose function cannot be told: the classes it may belong to cannot be complete. */
  | { role: "unknown" }
  | { role: "other" };

/** Which field of the event carries which parameter. */
export interface ArgumentMap {
  /** Field index per parameter, -1 where the event does not carry it. */
  parameters: readonly number[];
  /** True where the field was matched by its place only: its value must then look the part. */
  byPlace: readonly boolean[];
  /** Field with the class's counter, by name or (guess) as a further `argN` than the function has. */
  counter: { field: number; guess: boolean } | null;
  /** Field that names the object though it is no parameter (a recorded expression). */
  object: number | null;
}

/** Fields of an in-body probe; null where only the values can tell. */
export interface SiteFields {
  object: number | null;
  refs: number | null;
  delta: number | null;
}

const REGISTERS = ["di", "si", "dx", "cx", "r8", "r9"] as const;
const COUNTER_NAMES = ["refs", "ref", "refcount", "refcnt", "count", "cnt", "counter", "users", "refs_before"];
const DELTA_NAMES = ["delta", "inc", "add", "change"];
const MAX_FOREIGN = 4096;
const CLONE_SUFFIX = /\.(?:isra|constprop|part|cold|lto_priv|llvm)(?:\.\d+)*/g;

/** `kvm_release_pfn_clean.part.0` -> `kvm_release_pfn_clean`. */
export function withoutCloneSuffix(symbol: string): string {
  return symbol.includes(".") ? symbol.replace(CLONE_SUFFIX, "") : symbol;
}

/**
 * `foreign` holds the functions of modules that no class knows, as probes before this one showed them: the kernel's text
 * prints no module for the function that a return probe is on (`(lab_set+0x2c/0x60 [x] <- lab_take_group)`).
 */
export function interpret(
  probe: Probe,
  catalog: Catalog,
  foreign: Map<string, CataloguedFunction> = new Map(),
): Interpretation {
  if (probe.kind === "tracepoint") return interpretTracepoint(probe, catalog);
  if (probe.kind === "print") return { role: "other" };
  const location = locate(probe, catalog);
  if (location === null) {
    return siteByFields(probe, catalog, null) ?? { role: "unknown" };
  }
  const name = withoutCloneSuffix(location.symbol);
  const known = catalog.functions.get(name) ?? functionOfModule(name, probe, foreign);
  if (probe.kind === "kretprobe") {
    if (!known) return { role: "other" };
    const counter = fieldNamed(probe, namesOfCounters(known));
    return { role: "return", function: known, result: resultField(probe), counter };
  }
  const looksLikeSite = fieldNamed(probe, DELTA_NAMES) !== null;
  const isEntry = location.offset === 0 || location.offset === 4 || (location.offset === null && !looksLikeSite);
  if (isEntry && !looksLikeSite) {
    if (!known) return { role: "other" };
    // A clone's arguments are not those of the prototype: only fields that are named can be read.
    const clone = name !== location.symbol;
    return { role: "entry", function: known, arguments: mapArguments(probe, known, clone, objectNames(catalog)) };
  }
  const stored = known ? storedObject(probe, known) : null;
  if (stored) return stored;
  const classes = catalog.sites.get(name);
  if (!classes) return siteByFields(probe, catalog, name) ?? { role: "other" };
  const named = siteByFields(probe, catalog, name);
  if (named) return named;
  const [only] = classes;
  if (classes.length === 1 && only)
    return { role: "site", class: only, function: name, fields: siteFields(probe, only) };
  return { role: "other" };
}

function storedObject(probe: Probe, known: CataloguedFunction): Interpretation | null {
  for (const object of known.meanings.flatMap(({ entry }) => Object.keys(entry.stores))) {
    const field = fieldNamed(probe, [object]);
    if (field !== null) return { role: "stored", function: known, object, field };
  }
  return null;
}

const READING = "snapshot_";

function interpretReading({ name, fields }: Probe, catalog: Catalog): Interpretation {
  const entry = catalog.classes.get(name.slice(READING.length));
  const object = fields.indexOf("object");
  const refs = fields.indexOf("refs");
  return entry?.counter && object >= 0 && refs >= 0
    ? { role: "reading", class: entry, object, refs }
    : { role: "other" };
}

/** A module's function that no class knows: what it calls happens inside it, and it may fail. */
function functionOfModule(
  name: string,
  probe: Probe,
  foreign: Map<string, CataloguedFunction>,
): CataloguedFunction | undefined {
  const known = foreign.get(name);
  if (known || probe.at?.module == null) return known;
  const made: CataloguedFunction = { name, prototype: { returns: "int", parameters: [] }, meanings: [] };
  // Of no more than a recording has probes on; bounds memory on hostile input.
  if (foreign.size < MAX_FOREIGN) foreign.set(name, made);
  return made;
}

function interpretTracepoint(probe: Probe, catalog: Catalog): Interpretation {
  if (probe.system === "ktally" && probe.name.startsWith(READING)) return interpretReading(probe, catalog);
  // Text prints no system: the event's name has to do where only one catalogued tracepoint is called so.
  const names =
    probe.system !== null
      ? [`${probe.system}:${probe.name}`]
      : [...catalog.tracepoints.keys()].filter((name) => name.endsWith(`:${probe.name}`));
  const [name] = names;
  const entry = name === undefined || names.length > 1 ? undefined : catalog.tracepoints.get(name)?.[0];
  const spec = name === undefined ? undefined : entry?.tracepoints[name];
  if (name === undefined || !entry || !spec) return { role: "other" };
  const object = probe.fields.indexOf(spec.object);
  if (object < 0) return { role: "other" };
  const refsAfter = spec.refs_after === undefined ? -1 : probe.fields.indexOf(spec.refs_after);
  return { role: "tracepoint", class: entry, event: name, object, refsAfter: refsAfter < 0 ? null : refsAfter };
}

/**
 * The function of a probe: from the source's symbols, else from the names that the kernel (`p_FUNC_OFFSET`, with the
 * module before it where one was given: kernel/trace/trace_kprobe.c) and perf (`probe:FUNC`, `probe:FUNC__return`)
 * give by themselves, else from a name that its owner took from the function.
 */
function locate(probe: Probe, catalog: Catalog): { symbol: string; offset: number | null } | null {
  const at: CodeLocation | null = probe.at;
  if (at?.symbol != null) return { symbol: at.symbol, offset: probe.kind === "kretprobe" ? 0 : at.offset };
  const automatic = /^[pr]_(\w+)_(\d+)$/.exec(probe.name);
  if (automatic?.[1] !== undefined) {
    return { symbol: withoutModule(automatic[1], catalog), offset: Number(automatic[2]) };
  }
  const named = ownName(probe, catalog);
  return named === null || isInside(at) ? null : { symbol: named, offset: probe.kind === "kretprobe" ? 0 : null };
}

/** What people put behind a function's name. */
const NAME_ENDING = /_(?:return|ret|exit|entry|enter)$/;
/** What perf does: a number for the second probe on a function. */
const PERF_ENDING = /(?:__return)?(?:_\d+)?$/;

/** The catalogued function that an event is called after. `kvm_put_kvm_L12` of perf is a line, not the function. */
function ownName(probe: Probe, catalog: Catalog): string | null {
  const known = (name: string) => catalog.functions.has(name) || catalog.sites.has(name);
  if (known(probe.name)) return probe.name;
  const bare = probe.name.replace(/^(?:[kpr]|kprobe|kretprobe)_+/, "");
  const ending = probe.system === "probe" ? PERF_ENDING : NAME_ENDING;
  return [bare, probe.name.replace(ending, ""), bare.replace(ending, "")].find(known) ?? null;
}

/** x86 functions begin at multiples of 16 (the probe may sit behind a 4-byte endbr): elsewhere is no entry. */
function isInside(at: CodeLocation | null): boolean {
  if (at?.address == null || at.address < 0xffff_ffff_0000_0000n) return false;
  return ![0n, 4n].includes(at.address & 15n);
}

/** `kvm_intel_kvm_init` -> `kvm_init`: the longest ending after a `_` that the catalog knows. */
function withoutModule(name: string, catalog: Catalog): string {
  for (let from = 0; from >= 0; from = name.indexOf("_", from + 1)) {
    const symbol = from === 0 ? name : name.slice(from + 1);
    if (catalog.functions.has(symbol) || catalog.sites.has(symbol)) return symbol;
  }
  return name;
}

function fieldNamed(probe: Probe, names: readonly string[]): number | null {
  const index = probe.fields.findIndex((field) => names.includes(field.toLowerCase()));
  return index < 0 ? null : index;
}

function counterNames(entry: ClassEntry): string[] {
  return [...COUNTER_NAMES, ...(entry.counter?.names ?? [])];
}

/** What the counters are called of all classes that a function is about. */
function namesOfCounters({ meanings }: CataloguedFunction): string[] {
  return meanings.flatMap(({ class: entry }) => (entry.counter ? counterNames(entry) : []));
}

/** An in-body probe known by what it records: a base object called as its class calls it, `refs` and `delta`. */
function siteByFields(probe: Probe, catalog: Catalog, name: string | null): Interpretation | null {
  const delta = fieldNamed(probe, DELTA_NAMES);
  if (delta === null) return null;
  const named = name === null ? [] : (catalog.sites.get(name) ?? []);
  const fits = (entry: ClassEntry) => {
    const refs = fieldNamed(probe, counterNames(entry));
    const object = fieldNamed(probe, entry.names ?? []);
    return refs === null || object === null ? [] : [{ entry, fields: { object, refs, delta } }];
  };
  // In a function that the catalog knows nothing of, only a word that one class alone calls its objects by tells.
  const inlined = [...catalog.classes.values()].filter(({ sites }) => Object.keys(sites).length > 0);
  const others = inlined.filter((entry) => !named.includes(entry)).flatMap(fits);
  const [fitting] = [...named.flatMap(fits), ...(others.length === 1 ? others : [])];
  if (fitting) return { role: "site", class: fitting.entry, function: name, fields: fitting.fields };
  const [only] = named;
  if (!only || named.length > 1) return null;
  return { role: "site", class: only, function: name, fields: siteFields(probe, only) };
}

/** What names tell; the rest is left to the values. */
function siteFields(probe: Probe, entry: ClassEntry): SiteFields {
  const object = fieldNamed(probe, entry.names ?? []);
  return { object, refs: fieldNamed(probe, counterNames(entry)), delta: fieldNamed(probe, DELTA_NAMES) };
}

function resultField(probe: Probe): number | null {
  if (probe.fields.length === 0) return null;
  const named = probe.fields.findIndex((field) => /^\$?(ret|retval|rc|res|result|err|error)$/i.test(field));
  return Math.max(named, 0);
}

/** Matches fields to parameters: by name, by number (`arg2`), by register, then by place. */
function mapArguments(
  probe: Probe,
  known: CataloguedFunction,
  clone: boolean,
  objectWords: ReadonlySet<string>,
): ArgumentMap {
  const { parameters } = known.prototype;
  const taken = new Set<number>();
  const take = (index: number): number => {
    if (index < 0 || taken.has(index)) return -1;
    taken.add(index);
    return index;
  };
  const fields = probe.fields.map((field) => field.toLowerCase());
  const aliases = parameters.map((parameter) => aliasesOf(parameter, known));
  const object = namedObject(known, fields, aliases.flat());
  if (object !== null) taken.add(object);
  const names = namesOfCounters(known);
  const counted = fields.findIndex((field, index) => !taken.has(index) && names.includes(field));
  const map = aliases.map((words) =>
    take(fields.findIndex((field, index) => !taken.has(index) && words.includes(field))),
  );
  const byPlace = parameters.map(() => false);
  let counter: ArgumentMap["counter"] = counted >= 0 && !taken.has(counted) ? { field: counted, guess: false } : null;
  if (counter) taken.add(counter.field);
  if (clone) return { parameters: map, byPlace, counter, object };
  const isFromZero = fields.some((field) => /^\$?arg0$/.test(field));
  const numbers = fields.map((field) => argumentNumber(field, isFromZero ? 1 : 0));
  for (const index of parameters.keys()) {
    if (map[index] === -1) map[index] = take(numbers.indexOf(index + 1));
  }
  // The function tracer records all argument registers: those beyond the prototype hold anything.
  if (counter === null && probe.system !== "ftrace") {
    const further = numbers.findIndex((number, index) => number > parameters.length && !taken.has(index));
    if (further >= 0 && names.length > 0) {
      counter = { field: further, guess: true };
      taken.add(further);
    }
  }
  const behind = fieldsBehind(known);
  for (const index of parameters.keys()) {
    if (map[index] !== -1) continue;
    const next = fields.findIndex(
      (field, at) =>
        !taken.has(at) &&
        numbers[at] === 0 &&
        !behind.has(field) &&
        (!parameters[index]?.pointer || !objectWords.has(field) || parameters[index].name.startsWith(field)),
    );
    if (next < 0) break;
    map[index] = take(next);
    byPlace[index] = true;
  }
  return { parameters: map, byPlace, counter, object };
}

/** Names of fields that the catalog looks for behind the arguments (`owner` of `ops->owner`). */
function fieldsBehind(known: CataloguedFunction): ReadonlySet<string> {
  const words = known.meanings.flatMap(({ entry }) =>
    entry.effects.flatMap((effect) => {
      const tested = conditionsOf(effect).map((text) => parseCondition(text)?.of);
      const { object, key, ops, exclusive, parent, target, amount } = effect;
      return [object, key, ops, exclusive, parent, target, amount, ...tested];
    }),
  );
  return new Set(words.flatMap((word) => (word?.includes("->") ? [word.slice(word.lastIndexOf("->") + 2)] : [])));
}

/** Words for a parameter: its own name, that of its struct, and the class's names where it is the class's object. */
function aliasesOf({ name, struct }: Parameter, known: CataloguedFunction): string[] {
  const words = new Set([name.toLowerCase()]);
  const ofStruct = known.prototype.parameters.filter((other) => other.struct === struct);
  if (struct !== null && ofStruct.length === 1) words.add(struct);
  for (const { class: entry, entry: spec } of known.meanings) {
    if (spec.effects.some((effect) => effect.object === name || effect.key === name)) {
      for (const word of entry.names ?? []) words.add(word);
    }
  }
  return [...words];
}

/** Words that mean an object of some class: such a field is not any other argument. */
function objectNames(catalog: Catalog): ReadonlySet<string> {
  return new Set([...catalog.classes.values()].flatMap((entry) => entry.names ?? []));
}

/** A recorded field that is the object by its class's name for it, where no parameter is called so. */
function namedObject(
  known: CataloguedFunction,
  fields: readonly string[],
  parameters: readonly string[],
): number | null {
  for (const { class: entry } of known.meanings) {
    for (const name of entry.names ?? []) {
      const index = fields.indexOf(name);
      if (index >= 0 && !parameters.includes(name)) return index;
    }
  }
  return null;
}

/** `arg3` -> 3, `rdx`/`dx` -> 3, else 0. Who has an `arg0` counts from there (`ahead` is 1). */
function argumentNumber(field: string, ahead: number): number {
  const numbered = /^\$?arg(\d+)$/.exec(field);
  if (numbered) return Number(numbered[1]) + ahead;
  const register = field.replace(/^%?(?:r(?=[a-z]))?/, "");
  return REGISTERS.indexOf(register as (typeof REGISTERS)[number]) + 1;
}

/** Whether a value can be a kernel pointer (or NULL, or an error pointer). */
export function isPointerLike(value: Value): value is bigint {
  if (typeof value !== "bigint") return false;
  const address = BigInt.asUintN(64, value);
  return address === 0n || address >= 0xff00_0000_0000_0000n;
}
