//! `audit`: who did what, when; and whether that was changed afterwards.

use clap::Args;
use model::Timestamp;
use node::Node;
use serde_json::{Value, json};
use store::AuditRow;

use super::run::short;
use crate::{Failure, Out, table};

#[derive(Args, Debug)]
#[allow(missing_docs, reason = "clap shows these comments")]
pub struct AuditArguments {
    /// Only since then: 2026-11-22T18:40, or a date
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// At most so many, the newest
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Walk the whole log: exit 5 with the first row that does not fit
    #[arg(long, conflicts_with_all = ["since", "limit"])]
    verify: bool,
}

pub(super) fn audit(node: &Node, wanted: &AuditArguments, out: Out) -> Result<(), Failure> {
    if wanted.verify {
        return verify(node, out);
    }
    let rows = node.read(|read| read.audit_rows(wanted.since, None, wanted.limit))?;
    out.result(&json!({"audit": rows.iter().map(row_json).collect::<Vec<_>>()}), || {
        let row = |row: &AuditRow| {
            vec![
                row.id.to_string(),
                row.at.for_people(),
                row.who.clone().unwrap_or_else(|| "-".to_owned()),
                row.what.replace('_', " "),
                row.about.map(short).unwrap_or_default(),
                row.number.map_or_else(String::new, |number| number.to_string()),
                row.detail.clone(),
            ]
        };
        if rows.is_empty() {
            return "nothing stands in the audit log".to_owned();
        }
        table(&["row", "when", "who", "what", "person", "number", ""], &rows.iter().map(row).collect::<Vec<_>>())
    });
    Ok(())
}

fn row_json(row: &AuditRow) -> Value {
    json!({
        "id": row.id, "at": row.at, "who": row.who, "what": row.what, "about": row.about.map(|id| id.to_string()),
        "detail": row.detail, "number": row.number,
    })
}

fn verify(node: &Node, out: Out) -> Result<(), Failure> {
    let found = node.read(|read| read.check_audit())?;
    let last = found.last.map(|hash| hash.to_string());
    let made = json!({"ok": found.broken.is_none(), "rows": found.rows, "last_hash": last, "broken": found.broken});
    out.result(&made, || {
        let last = last.as_deref().unwrap_or("none");
        match found.broken {
            None => format!("{} rows, nothing was changed; the last one's hash is {last}", found.rows),
            Some(row) => format!("{} rows fit, row {row} does not", found.rows),
        }
    });
    match found.broken {
        None => Ok(()),
        Some(row) => {
            let words = format!("the audit log was changed: row {row} does not fit to what stands before it");
            Err(Failure::integrity(words))
        }
    }
}
