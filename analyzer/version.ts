import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../collectors/package-root.js";

/** ktally's own version, from its package.json. */
export function version(): string {
  const url = new URL("package.json", packageRoot());
  const manifest = JSON.parse(readFileSync(fileURLToPath(url), "utf8")) as { version: string };
  return manifest.version;
}
