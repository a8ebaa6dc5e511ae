/** Probes on catalogued functions: entry and return, with their arguments and the counter of the object. */
import { baseOf, type CataloguedFunction, conditionsOf } from "../catalog/catalog.js";
import { parseCondition } from "../catalog/condition.js";
import type { ClassEntry, EffectEntry } from "../catalog/schema.js";
import type { PlannedProbe } from "../plan.js";
import type { Btf } from "./btf.js";
import { compileExpression, type Fetched } from "./expression.js";
import { memoryAt } from "./fetch.js";
import type { LocatedFunction } from "./locate.js";
import { parametersOf, resultType } from "./parameters.js";

/**
 * `offsetOf`: bytes from an object of the class to its counter; null where that is not known.
 * `readsEntry`: whether a return probe may look at the arguments of the call.
 */
export function functionProbes(
  known: CataloguedFunction,
  found: LocatedFunction,
  btf: Btf | null,
  readsEntry: boolean,
  offsetOf: (entry: ClassEntry) => number | null,
): PlannedProbe[] {
  const names = parametersOf(known, found);
  const common = {
    module: found.module,
    symbol: found.symbol,
    offset: 0,
    function: known.name,
    classes: known.meanings.map((meaning) => meaning.class.class),
    site: null,
    filter: null,
    rate: rateOf(known),
  };
  const entry: PlannedProbe = {
    ...common,
    event: known.name,
    kind: "kprobe",
    arguments: found.clone ? [] : entryArguments(known, names, btf, offsetOf),
  };
  if (!needsReturn(known)) return [entry];
  const type = resultType(known, found);
  const result = type === null ? [] : [{ name: "ret", fetch: "$retval", type }];
  const next = readsEntry ? nextState(known) : [];
  return [entry, { ...common, event: `${known.name}_ret`, kind: "kretprobe", arguments: [...result, ...next] }];
}

/** The state that a state machine's function has stored through its pointer. */
function nextState(known: CataloguedFunction): PlannedProbe["arguments"] {
  const names = known.meanings.flatMap(({ class: owner }) => owner.machine?.names.next ?? []);
  const index = known.prototype.parameters.findIndex(({ name, pointer }) => pointer && names.includes(name));
  return index < 0 ? [] : [{ name: "next", fetch: memoryAt(0, `$arg${index + 1}`), type: "u32" }];
}

function rateOf(known: CataloguedFunction): PlannedProbe["rate"] {
  const rates = known.meanings.map(({ entry }) => entry.rate);
  return rates.includes("hot") ? "hot" : rates.includes("per-object") ? "per-object" : "rare";
}

/** Whether an effect is known only when the function returns. */
function needsReturn(known: CataloguedFunction): boolean {
  return known.meanings.some(
    ({ class: owner, entry }) =>
      entry.blocks === true ||
      owner.kind === "machine" ||
      entry.effects.some((effect) => effect.at === "return" || expressionsOf(effect).includes("ret")),
  );
}

/** Everything that an effect looks at. */
function expressionsOf(effect: EffectEntry): string[] {
  const tested = conditionsOf(effect).map((text) => parseCondition(text)?.of);
  return [effect.object, effect.parent, effect.key, effect.ops, effect.target, effect.amount, ...tested].filter(
    (expression) => expression !== undefined,
  );
}

function entryArguments(
  known: CataloguedFunction,
  names: ReadonlyMap<string, Fetched>,
  btf: Btf | null,
  offsetOf: (entry: ClassEntry) => number | null,
): PlannedProbe["arguments"] {
  const recorded = new Map<string, Fetched>(names);
  const add = (name: string, value: Fetched | null) => {
    if (value !== null && !recorded.has(name)) recorded.set(name, value);
  };
  for (const { class: owner, entry } of known.meanings) {
    for (const [name, expressions] of Object.entries(entry.record)) {
      for (const expression of [expressions].flat()) add(name, compileExpression(expression, names, btf));
    }
    for (const effect of entry.effects) {
      for (const expression of expressionsOf(effect)) {
        // A recording calls a field by its own name.
        if (expression.includes("->")) add(lastName(expression), compileExpression(expression, names, btf));
      }
      const object = objectOf(effect, owner, recorded, names, btf);
      if (object === null || effect.inside !== undefined) continue;
      add("refs", counterOf(object, owner, btf, offsetOf(owner)));
      if (effect.count !== undefined) add(effect.count, fieldOf(object, effect.count, btf));
    }
  }
  return [...recorded].map(([name, { fetch, type }]) => ({ name, fetch, type }));
}

/** The counter's value; `offset` in bytes from the object, null where it lies behind a pointer or is not known. */
function counterOf(object: Fetched, { counter }: ClassEntry, btf: Btf | null, offset: number | null): Fetched | null {
  if (offset !== null) return { fetch: memoryAt(offset, object.fetch), type: "s32", struct: null };
  for (const path of [counter?.field ?? []].flat()) {
    const value = fieldOf(object, path, btf);
    if (value !== null) return value;
  }
  return null;
}

function fieldOf(object: Fetched, path: string, btf: Btf | null): Fetched | null {
  return compileExpression(`object->${path}`, new Map([["object", object]]), btf);
}

function lastName(expression: string): string {
  return expression.slice(expression.lastIndexOf("->") + 2);
}

/** The effect's object, or what is recorded under one of the class's names for it. */
function objectOf(
  { object }: EffectEntry,
  owner: ClassEntry,
  recorded: ReadonlyMap<string, Fetched>,
  names: ReadonlyMap<string, Fetched>,
  btf: Btf | null,
): Fetched | null {
  const direct = object === undefined || object === "ret" ? null : compileExpression(object, names, btf);
  const named = (owner.names ?? []).map((name) => recorded.get(name)).find((value) => value !== undefined);
  const found = direct ?? named ?? null;
  // Only a pointer to the class's own struct can be looked into.
  return found !== null && owner.struct !== undefined && found.struct === owner.struct ? found : null;
}

/** Whether sites inside a function say all that its own probe would. */
export function saidBySites(known: CataloguedFunction, classesWithSite: ReadonlySet<string>): boolean {
  return known.meanings.every(
    ({ class: owner, entry }) =>
      entry.blocks !== true &&
      classesWithSite.has(owner.class) &&
      entry.effects.length > 0 &&
      entry.effects.every(
        ({ effect, object, holder, count }) =>
          (effect === "get" || effect === "put") &&
          holder === undefined &&
          count === undefined &&
          object !== undefined &&
          baseOf(object) === object,
      ),
  );
}
