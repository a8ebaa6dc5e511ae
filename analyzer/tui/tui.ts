/** The terminal UI on an audit: its screens, put together. */
import type { AuditBrowser } from "../store/browse/audit-browser.js";
import type { ListedFinding } from "../store/browse/findings.js";
import { App, type Tab } from "./app.js";
import { BalanceScreen } from "./balance/balance-screen.js";
import { CoverageScreen } from "./coverage/coverage-screen.js";
import { backgroundOf, depthOf } from "./drawing/theme.js";
import { FindScreen } from "./find/find-screen.js";
import { FindingsScreen } from "./findings/findings-screen.js";
import { LiveScreen, type LiveSource } from "./live/live-screen.js";
import { ObjectScreen } from "./object/object-screen.js";
import { RegistrationsScreen } from "./registrations/registrations-screen.js";
import type { Wish } from "./screen-type.js";
import { SqlScreen } from "./sql/sql-screen.js";
import { runSession } from "./terminal/session.js";
import { TimelineScreen } from "./timeline/timeline-screen.js";

/** What the environment says of the terminal's colours. */
const LOOK = { depth: depthOf(process.env), background: backgroundOf(process.env) };

/** Shows an audit until the user quits. @returns the exit status. */
export function browse(audit: AuditBrowser, subject: string): Promise<number> {
  return runSession({ app: new App(tabs(audit), subject), ...LOOK });
}

/** How often screens look for what is new; milliseconds. */
const LOOK_EVERY = 500;

/** Shows an audit while it goes on. `renew` makes the store's present visible. @returns the exit status. */
export function watch(
  audit: AuditBrowser,
  source: { words(): string; renew(): void; now(): bigint | null },
  subject: string,
): Promise<number> {
  let isHeld = false;
  const live: LiveSource = {
    words: () => source.words(),
    now: () => source.now(),
    hold: (held) => {
      isHeld = held;
      if (!held) source.renew();
    },
  };
  const app = new App([{ title: "Live", make: () => new LiveScreen(audit, live) }, ...tabs(audit)], subject);
  const run = () => {
    if (isHeld) return;
    source.renew();
    app.refresh();
  };
  return runSession({ app, ...LOOK, tick: { every: LOOK_EVERY, run } });
}

function tabs(audit: AuditBrowser): Tab[] {
  return [
    { title: "Findings", make: () => new FindingsScreen(audit, (head) => showSubject(audit, head)) },
    { title: "Objects", make: () => new TimelineScreen(audit) },
    { title: "Balance", make: () => new BalanceScreen(audit) },
    { title: "Registrations", make: () => new RegistrationsScreen(audit) },
    { title: "Coverage", make: () => new CoverageScreen(audit) },
    { title: "Find", make: () => new FindScreen(audit) },
    { title: "SQL", make: () => new SqlScreen(audit) },
  ];
}

/** What a finding is about: an object with its counter, or an entry of a table. */
function showSubject(audit: AuditBrowser, head: ListedFinding): Wish {
  const object = audit.objects.ofFinding(head);
  if (object) return { kind: "open", view: new ObjectScreen(audit, object, audit.findings.eventOf(head.id)) };
  const registration = audit.registrations.ofFinding(head);
  if (registration !== null) return { kind: "open", view: new RegistrationsScreen(audit, registration) };
  return { kind: "say", text: `no more is known of ${head.label} than what stands here` };
}
