/** Findings of an earlier audit, from its JSON report or its database. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { z } from "zod";
import { UnreadableInput } from "../import/trace-event.js";
import { AuditView } from "../store/audit-view.js";
import { openAuditDatabase } from "../store/database.js";

const finding = z.object({
  fingerprint: z.string(),
  rule: z.string(),
  class: z.string(),
  level: z.string(),
  verdict: z.string(),
  title: z.string(),
  suppressed_by: z.string().nullable(),
});

/** What a finding is known by, as far as audits are compared. */
export type EarlierFinding = z.infer<typeof finding>;

/** More than the findings are not looked at: a report of a later ktally may say more. */
const report = z.object({ schema: z.literal(1), findings: z.array(finding) });

const SQLITE_MAGIC = "SQLite format 3\0";

/**
 * Reads the findings of `analyze --format json` or `analyze --db`; null when the file is neither.
 * @throws UnreadableInput when there is no such file, or it is a report that cannot be read; UnusableDatabase.
 */
export function readEarlier(path: string): EarlierFinding[] | null {
  const head = readHead(path);
  if (head.startsWith(SQLITE_MAGIC)) {
    const database = openAuditDatabase(path);
    try {
      return new AuditView(database).findings();
    } finally {
      database.close();
    }
  }
  if (!/^\s*\{/.test(head)) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UnreadableInput(`${path}: is no JSON (${(error as Error).message}); write it with analyze --format json`);
  }
  const result = report.safeParse(parsed);
  if (!result.success) {
    const [issue] = result.error.issues;
    const where = issue === undefined ? "" : ` (${issue.path.join(".")}: ${issue.message})`;
    throw new UnreadableInput(`${path}: is no report of ktally${where}; write one with analyze --format json`);
  }
  return result.data.findings;
}

/** The first bytes, as Latin-1. */
function readHead(path: string): string {
  try {
    const fd = openSync(path, "r");
    try {
      const head = Buffer.alloc(SQLITE_MAGIC.length);
      return head.toString("latin1", 0, readSync(fd, head));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UnreadableInput(
      code === "ENOENT" ? `${path}: there is no such file` : `${path}: cannot be read (${code})`,
    );
  }
}
