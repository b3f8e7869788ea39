//! What both programs share at a terminal: arguments, configuration, output, exit codes, and the commands that are the
//! same at both.
//!
//! **Invariants:** results go to stdout, everything else to stderr; a failure is one sentence with what to do; bad input
//! leaves nothing half done. Knows nothing of SQL, gRPC or of which chapter serves a place.

mod backup;
mod browser;
mod config;
mod failure;
mod globals;
mod handover;
mod invite;
mod life;
mod out;
mod person;
mod serve;
mod shared;
mod status;
mod sync;
mod table;
mod wrote;

pub use config::Config;
pub use failure::Failure;
pub use globals::{Globals, Program, run};
pub use handover::read_passphrase;
pub use invite::{InviteShape, print_invite, read_invite};
pub use life::life;
pub use out::Out;
pub use person::{find_person, personal};
pub use serve::{Begun, Beside, ServePlan, serve, serve_before_a_node};
pub use shared::{Shared, run_shared, what_to_do};
pub use sync::{runtime, sync};
pub use table::table;
pub use wrote::in_words;
