//! `backup` and `restore`.

use std::path::Path;

use node::Node;
use serde_json::json;
use store::{LedgerRule, NodeKind};

use crate::{Failure, Out};

pub(crate) fn backup(node: &Node, file: &Path, out: Out, by: &str) -> Result<(), Failure> {
    let bytes = node.backup(file, by)?;
    out.result(&json!({"file": file, "bytes": bytes}), || {
        format!("{} holds everything, {} KiB. It has names in it: keep it safe", file.display(), bytes / 1024)
    });
    Ok(())
}

pub(crate) fn restore(
    directory: &Path,
    file: &Path,
    (kind, rule): (NodeKind, LedgerRule),
    out: Out,
    by: &str,
) -> Result<(), Failure> {
    let restored = node::restore(directory, file, kind, rule, by)?;
    // A backup holds no key: the one that is there stays, or is to be brought.
    if let Err(error) = Node::open(directory, kind).and_then(|node| node.has_its_key()) {
        Out::note(&Failure::from(error).words());
    }
    let made = json!({
        "node": restored.node.node_id.to_string(), "incarnation": restored.node.incarnation.to_string(),
        "backup_made": restored.made, "before": restored.before,
    });
    out.result(&made, || {
        let mut words = format!("{} is back in {}", restored.node.name, directory.display());
        if let Some(made) = restored.made {
            words.push_str(&format!(" as it was on {made}"));
        }
        words.push_str(". What it had told others since comes back from them at the next exchange");
        let nodes = if kind == NodeKind::Hub { ", tokens, and nodes that were shut out since" } else { " and tokens" };
        words.push_str(&format!(".\nLogins{nodes} are as they were then: look them through"));
        if let Some(before) = &restored.before {
            words.push_str(&format!(
                ".\nThe database that stood there is kept as {}: delete it when you are sure",
                before.display()
            ));
        }
        words
    });
    Ok(())
}
