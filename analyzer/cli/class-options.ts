/** `--class`, as every command has it that judges or records. */
import type { Catalog } from "../../collectors/catalog/catalog.js";
import { WrongUse } from "./wrong-use.js";

/** An option that takes one value each time: it must not swallow the trace files behind it. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/**
 * The classes that --class names; null without it.
 * @throws WrongUse when there is none of that name.
 */
export function classesOf(options: readonly string[] | undefined, catalog: Catalog): string[] | null {
  const classes = options?.flatMap((names) => names.split(",")) ?? null;
  const unknown = classes?.find((name) => !catalog.classes.has(name));
  if (unknown !== undefined) {
    throw new WrongUse(`--class ${unknown}: there is no such class; ktally catalog list names them all`);
  }
  return classes;
}
