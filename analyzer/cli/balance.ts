import { Command } from "commander";
import { balanceReport } from "../report/balance.js";
import { balanceTree } from "../store/balance.js";
import { findHoldings } from "../store/holdings.js";
import { withAudit } from "./open-audit.js";
import { wantsColor, writeResult } from "./output.js";
import { WrongUse } from "./wrong-use.js";

export function balanceCommand(_state: { exit: number }): Command {
  return new Command("balance")
    .description("gets against puts by call site and stack, paired as balanced objects show")
    .argument("<file>", "a trace, or a database made by analyze --db")
    .argument("[object]", "an address, or a label as reports print it; without one, all objects together")
    .action(async (path: string, object: string | undefined) => {
      await withAudit([path], async (database) => {
        if (object === undefined) {
          await writeResult(balanceReport(balanceTree(database), `all objects of ${path}`, wantsColor()), null);
          return;
        }
        const holdings = findHoldings(database, { text: object });
        if (holdings.length === 0) throw new WrongUse(`${object}: is not in ${path}; ktally why ${path} lists what is`);
        const reports = holdings.map(({ object: found }) =>
          balanceReport(balanceTree(database, found.id), `${found.label}, life ${found.generation}`, wantsColor()),
        );
        await writeResult(reports.join("\n"), null);
      });
    });
}
