import { Command } from "commander";
import { harmless } from "../report/harmless.js";
import { openAuditDatabase } from "../store/database.js";
import { runQuery } from "../store/query.js";
import { writeResult } from "./output.js";

export function queryCommand(_state: { exit: number }): Command {
  return new Command("query")
    .description("run one SQL statement on an audit database; reading only")
    .argument("<db>", "database made by analyze --db")
    .argument("<sql>", "for example: SELECT * FROM balance")
    .option("--json", "one JSON object per row; integers beyond 2^53 as text")
    .option("--unfinished", "also an audit that is still being written (live --db), or was interrupted")
    .action(async (path: string, sql: string, options: { json?: boolean; unfinished?: boolean }) => {
      const database = openAuditDatabase(path, options.unfinished);
      try {
        const rows = runQuery(database, sql);
        await writeResult(options.json === true ? jsonRows(rows) : textRows(rows), null);
      } finally {
        database.close();
      }
    });
}

function* textRows(rows: ReturnType<typeof runQuery>): Generator<string> {
  yield `${rows.columns.map(harmless).join("\t")}\n`;
  for (const row of rows.rows)
    yield `${row.map((value) => (value === null ? "" : harmless(String(value)))).join("\t")}\n`;
}

function* jsonRows(rows: ReturnType<typeof runQuery>): Generator<string> {
  for (const row of rows.rows) {
    const entries = rows.columns.map((column, index) => [column, jsonValue(row[index])] as const);
    yield `${JSON.stringify(Object.fromEntries(entries))}\n`;
  }
}

function jsonValue(value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value);
}
