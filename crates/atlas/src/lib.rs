//! Which chapter serves a place, and why.
//!
//! **Invariants:** the same evidence, territories and gazetteer give the same placement, byte for byte; a postal code is
//! evidence with a precision, not a place; nothing is padded, guessed or dropped silently: an assumption is a flag, and
//! who can't be placed waits with a reason. Knows nothing of people, SQL or sockets.

mod evidence;
mod gazetteer;
mod place;
mod rule;
mod territory;

pub use evidence::{Evidence, Flag, PostalCode, PostalCodeError};
pub use gazetteer::{Entry, Gazetteer};
pub use place::{Placement, Reason, RunnerUp, Step};
pub use rule::{Rule, RuleError, parse_list};
pub use territory::{Atlas, Territory, TerritoryError, TerritorySet};
