import { fileURLToPath } from "node:url";
import { packageRoot } from "../package-root.js";
import { type Catalog, loadCatalog } from "./catalog.js";

/** Folder of the classes that come with ktally. */
export function catalogFolder(): string {
  return fileURLToPath(new URL("collectors/catalog/", packageRoot()));
}

/** What the build makes of them; there is none beside the sources. */
export function compiledCatalog(): string {
  return fileURLToPath(new URL("catalog.json", import.meta.url));
}

/** The catalog that comes with ktally, and entries of the user's own. */
export function defaultCatalog(more: readonly string[] = []): Catalog {
  return loadCatalog(catalogFolder(), more, compiledCatalog());
}
