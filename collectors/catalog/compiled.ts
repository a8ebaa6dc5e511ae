/** The classes that come with ktally as the build leaves them: parsed and checked once, and not at every start. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { ClassEntry } from "./schema.js";

interface Compiled {
  /** Of the texts that the classes were read from. */
  hash: string;
  classes: ClassEntry[];
}

/** @returns what the compiled file holds */
export function compile(texts: readonly string[], classes: Iterable<ClassEntry>): string {
  const compiled: Compiled = { hash: hashOf(texts), classes: [...classes] };
  return JSON.stringify(compiled);
}

/** @returns null when there is no such file, or it was made of other texts. */
export function readCompiled(file: string, texts: readonly (string | null)[]): ClassEntry[] | null {
  if (!existsSync(file)) return null;
  const { hash, classes } = JSON.parse(readFileSync(file, "utf8")) as Compiled;
  return hash === hashOf(texts) ? classes : null;
}

function hashOf(texts: readonly (string | null)[]): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text?.length}\n`).update(text ?? "");
  return hash.digest("hex");
}
