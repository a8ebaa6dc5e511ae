/** All commands, and the one place where errors become a line and an exit code. */
import { Command, CommanderError } from "commander";
import { EXIT } from "../exit-code.js";
import { harmless } from "../report/harmless.js";
import { version } from "../version.js";

type Make = (state: { exit: number }) => Command;

/** Each is loaded when it is asked for: a screen is there before an importer would have been read. */
const COMMANDS: Readonly<Record<string, () => Promise<Make>>> = {
  analyze: async () => (await import("./analyze.js")).analyzeCommand,
  check: async () => (await import("./check.js")).checkCommand,
  record: async () => (await import("./record.js")).recordCommand,
  tui: async () => (await import("./tui.js")).tuiCommand,
  live: async () => (await import("./live.js")).liveCommand,
  diff: async () => (await import("./diff.js")).diffCommand,
  explain: async () => (await import("./explain.js")).explainCommand,
  query: async () => (await import("./query.js")).queryCommand,
  catalog: async () => (await import("./catalog.js")).catalogCommand,
  probes: async () => (await import("./probes.js")).probesCommand,
  formats: async () => (await import("./formats.js")).formatsCommand,
  balance: async () => (await import("./balance.js")).balanceCommand,
  snapshot: async () => (await import("./snapshot.js")).snapshotCommand,
  why: async () => (await import("./why.js")).whyCommand,
  import: async () => (await import("./import.js")).importCommand,
};
/** Errors that are the user's to mend, by name: their sentence says how. */
const KNOWN: ReadonlySet<string> = new Set([
  "UnreadableInput",
  "UnusableDatabase",
  "UnusableKernel",
  "CatalogError",
  "Refusal",
  "WrongUse",
]);

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
  const [first = ""] = args;
  const asked = Object.hasOwn(COMMANDS, first) ? [first] : Object.keys(COMMANDS);
  for (const name of asked) {
    const make = await COMMANDS[name]?.();
    if (make) program.addCommand(make(state));
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
  const known = error instanceof Error && KNOWN.has(error.name);
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
