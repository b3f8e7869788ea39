-- A list of three or more values behind IN would be built as a table of its own at every insert: the checks say OR.

-- What this node is. One row.
CREATE TABLE node (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  kind TEXT NOT NULL CHECK (kind IN ('hub', 'chapter')),
  name TEXT NOT NULL,
  country TEXT NOT NULL,              -- ISO 3166-1 alpha-2, taken where none is given
  node_id BLOB NOT NULL,              -- SHA-256 of the public key, 32 bytes
  incarnation BLOB NOT NULL,          -- UUID, drawn when this file was made or restored
  proof_key BLOB NOT NULL,            -- 32 bytes: what this node says to its children of documents is proved by it
  settings BLOB,                      -- doc_id of the network's settings, once they are known
  addresses TEXT NOT NULL DEFAULT '', -- where children reach it, as it last served: host:port, at most three, with commas between
  backed_up INTEGER,                  -- Unix ms of the newest backup that was made
  handed_over INTEGER,                -- Unix ms when it was handed over to another machine; NULL: it lives here
  checked INTEGER,                    -- Unix ms when sums and counters were last counted again
  check_found TEXT,                   -- what differed then: JSON, pairs of what and words
  rolled_back INTEGER,                -- Unix ms when a peer last knew more of this database than it did itself
  created INTEGER NOT NULL            -- Unix ms
) STRICT;

-- A set of documents that certain nodes may see, and the sequence in which their changes are fed.
CREATE TABLE scope (
  id INTEGER PRIMARY KEY,
  scope BLOB NOT NULL UNIQUE,         -- UUID; nil is the network, all ones the parent's network at a hub that has one
  role TEXT NOT NULL CHECK (role = 'network' OR role = 'above' OR role = 'own' OR role = 'chapter'),
  next_seq INTEGER NOT NULL DEFAULT 1,
  count INTEGER NOT NULL DEFAULT 0,   -- documents held and folded
  sum BLOB NOT NULL                   -- sum of SHA-256(doc_id, sorted heads) mod 2^256, 32 bytes
) STRICT;
CREATE INDEX scope_own ON scope (role) WHERE role = 'own';

-- One row a document. Its truth is its changes, in rows or in its snapshot.
CREATE TABLE document (
  id INTEGER PRIMARY KEY,
  doc_id BLOB NOT NULL UNIQUE,        -- UUIDv7
  kind TEXT NOT NULL,
  heads BLOB NOT NULL,                -- 32-byte hashes, sorted: what is logged
  dirty INTEGER,                      -- change.id of the newest change that is not folded; NULL: all are
  folded INTEGER NOT NULL,            -- change.id of the newest change that is folded; 0: none
  state TEXT NOT NULL CHECK (state = 'live' OR state = 'kept' OR state = 'read_only' OR state = 'quarantined' OR state = 'gone' OR state = 'erased'),
  indexed INTEGER NOT NULL            -- 1 when every change has its narrow row
) STRICT;
CREATE INDEX document_dirty ON document (dirty) WHERE dirty IS NOT NULL;
CREATE INDEX document_unchecked ON document (indexed) WHERE indexed = 0;

-- Who writes changes, as a number; and over which link an actor first came.
CREATE TABLE actor (
  id INTEGER PRIMARY KEY,
  actor BLOB NOT NULL UNIQUE,
  origin INTEGER                      -- link.id; NULL: an actor of this node; 0: not known yet
) STRICT;

-- One narrow, permanent row a change. Its bytes are emptied once a snapshot surely holds them.
CREATE TABLE change (
  id INTEGER PRIMARY KEY,
  document INTEGER NOT NULL,
  hash BLOB NOT NULL,
  actor INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  max_op INTEGER NOT NULL,
  deps BLOB NOT NULL,                 -- 32-byte hashes
  raw BLOB,                           -- NULL: it stands in the snapshot
  origin INTEGER,                     -- link.id over which it came; NULL: written here
  UNIQUE (document, hash),
  UNIQUE (document, actor, seq)
) STRICT;

-- The saved document: a cache of the set of its folded changes.
CREATE TABLE snapshot (
  document INTEGER PRIMARY KEY,
  heads BLOB NOT NULL,                -- 32-byte hashes, sorted: what is folded
  saved BLOB NOT NULL
) STRICT;

