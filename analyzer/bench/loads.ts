/** The kinds of traces to measure on, made of the bundled recordings. */

import { fileURLToPath } from "node:url";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { packageRoot } from "../../collectors/package-root.js";
import { Decoder } from "../decode/decoder.js";
import { repeated } from "./big-trace.js";
import { filterPages } from "./pages.js";
import { type Recording, readRecording } from "./recording.js";

export interface Load {
  name: string;
  recording: Recording;
  /** Whether it is read once more with every event kept in a database (`--db`). */
  keeps: boolean;
}

export async function loads(): Promise<Load[]> {
  // Several rounds at once: so their pages are filled in spite of what is left out.
  const noisy = repeated(await bundled("noisy-6.1"), 100);
  return [
    { name: "irrelevant", keeps: false, recording: withRelevant(noisy, 0) },
    { name: "2 % relevant", keeps: false, recording: withRelevant(noisy, 0.02) },
    { name: "relevant", keeps: true, recording: await bundled("clean-6.1") },
  ];
}

export function bundled(name: string): Promise<Recording> {
  return readRecording(bundledPath(`${name}.dat`));
}

/** A recording of the fixtures, packed. */
export function bundledPath(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}.xz`, packageRoot()));
}

/** The recording with so much of its records wanted by any class as `share` says, or a little less. */
function withRelevant(recording: Recording, share: number): Recording {
  const decoder = new Decoder(defaultCatalog(), () => null);
  const relevant = new Map<number, boolean>();
  for (const { id, kind, system, name, fields } of recording.formats) {
    const probe = { kind, system, name, fields: fields.map((field) => field.name), at: null };
    // Stacks have an id of ftrace's own: they go with the event before them.
    if (system !== "ftrace") relevant.set(id, decoder.wants(probe));
  }
  let isKept = false;
  let records = 0;
  let wanted = 0;
  const keeps = (id: number) => {
    const isWanted = relevant.get(id);
    if (isWanted !== undefined) isKept = !isWanted || wanted < share * records;
    if (isKept) records++;
    if (isKept && isWanted === true) wanted++;
    return isKept;
  };
  return { ...recording, cpus: recording.cpus.map((pages) => filterPages(pages, keeps)) };
}
