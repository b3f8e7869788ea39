//! Joining records of one person, and parting them.

use node::Node;
use serde_json::json;

use super::run::short;
use crate::{Failure, Out, find_person};

pub(super) fn merge(node: &Node, ids: &[String], out: Out, by: &str) -> Result<(), Failure> {
    let [one, other] = ids else {
        return Err(Failure::usage("name the two records that are one person's: `merge ID ID`"));
    };
    let (one, other) = (find_person(node, one)?.document, find_person(node, other)?.document);
    let joined = node.merge(one, other, by)?;
    let [shown, others @ ..] = joined.records.as_slice() else {
        return Err(Failure::failed("nothing is shown of her"));
    };
    let said = if joined.here_only { "here" } else { "record" };
    let made = json!({"id": shown, "merged": others, "said_in": said});
    out.result(&made, || {
        let others: Vec<String> = others.iter().map(|id| short(*id)).collect();
        let mut words = format!("{} is shown together with {}", short(*shown), others.join(" and "));
        if joined.here_only {
            words.push_str("; no chapter sees all of that, so it is said at this node only, and to none of them");
        }
        words
    });
    Ok(())
}

pub(super) fn undo(node: &Node, id: &str, out: Out, by: &str) -> Result<(), Failure> {
    let record = find_person(node, id)?.document;
    let others = node.unmerge(record, by)?;
    out.result(&json!({"id": record, "parted": others}), || {
        let others: Vec<String> = others.iter().map(|id| short(*id)).collect();
        match others.as_slice() {
            [] => "what it said of records that are not here is taken back".to_owned(),
            [..] => format!("{} is shown by itself again, apart from {}", short(record), others.join(" and ")),
        }
    });
    Ok(())
}
