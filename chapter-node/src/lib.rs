//! The chapter's program: dials its parent, serves its organisers.
//!
//! **Invariant:** everything here works with the parent unreachable, for any time. Knows nothing of SQL, Automerge or gRPC.

mod actions;
mod arguments;
mod asks;
mod case;
mod commands;
mod figures;
mod first_run;
mod ics;
mod ladder;
mod leaders;
mod link;
mod one_to_ones;
mod site;
mod stepping;
mod today;
mod transfers;

use std::process::ExitCode;

use arguments::Arguments;
#[doc(hidden)]
pub use site::routes;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    cli::run(|arguments: &Arguments| arguments.globals.json, commands::run)
}
