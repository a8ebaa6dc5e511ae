import { Command } from "commander";
import { exampleText } from "../rules/examples.js";
import { RULES, ruleById } from "../rules/index.js";
import { writeResult } from "./output.js";
import { WrongUse } from "./wrong-use.js";

export function explainCommand(_state: { exit: number }): Command {
  return new Command("explain")
    .description("say what a rule means, how it knows, and what it never accuses")
    .argument("[rule]", "rule id; without one, all rules are listed")
    .action(async (id: string | undefined) => {
      if (id === undefined) {
        const width = Math.max(...RULES.map((rule) => rule.meta.id.length));
        await writeResult(RULES.map(({ meta }) => `${meta.id.padEnd(width)}  ${meta.title}\n`).join(""), null);
        return;
      }
      const rule = ruleById(id);
      if (!rule) {
        throw new WrongUse(`there is no rule ${id}; the rules are ${RULES.map(({ meta }) => meta.id).join(", ")}`);
      }
      const { meta } = rule;
      await writeResult(
        `${meta.id}: ${meta.title}\nvariants: ${meta.variants.join(", ")}\n${meta.page}\n${exampleText(meta.id)}`,
        null,
      );
    });
}
