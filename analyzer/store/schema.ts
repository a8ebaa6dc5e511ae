/**
 * The database of an audit, as a document. Facts first: what the sources hold. Then what is derived from them, which
 * can be dropped and made anew. Times are integer nanoseconds of the trace clock, addresses 64-bit integers (SQLite
 * shows them signed: `printf('0x%x', address)` prints them as the kernel does).
 */

/** "ktly" in ASCII: tells `file` and ktally itself whose database it is. */
export const APPLICATION_ID = 0x6b746c79;

/** Raised with every change of the tables below; see migrations.ts. */
export const SCHEMA_VERSION = 7;

export const SCHEMA = `
-- What is true of the audit as a whole: version (of ktally), state ('importing' until everything is in, then
-- 'complete'), exit (what analyze would exit with), classes (judged on request, JSON).
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Facts ---------------------------------------------------------------------------------------------------------

-- One file, or standard input.
CREATE TABLE sources (
  id          INTEGER PRIMARY KEY,
  path        TEXT NOT NULL,
  format      TEXT NOT NULL,          -- 'trace.dat v7 (zstd)', 'ftrace text', ...
  clock       TEXT,                   -- trace clock; NULL when the source does not tell
  kernel      TEXT,                   -- release, e.g. '6.1.0-56-amd64'
  events      INTEGER NOT NULL,       -- records in the source, kernel_stack records included
  relevant    INTEGER NOT NULL,       -- of these, stored in events
  first_ns    INTEGER,
  last_ns     INTEGER,
  lost_known  INTEGER NOT NULL,       -- events that the source says are missing, as far as it counts them
  lost_places INTEGER NOT NULL        -- places where events are missing
) STRICT;

CREATE TABLE diagnostics (
  source   INTEGER NOT NULL REFERENCES sources(id),
  severity TEXT NOT NULL,             -- 'error' | 'warning'
  offset   INTEGER,                   -- byte in the unpacked file
  line     INTEGER,                   -- in text formats, 1-based
  message  TEXT NOT NULL
) STRICT;

-- First and last record of each CPU.
CREATE TABLE cpus (
  source   INTEGER NOT NULL REFERENCES sources(id),
  cpu      INTEGER NOT NULL,
  first_ns INTEGER NOT NULL,
  last_ns  INTEGER NOT NULL,
  PRIMARY KEY (source, cpu)
) STRICT, WITHOUT ROWID;

-- A tracepoint, or one probed address.
CREATE TABLE probes (
  id      INTEGER PRIMARY KEY,
  kind    TEXT NOT NULL,              -- 'tracepoint' | 'kprobe' | 'kretprobe' | 'print'
  system  TEXT,
  name    TEXT NOT NULL,
  fields  TEXT NOT NULL,              -- JSON array: names of events.a0, a1, ...
  address INTEGER,                    -- probed instruction; of a kretprobe, its function
  symbol  TEXT,
  offset  INTEGER,
  module  TEXT
) STRICT;

-- Distinct kernel stacks, innermost frame first.
CREATE TABLE frames (
  stack   INTEGER NOT NULL,
  depth   INTEGER NOT NULL,
  address INTEGER,
  symbol  TEXT,
  PRIMARY KEY (stack, depth)
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks (
  id   INTEGER PRIMARY KEY,
  comm TEXT NOT NULL                  -- as recorded, unescaped
) STRICT;

-- Events that touch a class, in order of time.
CREATE TABLE events (
  id      INTEGER PRIMARY KEY,
  source  INTEGER NOT NULL,
  probe   INTEGER NOT NULL,
  time_ns INTEGER NOT NULL,
  cpu     INTEGER NOT NULL,
  tid     INTEGER NOT NULL,
  task    INTEGER NOT NULL,           -- tasks.id
  flags   INTEGER,                    -- common_flags; NULL where the source has none
  next_ns INTEGER,                    -- next record of this CPU: the end of the operation's window
  stack   INTEGER,                    -- frames.stack
  a0 ANY, a1 ANY, a2 ANY, a3 ANY,     -- values, named by probes.fields
  more    TEXT                        -- JSON array of further values (numbers as text)
) STRICT;

-- Where events are missing. cpu NULL: any; from_ns, to_ns NULL: open.
CREATE TABLE gaps (
  code    TEXT NOT NULL,              -- 'lost-events' | 'overwritten' | 'damaged'
  cpu     INTEGER,
  from_ns INTEGER,
  to_ns   INTEGER,
  lost    INTEGER
) STRICT;

-- What the kernel's log says: from logs, and from printk:console and error_report events of a trace. The columns
-- class to finding are derived.
CREATE TABLE reports (
  id       INTEGER PRIMARY KEY,
  source   INTEGER NOT NULL REFERENCES sources(id),
  line     INTEGER NOT NULL,          -- of its first line, 1-based; in a trace, n-th console line
  kind     TEXT NOT NULL,             -- 'warning', 'refcount', 'kasan', 'hung-task', ...
  bug      TEXT NOT NULL,             -- its variety: 'underflow', 'slab-use-after-free'; may be empty
  title    TEXT NOT NULL,             -- in the kernel's words
  time_ns  INTEGER,
  clock    TEXT,                      -- 'boot': since boot; 'wall': since 1970
  cpu      INTEGER,
  tid      INTEGER,
  comm     TEXT,
  kernel   TEXT,                      -- release that it names
  function TEXT NOT NULL,             -- at work, functions that merely report left aside
  code     TEXT,                      -- 'virt/kvm/kvm_main.c:3289'
  event    INTEGER NOT NULL,          -- events.id that stands for it
  stack    TEXT NOT NULL,             -- JSON array, innermost first
  related  TEXT NOT NULL,             -- JSON array of {what, tid, stack}: who allocated, freed, queued
  registers TEXT NOT NULL,            -- JSON object, name to '0x...'
  modules  TEXT NOT NULL,             -- JSON array of the modules loaded
  class    TEXT,                      -- class that it is about; NULL where no function on its stacks tells
  rule     TEXT,                      -- rule that it points to
  finding  INTEGER,                   -- findings.id that it proves or makes
  looks_like TEXT NOT NULL,           -- JSON array: bugs of the past
  learn    TEXT                       -- the command that would show more
) STRICT;

-- Derived -------------------------------------------------------------------------------------------------------

-- One life of one object.
CREATE TABLE objects (
  id           INTEGER PRIMARY KEY,
  class        TEXT NOT NULL,
  label        TEXT NOT NULL,
  address      INTEGER,               -- NULL for what is known by name
  name         TEXT,                  -- of a module
  generation   INTEGER NOT NULL,      -- n-th life at this address
  state        TEXT NOT NULL,         -- 'alive' | 'destroyed' | 'replaced'
  created_ns   INTEGER,
  destroyed_ns INTEGER,
  refs_last    INTEGER,               -- counter after the last operation, where it is certain
  exact        INTEGER NOT NULL,      -- 1: every value read fits the operations seen
  began_with   INTEGER                -- references that it began with; NULL when it began before the trace
) STRICT;

-- What can be done to objects: the words for the ledger's rows.
CREATE TABLE operations (
  id       INTEGER PRIMARY KEY,
  effect   TEXT NOT NULL,
  function TEXT NOT NULL,
  site     INTEGER NOT NULL,          -- 1: an instruction inside the function
  delta    INTEGER NOT NULL,
  call_site INTEGER                   -- call_sites.id; NULL for what changes no counter
) STRICT;

-- Where in the code references are taken and dropped. The gets of a pair come to as much as its puts in every life that
-- ended balanced.
CREATE TABLE call_sites (
  id       INTEGER PRIMARY KEY,
  class    TEXT NOT NULL,
  does     TEXT NOT NULL,             -- 'get' | 'put'
  name     TEXT NOT NULL,             -- 'kvm_vm_ioctl+0xcde', 'kvm_put_kvm ← kvm_vm_release'
  function TEXT,                      -- NULL for the reference that an object begins with
  caller   TEXT,                      -- of a function that does nothing but count
  pair     INTEGER NOT NULL,          -- the same number for the sites of one pair
  shown_by INTEGER NOT NULL           -- balanced lives that show the pair; 0: the catalog says so, or nothing else is left
) STRICT;

-- The ledger summed up, so that the balance of all objects need not be counted.
CREATE TABLE balance_counts (
  operation INTEGER NOT NULL,         -- operations.id; only what changes a counter and was not refused
  stack     INTEGER,                  -- frames.stack
  count     INTEGER NOT NULL
) STRICT;

-- References that the objects of a class began with.
CREATE TABLE creations (
  class TEXT PRIMARY KEY,
  count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What still holds an object at the end: references that were taken and not given back, and open files.
CREATE TABLE holders (
  object    INTEGER,                  -- objects.id; NULL where only the class is known
  class     TEXT NOT NULL,
  kind      TEXT NOT NULL,            -- 'file' (a reference that a file holds) | 'reference' | 'creation' | 'unseen' (by the counter) | 'open' (a file known by its opening only)
  what      TEXT NOT NULL,            -- 'vCPU file'
  count     INTEGER NOT NULL,
  call_site INTEGER,                  -- call_sites.id
  tid       INTEGER,                  -- of the task that took it
  comm      TEXT,
  since_ns  INTEGER,
  stack     INTEGER,                  -- frames.stack
  source    TEXT NOT NULL             -- 'trace' | 'snapshot'
) STRICT;

-- What was done to an object, in order; the view story has it in words.
CREATE TABLE ledger (
  event    INTEGER NOT NULL,          -- events.id
  object   INTEGER NOT NULL,          -- objects.id
  operation INTEGER NOT NULL,         -- operations.id
  refs     INTEGER,                   -- counter before the operation, as read
  outcome  TEXT NOT NULL,             -- 'done' | 'refused' | 'pending' | 'unknown'
  result   INTEGER
) STRICT;

-- Entries of the kernel's tables.
CREATE TABLE registrations (
  id              INTEGER PRIMARY KEY,
  class           TEXT NOT NULL,
  key             INTEGER NOT NULL,
  generation      INTEGER NOT NULL,
  ops             INTEGER,
  owner           TEXT,               -- 'kvm_core #1', 'kvm_amd #2'
  registered_ns   INTEGER NOT NULL,
  unregistered_ns INTEGER,
  end             TEXT,               -- 'unregistered' | 'home-gone' | 'superseded'
  orphaned        INTEGER NOT NULL,   -- 1: its owner ended first
  owner_began_ns  INTEGER,            -- life of its owner, as far as known when the entry ended
  owner_ended_ns  INTEGER
) STRICT;

CREATE TABLE coverage (
  class  TEXT PRIMARY KEY,
  title  TEXT NOT NULL,
  state  TEXT NOT NULL,               -- 'complete' | 'partial' | 'blind' | 'absent'
  judged INTEGER NOT NULL,
  effects INTEGER NOT NULL            -- operations seen
) STRICT, WITHOUT ROWID;

-- Why a class was not seen completely, or why a finding is only suspected.
CREATE TABLE reasons (
  class   TEXT,                       -- coverage.class, or
  finding INTEGER,                    -- findings.id
  code    TEXT NOT NULL,
  text    TEXT NOT NULL,
  probe   TEXT
) STRICT;

CREATE TABLE findings (
  id             INTEGER PRIMARY KEY,
  rule           TEXT NOT NULL,
  variant        TEXT NOT NULL,
  level          TEXT NOT NULL,       -- 'error' | 'note'
  verdict        TEXT NOT NULL,       -- 'proven' | 'derived' | 'suspected'
  class          TEXT NOT NULL,
  label          TEXT NOT NULL,
  address        INTEGER,
  key            TEXT,
  generation     INTEGER NOT NULL,
  consequence_of INTEGER,             -- findings.id of the root cause
  fingerprint    TEXT NOT NULL,       -- the same in other runs and boots
  suppressed_by  TEXT,                -- the user's pattern, or 'baseline'; NULL for what counts
  title          TEXT NOT NULL,
  explanation    TEXT NOT NULL,
  expected       TEXT NOT NULL,
  sure           TEXT NOT NULL,       -- why the verdict is what it is
  fixed_by       TEXT,                -- how such a bug was fixed before
  culprit        TEXT NOT NULL,       -- function
  culprit_context TEXT,
  culprit_site   TEXT,
  culprit_event  INTEGER              -- events.id whose stack shows it
) STRICT;

-- The events of a finding, in order.
CREATE TABLE evidence (
  finding  INTEGER NOT NULL,
  seq      INTEGER NOT NULL,
  event    INTEGER NOT NULL,
  call     TEXT NOT NULL,             -- the operation as a call: 'kvm_init(...) = -EEXIST'
  function TEXT NOT NULL,
  effect   TEXT,
  delta    INTEGER,
  refs     INTEGER,
  result   INTEGER,
  note     TEXT NOT NULL,
  PRIMARY KEY (finding, seq)
) STRICT, WITHOUT ROWID;
`;

