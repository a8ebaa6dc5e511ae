/** `ktally why` from a snapshot: a file, or one taken now. */
import { defaultCatalog } from "../../collectors/catalog/default.js";
import type { Snapshot } from "../../collectors/snapshot/model.js";
import { takeSnapshot } from "../../collectors/snapshot/snapshot.js";
import { heldText } from "../report/held.js";
import {
  findObjects,
  type Held,
  objectsOfProcess,
  whoHolds,
  whoHoldsDevice,
  whoHoldsModule,
} from "../snapshot/holders.js";
import type { Subject } from "../store/holdings.js";
import { version } from "../version.js";
import { wantsColor, writeResult } from "./output.js";
import { blockingFunctions } from "./snapshot.js";
import { WrongUse } from "./wrong-use.js";

export function snapshotOfThisHost(): Snapshot {
  return takeSnapshot({ version: version(), blocking: blockingFunctions(defaultCatalog()) });
}

/** @throws WrongUse when the snapshot does not know what is asked for. */
export async function writeAnswer(snapshot: Snapshot, subject: Subject | null): Promise<void> {
  for (const sentence of snapshot.unread) process.stderr.write(`ktally: not read: ${sentence}\n`);
  if (!(await tryAnswer(snapshot, subject))) throw new WrongUse(notFound(snapshot, subject));
}

/** False when the snapshot does not know what is asked for. */
export async function tryAnswer(snapshot: Snapshot, subject: Subject | null): Promise<boolean> {
  const answers = answersTo(snapshot, subject);
  if (answers.length > 0) await writeResult(heldText(answers, wantsColor()), null);
  return answers.length > 0;
}

function answersTo(snapshot: Snapshot, subject: Subject | null): Held[] {
  const of = (objects: Snapshot["objects"]) => objects.map((object) => whoHolds(snapshot, object));
  if (subject === null) return of(snapshot.objects.filter(({ parent, refs }) => parent === null || refs !== null));
  if ("tid" in subject) return of(objectsOfProcess(snapshot, subject.tid));
  const module = whoHoldsModule(snapshot, subject.text);
  const objects = of(findObjects(snapshot, subject.text));
  if (module) return [module, ...objects];
  if (objects.length > 0) return objects;
  const device = whoHoldsDevice(snapshot, subject.text.toLowerCase());
  return device ? [device] : [];
}

function notFound(snapshot: Snapshot, subject: Subject | null): string {
  if (subject === null) return "no object of KVM or VFIO is there";
  if ("tid" in subject) return `process ${subject.tid} holds nothing of KVM or VFIO`;
  const classes = [...new Set(snapshot.objects.map((object) => object.class))];
  const known = classes.length === 0 ? "no object is there" : `there are ${classes.join(", ")}`;
  return `${subject.text}: is no object, device, module or file; ${known}`;
}
