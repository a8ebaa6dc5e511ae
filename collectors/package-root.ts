import { existsSync } from "node:fs";

/** The folder with ktally's package.json, whether this runs from the sources or from dist/. */
export function packageRoot(): URL {
  let folder = new URL(".", import.meta.url);
  while (!existsSync(new URL("package.json", folder))) {
    const parent = new URL("..", folder);
    if (parent.href === folder.href) throw new Error("ktally's package.json is missing; install it again");
    folder = parent;
  }
  return folder;
}
