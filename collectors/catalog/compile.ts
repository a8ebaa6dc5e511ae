/** `npm run build`: writes the catalog beside the compiled code. */
import { readFileSync, writeFileSync } from "node:fs";
import { catalogFiles, loadCatalog } from "./catalog.js";
import { compile } from "./compiled.js";
import { catalogFolder, compiledCatalog } from "./default.js";

const texts = catalogFiles(catalogFolder()).map((file) => readFileSync(file, "utf8"));
writeFileSync(compiledCatalog(), compile(texts, loadCatalog(catalogFolder()).classes.values()));
