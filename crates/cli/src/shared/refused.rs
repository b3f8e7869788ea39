//! What was not taken and what can't be read: lists that a person works through.

use model::{DocId, Personal};
use node::{Erased, Node, NodeError};
use serde_json::{Value, json};
use store::Refusal;

use super::arguments::Refused;
use super::run::{added, short};
use crate::wrote::in_words;
use crate::{Failure, Out, find_person, table};

/// The most rows of a list: the newest.
const LISTED: usize = 500;
/// How much of a value a table shows, in characters; all of it is in the JSON.
const SHOWN_CHARS: usize = 200;

/// A field and its value, with the key in the record.
struct Line {
    key: Personal,
    field: String,
    value: String,
}

/// A key and what was written under it, for words; none was taken away.
type Pair<'a> = (&'a Personal, Option<&'a Personal>);

fn lines<'a>(writes: impl Iterator<Item = Pair<'a>>) -> Vec<Line> {
    let line = |(key, value): Pair<'a>| {
        let (field, value) = in_words(key.expose(), value.map(Personal::expose));
        Line { key: key.clone(), field, value }
    };
    writes.map(line).collect()
}

fn line_json(line: &Line) -> Value {
    json!({"key": line.key, "field": line.field, "value": line.value})
}

fn line_words(line: &Line) -> String {
    format!("{}: {}", line.field, line.value.chars().take(SHOWN_CHARS).collect::<String>())
}

/// The login of `<node>/<login>`.
fn login(by: Option<&Personal>) -> &str {
    by.map_or("", |by| by.expose().split_once('/').map_or(by.expose(), |(_, login)| login))
}

/// What a person can do about a change that was refused.
pub fn what_to_do(refusal: &Refusal) -> String {
    let peer = if refusal.peer.is_empty() { "the other node" } else { &refusal.peer };
    match (refusal.whose.as_str(), refusal.why.as_str()) {
        (_, "missing") => "nothing: comparing brings it".to_owned(),
        ("ours", "not_yours") if refusal.what == "transfer" => format!("ask {peer}"),
        ("ours", "not_yours") => {
            format!(
                "she has left this node's care: ask {peer}, or write it as a note; then `refused dismiss {}`",
                refusal.id
            )
        }
        ("ours", _) => {
            format!("this program made something that {peer} could not read: report it, with both versions")
        }
        (_, "not_yours") => format!("nothing: {peer} keeps it and can read why"),
        (_, _) => format!("nothing here: {peer} needs another version of its program, or means no good"),
    }
}

