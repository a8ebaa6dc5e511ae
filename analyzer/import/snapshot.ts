/** A snapshot (`ktally snapshot`): JSON, checked before anything believes it. */
import { type Snapshot, snapshotModel } from "../../collectors/snapshot/model.js";
import { openInput } from "./input.js";
import { blankFacts } from "./source-facts.js";
import {
  type Importer,
  type Input,
  type Probe,
  type SourceFacts,
  type TraceEvent,
  type TraceReader,
  UnreadableInput,
  type Wants,
} from "./trace-event.js";

/** Of a host with ten thousand virtual machines. */
const LARGEST = 1 << 30;
const PIECE = 1 << 20;

export const snapshotFile: Importer = {
  name: "ktally snapshot",
  about: "what ktally snapshot wrote: the objects of a machine at one moment",
  priority: 50,
  sniff: (head) => /^\s*\{\s*"ktally":\s*"snapshot"/.test(head.toString("latin1", 0, 256)),
  open: async (input) => {
    const snapshot = await parseSnapshot(input);
    return snapshotReader(input.path, [snapshot], () => input.close());
  },
};

/** @throws UnreadableInput when the file cannot be read. */
export async function isSnapshot(path: string): Promise<boolean> {
  const input = await openInput(path);
  input.close();
  return snapshotFile.sniff(input.head);
}

/** @throws UnreadableInput when the file is no snapshot. */
export async function readSnapshot(path: string): Promise<Snapshot> {
  const input = await openInput(path);
  try {
    if (!snapshotFile.sniff(input.head))
      throw new UnreadableInput(`${path}: is no snapshot; make one with ktally snapshot -o FILE`);
    return await parseSnapshot(input);
  } finally {
    input.close();
  }
}

async function parseSnapshot(input: Input): Promise<Snapshot> {
  const text = await textOf(input);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    // It quotes the text, line ends and all.
    const reason = (error as Error).message.replace(/\s+/g, " ");
    throw new UnreadableInput(`${input.path}: the snapshot is damaged (${reason}); take it again`);
  }
  const result = snapshotModel.safeParse(content);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue?.path.join(".") || "the whole";
  throw new UnreadableInput(`${input.path}: the snapshot is damaged: ${where}: ${issue?.message}; take it again`);
}

async function textOf(input: Input): Promise<string> {
  if (input.lines !== null) {
    const lines: string[] = [];
    for await (const line of input.lines) lines.push(line);
    return lines.join("\n");
  }
  const size = input.size ?? 0;
  if (size > LARGEST) throw new UnreadableInput(`${input.path}: ${size} bytes are more than a snapshot has`);
  const pieces: Buffer[] = [];
  for (let offset = 0; offset < size; offset += PIECE) pieces.push(input.read(offset, Math.min(PIECE, size - offset)));
  return Buffer.concat(pieces).toString("utf8");
}

/**
 * Each counter read is an event of its own: the ledger takes it like any other value. The last snapshot is what the
 * source shows.
 */
export function snapshotReader(
  path: string,
  snapshots: readonly [Snapshot, ...Snapshot[]],
  close: () => void = () => {},
): TraceReader {
  const snapshot = snapshots.at(-1) ?? snapshots[0];
  const unread = new Set(snapshots.flatMap((one) => one.unread));
  const facts: SourceFacts = {
    ...blankFacts(path, "ktally snapshot"),
    clock: "mono",
    kernel: snapshot.kernel,
    diagnostics: [...unread].map((message) => ({ severity: "warning", offset: null, line: null, message })),
    snapshot,
  };
  return {
    facts,
    async *read(wants) {
      const events = readingsOf(
        snapshots.flatMap(({ objects }) => objects),
        wants,
      );
      facts.eventCount = events.length;
      if (events.length > 0) yield events;
    },
    close,
  };
}

/** No task, no CPU: nobody ran anything. */
const NOBODY = { cpu: -1, tid: -1, comm: "snapshot", flags: null, returnsTo: null, stack: null, nextOnCpu: null };

function readingsOf(objects: Snapshot["objects"], wants: Wants): TraceEvent[] {
  const probes = new Map<string, Probe | null>();
  const events: TraceEvent[] = [];
  for (const { class: name, address, refs, read_ns } of objects) {
    if (refs === null) continue;
    let probe = probes.get(name);
    if (probe === undefined) {
      const made: Probe = {
        kind: "tracepoint",
        system: "ktally",
        name: `snapshot_${name}`,
        fields: ["object", "refs"],
        at: null,
      };
      probe = wants(made) ? made : null;
      probes.set(name, probe);
    }
    if (probe)
      events.push({ kind: "event", probe, time: BigInt(read_ns), args: [BigInt(address), BigInt(refs)], ...NOBODY });
  }
  return events.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}