-- Which scope holds which document. Never deleted: erasing must reach all who ever held it.
CREATE TABLE assign (
  scope INTEGER NOT NULL,
  document INTEGER NOT NULL,
  epoch INTEGER NOT NULL,             -- counted by the parent, a document's over all its scopes
  state TEXT NOT NULL CHECK (state IN ('held', 'left')),
  guest INTEGER NOT NULL DEFAULT 0,   -- 1: the scope serves her, too; her home is another chapter
  presumed INTEGER NOT NULL DEFAULT 0, -- 1: at home here because no other home is known; the proof of an older one ends that
  proof BLOB,                         -- the parent's word for it, 16 bytes; NULL: it said nothing of it, or this node is the parent
  PRIMARY KEY (scope, document)
) STRICT, WITHOUT ROWID;
CREATE INDEX assign_document ON assign (document);

-- Documents that leave a scope and are not gone there yet. In a child's scope: until each of its nodes has said so. In
-- this node's own: until the parent has everything that was written here.
CREATE TABLE leaving (
  scope INTEGER NOT NULL,
  document INTEGER NOT NULL,
  epoch INTEGER NOT NULL,             -- of the assignment that took this one's place
  seq INTEGER NOT NULL,               -- a child's scope: the row that says so; the own scope: its last row when it came
  at INTEGER NOT NULL,                -- Unix ms
  told INTEGER,                       -- Unix ms when a node of the child first acknowledged that row, or wrote after it
  taker INTEGER,                      -- scope.id where it has not come yet, or the own scope: somewhere at the parent; NULL: it is safe
  taker_seq INTEGER,                  -- a child's scope: the row of that feed that brings it
  step TEXT NOT NULL CHECK (step = 'going' OR step = 'asks' OR step = 'disputed'),
  PRIMARY KEY (scope, document)
) STRICT, WITHOUT ROWID;
CREATE INDEX leaving_document ON leaving (document);
CREATE INDEX leaving_taker ON leaving (taker, taker_seq) WHERE taker IS NOT NULL;

-- Assignments that a child proved of documents that this node has forgotten, until they have come.
CREATE TABLE claimed (
  doc_id BLOB NOT NULL,
  scope INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  guest INTEGER NOT NULL,
  held INTEGER NOT NULL,              -- 0: it had left, and was not gone yet
  PRIMARY KEY (doc_id, scope)
) STRICT, WITHOUT ROWID;

-- A node's word that it did what was asked of it: this node's own, or a child's.
CREATE TABLE receipt (
  id INTEGER PRIMARY KEY,
  link INTEGER,                       -- NULL: this node's own
  document INTEGER NOT NULL,
  what TEXT NOT NULL CHECK (what = 'left' OR what = 'kept' OR what = 'erased'),
  epoch INTEGER NOT NULL,             -- of the assignment that ended; 0: erased
  erasure BLOB,
  at INTEGER NOT NULL                 -- Unix ms
) STRICT;
CREATE INDEX receipt_document ON receipt (document);

-- Who went from here, when and why: what is left of her beside private notes. Not where to.
CREATE TABLE stub (
  document INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,                -- Unix ms
  reason TEXT NOT NULL CHECK (reason = 'transferred' OR reason = 'returned' OR reason = 'her_word' OR reason = 'left')
) STRICT;
CREATE INDEX stub_at ON stub (at);

-- Someone is to go from one chapter to another, or back to the network. At the parent both sides are known, at a child its own.
-- A number is never used twice: rows of feeds name it after it has gone.
CREATE TABLE transfer (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  transfer_id BLOB NOT NULL UNIQUE,   -- UUIDv7
  document INTEGER NOT NULL,
  giver INTEGER,                      -- scope.id; NULL at the child that takes
  taker INTEGER,                      -- scope.id; NULL: back to the network, or at the child that gives
  to_slug TEXT NOT NULL,
  epoch INTEGER NOT NULL,             -- of the giver's assignment: it acts only while that stands
  given INTEGER NOT NULL,             -- 1: the giving side agrees
  taken INTEGER NOT NULL,             -- 1: the receiving side agrees
  proposer INTEGER,                   -- scope.id of the child that proposed it; NULL: this node, or its parent
  agreed INTEGER NOT NULL,            -- 1: she was asked and agreed
  also INTEGER NOT NULL,              -- 1: she stays where she is, and the receiving chapter serves her, too
  her_word INTEGER NOT NULL,          -- 1: she asked for it herself: that stands for the giving side's word
  here INTEGER NOT NULL,              -- 1: proposed by this node
  state TEXT NOT NULL CHECK (state = 'open' OR state = 'declined' OR state = 'done'),
  summary TEXT NOT NULL,              -- who she is; empty once it has ended
  text TEXT NOT NULL,                 -- the hand-over note, or why it was declined
  at INTEGER NOT NULL,                -- Unix ms
  ended INTEGER                       -- Unix ms when it was first seen to have ended; NULL before
) STRICT;
CREATE INDEX transfer_open ON transfer (document) WHERE state = 'open';
CREATE INDEX transfer_document ON transfer (document);
CREATE INDEX transfer_proposer ON transfer (proposer, state) WHERE proposer IS NOT NULL;

