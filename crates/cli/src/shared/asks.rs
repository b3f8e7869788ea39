//! The commands about one-to-ones and asks, and their arguments.

use clap::{Args, Subcommand};
use model::{AnswerKind, Body, Date, Event, RungId, Supporter, Timestamp};
use node::{AskDraft, Node, OneToOneDraft};
use serde_json::{Value, json};
use store::{AskFigures, AskRow};

use super::arguments::{AnswerWord, AskWord};
use super::run::{added, short};
use crate::{Failure, Out, find_person, personal, table};

/// The most asks that are listed: more nobody reads in a terminal, and a script reads them by person.
const ASKS_MAX: usize = 1_000;

/// One-to-ones.
#[derive(Debug, Subcommand)]
pub enum OneToOne {
    /// Log a one-to-one, with what was asked in it. Story, interest, relationships and capacity stay in the chapter
    #[command(
        after_help = "Example:\n  one-to-one log 2f6d1c0a --at 2026-11-22 --minutes 40 --story \"...\" --ask \"come on Tuesday\" --kind come --due 2026-11-24 --answer yes"
    )]
    Log(OneToOneArguments),
    /// List one-to-ones that were held, the oldest first
    #[command(after_help = "Example:\n  one-to-one list --from 2026-11-16 --to 2026-11-22")]
    List {
        /// The first day; the Monday of this week if nothing is said
        #[arg(long, value_name = "DATE")]
        from: Option<Date>,
        /// The last day; today if nothing is said
        #[arg(long, value_name = "DATE")]
        to: Option<Date>,
    },
}

#[derive(Args, Debug)]
#[allow(missing_docs, reason = "clap shows these comments")]
pub struct OneToOneArguments {
    /// Her id
    id: String,
    /// When
    #[arg(long)]
    at: Option<Timestamp>,
    /// How long
    #[arg(long)]
    minutes: Option<u32>,
    /// They sat together
    #[arg(long)]
    in_person: bool,
    /// Her story: private
    #[arg(long)]
    story: Option<String>,
    /// What matters to her: private
    #[arg(long)]
    interest: Option<String>,
    /// Who she is close to: private
    #[arg(long)]
    relationships: Option<String>,
    /// What she has time and strength for: private
    #[arg(long)]
    capacity: Option<String>,
    /// What was asked
    #[arg(long)]
    ask: Option<String>,
    /// Of which kind the ask is
    #[arg(long, default_value = "task")]
    kind: AskWord,
    /// By when she was asked to do it
    #[arg(long, value_name = "DATE", requires = "ask")]
    due: Option<Date>,
    /// What she said to it
    #[arg(long, requires = "ask")]
    answer: Option<AnswerWord>,
    /// The next step
    #[arg(long)]
    next: Option<String>,
    /// Its day
    #[arg(long, value_name = "DATE")]
    next_on: Option<Date>,
}

/// Asks.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Ask for something
    #[command(
        after_help = "Example:\n  ask add 2f6d1c0a \"bring two neighbours on Tuesday\" --kind recruit --due 2026-12-01"
    )]
    Add {
        /// Her id
        id: String,
        /// What is asked
        text: String,
        /// Of which kind
        #[arg(long, default_value = "task")]
        kind: AskWord,
        /// The rung that it is for
        #[arg(long)]
        rung: Option<String>,
        /// By when
        #[arg(long, value_name = "DATE")]
        due: Option<Date>,
    },
    /// Log what came of an ask
    #[command(
        after_help = "Examples:\n  ask answer 91c3aa07 kept\n  ask answer 91c3aa07 kept --line \"the landlord answers letters, not calls\""
    )]
    Answer {
        /// The ask's id
        event: String,
        /// What came of it
        answer: AnswerWord,
        /// What was learnt. The network sees it
        #[arg(long)]
        line: Option<String>,
    },
    /// List asks, the newest first, with how many of each kind were kept
    #[command(after_help = "Examples:\n  ask list --open\n  ask list --json")]
    List {
        /// Only those of which nobody knows what came, the first due first
        #[arg(long)]
        open: bool,
    },
}

/// Runs a command about one-to-ones.
pub(super) fn one_to_one(node: &Node, command: &OneToOne, out: Out, by: &str) -> Result<(), Failure> {
    let wanted = match command {
        OneToOne::Log(wanted) => wanted,
        OneToOne::List { from, to } => return one_to_ones(node, *from, *to, out),
    };
    let person = find_person(node, &wanted.id)?.document;
    let ask = wanted.ask.as_ref().map(|text| AskDraft {
        text: text.as_str().into(),
        kind: wanted.kind.0,
        rung: None,
        due: wanted.due,
    });
    let draft = OneToOneDraft {
        at: wanted.at,
        who: None,
        minutes: wanted.minutes,
        in_person: wanted.in_person.then_some(true),
        ask,
        answer: wanted.answer.map(|answer| answer.0),
        next: personal(wanted.next.as_ref()),
        next_on: wanted.next_on,
        story: personal(wanted.story.as_ref()),
        interest: personal(wanted.interest.as_ref()),
        relationships: personal(wanted.relationships.as_ref()),
        capacity: personal(wanted.capacity.as_ref()),
    };
    added(out, node.log_one_to_one(person, draft, by)?);
    Ok(())
}

