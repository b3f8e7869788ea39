//! The database: documents are truth, tables are a view.
//!
//! **Invariants:** one writer, whose transactions are `BEGIN IMMEDIATE`; a commit that writes a snapshot or an edit names
//! the heads and the state it started from and is refused if they are no longer those; feed rows, sums, counters and
//! cursors move in the transaction of the data that they speak of; private notes are in tables that no feed reads.
//! Alone knows SQL. Synchronous: threads belong to `node`. Knows nothing of sockets, clocks or randomness.

mod action;
mod audit;
mod backup;
mod case_sheet;
mod chapter;
mod check;
mod claim;
mod document;
mod erase;
mod error;
mod feed;
mod figures;
mod fold;
mod forget;
mod handover;
mod happened;
mod held;
mod home;
mod invite;
mod join;
mod leave;
mod ledger;
mod let_in;
mod link;
mod log;
mod membership;
mod metrics;
mod node_row;
mod open;
mod people;
mod private;
mod proof;
mod proposal;
mod proposed;
mod quarantine;
mod rebuild;
mod reconcile;
mod refused;
mod rows;
mod same;
mod session;
mod sign_up;
mod snapshots;
mod status;
mod transfer;
mod user;
mod view;
mod window;
mod words;
mod work;
mod writer;

pub use action::{ActionRow, Turnout};
pub use audit::{AuditChecked, AuditRow, NewAudit};
pub use backup::{LedgerRule, Restored};
pub use case_sheet::CaseSheet;
pub use chapter::{ChapterRow, ChapterState, NewChapter};
pub use check::{Difference, Recounted};
pub use document::{Base, DocState, Edited, Loaded, NewDocument};
pub use erase::{ERASURE_WAITS_MS, ERASURES_A_DAY, Erasure, ErasureAsked};
pub use error::StoreError;
pub use fold::{FoldJob, FoldOutcome, Folded, fold_one};
pub use handover::Inventory;
pub use happened::{AskFigures, AskMade, Conversation, FirstAttempts, Moves};
pub use held::{HeldSignUp, HeldWhy};
pub use invite::{Enrolling, InviteOutcome, InviteRow, InviteStanding, NewInvite};
pub use leave::{LEAVES_A_DAY, Leave, Stub};
pub use ledger::LEDGER_FILE;
pub use let_in::LetIn;
pub use link::{Acceptance, Direction, LinkCertificate, LinkId, LinkRow, LinkStanding, NewLink, ParentAt};
pub use log::Examined;
pub use membership::LeaveWord;
pub use metrics::{ActionFigures, Developing, Selection, TREE_MAX};
pub use node_row::{NodeKind, NodeRow};
pub use open::{DATABASE_FILE, Store, only_for_owner, private_directory};
pub use people::{Filter, Page, PersonRow, Resolved, ToDoList};
pub use private::{NewNote, Note, NoteKind};
pub use proof::ProofKey;
pub use proposal::{NewProposal, ProposalRow, ProposalState};
pub use quarantine::{PROGRAM_VERSION, Quarantined};
pub use rebuild::{OldRecord, Unread};
pub use reconcile::{Prints, writes};
pub use refused::Refusal;
pub use rows::{Read, ScopeRole};
pub use session::Session;
pub use sign_up::{Answered, KeptAnswer, Match};
pub use snapshots::{SnapshotJob, SnapshotOutcome, SnapshotRead, read_snapshot};
pub use status::{RungCounts, Tally};
pub use transfer::{AgreedTransfer, NewTransfer, TransferRow};
pub use user::{TOTP_SECRET_BYTES, Token, User};
pub use view::FROM_ABOVE;
pub use window::FEED_ROWS_KEPT;
pub use work::{CALLING_MS, COUNTED_MAX, Calling};
pub use writer::{Checkpointer, Group, Reader, Tx, Writer};

/// The schema's version: the number of the newest migration.
pub const SCHEMA_VERSION: u32 = 1;