-- The ledger of what was deleted everywhere. Nothing else is left of it but hashes in `fingerprint`.
CREATE TABLE erasure (
  document INTEGER PRIMARY KEY,
  erasure BLOB NOT NULL,              -- UUIDv7
  at INTEGER NOT NULL,                -- Unix ms
  proof BLOB,                         -- the parent's word for it; NULL: it was decided here
  above BLOB,                         -- the word of the parent's own parent, for a parent that was put back to before
  scrubbed INTEGER NOT NULL           -- 1 once no byte is left in the file and its log
) STRICT;
CREATE INDEX erasure_unscrubbed ON erasure (document) WHERE scrubbed = 0;

-- What was asked to be deleted from below, until it is carried out or withdrawn.
CREATE TABLE erasure_asked (
  document INTEGER PRIMARY KEY,
  link INTEGER,                       -- the child's link; NULL: asked here
  at INTEGER NOT NULL,                -- Unix ms when this node heard of it
  approved INTEGER NOT NULL           -- 0: over the limit of a day, waits for a second administrator
) STRICT;

-- Keyed hashes of e-mail addresses and numbers of erased people, so that an import does not bring them back.
CREATE TABLE fingerprint (
  hash BLOB PRIMARY KEY,              -- the first 16 bytes of an HMAC by this node's key
  at INTEGER NOT NULL                 -- Unix ms of the erasure
) STRICT, WITHOUT ROWID;

-- A scope's ordered changes. `seq` is dense. What a cursor knows a row by stands in the row itself, so that forgetting a
-- document looks for none of its rows: an index by document would be written at every sign-up.
CREATE TABLE feed (
  scope INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  document INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind = 'change' OR kind = 'enter' OR kind = 'propose' OR kind = 'leave' OR kind = 'erase' OR kind = 'receipt' OR kind = 'transfer'),
  ref INTEGER NOT NULL,               -- change.id, the assignment's epoch, proposal.id, receipt.id, transfer.id; 0: erase
  origin_link INTEGER,                -- link.id from which it came; it is not sent back there
  mark INTEGER,                       -- of a change: the first 8 bytes of its hash; NULL: another kind
  PRIMARY KEY (scope, seq)
) STRICT, WITHOUT ROWID;
-- Rows of this kind are few.
CREATE INDEX feed_transfer ON feed (ref) WHERE kind = 'transfer';

-- The other end of a link: this node's parent, or a node of a child.
CREATE TABLE link (
  id INTEGER PRIMARY KEY,
  peer BLOB NOT NULL UNIQUE,          -- node id, 32 bytes
  direction TEXT NOT NULL CHECK (direction IN ('up', 'down')),
  name TEXT NOT NULL,
  scope INTEGER NOT NULL,             -- the scope that both ends share, beside the network's
  addresses TEXT NOT NULL,            -- of the parent: host:port, at most three, with commas between; of a child: empty
  pins BLOB NOT NULL,                 -- of the parent: SHA-256 of its authority's public key, at most three, 32 bytes each
  certificate BLOB,                   -- up: what this node shows, DER; down: its serial number
  expires INTEGER,                    -- Unix ms when that certificate ends
  statement INTEGER,                  -- the version of the sharing statement that was accepted
  accepted_by TEXT,                   -- by whom, as they call themselves
  accepted INTEGER,                   -- Unix ms when
  state TEXT NOT NULL CHECK (state = 'connected' OR state = 'offline' OR state = 'refused' OR state = 'revoked' OR state = 'left'),
  detail TEXT NOT NULL DEFAULT '',
  last_exchange INTEGER,              -- Unix ms
  confirmed INTEGER NOT NULL DEFAULT 0, -- 1: in this conversation the parent was seen not to be put back to before
  wanted INTEGER NOT NULL DEFAULT 0   -- counts requests for an exchange at once
) STRICT;
CREATE INDEX link_of_scope ON link (scope);
CREATE INDEX link_shut_out ON link (id) WHERE state = 'revoked' OR state = 'left';

