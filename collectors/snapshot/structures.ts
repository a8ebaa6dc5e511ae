/** The table of what a snapshot walks (structures.yaml), checked. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { packageRoot } from "../package-root.js";

/** BTF paths, tried in order. */
const paths = z.array(z.string()).min(1);
const fields = z.record(z.string(), paths).default({});

/** How children hang on their parent. */
const place = z.strictObject({
  list: paths.optional(),
  /** Member by which they are linked into the list. */
  link: z.string().optional(),
  xarray: paths.optional(),
  array: paths.optional(),
  count: paths.optional(),
  pointer: paths.optional(),
});

const child = z.strictObject({
  class: z.string(),
  struct: z.string(),
  in: place,
  refs: paths.optional(),
  values: fields,
  links: fields,
});

const structure = child.omit({ in: true }).extend({
  module: z.string(),
  /** Symbol that is the list's head, or a struct `of` with the list in it. */
  root: z.strictObject({ symbol: z.string(), of: z.string().optional(), list: paths.optional(), link: z.string() }),
  children: z.array(child).default([]),
});

const fileEntry = z.strictObject({
  class: z.string(),
  link: z.string(),
  path: paths,
  struct: z.string(),
  through: z.strictObject({ struct: z.string(), path: paths }).optional(),
});

const table = z.strictObject({ class: z.string(), module: z.string(), symbol: z.string() });

const structuresModel = z.strictObject({
  structures: z.array(structure),
  tables: z.array(table),
  files: z.array(fileEntry),
});

export type Structures = z.infer<typeof structuresModel>;
export type Structure = z.infer<typeof structure>;
export type Child = z.infer<typeof child>;
export type FileEntry = z.infer<typeof fileEntry>;

export function loadStructures(): Structures {
  const text = readFileSync(new URL("collectors/snapshot/structures.yaml", packageRoot()), "utf8");
  return structuresModel.parse(parse(text));
}
