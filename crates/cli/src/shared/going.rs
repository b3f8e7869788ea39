//! People who go: transfers, and deleting everywhere.

use model::DocId;
use node::{Erased, Node, TransferAsked, TransferDraft};
use serde_json::{Value, json};
use store::{Erasure, ErasureAsked, LinkStanding, NodeKind, PersonRow, TransferRow};
use web::person_json;

use super::arguments::{Erasures, Transfers};
use super::run::{added, short};
use crate::{Failure, Out, find_person, table};

/// The most rows of a list: the newest.
const LISTED: usize = 500;

pub(super) fn transfer(node: &Node, id: &str, draft: TransferDraft, out: Out, by: &str) -> Result<(), Failure> {
    let slug = draft.to.clone();
    // A chapter may ask for somebody of whom it knows nothing but her whole id.
    let person = match find_person(node, id) {
        Ok(found) => found.document,
        Err(failure) => id.parse().ok().filter(|_| node.kind() == NodeKind::Chapter).ok_or(failure)?,
    };
    match node.propose_transfer(person, draft, by)? {
        TransferAsked::Placed => {
            out.result(&json!({"id": person.to_string(), "chapter": slug}), || format!("placed into {slug}"));
        }
        TransferAsked::Proposed(id) => added(out, id),
    }
    Ok(())
}

fn transfer_json(row: &TransferRow) -> Value {
    json!({
        "id": row.id.to_string(), "person": row.person.to_string(), "from": row.from,
        "to": Some(&row.to).filter(|to| !to.is_empty()), "name": row.summary, "note": row.text,
        "given": row.given, "taken": row.taken, "agreed": row.agreed, "also": row.also, "her_word": row.her_word,
        "state": row.state,
        "asks_here": row.state == "open" && row.asks_here(), "at": row.at,
    })
}

fn words(row: &TransferRow) -> &'static str {
    match (row.state.as_str(), row.asks_here()) {
        ("done", _) => "done",
        ("declined", _) => "declined",
        (_, true) => "waits for your word",
        (_, false) => "waits for others",
    }
}

pub(super) fn transfers(node: &Node, command: &Transfers, out: Out, by: &str) -> Result<(), Failure> {
    node.settle()?;
    let (id, because, agrees) = match command {
        Transfers::List => return list(node, out),
        Transfers::Take { id } => (id, "", true),
        Transfers::Decline { id, because } => (id, because.as_str(), false),
    };
    if let Some(leave) = leave_of(node, id)? {
        node.answer_leave(leave, agrees, by)?;
        added(out, leave);
        return Ok(());
    }
    let transfer = node.read(|read| read.transfer(id))?;
    node.answer_transfer(&transfer, agrees, because, by)?;
    added(out, transfer.id);
    Ok(())
}

/// Whom an id names of those who are to leave without this chapter's word.
fn leave_of(node: &Node, id: &str) -> Result<Option<DocId>, Failure> {
    let Ok(found) = find_person(node, id) else { return Ok(None) };
    let leaves = node.read(|read| read.leaves())?;
    Ok(leaves.iter().map(|leave| leave.person).find(|person| *person == found.document))
}

fn list(node: &Node, out: Out) -> Result<(), Failure> {
    let (transfers, leaves, stubs, kept) =
        node.read(|read| Ok((read.transfers(LISTED)?, read.leaves()?, read.stubs(LISTED)?, read.kept_by_children()?)))?;
    let made = json!({
        "transfers": transfers.iter().map(transfer_json).collect::<Vec<_>>(),
        "leaving": leaves.iter().map(|leave| json!({
            "person": leave.person.to_string(), "why": if leave.one_of_many { "too_many_in_a_day" } else { "disputed" },
            "at": leave.at,
        })).collect::<Vec<_>>(),
        "kept": kept.iter().map(|(person, slug)| json!({"person": person.to_string(), "chapter": slug})).collect::<Vec<_>>(),
        "gone": stubs.iter().map(|stub| json!({
            "person": stub.person.to_string(), "at": stub.at, "reason": stub.reason,
        })).collect::<Vec<_>>(),
    });
    out.result(&made, || {
        let id = |text: String| text[text.len() - 8..].to_owned();
        let mut rows: Vec<Vec<String>> = transfers
            .iter()
            .map(|row| {
                let to = if row.to.is_empty() { "the network" } else { &row.to };
                let how = if row.also { "also to" } else { "to" };
                let who = if row.summary.is_blank() { short(row.person) } else { row.summary.expose().to_owned() };
                vec![id(row.id.to_string()), who, format!("{how} {to}"), words(row).to_owned()]
            })
            .collect();
        rows.extend(leaves.iter().map(|leave| {
            let why = if leave.one_of_many {
                "one of many today: waits for your word"
            } else {
                "kept here, read-only, until you let her go"
            };
            vec![short(leave.person), String::new(), "leaves".to_owned(), why.to_owned()]
        }));
        rows.extend(kept.iter().map(|(person, slug)| {
            vec![short(*person), String::new(), format!("left {slug}"), "its chapter keeps a copy: disputed".to_owned()]
        }));
        rows.extend(
            stubs.iter().map(|stub| vec![short(stub.person), String::new(), stub.reason.clone(), stub.at.for_people()]),
        );
        if rows.is_empty() { "no transfers".to_owned() } else { table(&["id", "who", "where", "state"], &rows) }
    });
    Ok(())
}

