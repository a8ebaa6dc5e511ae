/** The terminal UI on an audit: its screens, put together. */
import type { AuditBrowser } from "../store/audit-browser.js";
import { App } from "./app.js";
import { backgroundOf, depthOf, themeFor } from "./drawing/theme.js";
import { FindingsScreen } from "./findings/findings-screen.js";
import { runSession } from "./terminal/session.js";

/** Shows an audit until the user quits. @returns the exit status. */
export function browse(audit: AuditBrowser, subject: string): Promise<number> {
  const theme = themeFor(depthOf(process.env), backgroundOf(process.env));
  const app = new App(
    [{ title: "Findings", make: () => new FindingsScreen(audit, () => ({ kind: "say", text: "" })) }],
    subject,
  );
  return runSession({ app, theme });
}
