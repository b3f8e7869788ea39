//! `sync`: one full exchange with whoever is above.

use node::{Node, SyncOutcome};
use serde_json::json;

use crate::{Failure, Out};

/// A runtime for commands that dial.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Runtime::new().map_err(|error| Failure::failed(format!("could not start: {error}")))
}

/// One full exchange; `above` is what people here call the other end.
///
/// # Errors
/// When it can't be reached (exit 3) or refuses (exit 4): nothing is lost.
pub fn sync(node: &Node, above: &str, out: Out) -> Result<(), Failure> {
    match runtime()?.block_on(node.sync())? {
        SyncOutcome::InStep => {
            out.result(&json!({"state": "in_step"}), || format!("in step with {above}"));
            Ok(())
        }
        SyncOutcome::Unreachable(words) => Err(Failure::unreachable(format!("{above} can't be reached: {words}"))),
        SyncOutcome::Refused(words) => Err(Failure::refused(format!("{above} refused: {words}"))),
    }
}