pub(super) fn erase(
    node: &Node,
    (id, set): (&str, bool),
    reason: &str,
    yes: bool,
    out: Out,
    by: &str,
) -> Result<(), Failure> {
    let person = find_person(node, id)?.document;
    let (going, left): (Vec<PersonRow>, Vec<PersonRow>) =
        node.read(|read| read.records(person))?.into_iter().partition(|record| set || record.supporter.id == person);
    if !yes {
        return would_erase(node, person, (&going, &left), out);
    }
    let mut done = Erased::Now;
    for record in &going {
        done = node.erase(record.supporter.id, &reason.into(), by)?;
    }
    let away = node.read(|read| read.known_parent())?.is_some_and(|link| link.standing == LinkStanding::Left);
    let state = if done == Erased::Now { "erased" } else { "asked" };
    let made = json!({"id": person.to_string(), "state": state, "erased": ids(&going), "left": ids(&left)});
    out.result(&made, || {
        let mut said = match done {
            Erased::Now if away => {
                "deleted here. The network that this node left has a copy of what it shared: ask it to delete that, too"
                    .to_owned()
            }
            Erased::Now => "deleted here; every node that ever had her is told: see `erasures`".to_owned(),
            Erased::Asked => {
                "hidden, and nobody contacts her; the network deletes her after 72 hours. `erasures withdraw` takes it back"
                    .to_owned()
            }
        };
        said.push_str(&listed("These are the same person's and stay:", &left));
        said
    });
    Ok(())
}

fn ids(records: &[PersonRow]) -> Vec<String> {
    records.iter().map(|record| record.supporter.id.to_string()).collect()
}

/// Lines for people under a head; nothing for nobody.
fn listed(head: &str, people: &[PersonRow]) -> String {
    let line = |row: &PersonRow| format!("\n  {}  {}", short(row.supporter.id), row.supporter.display_name());
    if people.is_empty() { String::new() } else { format!("\n{head}{}", people.iter().map(line).collect::<String>()) }
}

/// What erasing would do, and whom it would leave who may be her, too.
fn would_erase(
    node: &Node,
    person: DocId,
    (going, left): (&[PersonRow], &[PersonRow]),
    out: Out,
) -> Result<(), Failure> {
    let same = node.same_reach(person)?;
    let made = json!({
        "id": person.to_string(), "erased": false, "set": ids(left),
        "same": same.iter().map(person_json).collect::<Vec<_>>(),
    });
    out.result(&made, || {
        let names: Vec<String> = going.iter().map(|record| record.supporter.display_name()).collect();
        let mut said = format!(
            "{} would be deleted everywhere, with every note about her. Say --yes to do it.",
            names.join(" and ")
        );
        said.push_str(&listed("These are joined as the same person's and stay, unless you say --set:", left));
        said.push_str(&listed(
            "These have the same e-mail address or number and stay, unless you erase them too:",
            &same,
        ));
        said
    });
    Ok(())
}

pub(super) fn erasures(node: &Node, command: Option<&Erasures>, out: Out, by: &str) -> Result<(), Failure> {
    node.settle()?;
    match command {
        None | Some(Erasures::List) => list_erasures(node, out),
        Some(Erasures::Withdraw { id }) => {
            let person = find_person(node, id)?.document;
            node.withdraw_erasure(person, by)?;
            added(out, person);
            Ok(())
        }
        Some(Erasures::Approve { id }) => {
            if node.kind() != NodeKind::Hub {
                return Err(Failure::refused("a chapter asks; its network approves"));
            }
            let person = find_person(node, id)?.document;
            node.approve_erasure(person, by)?;
            added(out, person);
            Ok(())
        }
    }
}

/// Who has said that she is deleted there, and who has not.
fn receipts_words(erasure: &Erasure) -> String {
    let mut said = vec![format!("{} receipts", erasure.receipts.len())];
    if !erasure.outstanding.is_empty() {
        said.push(format!("not heard from: {}", erasure.outstanding.join(", ")));
    }
    if !erasure.left.is_empty() {
        let left = erasure.left.join(", ");
        said.push(format!("left the network, and not told: {left} (ask there; `chapter revoke` closes it)"));
    }
    if said.len() == 1 {
        said.push("closed".to_owned());
    }
    said.join(", ")
}

fn list_erasures(node: &Node, out: Out) -> Result<(), Failure> {
    let (done, asked) = node.read(|read| Ok((read.erasures(LISTED)?, read.erasures_asked()?)))?;
    let done_json = |erasure: &Erasure| {
        let receipts: Vec<Value> = erasure.receipts.iter().map(|(node, at)| json!({"node": node, "at": at})).collect();
        json!({"person": erasure.person.to_string(), "id": erasure.id.to_string(), "at": erasure.at,
               "gone_here": erasure.scrubbed, "receipts": receipts, "outstanding": erasure.outstanding,
               "left": erasure.left})
    };
    let asked_json = |asked: &ErasureAsked| json!({"person": asked.person.to_string(), "at": asked.at, "from": asked.from, "waits_for_approval": asked.waits_for_word});
    let made = json!({
        "erasures": done.iter().map(done_json).collect::<Vec<_>>(),
        "asked": asked.iter().map(asked_json).collect::<Vec<_>>(),
    });
    out.result(&made, || {
        let mut rows: Vec<Vec<String>> = asked
            .iter()
            .map(|asked| {
                let from = asked.from.clone().unwrap_or_else(|| "here".to_owned());
                let state = if asked.waits_for_word { "waits for a second administrator" } else { "waits 72 hours" };
                vec![short(asked.person), asked.at.for_people(), format!("asked at {from}"), state.to_owned()]
            })
            .collect();
        rows.extend(done.iter().map(|erasure| {
            let here = if erasure.scrubbed { "gone here" } else { "going here" };
            vec![short(erasure.person), erasure.at.for_people(), here.to_owned(), receipts_words(erasure)]
        }));
        if rows.is_empty() { "nobody was deleted".to_owned() } else { table(&["id", "when", "where", "state"], &rows) }
    });
    Ok(())
}
