//! What a node owes to others because of what they said: transfers to which both sides agree, erasures that are due.
//!
//! **Invariant:** each is decided by rows and carried out in a transaction that looks at them again; a node that is
//! stopped in between does it when it runs next.

use crate::{Node, NodeError};

/// Does what is owed now.
pub(crate) fn do_owed(node: &Node) -> Result<(), NodeError> {
    // One that fails does not keep the other from being done.
    let transfers = node.complete_transfers();
    let erasures = node.carry_out_erasures()?;
    let transfers = transfers?;
    if transfers + erasures > 0 {
        tracing::info!(transfers, erasures, "carried out");
    }
    Ok(())
}
