import { statSync } from "node:fs";
import { Command } from "commander";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { readRecording } from "../../collectors/sidecar.js";
import type { Snapshot } from "../../collectors/snapshot/model.js";
import { isSnapshot, readSnapshot } from "../import/snapshot.js";
import type { Subject } from "../store/holdings.js";
import { withAudit } from "./open-audit.js";
import { writeAuditAnswer } from "./why-audit.js";
import { snapshotOfThisHost, writeAnswer } from "./why-snapshot.js";
import { WrongUse } from "./wrong-use.js";

export function whyCommand(_state: { exit: number }): Command {
  return new Command("why")
    .description("say who holds an object, a device or a module, and what has to be closed for it to go away")
    .argument("[words...]", "files and what is asked for, in any order; see below")
    .option("--pid <number>", "what this task holds")
    .option("--catalog <file>", "a further catalog entry of your own")
    .addHelpText("after", WORDS)
    .action(async (words: string[], options: { pid?: string; catalog?: string }) => {
      const { paths, what } = sortOut(words);
      const subject = subjectOf(what, options.pid);
      const snapshots = await snapshotsIn(paths);
      const only =
        paths.length === 0 ? snapshotOfThisHost() : snapshots.size === paths.length ? [...snapshots.values()][0] : null;
      if (only) return writeAnswer(only, subject);
      const snapshot = [...snapshots.values()][0] ?? recordedSnapshot(paths);
      const classes = [...defaultCatalog(options.catalog ? [options.catalog] : []).classes.values()];
      await withAudit(paths, (database) =>
        writeAuditAnswer({ database, where: paths.join(" and "), classes, snapshot }, subject),
      );
    });
}

const WORDS = `
Files: a trace, a snapshot, both of one host, or a database of analyze --db; without any the running kernel is looked at.
Asked for: an address, a label of a report, a class, a module, a device (0000:00:05.0); without it, all that lives.`;

/** A word that is no file is what somebody asks about. */
function sortOut(words: readonly string[]): { paths: string[]; what: string | undefined } {
  const paths = words.filter(isFile);
  const others = words.filter((word) => !paths.includes(word));
  const [what, ...more] = others.reverse();
  // Of two words that are no files one was meant to be.
  return { paths: [...more.reverse(), ...paths], what };
}

/** `/dev/vfio/12` is what somebody asks about, and so is a module whose folder this is. */
function isFile(word: string): boolean {
  const found = statSync(word, { throwIfNoEntry: false });
  return found?.isFile() === true || found?.isFIFO() === true;
}

async function snapshotsIn(paths: readonly string[]): Promise<Map<string, Snapshot>> {
  const found = new Map<string, Snapshot>();
  for (const path of paths) {
    if (isFile(path) && (await isSnapshot(path))) found.set(path, await readSnapshot(path));
  }
  return found;
}

/** The last one that a recording of ours took. A damaged sidecar is told where it is read for good. */
function recordedSnapshot(paths: readonly string[]): Snapshot | null {
  try {
    return paths.flatMap((path) => readRecording(path)?.snapshots ?? []).at(-1) ?? null;
  } catch {
    return null;
  }
}

function subjectOf(what: string | undefined, pid: string | undefined): Subject | null {
  if (pid === undefined) return what === undefined ? null : { text: what };
  if (!/^\d+$/.test(pid)) throw new WrongUse(`--pid ${pid}: is no number of a task`);
  if (what !== undefined) throw new WrongUse("ask for an object or for a task, not for both");
  return { tid: Number(pid) };
}
