import { join } from "node:path";
import { Command } from "commander";
import { inTemporaryFolder } from "./temporary-folder.js";
import { WrongUse } from "./wrong-use.js";

export function tuiCommand(state: { exit: number }): Command {
  return new Command("tui")
    .description("browse an audit on the terminal: findings, objects, call sites, coverage")
    .argument("<file...>", "trace files of one machine, or one database made by analyze --db")
    .option(
      "--catalog <file>",
      "a further catalog entry of your own; may be repeated",
      (value, before: string[] = []) => [...before, value],
    )
    .action(async (files: string[], options: { catalog?: string[] }) => {
      if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) {
        throw new WrongUse("tui needs a terminal; ktally analyze prints the same as text or JSON");
      }
      state.exit = await runTui(files, options.catalog);
    });
}

/** Everything is loaded when it is needed: a database is on the screen before an importer would have been read. */
async function runTui(files: readonly string[], catalog: string[] | undefined): Promise<number> {
  const [{ browse }, { AuditBrowser }, { isDatabase, openAuditDatabase }] = await Promise.all([
    import("../tui/tui.js"),
    import("../store/browse/audit-browser.js"),
    import("../store/database.js"),
  ]);
  const subject = files.map((file) => file.split("/").at(-1)).join(", ");
  const [first = ""] = files;
  if (files.length === 1 && isDatabase(first)) {
    const database = openAuditDatabase(first);
    try {
      return await browse(new AuditBrowser(database), subject);
    } finally {
      database.close();
    }
  }
  const { analyze } = await import("../index.js");
  const { defaultCatalog } = await import("../../collectors/catalog/default.js");
  const { Progress } = await import("./output.js");
  const progress = new Progress(true);
  // A file with a name, so that the user's own SQL can be run beside the screen.
  return inTemporaryFolder("tui", async (folder) => {
    const analysis = await analyze(files, {
      catalog: defaultCatalog(catalog),
      db: join(folder, "audit.db"),
      progress: (events) => progress.update(events),
    }).finally(() => progress.clear());
    try {
      return await browse(new AuditBrowser(analysis.database), subject);
    } finally {
      analysis.close();
    }
  });
}
