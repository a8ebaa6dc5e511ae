/** All commands, and the one place where errors become a line and an exit code. */
import { Command, CommanderError } from "commander";
import { CatalogError } from "../../collectors/catalog/catalog.js";
import { UnusableKernel } from "../../collectors/kernel/unusable.js";
import { Refusal } from "../../collectors/refusal.js";
import { EXIT } from "../exit-code.js";
import { UnreadableInput } from "../import/trace-event.js";
import { harmless } from "../report/harmless.js";
import { UnusableDatabase } from "../store/database.js";
import { version } from "../version.js";
import { analyzeCommand } from "./analyze.js";
import { balanceCommand } from "./balance.js";
import { catalogCommand } from "./catalog.js";
import { checkCommand } from "./check.js";
import { diffCommand } from "./diff.js";
import { explainCommand } from "./explain.js";
import { formatsCommand } from "./formats.js";
import { importCommand } from "./import.js";
import { probesCommand } from "./probes.js";
import { queryCommand } from "./query.js";
import { recordCommand } from "./record.js";
import { snapshotCommand } from "./snapshot.js";
import { tuiCommand } from "./tui.js";
import { whyCommand } from "./why.js";
import { WrongUse } from "./wrong-use.js";

/** Runs one command line (without node and script). Never throws. */
export async function run(args: readonly string[]): Promise<number> {
  const state = { exit: 0 };
  const program = new Command("ktally")
    .description("Every get has a put: audits the lifecycles of kernel objects in KVM and VFIO from traces.")
    .version(version())
    // What stands behind a recorded command is the command's.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text) })
    .showHelpAfterError("(ktally --help lists the commands)");
  for (const command of [
    analyzeCommand,
    checkCommand,
    recordCommand,
    tuiCommand,
    diffCommand,
    explainCommand,
    queryCommand,
    catalogCommand,
    probesCommand,
    formatsCommand,
    balanceCommand,
    snapshotCommand,
    whyCommand,
    importCommand,
  ]) {
    program.addCommand(command(state));
  }
  // Commands inherit how the program ends.
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync(args, { from: "user" });
    return state.exit;
  } catch (error) {
    return report(error);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.clean : EXIT.unusable;
  const known = [UnreadableInput, UnusableDatabase, UnusableKernel, CatalogError, Refusal, WrongUse].some(
    (kind) => error instanceof kind,
  );
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(known ? `ktally: ${harmlessLines(message)}\n` : `ktally: ${unexpected(error, message)}\n`);
  return EXIT.unusable;
}

/** A path or a task name may hold anything; an error's own line ends stay. */
function harmlessLines(message: string): string {
  return message.split("\n").map(harmless).join("\n");
}

function unexpected(error: unknown, message: string): string {
  const code = (error as { code?: unknown } | null)?.code;
  if (code === "SQLITE_FULL" || code === "ENOSPC") return "the disk is full; free some space or name a file elsewhere";
  const detail = process.env.KTALLY_DEBUG && error instanceof Error ? `\n${error.stack}` : "";
  return `${harmless(message)} (this is a bug in ktally; KTALLY_DEBUG=1 shows where)${detail}`;
}
