/** What must hold of every file, however damaged: reading it ends, soon, with what there is or with one clear line. */
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { auditReaders } from "../audit.js";
import { type Importer, type Input, UnreadableInput } from "../import/trace-event.js";

/** Processor time that any file may take, and each byte of it (milliseconds). */
const ALWAYS = 3000;
const PER_BYTE = 0.01;

const catalog = defaultCatalog();

/** @throws Error that says what does not hold. */
export async function checkCase(importer: Importer, file: Buffer): Promise<void> {
  const start = process.cpuUsage();
  await refusesOr(async () => {
    const reader = await importer.open(inputOf(file));
    for await (const _ of reader.read(() => true));
    reader.facts.symbols?.modules();
    for (const { message, offset, line } of reader.facts.diagnostics) {
      if (message.includes("\n") || (offset ?? line ?? 0) < 0) throw new Error(`a diagnostic like ${message}`);
    }
  });
  await refusesOr(async () => {
    await auditReaders([await importer.open(inputOf(file))], { catalog, classes: null }, null);
  });
  const { user, system } = process.cpuUsage(start);
  const took = (user + system) / 1000;
  const allowed = ALWAYS + PER_BYTE * file.length;
  if (took > allowed) throw new Error(`took ${Math.round(took)} ms, at most ${Math.round(allowed)} are due`);
}

/** The only thing that may be thrown is a refusal of one line. */
async function refusesOr(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof UnreadableInput)) throw error;
    if (error.message.includes("\n")) throw new Error(`a refusal of several lines: ${error.message}`);
  }
}

function inputOf(content: Buffer): Input {
  return {
    path: "fuzzed",
    size: content.length,
    read: (offset, length) => Buffer.from(content.subarray(offset, offset + length)),
    head: content.subarray(0, 0x10000),
    lines: null,
    close: () => {},
  };
}