-- Cursors, moved in the transaction of the data that they cover.
CREATE TABLE link_scope (
  link INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  incarnation BLOB,                   -- of the peer's database, in which seq counts
  seq INTEGER NOT NULL DEFAULT 0,     -- the peer's feed was read up to here
  hash BLOB,                          -- that row's digest
  acknowledged INTEGER NOT NULL DEFAULT 0,  -- the peer has committed our feed up to here
  PRIMARY KEY (link, scope)
) STRICT, WITHOUT ROWID;

-- A chapter, at its hub; at a chapter, itself.
CREATE TABLE chapter (
  scope INTEGER PRIMARY KEY,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  card BLOB,                          -- doc_id of its card
  intake INTEGER,                     -- people waiting for a first conversation at most
  state TEXT NOT NULL CHECK (state = 'open' OR state = 'paused' OR state = 'closed'),
  left_at INTEGER,                    -- Unix ms when it left the network; NULL: it belongs to it
  released INTEGER NOT NULL DEFAULT 0,  -- 1: leaving, it said that the network may go on with its people
  back_at INTEGER,                    -- Unix ms when it, or a node that had been in it, last came in anew; NULL: it never was away
  created INTEGER NOT NULL            -- Unix ms
) STRICT;

-- Logins of this node's pages. The row of a removed one stays with its name, so that what stands beside that name keeps
-- its meaning; it is used again when the name is.
CREATE TABLE user (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,          -- in small letters
  role TEXT NOT NULL CHECK (role = 'administrator' OR role = 'staff' OR role = 'viewer' OR role = 'organiser' OR role = 'reader' OR role = 'caller'),
  password TEXT NOT NULL,             -- Argon2id as a PHC string
  totp BLOB,                          -- secret of the second factor, 20 bytes; NULL: there is none
  totp_step INTEGER NOT NULL DEFAULT 0,  -- the newest step of 30 s whose code was used: none is taken twice
  recovery BLOB NOT NULL DEFAULT x'', -- SHA-256 of each recovery code that was not used, 32 bytes each
  supporter INTEGER,                  -- document.id of her own record; NULL: not tied
  failures INTEGER NOT NULL DEFAULT 0,  -- since the last one that was too long ago to count, or since she logged in
  failed INTEGER,                     -- Unix ms of the last of them, or since when there is none
  created INTEGER NOT NULL,           -- Unix ms
  removed INTEGER                     -- Unix ms; NULL: she may log in
) STRICT;

-- Who is logged in, and since when. Only the hash of what the browser holds is kept.
CREATE TABLE session (
  hash BLOB PRIMARY KEY,              -- SHA-256, 32 bytes
  user INTEGER NOT NULL,
  created INTEGER NOT NULL,           -- Unix ms
  seen INTEGER NOT NULL,              -- Unix ms, to the minute
  ends INTEGER NOT NULL,              -- Unix ms
  agent TEXT NOT NULL                 -- what the browser calls itself, at most 80 characters
) STRICT, WITHOUT ROWID;
CREATE INDEX session_user ON session (user);

-- Lists of people to which a login comes back. Of this node alone; no feed reads it. Those from before a login of this name
-- was made belong to nobody.
CREATE TABLE saved_filter (
  user TEXT NOT NULL,                 -- user.name
  name TEXT NOT NULL,
  query TEXT NOT NULL,                -- what stands behind the ? of the list's address
  at INTEGER NOT NULL,                -- Unix ms
  PRIMARY KEY (user, name)
) STRICT, WITHOUT ROWID;

-- What programs show instead of a login. Only the token's hash is kept.
CREATE TABLE api_token (
  hash BLOB PRIMARY KEY,              -- SHA-256, 32 bytes
  name TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role = 'administrator' OR role = 'staff' OR role = 'viewer' OR role = 'organiser' OR role = 'reader' OR role = 'caller'),
  made_by TEXT NOT NULL,              -- login, or how whoever made it called herself: it goes with that login
  created INTEGER NOT NULL,           -- Unix ms
  expires INTEGER NOT NULL,           -- Unix ms
  used INTEGER                        -- Unix ms, to the minute; NULL: never
) STRICT, WITHOUT ROWID;

