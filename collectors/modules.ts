/** Which build of a module is loaded, as sysfs tells it. */
import { existsSync, readFileSync } from "node:fs";
import { buildIdOfNotes } from "./kernel/elf.js";

export interface ModuleBuild {
  buildId: string | null;
  srcversion: string | null;
}

/** The build of a loaded module; null when it is not loaded. */
export function loadedBuild(name: string, sys = "/sys"): ModuleBuild | null {
  const folder = `${sys}/module/${name}`;
  if (!existsSync(`${folder}/initstate`) && !existsSync(`${folder}/notes`)) return null;
  return {
    buildId: readOr(null, () => buildIdOfNotes(readFileSync(`${folder}/notes/.note.gnu.build-id`))),
    srcversion: readOr(null, () => readFileSync(`${folder}/srcversion`, "utf8").trim()),
  };
}

/** Whether two builds are one, as far as both are known. */
export function isSameBuild(a: ModuleBuild, b: ModuleBuild): boolean {
  if (a.buildId !== null && b.buildId !== null) return a.buildId === b.buildId;
  return a.srcversion === null || b.srcversion === null || a.srcversion === b.srcversion;
}

function readOr<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
