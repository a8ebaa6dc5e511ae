/** The look of the HTML report. */
export const STYLE = `
:root { --text: #1c2024; --faint: #60646c; --back: #fcfcfd; --card: #ffffff; --line: #d9d9e0;
  --bad: #b3261e; --unsure: #8a5a00; --good: #1a7f4b; --accent: #0b61a4; }
@media (prefers-color-scheme: dark) {
  :root { --text: #edeef0; --faint: #a9adb5; --back: #111113; --card: #18191b; --line: #363a3f;
    --bad: #ff9592; --unsure: #ffca62; --good: #71d083; --accent: #70b8ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 75rem; padding: 1.5rem 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.6rem; }
h2 { margin: 0 0 .5rem; font-size: 1.15rem; }
header p, footer { color: var(--faint); font-size: .875rem; }
section { margin: 1rem 0; padding: 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.tag { margin-left: .5rem; font-size: .875rem; font-weight: 600; white-space: nowrap; }
.proven, .derived { color: var(--bad); }
.suspected, .partial, .blind { color: var(--unsure); }
.note { color: var(--accent); }
.complete { color: var(--good); }
.wide { overflow-x: auto; overflow-wrap: normal; }
table { border-collapse: collapse; font-size: .875rem; }
th { text-align: left; color: var(--faint); font-weight: 600; }
td, th { padding: .2rem .75rem .2rem 0; vertical-align: top; }
.finding td { font-family: ui-monospace, monospace; font-size: .8125rem; white-space: pre; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; }
dt { color: var(--accent); }
dd { margin: 0; }
pre { margin: .5rem 0 0; overflow-x: auto; font-size: .8125rem; }
svg.counter { display: block; margin: .5rem 0; }
svg.counter path { fill: none; stroke: var(--accent); stroke-width: 2; }
svg.counter line { stroke: var(--line); }
svg.counter circle { fill: var(--accent); }
svg.counter text { fill: var(--faint); font: 11px ui-monospace, monospace; }
`;
