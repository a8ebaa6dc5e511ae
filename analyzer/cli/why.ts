import { existsSync } from "node:fs";
import { Command } from "commander";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { whyReport } from "../report/why.js";
import { findFindings, findHoldings, type Holding, livingHoldings, type Subject } from "../store/holdings.js";
import { withAudit } from "./open-audit.js";
import { wantsColor, writeResult } from "./output.js";
import { snapshotOf, writeAnswer } from "./why-snapshot.js";
import { WrongUse } from "./wrong-use.js";

/** How a PCI device is called: domain, bus, slot, function. */
const PCI_NAME = /^([0-9a-f]{4,}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i;

export function whyCommand(_state: { exit: number }): Command {
  return new Command("why")
    .description("say who holds an object, a device or a module, and what has to be closed for it to go away")
    .argument("[file]", "a trace, a snapshot, a database of analyze --db; without it the running kernel is looked at")
    .argument("[what]", "an address, a label of a report, a class, a module, 0000:00:05.0; without it, all that lives")
    .option("--pid <number>", "what this task holds")
    .option("--catalog <file>", "a further catalog entry of your own")
    .action(
      async (first: string | undefined, second: string | undefined, options: { pid?: string; catalog?: string }) => {
        const { path, what } = sortOut(first, second);
        const subject = subjectOf(what, options.pid);
        const snapshot = await snapshotOf(path);
        if (snapshot !== null) return writeAnswer(snapshot, subject);
        if (path === undefined) return;
        await withAudit(path, async (database) => {
          const classes = [...defaultCatalog(options.catalog ? [options.catalog] : []).classes.values()];
          if (subject === null) {
            const all = livingHoldings(
              database,
              classes.map((entry) => entry.class),
            );
            await answer(null, all, []);
            return;
          }
          const holdings = findHoldings(database, subject);
          const asked = "tid" in subject ? `what task ${subject.tid} holds` : subject.text;
          const newest =
            "text" in subject && !classes.some((entry) => entry.class === what) ? newestLives(holdings) : holdings;
          const isModule = newest.some(({ object }) => object.class === "module");
          const onIt = classes.filter((entry) => entry.module === what || entry.runs_code_of.includes(what ?? ""));
          const users =
            "text" in subject && (isModule || newest.length === 0)
              ? livingHoldings(
                  database,
                  onIt.map((entry) => entry.class),
                )
              : [];
          if (newest.length + users.length > 0) return answer(asked, newest, users);
          const findings = "text" in subject ? findFindings(database, subject.text) : [];
          if (findings.length > 0) {
            const lines = findings.map(
              ({ title, explanation, expected }) => `${title}\n  ${explanation}\n  expected: ${expected}\n`,
            );
            await writeResult(lines.join("\n"), null);
            return;
          }
          if ("tid" in subject)
            throw new WrongUse(`task ${subject.tid} holds nothing in ${path}, as far as it was recorded`);
          const devices = PCI_NAME.test(subject.text) ? livingHoldings(database, ["vfio_device"]) : [];
          if (devices.length === 0)
            throw new WrongUse(`${subject.text}: is not in ${path}; without it, why lists what is`);
          await writeResult(`The trace does not say which device ${subject.text} is. It has:\n\n`, null);
          await answer(subject.text, devices, []);
        });
      },
    );
}

/** A word that is no file is what somebody asks about; both orders are understood. */
function sortOut(
  first: string | undefined,
  second: string | undefined,
): { path: string | undefined; what: string | undefined } {
  if (first === undefined || (second === undefined && !existsSync(first))) return { path: undefined, what: first };
  if (second !== undefined && !existsSync(first) && existsSync(second)) return { path: second, what: first };
  return { path: first, what: second };
}

async function answer(asked: string | null, holdings: readonly Holding[], users: readonly Holding[]): Promise<void> {
  await writeResult(whyReport({ asked, holdings, users }, wantsColor()), null);
}

/** Of several lives at one address or of one module the last one is meant. */
function newestLives(holdings: readonly Holding[]): Holding[] {
  const keyOf = ({ object }: Holding) => `${object.class} ${object.address ?? object.name}`;
  return holdings.filter((holding, index) => holdings.findIndex((other) => keyOf(other) === keyOf(holding)) === index);
}

function subjectOf(what: string | undefined, pid: string | undefined): Subject | null {
  if (pid === undefined) return what === undefined ? null : { text: what };
  if (!/^\d+$/.test(pid)) throw new WrongUse(`--pid ${pid}: is no number of a task`);
  if (what !== undefined) throw new WrongUse("ask for an object or for a task, not for both");
  return { tid: Number(pid) };
}
