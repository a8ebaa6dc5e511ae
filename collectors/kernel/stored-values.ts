/**
 * Objects that a function makes and stores into a field of an argument, as `open` does with `file->private_data`: at the
 * return nobody can tell them any more, so the probe stands on the instruction that stores.
 */
import type { CataloguedFunction } from "../catalog/catalog.js";
import type { PlannedProbe } from "../plan.js";
import type { Btf } from "./btf.js";
import { decodeFunction } from "./instructions.js";
import type { LocatedFunction } from "./locate.js";
import { parametersOf } from "./parameters.js";
import { followValues } from "./values.js";

/** Bytes of a pointer. */
const POINTER = 8;

/** Empty where the code does not show the instruction, or the kernel replaces it. */
export function storedProbes(known: CataloguedFunction, found: LocatedFunction, btf: Btf): PlannedProbe[] {
  const { code } = found;
  if (code === null) return [];
  return known.meanings.flatMap(({ class: owner, entry }) =>
    Object.entries(entry.stores).flatMap(([name, expression]) => {
      const [argument = "", path = ""] = expression.split("->");
      const parameter = parametersOf(known, found).get(argument);
      const field = parameter?.struct == null ? null : btf.field(parameter.struct, path);
      if (parameter === undefined || field === null) return [];
      const instructions = decodeFunction(code);
      const registers = followValues(code, instructions);
      return instructions.flatMap((instruction, at): PlannedProbe[] => {
        const { operation, memory, memoryFirst, source, offset, length } = instruction;
        if (operation !== "mov" || !memoryFirst || memory?.size !== POINTER) return [];
        if (source === null || !("register" in source)) return [];
        const base = registers[at]?.get(memory.base);
        if (base?.root?.kind !== "argument" || `%${base.root.register}` !== parameter.fetch) return [];
        if (base.narrow || base.add + memory.displacement !== field.offset) return [];
        if (code.patched.some((range) => range.start < offset + length && range.end > offset)) return [];
        return [
          {
            event: `${known.name}_${offset.toString(16)}`,
            kind: "kprobe",
            module: found.module,
            symbol: found.symbol,
            offset,
            function: known.name,
            classes: [owner.class],
            site: {
              effect: "create",
              bytes: code.bytes.toString("hex", offset, offset + length),
              next: null,
              conditional: false,
            },
            arguments: [{ name, fetch: `%${source.register}`, type: "x64" }],
            filter: null,
            rate: entry.rate,
          },
        ];
      });
    }),
  );
}
