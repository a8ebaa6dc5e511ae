/** All reports by name. A report is a pure function of the audit; only the command writes. */
import type { AuditView } from "../store/audit-view.js";
import { jsonReport } from "./json.js";
import { type TextOptions, textReport } from "./text.js";

export type Report = (audit: AuditView, options: TextOptions) => string | Iterable<string>;

export const REPORTS: Readonly<Record<string, Report>> = {
  json: jsonReport,
  text: textReport,
};