fn one_to_ones(node: &Node, from: Option<Date>, to: Option<Date>, out: Out) -> Result<(), Failure> {
    node.settle()?;
    let today = node.now().date();
    let from = from.unwrap_or_else(|| today.monday()).begins();
    let to = to.unwrap_or(today).plus_days(1).begins();
    let held = node.read(|read| {
        let held = read.one_to_ones(from, to)?;
        held.into_iter()
            .map(|(event, person)| Ok((event, read.person(person)?.supporter)))
            .collect::<Result<Vec<_>, store::StoreError>>()
    })?;
    let held: Vec<(&Event, &Supporter)> = held.iter().filter_map(|(id, her)| Some((her.event(*id)?, her))).collect();
    let one = |(event, her): &(&Event, &Supporter)| {
        let mut made = web::event_json(event);
        if let Some(object) = made.as_object_mut() {
            object.insert("person".to_owned(), json!(her.id));
            object.insert("name".to_owned(), json!(her.display_name()));
        }
        made
    };
    let made: Vec<Value> = held.iter().map(one).collect();
    out.result(&json!({"one_to_ones": made}), || {
        let row = |(event, her): &(&Event, &Supporter)| {
            let by = event.by.as_ref().map_or_else(String::new, |by| by.expose().to_owned());
            let minutes = if let Body::OneToOne { minutes, .. } = &event.body { *minutes } else { None };
            let minutes = minutes.map_or_else(String::new, |minutes| minutes.to_string());
            vec![short(her.id), event.at.for_people(), by, minutes, her.display_name()]
        };
        let rows: Vec<Vec<String>> = held.iter().map(row).collect();
        if rows.is_empty() {
            "no one-to-ones".to_owned()
        } else {
            table(&["id", "when", "who", "minutes", "with"], &rows)
        }
    });
    Ok(())
}

/// Runs a command about asks.
pub(super) fn ask(node: &Node, command: &Ask, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        Ask::Add { id, text, kind, rung, due } => {
            let person = find_person(node, id)?.document;
            let rung = rung.clone().map(RungId::new);
            let draft = AskDraft { text: text.as_str().into(), kind: kind.0, rung, due: *due };
            added(out, node.add_ask(person, draft, by)?);
            Ok(())
        }
        Ask::Answer { event, answer, line } => {
            let found = find_person(node, event)?;
            let ask = found.event.ok_or_else(|| Failure::refused("this is a person's id; name the ask's"))?;
            added(out, node.answer_ask(found.document, ask, answer.0, personal(line.as_ref()), by)?);
            Ok(())
        }
        Ask::List { open } => list(node, *open, out),
    }
}

/// An ask in a list, with what its event says.
struct Listed {
    row: AskRow,
    her: Supporter,
}

impl Listed {
    fn outcome(&self) -> &'static str {
        self.row.outcome.map_or("open", AnswerKind::word)
    }

    fn json(&self) -> Value {
        let Some(event) = self.her.event(self.row.event) else { return Value::Null };
        let Body::Ask { text, ask_kind, rung, due, .. } = &event.body else { return Value::Null };
        json!({
            "id": event.id, "person": self.her.id, "name": self.her.display_name(), "text": text.expose(),
            "ask_kind": ask_kind.word(), "rung": rung, "due": due, "at": event.at, "outcome": self.outcome(),
        })
    }

    fn row(&self) -> Option<Vec<String>> {
        let event = self.her.event(self.row.event)?;
        let Body::Ask { text, ask_kind, due, .. } = &event.body else { return None };
        let id = event.id.to_string();
        let due = due.map_or_else(String::new, |day| day.to_string());
        let (kind, outcome) = (ask_kind.word().to_owned(), self.outcome().to_owned());
        Some(vec![id[id.len() - 8..].to_owned(), due, kind, outcome, self.her.display_name(), text.expose().to_owned()])
    }
}

fn list(node: &Node, open: bool, out: Out) -> Result<(), Failure> {
    node.settle()?;
    let today = node.now().date();
    let (listed, figures) = node.read(|read| {
        let rows = if open { read.open_asks(None, None, ASKS_MAX)? } else { read.asks(ASKS_MAX)? };
        let listed = rows.into_iter().map(|row| Ok(Listed { her: read.person(row.person)?.supporter, row }));
        Ok((listed.collect::<Result<Vec<_>, store::StoreError>>()?, read.ask_figures(today)?))
    })?;
    let kind = |figures: &AskFigures| {
        let kept = figures.outcomes;
        json!({
            "kind": figures.kind.word(), "asked": figures.asked, "no": figures.no, "due": kept.due(),
            "kept": kept.kept, "missed": kept.missed, "unrecorded": kept.unrecorded,
        })
    };
    let kinds: Vec<Value> = figures.iter().map(kind).collect();
    let made: Vec<Value> = listed.iter().map(Listed::json).collect();
    out.result(&json!({"asks": made, "kinds": kinds}), || {
        let rows: Vec<Vec<String>> = listed.iter().filter_map(Listed::row).collect();
        if rows.is_empty() {
            "nothing is asked".to_owned()
        } else {
            table(&["id", "due", "kind", "outcome", "of", "ask"], &rows)
        }
    });
    Ok(())
}
