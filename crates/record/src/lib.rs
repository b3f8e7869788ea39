//! A document of each kind as Automerge: one flat map of scalars.
//!
//! **Invariants:** every key is in the root and every value is one scalar; a change from elsewhere is inspected without
//! loading, applied inside `catch_unwind`, and what would be stored is loaded again before anyone stores it; a write is
//! always an operation (settling is a delete and a put). Alone imports automerge. Knows nothing of SQL, sockets, clocks
//! or randomness: actors and times are arguments.

mod fold;
mod inspect;
mod other;
mod rebuild;
mod record;
mod register;
mod runs;
mod view;
mod write;
mod wrote;

pub use fold::{FoldError, fold};
pub use inspect::{
    CHANGE_BYTES_MAX, Context, Dependency, Inspected, MESSAGE_BYTES_MAX, OPERATIONS_MAX, Refusal, hash_of, inspect,
};
pub use record::{Corrupt, Record, SAVED_BYTES_MAX, Stamp, Written};
pub use register::{Agreement, Register, rung_in_force};
pub use write::{Value, Write, from_sign_up, proposals_of};
pub use wrote::{ReadChange, Wrote, read_change};
