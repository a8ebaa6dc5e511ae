/** What `npm run build` runs when the compiler is done. */
import { fileURLToPath } from "node:url";
import { bundleTui } from "./bundle.js";

await bundleTui(fileURLToPath(new URL(".", import.meta.url)));
