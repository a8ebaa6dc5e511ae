/** Events for tests, drawn as the lines that the kernel prints and read by the importer that reads a user's. */
import type { Catalog } from "../../collectors/catalog/catalog.js";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { type AuditOutcome, auditReaders } from "../audit.js";
import { Decoder } from "../decode/decoder.js";
import type { AuditEvent, Operation, Signal } from "../decode/operation.js";
import { ftraceText } from "../import/ftrace-text.js";
import { fileOf } from "../import/testing/text-input.js";
import type { TraceItem, TraceReader } from "../import/trace-event.js";
import { World } from "../lifecycle/world.js";

export const catalog = defaultCatalog();

/**
 * Lines as a test draws them: without indentation, and a task, CPU and time are enough for a stack's own line.
 * `=> f` lines after `<stack trace>` are frames.
 */
export function drawn(text: string): string {
  const lines = text.split("\n").map((line) => line.trim());
  return lines
    .filter((line) => line !== "")
    .map((line) => (line.startsWith("=>") ? ` ${line}\n` : `${line}\n`))
    .join("");
}

export function openText(text: string): Promise<TraceReader> {
  return ftraceText.open(fileOf(drawn(text)));
}

export async function itemsOf(text: string): Promise<TraceItem[]> {
  const reader = await openText(text);
  const items: TraceItem[] = [];
  for await (const batch of reader.read(() => true)) items.push(...batch);
  return items;
}

export async function eventsIn(text: string): Promise<AuditEvent[]> {
  const items = await itemsOf(text);
  return items
    .flatMap((item) => (item.kind === "event" ? [item] : []))
    .map((event, index) => ({
      ...event,
      id: index + 1,
      source: 0,
    }));
}

/** Audits drawn lines, without files. */
export async function auditDrawn(
  text: string,
  options: { catalog?: Catalog; classes?: readonly string[] } = {},
): Promise<AuditOutcome> {
  const reader = await openText(text);
  return auditReaders([reader], { catalog: options.catalog ?? catalog, classes: options.classes ?? null }, null);
}

/** What decoding says of each drawn line. */
export async function decodeDrawn(text: string): Promise<{ decoder: Decoder; signals: Signal[][] }> {
  const decoder = new Decoder(catalog, () => null);
  const events = await eventsIn(text);
  const signals = events.map((event) => decoder.decode(event));
  return { decoder, signals };
}

/** The operations that drawn lines come to, as known at the end. */
export async function operationsIn(text: string): Promise<Operation[]> {
  const { signals } = await decodeDrawn(text);
  return signals.flat().flatMap((signal) => (signal.kind === "operation" ? [signal.operation] : []));
}

/** The world after the drawn lines; losses included. */
export async function worldAfter(text: string): Promise<World> {
  const decoder = new Decoder(catalog, () => null);
  const world = new World(catalog, () => null);
  let last: AuditEvent | null = null;
  let id = 0;
  for (const item of await itemsOf(text)) {
    if (item.kind === "gap") {
      world.lose(item);
      continue;
    }
    const event: AuditEvent = { ...item, id: ++id, source: 0 };
    world.apply(event, decoder.decode(event));
    last = event;
  }
  if (last) world.apply(last, decoder.finish());
  return world;
}
