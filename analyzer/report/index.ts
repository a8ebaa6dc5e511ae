/** All reports by name. A report is a pure function of the audit; only the command writes. */
import type { AuditView } from "../store/audit-view.js";
import { htmlReport } from "./html.js";
import { jsonReport } from "./json.js";
import { junitReport } from "./junit.js";
import { sarifReport } from "./sarif.js";
import { type TextOptions, textReport } from "./text.js";

export type Report = (audit: AuditView, options: TextOptions) => string | Iterable<string>;

export const REPORTS: Readonly<Record<string, Report>> = {
  html: htmlReport,
  json: jsonReport,
  junit: junitReport,
  sarif: sarifReport,
  text: textReport,
};