-- Every set of territories that was ever in force, as JSON.
CREATE TABLE territory (
  version INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,                -- Unix ms
  body TEXT NOT NULL
) STRICT;

-- Who did what, when: rows are added and never changed. Ids, logins and fixed words only, no name, address or text.
CREATE TABLE audit (
  id INTEGER PRIMARY KEY,             -- dense
  at INTEGER NOT NULL,                -- Unix ms
  who TEXT,                           -- login, or `node` and the beginning of a node's id; NULL: this node by itself
  what TEXT NOT NULL,                 -- model::AuditKind
  about BLOB CHECK (length(about) = 16),  -- doc_id
  detail TEXT NOT NULL,
  number INTEGER CHECK (number >= 0),     -- people, or times
  hash BLOB NOT NULL                  -- SHA-256 of the row before it and of this one, 32 bytes
) STRICT;
CREATE INDEX audit_about ON audit (about) WHERE about IS NOT NULL;
-- The last one because REPLACE takes a row away without a DELETE.
CREATE TRIGGER audit_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_not_replaced BEFORE INSERT ON audit
WHEN NEW.id != (SELECT coalesce(max(id), 0) + 1 FROM audit)
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;

-- What others tried in this hour as often as they liked: some of it stands in rows of the log, the rest is counted.
CREATE TABLE audit_counted (
  source TEXT NOT NULL,               -- who tries: a link, the door for new nodes, ...
  what TEXT NOT NULL,                 -- model::AuditKind
  who TEXT,                           -- as in the log
  since INTEGER NOT NULL,             -- Unix ms when its hour began
  written INTEGER NOT NULL,           -- rows of the log in this hour
  more INTEGER NOT NULL,              -- times that stand in no row yet
  PRIMARY KEY (source, what)
) STRICT, WITHOUT ROWID;

-- Invitations. Only the secret's hash is kept.
CREATE TABLE invite (
  secret BLOB PRIMARY KEY,            -- SHA-256, 32 bytes
  scope INTEGER NOT NULL,
  made INTEGER NOT NULL,              -- Unix ms
  made_by TEXT NOT NULL,              -- who invited, as they call themselves
  link INTEGER,                       -- link.id of the chapter's node that invited; NULL: this hub did
  expires INTEGER NOT NULL,           -- Unix ms
  used_by BLOB,                       -- node id
  cancelled INTEGER,                  -- Unix ms
  misused INTEGER NOT NULL DEFAULT 0  -- how often another node has shown it after that
) STRICT, WITHOUT ROWID;

-- Changes that were not taken, for a person to read. Bounded, in all and for each link. A number is never used twice: a
-- person dismisses one by its number.
CREATE TABLE refused (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  link INTEGER NOT NULL,
  scope INTEGER NOT NULL,             -- scope.id of the feed in which it stood
  seq INTEGER NOT NULL,               -- its row there; 0: it came in a comparison
  doc_id BLOB NOT NULL,
  whose TEXT NOT NULL CHECK (whose IN ('theirs', 'ours')),
  why TEXT NOT NULL CHECK (why = 'malformed' OR why = 'not_yours' OR why = 'missing'),
  words TEXT NOT NULL,
  what TEXT NOT NULL,                 -- the kind of our row, as in feed; empty: theirs
  hash BLOB,                          -- our change
  raw BLOB,                           -- its bytes, at most 64 KiB: its own row may go before somebody has read this
  at INTEGER NOT NULL                 -- Unix ms
) STRICT;
CREATE INDEX refused_link ON refused (link, whose, scope, seq);
CREATE INDEX refused_document ON refused (doc_id);

-- Documents whose changes could not be folded, or whose snapshot could not be read, with the reason.
CREATE TABLE quarantine (
  document INTEGER PRIMARY KEY,
  words TEXT NOT NULL,
  version TEXT NOT NULL,              -- of the program that could not: another one tries again
  was TEXT NOT NULL CHECK (was = 'live' OR was = 'kept' OR was = 'read_only'),  -- the document's state before
  at INTEGER NOT NULL                 -- Unix ms
) STRICT;

