import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { catalogFolder, defaultCatalog } from "../../collectors/catalog/default.js";
import { writeResult } from "./output.js";
import { WrongUse } from "./wrong-use.js";

export function catalogCommand(_state: { exit: number }): Command {
  const command = new Command("catalog").description("the resource classes that ktally knows");
  command
    .command("list", { isDefault: true })
    .description("one line per class")
    .action(async () => {
      const classes = [...defaultCatalog().classes.values()];
      const width = Math.max(...classes.map((entry) => entry.class.length));
      await writeResult(classes.map((entry) => `${entry.class.padEnd(width)}  ${entry.title}\n`).join(""), null);
    });
  command
    .command("show")
    .description("print a class's entry")
    .argument("<class>")
    .action(async (name: string) => {
      if (!defaultCatalog().classes.has(name))
        throw new WrongUse(`there is no class ${name}; ktally catalog list names them`);
      await writeResult(readFileSync(join(catalogFolder(), `${name}.yaml`), "utf8"), null);
    });
  command
    .command("check")
    .description("check entries of your own against the schema")
    .argument("<file...>")
    .action(async (files: string[]) => {
      const count = defaultCatalog(files).classes.size;
      await writeResult(`${files.join(", ")}: fine; ${count} classes in all\n`, null);
    });
  return command;
}