/** While importing: what became known of an operation after its row was written. The last one counts. */
export const LATE_OUTCOMES = `
CREATE TEMP TABLE late_outcomes (
  event     INTEGER NOT NULL,
  object    INTEGER NOT NULL,
  operation INTEGER NOT NULL,
  refs      INTEGER,
  outcome   TEXT NOT NULL,
  result    INTEGER
) STRICT;
`;

/** Made once the rows are in: much faster than keeping them up to date. */
export const INDEXES = `
CREATE INDEX events_by_probe ON events(probe, time_ns);
CREATE INDEX ledger_by_object ON ledger(object, event);
CREATE INDEX ledger_by_event ON ledger(event);
CREATE INDEX objects_by_class ON objects(class, address);
CREATE INDEX events_by_tid ON events(tid);
CREATE INDEX registrations_orphaned ON registrations(orphaned);
`;

/** Once the ledger can be searched. */
export const SETTLE_OUTCOMES = `
UPDATE ledger SET refs = late.refs, outcome = late.outcome, result = late.result
FROM (SELECT *, max(rowid) FROM late_outcomes GROUP BY event, object, operation) AS late
WHERE ledger.event = late.event AND ledger.object = late.object AND ledger.operation = late.operation;
DELETE FROM late_outcomes;
`;