-- The view of a supporter. Made from the document, can be dropped and made again.
CREATE TABLE supporter (
  document INTEGER PRIMARY KEY,
  home INTEGER,                       -- scope.id of her chapter; -2: a chapter elsewhere; NULL: she waits
  rung TEXT NOT NULL,
  conflicts INTEGER NOT NULL,
  looked_after_by TEXT,
  waiting TEXT,                       -- the reason's code, while she waits
  tried INTEGER NOT NULL,             -- 1 once somebody has tried to reach her
  hidden INTEGER NOT NULL,            -- 1 while it is asked that she be deleted: in no list and no figure
  view TEXT NOT NULL,                 -- model::Supporter as JSON, of this record alone
  shown_under INTEGER,                -- whose row shows her set of joined records, its own included; NULL: one record
  listed INTEGER NOT NULL,            -- 1: in lists. In a set only the first, whose rung, conflicts, tried and what follows are the set's
  new INTEGER,                        -- waits for a first call: 1, or 2 if she said that she would act. NULL, as all that follow: not listed
  due TEXT,                           -- ISO 8601 day on which she is to be contacted
  spoken INTEGER,                     -- Unix ms when somebody last talked with her, or she came
  kept INTEGER,                       -- Unix ms when she last kept an ask, or came
  tended INTEGER,                     -- Unix ms when somebody last talked with or moved her
  ready INTEGER,                      -- 1: has kept an ask where she stands, and nothing is asked of her
  unreachable INTEGER,                -- 1: nobody may contact her, or nothing is known by which to
  contact INTEGER,                    -- sum: agreed with somebody to e-mail 1, text message 2, telephone 4, letter 8; nobody may contact her: 16 alone. NULL also: nothing is known
  planned TEXT,                       -- ISO 8601 day on which somebody said to be in touch, whatever else is due
  arrived INTEGER                     -- Unix ms when she came up to the rung where she stands; NULL also: she began there
) STRICT;
-- Only rows that say something stand in these: somebody who has just signed up in the first alone. With the home they hold
-- all that a list of what there is to do asks.
CREATE INDEX supporter_new ON supporter (new DESC, document, home) WHERE new IS NOT NULL;
CREATE INDEX supporter_due ON supporter (due, document, home) WHERE due IS NOT NULL;
CREATE INDEX supporter_spoken ON supporter (home, spoken, kept, rung, unreachable) WHERE spoken IS NOT NULL;
CREATE INDEX supporter_tended ON supporter (rung, tended, document, home) WHERE tended IS NOT NULL;
CREATE INDEX supporter_ready ON supporter (document, rung, home) WHERE ready IS NOT NULL;
CREATE INDEX supporter_planned ON supporter (planned, document, home) WHERE planned IS NOT NULL;
CREATE INDEX supporter_arrived ON supporter (arrived, rung, home) WHERE arrived IS NOT NULL;
-- Everybody stands in this one anyway: with what she agreed to, no other has to be written for it.
CREATE INDEX supporter_home ON supporter (home, rung, document, contact);
CREATE INDEX supporter_hidden ON supporter (document) WHERE hidden = 1;
CREATE INDEX supporter_conflicts ON supporter (document) WHERE conflicts > 0;
CREATE INDEX supporter_care ON supporter (looked_after_by, document) WHERE looked_after_by IS NOT NULL;
CREATE INDEX supporter_under ON supporter (shown_under, home) WHERE shown_under IS NOT NULL;

-- Which records say that another one is the same person's. Made from documents; the other need not be here.
CREATE TABLE same (
  document INTEGER NOT NULL,          -- which says so
  other BLOB NOT NULL,                -- doc_id
  PRIMARY KEY (document, other)
) STRICT, WITHOUT ROWID;
CREATE INDEX same_other ON same (other);

-- The same, said at this node only, of records that no single chapter may see both of. Not part of the view; no feed reads it.
CREATE TABLE same_here (
  document INTEGER NOT NULL,
  other INTEGER NOT NULL,
  by TEXT NOT NULL,                   -- login
  at INTEGER NOT NULL,                -- Unix ms
  PRIMARY KEY (document, other)
) STRICT, WITHOUT ROWID;
CREATE INDEX same_here_other ON same_here (other);

-- By what she can be found exactly: e-mail addresses and telephone numbers.
CREATE TABLE reach (
  value TEXT NOT NULL,
  document INTEGER NOT NULL,
  PRIMARY KEY (value, document)
) STRICT, WITHOUT ROWID;

