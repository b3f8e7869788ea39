//! Who looks after whom, who may not be contacted, and taking back what was wrongly logged.

use clap::Args;
use model::{Date, DocId, EventId};
use node::{CareDraft, Node};
use serde_json::{Value, json};

use super::run::{added, short};
use crate::{Failure, Out, find_person, table};

#[derive(Args, Debug)]
#[allow(missing_docs, reason = "clap shows these comments")]
pub struct CareArguments {
    /// Their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// The organiser's login or name; an empty one: nobody. Can be given more than once
    #[arg(long, required = true, value_name = "NAME")]
    who: Vec<String>,
    /// The day of the next try: nothing is due before it
    #[arg(long, value_name = "DATE")]
    on: Option<Date>,
}

#[derive(Args, Debug)]
#[allow(missing_docs, reason = "clap shows these comments")]
pub struct DoNotContactArguments {
    /// Her id
    id: String,
    /// Why; it stays in her history
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// She may be contacted again
    #[arg(long)]
    lift: bool,
}

pub(super) fn care(node: &Node, wanted: &CareArguments, out: Out, by: &str) -> Result<(), Failure> {
    let person = |id: &String| find_person(node, id).map(|found| found.document);
    let people = wanted.ids.iter().map(person).collect::<Result<Vec<DocId>, Failure>>()?;
    let ([one], [who]) = (people.as_slice(), wanted.who.as_slice()) else {
        return give_out(node, &people, wanted, out, by);
    };
    added(out, node.take_care(*one, &CareDraft { who: who.clone(), on: wanted.on }, by)?);
    Ok(())
}

fn give_out(node: &Node, people: &[DocId], wanted: &CareArguments, out: Out, by: &str) -> Result<(), Failure> {
    let given = node.give_out(people, &wanted.who, wanted.on, by)?;
    let rows: Vec<(&(DocId, EventId), &String)> = given.iter().zip(wanted.who.iter().cycle()).collect();
    let one = |((person, event), who): &(&(DocId, EventId), &String)| json!({"person": person.to_string(), "id": event.to_string(), "who": who});
    out.result(&json!({"given": rows.iter().map(one).collect::<Vec<Value>>()}), || {
        let row = |((person, event), who): &(&(DocId, EventId), &String)| {
            vec![short(*person), (*who).clone(), event.to_string()]
        };
        table(&["id", "looked after by", "event"], &rows.iter().map(row).collect::<Vec<_>>())
    });
    Ok(())
}

pub(super) fn do_not_contact(node: &Node, wanted: &DoNotContactArguments, out: Out, by: &str) -> Result<(), Failure> {
    let person = find_person(node, &wanted.id)?.document;
    added(out, node.set_do_not_contact(person, !wanted.lift, wanted.because.as_str().into(), by)?);
    Ok(())
}

pub(super) fn undo(node: &Node, event: &str, out: Out, by: &str) -> Result<(), Failure> {
    let found = find_person(node, event)?;
    let wrong = found.event.ok_or_else(|| {
        Failure::refused("this is a person's id; name the event's")
            .hint("`people history ID` shows her events with their ids")
    })?;
    added(out, node.void_event(found.document, wrong, by)?);
    Ok(())
}
