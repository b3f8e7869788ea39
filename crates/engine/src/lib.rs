//! One end of a link as a value: events in, effects out.
//!
//! **Invariants:** saved before said: no Ack leaves before the commit that it speaks of; a batch is accepted only where
//! the last one ended; at most a window of bytes is unacknowledged; what is not understood ends the link in words.
//! Knows nothing of sockets, SQL, clocks, threads or supporters: it moves documents of any kind in any scope.

mod frame;
mod link;
mod reconcile;

pub use frame::{
    Ack, Batch, Bye, Content, Cursor, Entry, Frame, Head, Hello, Position, Proof, Receipt, Refused, RefusedWhy,
    ScopeHello, Side, Transfer, TransferState, ViewRow,
};
pub use link::{CursorVerdict, Effect, Event, Link, LinkState, LocalScope, Me, ProtocolError, Saved};
pub use reconcile::{Changes, Claim, Claimed, ERASED, Fingerprint, Found, LEAVING, Look, Question, Reply};

/// The protocol's versions that this end speaks, oldest and newest.
pub const PROTOCOL: (u32, u32) = (1, 1);
/// What a batch aims at, in bytes: large enough to fill a network, small enough to interleave scopes.
pub const BATCH_BYTES_AIMED: usize = 256 * 1024;
/// The largest frame, in bytes: a quarter of what a gRPC message may have, and twice the largest record.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// The most unacknowledged bytes on a link: what a slow peer may cost this end at most.
pub const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// The most scopes of one link: its own, the network's, and room for what comes.
pub const SCOPES_MAX: usize = 16;
/// The most entries of one batch, whatever their size: bounds the work of one transaction.
pub const ENTRIES_MAX: usize = 2_000;
