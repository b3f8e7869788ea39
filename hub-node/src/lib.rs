//! The parent's program: accepts children, places sign-ups, serves national staff.
//!
//! **Invariant:** a sign-up is placed by the territories in force, in the words that stand in her record. Knows nothing of
//! SQL, Automerge or gRPC.

mod arguments;
mod between;
mod chapters;
mod commands;
mod held;
mod import;
mod nodes;
mod osdi;
mod pages;
mod routing;
mod sign_up_page;
mod site;

use std::process::ExitCode;

use arguments::Arguments;
#[doc(hidden)]
pub use {import::reads_csv, site::routes};

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    cli::run(|arguments: &Arguments| arguments.globals.json, commands::run)
}