-- Whom somebody has recruited or develops. Only who says by whom stands here. Made from documents.
CREATE TABLE raised (
  by TEXT NOT NULL,                   -- a supporter's id or a login, as her record says it
  how TEXT NOT NULL CHECK (how IN ('recruited', 'developed')),
  document INTEGER NOT NULL,
  PRIMARY KEY (by, how, document)
) STRICT, WITHOUT ROWID;

-- Events by id, so that an ask, a piece of evidence or a sign-up can be named alone.
CREATE TABLE event (
  event_id BLOB NOT NULL,             -- UUIDv7: new rows go to the end
  document INTEGER NOT NULL,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,                -- Unix ms
  PRIMARY KEY (event_id, document)
) STRICT, WITHOUT ROWID;
-- What is looked for by its day.
CREATE INDEX event_one_to_one ON event (at) WHERE kind = 'one_to_one';
CREATE INDEX event_move ON event (at) WHERE kind = 'move';

-- Every ask of whom is shown and not hidden, as her record says: open asks and kept rates without reading records.
CREATE TABLE ask (
  document INTEGER NOT NULL,
  event_id BLOB NOT NULL,             -- UUIDv7
  at INTEGER NOT NULL,                -- Unix ms when it was made
  by TEXT NOT NULL,                   -- who asked: a login or a name, its beginning; empty: nobody says
  kind TEXT NOT NULL,                 -- model::AskKind
  text TEXT NOT NULL,                 -- its beginning, in which an offered ask is whole: the figures of an offer are by it
  due TEXT,                           -- ISO 8601 day
  outcome TEXT NOT NULL CHECK (outcome = 'open' OR outcome = 'yes' OR outcome = 'no' OR outcome = 'kept' OR outcome = 'missed'),
  waits TEXT,                         -- while nobody knows what came of it: the day, or 9999-12-31 without one
  PRIMARY KEY (document, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX ask_waits ON ask (waits, event_id) WHERE waits IS NOT NULL;
CREATE INDEX ask_at ON ask (at);
CREATE INDEX ask_figures ON ask (kind, outcome, waits);
CREATE INDEX ask_text ON ask (text, kind, outcome, waits);

-- Asks that this chapter offers beside the network's. Of this node alone; no feed reads it.
CREATE TABLE ask_offer (
  id INTEGER PRIMARY KEY,
  rung TEXT NOT NULL,
  kind TEXT NOT NULL,                 -- model::AskKind
  text TEXT NOT NULL,
  UNIQUE (rung, kind, text)
) STRICT;

-- Search by the beginning of any word. Contentless, so that an erased name leaves the file.
CREATE VIRTUAL TABLE fts USING fts5 (words, content = '', prefix = '2 3', tokenize = 'ascii');
INSERT INTO fts (fts, rank) VALUES ('secure-delete', 1);

-- Figures kept in the transaction that changes them.
CREATE TABLE counter (
  scope INTEGER NOT NULL,             -- scope.id of the chapter; 0: waiting; -1: less whom several chapters count; -2: whom a chapter elsewhere counts
  name TEXT NOT NULL,
  value INTEGER NOT NULL,
  PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

-- Who has opened somebody's number here, so that two do not call her at once. Of this node alone; no feed reads it.
CREATE TABLE calling (
  document INTEGER PRIMARY KEY,
  by TEXT NOT NULL,                   -- login
  until INTEGER NOT NULL              -- Unix ms
) STRICT;

-- A chapter's card as shown. Made from its document.
CREATE TABLE card (
  document INTEGER PRIMARY KEY,
  chapter BLOB,                       -- the chapter's scope, UUID
  view TEXT NOT NULL
) STRICT;
CREATE INDEX card_chapter ON card (chapter);

-- An action as shown. Made from its document.
CREATE TABLE action (
  document INTEGER PRIMARY KEY,
  on_day TEXT NOT NULL,               -- ISO 8601; empty: what stands there is no day
  view TEXT NOT NULL                  -- model::Action as JSON
) STRICT;
CREATE INDEX action_day ON action (on_day, document);

-- Who was asked to an action, said yes, and came. Made from the events of supporters; the action need not be here.
CREATE TABLE part (
  action BLOB NOT NULL,               -- doc_id
  document INTEGER NOT NULL,          -- of the supporter
  asked INTEGER NOT NULL,             -- 1: she was
  said_yes INTEGER NOT NULL,          -- 1: she has, and not no since
  came INTEGER NOT NULL,              -- 1: she did
  PRIMARY KEY (action, document)
) STRICT, WITHOUT ROWID;
CREATE INDEX part_document ON part (document);

-- What a form proposes for someone who is known. Not part of the view. A number is never used twice: rows of feeds name it
-- after it has gone.
CREATE TABLE proposal (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  proposal_id BLOB NOT NULL UNIQUE,   -- UUIDv7
  document INTEGER NOT NULL,
  sign_up BLOB NOT NULL,              -- event id
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  at INTEGER NOT NULL,                -- Unix ms
  state TEXT NOT NULL CHECK (state = 'open' OR state = 'taken' OR state = 'dropped')
) STRICT;
CREATE INDEX proposal_open ON proposal (document) WHERE state = 'open';
CREATE INDEX proposal_ended ON proposal (document) WHERE state != 'open';

-- What a chapter keeps to itself about a supporter. No feed reads this.
CREATE TABLE private_note (
  id INTEGER PRIMARY KEY,
  note_id BLOB NOT NULL UNIQUE,       -- UUIDv7
  document INTEGER NOT NULL,
  event BLOB,                         -- the one-to-one to which it belongs
  kind TEXT NOT NULL CHECK (kind = 'note' OR kind = 'story' OR kind = 'interest' OR kind = 'relationships' OR kind = 'capacity'),
  by TEXT NOT NULL,
  text TEXT NOT NULL,
  at INTEGER NOT NULL                 -- Unix ms
) STRICT;
CREATE INDEX private_note_document ON private_note (document);

-- Fields and tags that the network has not declared. No feed reads this.
CREATE TABLE private_field (
  document INTEGER NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (document, name)
) STRICT, WITHOUT ROWID;
-- Who has a tag: other fields, of which a list brings as many as it has columns, are looked for by nobody.
CREATE INDEX private_field_tag ON private_field (name, document) WHERE name >= 'tag/' AND name < 'tag0';

-- Sign-ups that were answered as any other and wait for a person: in no figure, no chapter and no feed.
CREATE TABLE held_sign_up (
  id INTEGER PRIMARY KEY,
  receipt BLOB NOT NULL UNIQUE,       -- UUIDv7: the sign-up's event, as it was answered
  at INTEGER NOT NULL,                -- Unix ms when it was posted
  why TEXT NOT NULL CHECK (why = 'address' OR why = 'email' OR why = 'honeypot' OR why = 'fill_time'),
  origin TEXT NOT NULL,               -- model::SignUpOrigin
  body TEXT NOT NULL,                 -- model::SignUp as JSON
  answer BLOB                         -- answer.key, if the request had a key: that answer goes with it
) STRICT;

-- Answers that were given to requests with an idempotency key.
CREATE TABLE answer (
  key BLOB PRIMARY KEY,               -- SHA-256 of the key
  request BLOB NOT NULL,              -- SHA-256 of the request's body
  body TEXT NOT NULL,
  document INTEGER,                   -- whom it is about: it goes with her
  at INTEGER NOT NULL                 -- Unix ms
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_document ON answer (document) WHERE document IS NOT NULL;

-- The case on paper, as it was kept. Numbers and words, no names. Of this node alone; no feed reads it.
CREATE TABLE case_sheet (
  number INTEGER PRIMARY KEY,         -- dense
  made INTEGER NOT NULL,              -- Unix ms
  by TEXT NOT NULL,                   -- login
  title TEXT NOT NULL,
  body TEXT NOT NULL                  -- JSON, written once
) STRICT;
-- The last one because REPLACE takes a row away without a DELETE.
CREATE TRIGGER case_sheet_not_changed BEFORE UPDATE ON case_sheet
BEGIN SELECT RAISE(ABORT, 'a kept sheet is never changed'); END;
CREATE TRIGGER case_sheet_not_deleted BEFORE DELETE ON case_sheet
BEGIN SELECT RAISE(ABORT, 'a kept sheet is never changed'); END;
CREATE TRIGGER case_sheet_not_replaced BEFORE INSERT ON case_sheet
WHEN NEW.number != (SELECT coalesce(max(number), 0) + 1 FROM case_sheet)
BEGIN SELECT RAISE(ABORT, 'a kept sheet is never changed'); END;
