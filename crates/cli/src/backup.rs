//! `backup` and `restore`.

use std::path::Path;

use model::NodeId;
use node::Node;
use serde_json::{Value, json};
use store::{LedgerRule, LetIn, NodeKind};

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
        "let_in": restored.let_in.as_ref().map(let_in_json),
    });
    out.result(&made, || {
        let mut words = format!("{} is back in {}", restored.node.name, directory.display());
        if let Some(made) = restored.made {
            words.push_str(&format!(" as it was on {made}"));
        }
        words.push_str(". What it had told others since comes back from them at the next exchange.\n");
        words.push_str(&restored.let_in.as_ref().map_or_else(
            || "Logins, tokens and who is shut out stay as in the database that stood there".to_owned(),
            let_in_words,
        ));
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

fn let_in_json(let_in: &LetIn) -> Value {
    let node = |(name, node): &(String, NodeId)| json!({"name": name, "node": node.to_string()});
    let nodes: Vec<Value> = let_in.nodes.iter().map(node).collect();
    json!({"nodes": nodes, "logins": let_in.logins, "tokens": let_in.tokens})
}

/// Who is let in as it was when the backup was made, by name: somebody may have been removed or shut out since.
fn let_in_words(let_in: &LetIn) -> String {
    let node = |(name, node): &(String, NodeId)| format!("{name} ({})", node.fingerprint());
    let nodes: Vec<String> = let_in.nodes.iter().map(node).collect();
    let kinds = [("nodes", &nodes), ("logins", &let_in.logins), ("tokens", &let_in.tokens)];
    let lines = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    let lines: Vec<String> = lines.map(|(kind, names)| format!("\n  {kind}: {}", names.join(", "))).collect();
    if lines.is_empty() {
        return "Nobody is let in by it yet".to_owned();
    }
    format!("It lets in again whom it let in then. Shut out and remove whom you have since:{}", lines.concat())
}
