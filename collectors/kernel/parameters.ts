/** What a function's arguments are called and where they are, by the catalogue's prototype and this kernel's own. */
import type { CataloguedFunction, Parameter } from "../catalog/catalog.js";
import type { BtfPrototype, BtfType } from "./btf.js";
import { type Fetched, fetchType } from "./expression.js";
import { ARGUMENT_REGISTERS } from "./instructions.js";
import type { LocatedFunction } from "./locate.js";

/** By the catalogue's names. Empty for clones; without this kernel's prototype the catalogue's places are taken. */
export function parametersOf(known: CataloguedFunction, found: LocatedFunction): Map<string, Fetched> {
  const names = new Map<string, Fetched>();
  if (found.clone) return names;
  for (const [index, parameter] of known.prototype.parameters.entries()) {
    const place = found.prototype === null ? index : placeOf(parameter, index, known, found.prototype);
    const register = place === null ? undefined : ARGUMENT_REGISTERS[place];
    if (place === null || register === undefined) continue;
    const type = found.prototype?.parameters[place]?.type ?? null;
    names.set(parameter.name, {
      fetch: `%${register}`,
      type: type === null ? catalogueType(parameter) : fetchType(type),
      struct: (type === null ? null : structOf(type)) ?? parameter.struct,
    });
  }
  return names;
}

/** By name; else by place, where the era changed nothing but names. */
function placeOf(parameter: Parameter, index: number, known: CataloguedFunction, actual: BtfPrototype): number | null {
  const named = actual.parameters.findIndex(({ name }) => name === parameter.name);
  if (named >= 0) return named;
  const type = actual.parameters[index]?.type;
  const alike = actual.parameters.length === known.prototype.parameters.length && type !== undefined;
  return alike && (type.kind === "pointer") === parameter.pointer ? index : null;
}

function structOf(type: BtfType): string | null {
  return type.kind === "pointer" && type.target?.kind === "struct" ? type.target.name : null;
}

function catalogueType({ pointer }: Parameter): string {
  // Without its type a number is taken whole: what it is worth is for the reader to say.
  return pointer ? "x64" : "u64";
}

/** How a return probe records the result; null for void. */
export function resultType(known: CataloguedFunction, found: LocatedFunction): string | null {
  const returns = found.prototype?.returns;
  if (returns !== undefined) return returns.kind === "void" ? null : fetchType(returns);
  return { void: null, int: "s32", bool: "u8", pointer: "x64", long: "s64" }[known.prototype.returns];
}
