//! The commands for actions, with their arguments. At a hub they list what its chapters have.

use clap::Subcommand;
use model::{Date, DocId, Part};
use node::{ActionDraft, FieldEdit, Marked, Node};
use serde_json::{Value, json};
use store::{ActionRow, PersonRow};
use web::action_json;

use super::run::{added, short};
use crate::{Failure, Out, find_person, table};

/// Past actions in a list unless told otherwise: a year of one a week.
const PAST_SHOWN: usize = 52;
/// The most people of one action that are listed: a call may name so many.
const PEOPLE_SHOWN: usize = node::PEOPLE_AT_ONCE;

/// Actions.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Add an action
    #[command(
        after_help = "Example:\n  action add \"Clinic picket\" --on 2026-12-01 --place \"City Hall steps\" --tag clinic"
    )]
    Add {
        /// What it is called
        name: String,
        /// Its day
        #[arg(long, value_name = "DATE")]
        on: Date,
        /// Where
        #[arg(long, default_value = "")]
        place: String,
        /// What it belongs to, in one word
        #[arg(long, default_value = "")]
        tag: String,
    },
    /// Correct an action: name, on, place, tag
    #[command(
        after_help = "Where two nodes wrote different things, this settles it.\n\nExample:\n  action edit 7be01a55 on=2026-12-02 place=\"Union Hall\""
    )]
    Edit {
        /// The action's id, or a unique beginning or end of it
        action: String,
        /// FIELD=VALUE; an empty value clears the field
        #[arg(required = true, value_name = "FIELD=VALUE")]
        edits: Vec<String>,
    },
    /// Say that an action does not take place
    #[command(after_help = "Examples:\n  action cancel 7be01a55\n  action cancel 7be01a55 --undo")]
    Cancel {
        /// The action's id
        action: String,
        /// It takes place after all
        #[arg(long)]
        undo: bool,
    },
    /// Ask people to come to it
    #[command(
        after_help = "Whoever was asked before is not asked twice.\n\nExample:\n  action ask 7be01a55 2f6d1c0a 91c3aa07"
    )]
    Ask {
        /// The action's id
        action: String,
        /// Their ids
        #[arg(required = true, value_name = "ID")]
        people: Vec<String>,
    },
    /// Enter who came
    #[command(
        after_help = "Whoever was entered before is not entered twice.\n\nExamples:\n  action came 7be01a55 2f6d1c0a 91c3aa07\n  action came 7be01a55 2f6d1c0a --undo"
    )]
    Came {
        /// The action's id
        action: String,
        /// Their ids
        #[arg(required = true, value_name = "ID")]
        people: Vec<String>,
        /// They did not: take it back
        #[arg(long)]
        undo: bool,
    },
    /// List actions: those to come, then past ones, with who came
    #[command(after_help = "Examples:\n  action list\n  action list --before 7be01a55")]
    List {
        /// Past actions before this one
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// Everything about one action, and who was asked, said yes and came
    #[command(after_help = "Example:\n  action show 7be01a55")]
    Show {
        /// The action's id
        action: String,
    },
}

fn find_action(node: &Node, id: &str) -> Result<DocId, Failure> {
    node.settle()?;
    Ok(node.read(|read| read.action_named(id))?)
}

fn find_people(node: &Node, ids: &[String]) -> Result<Vec<DocId>, Failure> {
    ids.iter().map(|id| find_person(node, id).map(|found| found.document)).collect()
}

pub(super) fn action(node: &Node, command: &Action, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        Action::Add { name, on, place, tag } => {
            let draft = ActionDraft { name: name.clone(), on: *on, place: place.as_str().into(), tag: tag.clone() };
            added(out, node.add_action(&draft, by)?);
        }
        Action::Edit { action, edits } => {
            let read = |edit: &String| {
                let (field, value) =
                    edit.split_once('=').ok_or_else(|| Failure::usage(format!("{edit:?} is not FIELD=VALUE")))?;
                Ok::<_, Failure>(FieldEdit { field: field.to_owned(), value: value.to_owned(), shown: None })
            };
            let edits = edits.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let action = find_action(node, action)?;
            node.edit_action(action, &edits, by)?;
            added(out, action);
        }
        Action::Cancel { action, undo } => {
            let action = find_action(node, action)?;
            if *undo {
                node.hold_action(action, by)?
            } else {
                node.cancel_action(action, by)?
            }
            added(out, action);
        }
        Action::Ask { action, people } => {
            let marked = node.ask_to(find_action(node, action)?, &find_people(node, people)?, by)?;
            say(out, marked, "asked");
        }
        Action::Came { action, people, undo: false } => {
            let marked = node.came(find_action(node, action)?, &find_people(node, people)?, by)?;
            say(out, marked, "came");
        }
        Action::Came { action, people, undo: true } => {
            let (action, people) = (find_action(node, action)?, find_people(node, people)?);
            people.iter().try_for_each(|person| node.not_came(action, *person, by))?;
            say(out, Marked { new: people.len(), already: 0 }, "taken back");
        }
        Action::List { before } => list(node, before.as_deref(), out)?,
        Action::Show { action } => show(node, action, out)?,
    }
    Ok(())
}

