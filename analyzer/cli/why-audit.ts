/** `ktally why` from an audit: a trace, a database of `analyze --db`, with a snapshot of the same host where there is one. */
import type { Database } from "better-sqlite3";
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Snapshot } from "../../collectors/snapshot/model.js";
import { whyReport } from "../report/why.js";
import { findObjects } from "../snapshot/holders.js";
import { findFindings, findHoldings, type Holding, livingHoldings, type Subject } from "../store/holdings.js";
import { wantsColor, writeResult } from "./output.js";
import { tryAnswer } from "./why-snapshot.js";
import { WrongUse } from "./wrong-use.js";

/** How a PCI device is called: domain, bus, slot, function. */
const PCI_NAME = /^([0-9a-f]{4,}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i;

export interface Asked {
  database: Database;
  /** The files, as the user calls them. */
  where: string;
  classes: readonly ClassEntry[];
  /** Knows what things are called. */
  snapshot: Snapshot | null;
}

/** @throws WrongUse when neither knows what is asked for. */
export async function writeAuditAnswer(asked: Asked, subject: Subject | null): Promise<void> {
  const { database, classes, where, snapshot } = asked;
  const livingOf = (entries: readonly ClassEntry[]) =>
    livingHoldings(
      database,
      entries.map((entry) => entry.class),
    );
  if (subject === null) return answer(null, livingOf(classes), []);
  if ("tid" in subject) {
    const held = newestLives(findHoldings(database, subject), false);
    if (held.length === 0 && snapshot !== null && (await tryAnswer(snapshot, subject))) return;
    if (held.length === 0)
      throw new WrongUse(`task ${subject.tid} holds nothing in ${where}, as far as it was recorded`);
    return answer(`what task ${subject.tid} holds`, held, []);
  }
  const { text } = subject;
  const found = newestLives(
    findByWord(asked, text),
    classes.some((entry) => entry.class === text),
  );
  const isModule = found.some(({ object }) => object.class === "module");
  const onIt = classes.filter((entry) => entry.module === text || entry.runs_code_of.includes(text));
  const users = isModule || found.length === 0 ? livingOf(onIt) : [];
  if (found.length + users.length > 0) return answer(text, found, users);
  const findings = findFindings(database, text);
  if (findings.length > 0) {
    const lines = findings.map(
      ({ title, explanation, expected }) => `${title}\n  ${explanation}\n  expected: ${expected}\n`,
    );
    return writeResult(lines.join("\n"), null);
  }
  if (snapshot !== null && (await tryAnswer(snapshot, subject))) return;
  const devices = PCI_NAME.test(text) ? livingOf(classes.filter((entry) => entry.class === "vfio_device")) : [];
  if (devices.length === 0) throw new WrongUse(`${text}: is not in ${where}; without it, why lists what is`);
  await writeResult(`The trace does not say which device ${text} is. It has:\n\n`, null);
  await answer(text, devices, []);
}

/** What the trace calls so; else what the snapshot does, by its address. */
function findByWord({ database, snapshot }: Asked, text: string): Holding[] {
  const found = findHoldings(database, { text });
  if (found.length > 0 || snapshot === null) return found;
  return findObjects(snapshot, text).flatMap(({ address, class: name }) =>
    findHoldings(database, { text: address }).filter(({ object }) => object.class === name),
  );
}

async function answer(asked: string | null, holdings: readonly Holding[], users: readonly Holding[]): Promise<void> {
  await writeResult(whyReport({ asked, holdings, users }, wantsColor()), null);
}

/** Of several lives at one address or of one module the last one is meant, unless all of a class are. */
function newestLives(holdings: readonly Holding[], all: boolean): Holding[] {
  if (all) return [...holdings];
  const keyOf = ({ object }: Holding) => `${object.class} ${object.address ?? object.name}`;
  return holdings.filter((holding, index) => holdings.findIndex((other) => keyOf(other) === keyOf(holding)) === index);
}
