import { spawn } from "node:child_process";
import { basename, join } from "node:path";
import BetterSqlite from "better-sqlite3";
import { Command } from "commander";
import { traceTime } from "../../collectors/session.js";
import type { TraceReader } from "../import/trace-event.js";
import { classesOf } from "./class-options.js";
import { addRecordingOptions, type RecordingOptions, recordingArguments } from "./record.js";
import { inTemporaryFolder } from "./temporary-folder.js";
import { WrongUse } from "./wrong-use.js";

interface Options extends RecordingOptions {
  replay?: string;
  speed: string;
  db?: string;
}

export function liveCommand(state: { exit: number }): Command {
  const command = new Command("live")
    .description("watch this host's KVM and VFIO objects on the terminal while they are recorded")
    .argument("[command...]", "command to run while recording; put it after --")
    .option("--replay <file>", "watch a recording as if it were made now, instead")
    .option("--speed <times>", "how fast to replay", "1")
    .option("--db <file>", "keep the audit in this database");
  return addRecordingOptions(command).action(async (argv: string[], options: Options) => {
    if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) {
      throw new WrongUse("live needs a terminal; ktally record keeps a recording, ktally analyze judges it");
    }
    if (options.backend === "bpftrace") throw new WrongUse("live records with ftrace: bpftrace gives no stream");
    const live = (db: string) => runLive(argv, options, db);
    state.exit = await (options.db === undefined
      ? inTemporaryFolder("live", (folder) => live(join(folder, "live.db")))
      : live(options.db));
  });
}

async function runLive(command: readonly string[], options: Options, db: string): Promise<number> {
  const speed = Number(options.speed);
  if (!(speed > 0)) throw new WrongUse(`--speed ${options.speed}: must be a number above zero`);
  const { defaultCatalog } = await import("../../collectors/catalog/default.js");
  const { watchAudit } = await import("../live.js");
  const { AuditBrowser } = await import("../store/browse/audit-browser.js");
  const { watch } = await import("../tui/tui.js");
  const catalog = defaultCatalog(options.catalog);
  const enough = new AbortController();
  const source =
    options.replay === undefined
      ? recorder(command, options, enough.signal)
      : replay(options.replay, speed, enough.signal);
  let words = source.words;
  let isOver = false;
  const audit = watchAudit(source.open, {
    catalog,
    classes: classesOf(options.class, catalog),
    db,
    signal: enough.signal,
  })
    .then(() => {
      words = `ended${source.problem()} · ${source.words}`;
    })
    .catch((error: unknown) => {
      words = error instanceof Error ? error.message : String(error);
    })
    .finally(() => {
      isOver = true;
    });
  const reading = new BetterSqlite(db, { readonly: true });
  try {
    const status = await watch(
      new AuditBrowser(reading),
      {
        words: () => words,
        now: () => (isOver ? null : source.now()),
        // A transaction sees the store as it was when it began.
        renew: () => {
          if (reading.inTransaction) reading.exec("COMMIT");
          reading.exec("BEGIN; SELECT count(*) FROM meta");
        },
      },
      options.replay === undefined ? ["this host", ...command].join(" ") : basename(options.replay),
    );
    return status;
  } finally {
    reading.close();
    enough.abort();
    await audit;
  }
}

interface Source {
  words: string;
  now: () => bigint | null;
  open: () => Promise<TraceReader>;
  /** What went wrong with it, if anything. */
  problem: () => string;
}

function replay(file: string, speed: number, signal: AbortSignal): Source {
  return {
    words: `replay of ${basename(file)}${speed === 1 ? "" : `, ${speed} times as fast`}`,
    now: () => null,
    open: async () => {
      const { openTrace } = await import("../import/registry.js");
      const { replayed } = await import("../import/replay.js");
      return replayed(await openTrace(file), speed, signal);
    },
    problem: () => "",
  };
}

/** `ktally record --stream` as a process of its own: it undoes in the kernel what it did, also when we are killed. */
function recorder(command: readonly string[], options: RecordingOptions, signal: AbortSignal): Source {
  let said = "";
  return {
    words: "recording",
    now: traceTime,
    open: async () => {
      const { openTrace } = await import("../import/registry.js");
      const wanted = [...recordingArguments(options), ...(command.length > 0 ? ["--", ...command] : [])];
      const child = spawn(process.execPath, [process.argv[1] ?? "", "record", "--stream", ...wanted], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        said = text.trim().split("\n").at(-1) ?? "";
      });
      signal.addEventListener("abort", () => child.kill("SIGINT"));
      return openTrace("-", child.stdout);
    },
    problem: () => (said === "" ? "" : `: ${said}`),
  };
}