/** What makes plain SQL useful; documented in the README. */
export const VIEWS = `
-- Loads of modules, as far as seen.
CREATE VIEW modules AS
  SELECT id, name, generation, created_ns AS loaded_ns, destroyed_ns AS freed_ns, refs_last FROM objects
  WHERE class = 'module';

-- Events with names instead of numbers.
CREATE VIEW timeline AS
  SELECT e.id, e.time_ns, e.cpu, e.tid, t.comm, p.name AS event, p.symbol AS function, p.offset, p.fields,
         e.a0, e.a1, e.a2, e.a3, e.stack
  FROM events e JOIN probes p ON p.id = e.probe JOIN tasks t ON t.id = e.task;

-- Every operation on every object, with its task.
CREATE VIEW story AS
  SELECT o.class, o.label, o.id AS object, l.event, e.time_ns, e.cpu, e.tid, t.comm, k.function, k.effect, k.delta,
         l.refs, l.result, l.outcome
  FROM ledger l JOIN operations k ON k.id = l.operation JOIN objects o ON o.id = l.object JOIN events e ON e.id = l.event JOIN tasks t ON t.id = e.task;

-- Gets against puts by function: what does not come to nothing is where to look.
CREATE VIEW balance AS
  SELECT class, function, SUM(delta > 0) AS gets, SUM(delta < 0) AS puts, SUM(delta) AS net FROM story
  WHERE delta <> 0 AND outcome <> 'refused' GROUP BY class, function;
`;
