import { join } from "node:path";
import { Command, Option } from "commander";
import { EXIT } from "../exit-code.js";
import { REPORTS } from "../report/index.js";
import { runAnalyze } from "./analyze.js";
import { addRecordingOptions, defaultOutput, makeRecording, type RecordingOptions, say } from "./record.js";
import { inTemporaryFolder } from "./temporary-folder.js";
import { WrongUse } from "./wrong-use.js";

interface Options extends RecordingOptions {
  output?: string;
  format: string;
  class?: string[];
  catalog?: string[];
  db?: string;
  errorExitcode: number;
  allowPartial?: boolean;
  quiet?: boolean;
}

export function checkCommand(state: { exit: number }): Command {
  const command = new Command("check")
    .description("record around a command, and say whether it made the kernel leak")
    .argument("<command...>", "command to run; put it after --")
    .option("-o, --output <file>", "keep the trace and its sidecar")
    .addOption(new Option("--format <name>", "form of the report").choices(Object.keys(REPORTS)).default("text"))
    .option("--db <file>", "keep the audit in this SQLite database")
    .option("--error-exitcode <n>", "exit code for a bug", exitCode, EXIT.bug)
    .option("--allow-partial", "exit 0 although classes were only partly seen or a suspicion remains")
    .option("--quiet", "print no report");
  return addRecordingOptions(command)
    .addHelpText("after", EXIT_CODES)
    .action(async (argv: string[], options: Options) => {
      state.exit = await runCheck(argv, options);
    });
}

const EXIT_CODES = `
Exit codes, the first that holds: 1 (or --error-exitcode) a bug, proven or derived; the command's own status if it is
not 0; 125 a class was seen only in part, a suspicion remains, or nothing was judged (git bisect run skips); 0.
2 when nothing was recorded. The last line on standard error says which.`;

function exitCode(text: string): number {
  const code = Number(text);
  if (!Number.isInteger(code) || code < 0 || code > 255) {
    throw new WrongUse(`--error-exitcode ${text}: an exit code is a number from 0 to 255`);
  }
  return code;
}

/** Records around a command and judges; returns the exit code. `recordTo` makes the recording. */
export function runCheck(argv: readonly string[], options: Options, recordTo = makeRecording): Promise<number> {
  const checkIn = async (trace: string) => {
    const recording = await recordTo(trace, argv, options);
    const found = await runAnalyze([trace], withoutOutput(options));
    const { exit, why } = decide(found, recording.command?.status ?? 0, options.errorExitcode);
    say(`exit ${exit}: ${why}`);
    return exit;
  };
  if (options.output !== undefined) return checkIn(options.output);
  return inTemporaryFolder("check", (folder) => checkIn(join(folder, defaultOutput(options))));
}

/** The report goes to standard output: --output names the trace here. */
function withoutOutput({ output: _, ...options }: Options): Omit<Options, "output"> {
  return options;
}

/** What to exit with, and why. */
function decide(found: number, status: number, errorExit: number): { exit: number; why: string } {
  if (found === EXIT.bug) return { exit: errorExit, why: "the kernel has a bug" };
  if (status !== 0) return { exit: status, why: "the status of the command; no bug was found" };
  if (found === EXIT.unsure) return { exit: found, why: "no bug was found, but not everything was seen" };
  return { exit: found, why: "no bug was found, and everything was seen" };
}
