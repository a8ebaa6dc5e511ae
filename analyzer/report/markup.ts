import { harmless } from "./harmless.js";

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text for HTML or XML, in an element or a quoted attribute: it shows as it is and does nothing. Line ends stay. */
export function escapeMarkup(text: string): string {
  return text
    .split("\n")
    .map(harmless)
    .join("\n")
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