/// Of how many it is said now, and of how many it was said before.
fn say(out: Out, marked: Marked, what: &str) {
    out.result(&json!({"done": marked.new, "already": marked.already}), || match marked.already {
        0 => format!("{what}: {}", marked.new),
        before => format!("{what}: {}; entered before: {before}", marked.new),
    });
}

fn list(node: &Node, before: Option<&str>, out: Out) -> Result<(), Failure> {
    node.settle()?;
    let before = before.map(|id| find_action(node, id)).transpose()?;
    let today = node.now().date();
    let mut actions = node.read(|read| read.actions(today, before, PAST_SHOWN + 1))?;
    let is_past = |row: &&ActionRow| row.action.on.is_none_or(|day| day < today);
    let more = actions.iter().filter(is_past).count() > PAST_SHOWN;
    if more {
        actions.pop();
    }
    let next = actions.last().filter(|_| more).map(|row| row.action.id.to_string());
    let made: Vec<Value> = actions.iter().map(action_json).collect();
    out.result(&json!({"actions": made, "next": next}), || {
        let rows: Vec<Vec<String>> = actions.iter().map(line).collect();
        if rows.is_empty() {
            "no actions yet: `action add NAME --on DATE` adds one".to_owned()
        } else {
            table(&["id", "day", "name", "place", "chapter", "asked", "yes", "came", "unasked"], &rows)
        }
    });
    if let Some(next) = next.filter(|_| !out.is_json()) {
        Out::note(&format!("more: --before {next}"));
    }
    Ok(())
}

fn line(row: &ActionRow) -> Vec<String> {
    let (action, turnout) = (&row.action, row.turnout);
    let name = if action.cancelled { format!("{} (cancelled)", action.name) } else { action.name.clone() };
    let mut cells = vec![
        short(action.id),
        action.on.map_or_else(String::new, |day| day.to_string()),
        name,
        action.place.expose().to_owned(),
        row.chapter.clone().unwrap_or_default(),
    ];
    cells.extend([turnout.asked, turnout.said_yes, turnout.came, turnout.came_unasked].map(|count| count.to_string()));
    cells
}

fn show(node: &Node, action: &str, out: Out) -> Result<(), Failure> {
    let id = find_action(node, action)?;
    let (row, people) = node.read(|read| Ok((read.action(id)?, read.parts_in(id, PEOPLE_SHOWN)?)))?;
    let one = |(person, part): &(PersonRow, Part)| {
        let her = &person.supporter;
        json!({
            "id": her.id, "given_name": her.field("given_name"), "family_name": her.field("family_name"),
            "asked": part.asked, "yes": part.said_yes, "came": part.came,
        })
    };
    let listed: Vec<Value> = people.iter().map(one).collect();
    let mut made = action_json(&row);
    if let Some(object) = made.as_object_mut() {
        object.insert("people".to_owned(), json!(listed));
    }
    out.result(&made, || {
        let word = |said: bool| (if said { "yes" } else { "" }).to_owned();
        let of = |(person, part): &(PersonRow, Part)| {
            let her = &person.supporter;
            vec![short(her.id), her.display_name(), word(part.asked), word(part.said_yes), word(part.came)]
        };
        let head = table(&["id", "day", "name", "place", "chapter", "asked", "yes", "came", "unasked"], &[line(&row)]);
        let rows: Vec<Vec<String>> = people.iter().map(of).collect();
        format!("{head}\n\n{}", table(&["id", "person", "asked", "said yes", "came"], &rows))
    });
    Ok(())
}