/// Her name as far as she is here, else the end of her id.
fn name_of(node: &Node, person: DocId) -> Result<String, Failure> {
    match node.read(|read| read.person(person)) {
        Ok(row) => Ok(row.supporter.display_name()),
        Err(NodeError::Store(store::StoreError::NotFound(_))) => Ok(short(person)),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn refused(node: &Node, command: &Refused, out: Out) -> Result<(), Failure> {
    match command {
        Refused::List => list(node, out),
        Refused::Dismiss { id } => {
            let id = *id;
            node.write(node::Priority::Interactive, move |tx| tx.dismiss_refused(id))?;
            added(out, id);
            Ok(())
        }
    }
}

fn list(node: &Node, out: Out) -> Result<(), Failure> {
    node.settle()?;
    let refusals = node.read(|read| read.refusals(LISTED))?;
    let mut rows = Vec::with_capacity(refusals.len());
    for refusal in &refusals {
        let writes = refusal.change.iter().flat_map(|change| &change.writes);
        let wrote = lines(writes.map(|wrote| (&wrote.key, wrote.value.as_ref())));
        rows.push((refusal, name_of(node, refusal.document)?, wrote));
    }
    let one = |(refusal, name, wrote): &(&Refusal, String, Vec<Line>)| {
        let change = refusal.change.as_ref();
        json!({
            "id": refusal.id.to_string(), "person": refusal.document.to_string(), "name": name,
            "whose": refusal.whose, "peer": refusal.peer, "what": refusal.what,
            "by": login(change.and_then(|change| change.by.as_ref())), "written_at": change.map(|change| change.at),
            "refused_at": refusal.at, "why": refusal.why, "words": refusal.words, "what_to_do": what_to_do(refusal),
            "fields": wrote.iter().map(line_json).collect::<Vec<_>>(),
        })
    };
    let made: Vec<Value> = rows.iter().map(one).collect();
    out.result(&json!({"refused": made}), || {
        if rows.is_empty() {
            return "nothing was refused".to_owned();
        }
        rows.iter().map(|(refusal, name, wrote)| words(refusal, name, wrote)).collect::<Vec<_>>().join("\n\n")
    });
    Ok(())
}

/// One refused change, in some lines.
fn words(refusal: &Refusal, name: &str, wrote: &[Line]) -> String {
    let here = refusal.whose == "ours";
    let who = match refusal.change.as_ref() {
        Some(change) => format!(", written by {} on {}", login(change.by.as_ref()), change.at.for_people()),
        None => String::new(),
    };
    let by = if here { format!("refused by {}", refusal.peer) } else { format!("of {}, refused here", refusal.peer) };
    let mut lines = vec![format!("{}  {name} ({}){who}", refusal.id, short(refusal.document))];
    lines.extend(wrote.iter().map(|line| format!("    {}", line_words(line))));
    if wrote.is_empty() && here {
        lines.push(format!(
            "    a {} whose content is not kept",
            if refusal.what.is_empty() { "row" } else { &refusal.what }
        ));
    }
    lines.push(format!("  {by} on {}: {}", refusal.at.for_people(), refusal.words));
    lines.push(format!("  what to do: {}", what_to_do(refusal)));
    lines.join("\n")
}

pub(super) fn unreadable(node: &Node, out: Out) -> Result<(), Failure> {
    node.settle()?;
    let found = node.read(|read| read.quarantined(LISTED))?;
    let mut rows = Vec::with_capacity(found.len());
    for each in &found {
        rows.push((each, name_of(node, each.document)?));
    }
    let one = |(each, name): &(&store::Quarantined, String)| {
        json!({
            "id": each.document.to_string(), "kind": each.kind.word(), "name": name, "words": each.words,
            "version": each.version, "at": each.at,
        })
    };
    let made: Vec<Value> = rows.iter().map(one).collect();
    out.result(&json!({"unreadable": made}), || {
        if rows.is_empty() {
            return "every record can be read".to_owned();
        }
        let row = |(each, name): &(&store::Quarantined, String)| {
            vec![short(each.document), name.clone(), each.at.for_people(), each.version.clone(), each.words.clone()]
        };
        table(&["id", "name", "since", "by version", "why"], &rows.iter().map(row).collect::<Vec<_>>())
    });
    Ok(())
}

pub(super) fn rebuild(node: &Node, id: &str, out: Out, by: &str) -> Result<(), Failure> {
    let person = find_person(node, id)?.document;
    let rebuilt = node.rebuild(person, by)?;
    let left_out: Vec<(String, String, Vec<Line>)> = rebuilt
        .left_out
        .iter()
        .map(|change| {
            let wrote = lines(change.writes.iter().map(|wrote| (&wrote.key, wrote.value.as_ref())));
            (login(change.by.as_ref()).to_owned(), change.at.to_string(), wrote)
        })
        .collect();
    let one = |(by, at, wrote): &(String, String, Vec<Line>)| json!({"by": by, "written_at": at, "fields": wrote.iter().map(line_json).collect::<Vec<_>>()});
    let state = if rebuilt.old == Erased::Now { "erased" } else { "asked" };
    let made = json!({
        "id": rebuilt.id.to_string(), "old": {"id": person.to_string(), "state": state},
        "left_out": left_out.iter().map(one).collect::<Vec<_>>(), "unreadable": rebuilt.unreadable,
    });
    out.result(&made, || {
        let old = match rebuilt.old {
            Erased::Now => "the old record is deleted everywhere",
            Erased::Asked => "the old record is hidden, and the network deletes it after 72 hours",
        };
        let mut said = vec![format!("{}\n{old}", rebuilt.id)];
        if !left_out.is_empty() || rebuilt.unreadable > 0 {
            said.push("Left out; write again what is still true:".to_owned());
        }
        for (by, _, wrote) in &left_out {
            said.extend(wrote.iter().map(|line| format!("  {by}  {}", line_words(line))));
        }
        if rebuilt.unreadable > 0 {
            said.push(format!("  and {} changes that can't be read", rebuilt.unreadable));
        }
        said.join("\n")
    });
    Ok(())
}
