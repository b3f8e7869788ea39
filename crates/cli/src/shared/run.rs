//! Runs the commands of both programs.

use model::{DocId, RungId, Sender, SignUp};
use node::{AttemptDraft, FieldEdit, Node, TransferDraft};
use serde_json::{Value, json};
use store::{Filter, LedgerRule, NodeKind, Page, PersonRow, ProposalState};
use web::{event_json, person_json};

use super::arguments::{
    AddArguments, Attempt, Conflicts, Consent, Ladder, ListArguments, Merge, People, Proposals, Shared,
};
use super::{actions, asks, audit, going, logins, merging, refused, work};
use crate::{Failure, Globals, Out, Program, backup, find_person, handover, personal, status, table};

/// Runs a command of both programs. `completions` is the caller's: it knows its own arguments.
///
/// # Errors
/// As the command says.
pub fn run_shared(globals: &Globals, program: Program, command: &Shared, out: Out, by: &str) -> Result<(), Failure> {
    if let Shared::Restore { file, without_ledger } = command {
        let rule = if *without_ledger { LedgerRule::MayBeMissing } else { LedgerRule::MustBeThere };
        return backup::restore(&globals.directory(program)?, file, (program.kind, rule), out, by);
    }
    if let Shared::Handover { file, command } = command {
        return handover::run(globals, program, (file.as_deref(), command.as_ref()), out, by);
    }
    if let Shared::Retire { yes } = command {
        let retiring = if *yes { handover::retire } else { handover::show_retirement };
        return retiring(globals, program, out);
    }
    let node = &globals.open(program)?;
    match command {
        Shared::Backup { file } => backup::backup(node, file, out, by),
        Shared::Status => status::status(node, out),
        Shared::Verify => status::verify(node, out),
        Shared::StateHash { scope } => status::state_hash(node, scope.as_deref(), out),
        Shared::People(command) => people(node, command, out, by),
        Shared::Conflicts(command) => conflicts(node, command, out, by),
        Shared::Proposals(command) => proposals(node, command, out, by),
        Shared::Attempt(command) => attempt(node, command, out, by),
        Shared::OneToOne(command) => asks::one_to_one(node, command, out, by),
        Shared::Ask(command) => asks::ask(node, command, out, by),
        Shared::Action(command) => actions::action(node, command, out, by),
        Shared::Ladder(command) => ladder(node, command, out, by),
        Shared::Consent(command) => consent(node, command, out, by),
        Shared::Undo { event } => work::undo(node, event, out, by),
        Shared::Transfers(command) => going::transfers(node, command, out, by),
        Shared::Refused(command) => refused::refused(node, command, out),
        Shared::Erase { id, reason, set, yes } => going::erase(node, (id, *set), reason, *yes, out, by),
        Shared::Erasures { command } => going::erasures(node, command.as_ref(), out, by),
        Shared::Audit(wanted) => audit::audit(node, wanted, out),
        Shared::User(command) => logins::user(node, command, out, by),
        Shared::Token(command) => logins::token(node, command, out, by),
        Shared::Merge { command: None, ids } => merging::merge(node, ids, out, by),
        Shared::Merge { command: Some(Merge::Undo { id }), .. } => merging::undo(node, id, out, by),
        // These do not need a node that is open, and are done above or by the caller.
        Shared::Completions { .. } | Shared::Restore { .. } | Shared::Handover { .. } | Shared::Retire { .. } => Ok(()),
    }
}

pub(super) fn added(out: Out, id: impl std::fmt::Display) {
    out.result(&json!({"id": id.to_string()}), || id.to_string());
}

pub(super) fn short(id: DocId) -> String {
    let id = id.to_string();
    id[id.len() - 8..].to_owned()
}

fn people_table(people: &[PersonRow]) -> String {
    let row = |person: &PersonRow| {
        let her = &person.supporter;
        let slug = person.slug.as_ref().map(|slug| match person.left {
            Some(left) => format!("{slug} (left {})", left.for_people()),
            None => slug.clone(),
        });
        let chapter = slug.unwrap_or_else(|| {
            if person.state == store::DocState::ReadOnly {
                return "left, read-only here".to_owned();
            }
            match &person.waiting {
                Some(reason) => format!("waiting ({reason})"),
                None if person.elsewhere => "beside her home".to_owned(),
                None => "waiting".to_owned(),
            }
        });
        vec![short(her.id), her.display_name(), her.rung.to_string(), chapter]
    };
    table(&["id", "name", "rung", "chapter"], &people.iter().map(row).collect::<Vec<_>>())
}

fn people(node: &Node, command: &People, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        People::List(wanted) => list(node, wanted, out),
        People::Show { id } => {
            let found = find_person(node, id)?;
            let person = node.read(|read| read.person(found.document))?;
            let made = person_json(&person);
            out.result(&made, || serde_json::to_string_pretty(&made).unwrap_or_default());
            Ok(())
        }
        People::History { id } => {
            let found = find_person(node, id)?;
            let person = node.read(|read| read.person(found.document))?;
            let events: Vec<Value> = person.supporter.events.iter().map(event_json).collect();
            out.result(&json!({"events": events}), || {
                events.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
            });
            Ok(())
        }
        People::Edit { id, edits } => {
            let read = |edit: &String| {
                let (field, value) =
                    edit.split_once('=').ok_or_else(|| Failure::usage(format!("{edit:?} is not FIELD=VALUE")))?;
                Ok::<_, Failure>(FieldEdit { field: field.to_owned(), value: value.to_owned(), shown: None })
            };
            let edits = edits.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let found = find_person(node, id)?;
            node.edit_fields(found.document, &edits, by)?;
            added(out, found.document);
            Ok(())
        }
        People::Transfer { id, slug, note, agreed, also, her_word } => {
            let (agreed, also, her_word) = (*agreed, *also, *her_word);
            let draft = TransferDraft { to: slug.clone(), note: note.as_str().into(), agreed, also, her_word };
            going::transfer(node, id, draft, out, by)
        }
        People::Unreadable => refused::unreadable(node, out),
        People::Rebuild { id } => refused::rebuild(node, id, out, by),
        People::Care(wanted) => work::care(node, wanted, out, by),
        People::Add(wanted) => add(node, wanted, out, by),
    }
}

fn list(node: &Node, wanted: &ListArguments, out: Out) -> Result<(), Failure> {
    node.settle()?;
    if let Some(rung) = &wanted.rung {
        let ladder = node.read(|read| read.settings())?.ladder;
        let names: Vec<&str> = ladder.rungs().iter().map(|rung| rung.id.as_str()).collect();
        if !names.contains(&rung.as_str()) {
            return Err(Failure::refused(format!("there is no rung {rung:?}; the rungs are {}", names.join(", "))));
        }
    }
    let filter = Filter {
        query: wanted.query.clone(),
        rung: wanted.rung.clone().map(RungId::new),
        tag: wanted.tag.clone(),
        mine: wanted.mine.clone(),
        ..Filter::default()
    };
    let after: Option<DocId> = wanted.after.as_ref().map(|id| id.parse()).transpose()?;
    let limit = wanted.limit.clamp(1, 499);
    let mut people = node.read(|read| read.people(&filter, Page { limit: limit + 1, after }))?;
    let more = people.len() > limit;
    people.truncate(limit);
    let next = people.last().filter(|_| more).map(|person| person.supporter.id.to_string());
    let made: Vec<Value> = people.iter().map(person_json).collect();
    out.result(&json!({"people": made, "next": next}), || {
        if people.is_empty() { "nobody fits".to_owned() } else { people_table(&people) }
    });
    if let Some(next) = next.filter(|_| !out.is_json()) {
        Out::note(&format!("more: --after {next}"));
    }
    Ok(())
}

fn add(node: &Node, wanted: &AddArguments, out: Out, by: &str) -> Result<(), Failure> {
    if node.kind() == NodeKind::Hub {
        return Err(Failure::refused("people are added at a chapter; at a hub they sign up")
            .hint("use `hub-node signup import`"));
    }
    let fields = [
        ("given_name", &wanted.given_name),
        ("family_name", &wanted.family_name),
        ("email", &wanted.email),
        ("phone", &wanted.phone),
        ("postal_code", &wanted.postal_code),
        ("locality", &wanted.city),
        ("region", &wanted.region),
        ("country", &wanted.country),
        ("tags", &wanted.tags),
    ];
    let given = fields.iter().filter_map(|(name, value)| value.as_deref().map(|value| (*name, value)));
    let person = SignUp::from_fields(given, &node.row().country)?;
    added(out, node.add_person(person, by)?);
    Ok(())
}

fn conflicts(node: &Node, command: &Conflicts, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        Conflicts::List => {
            node.settle()?;
            let filter = Filter { conflicts: true, ..Filter::default() };
            let people = node.read(|read| read.people(&filter, Page { limit: 500, after: None }))?;
            let one = |person: &PersonRow| {
                let her = &person.supporter;
                let each = |c: &model::Conflict| json!({"id": her.id, "field": c.field, "values": c.values});
                her.conflicts.iter().map(each).collect::<Vec<_>>()
            };
            let made: Vec<Value> = people.iter().flat_map(one).collect();
            out.result(&json!({"conflicts": made}), || {
                if made.is_empty() {
                    "no conflicts".to_owned()
                } else {
                    made.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
                }
            });
            Ok(())
        }
        Conflicts::Settle { id, field, value } => {
            let found = find_person(node, id)?;
            node.settle_conflict(found.document, field, value, None, by)?;
            added(out, found.document);
            Ok(())
        }
    }
}

fn proposals(node: &Node, command: &Proposals, out: Out, by: &str) -> Result<(), Failure> {
    node.settle()?;
    let (id, state) = match command {
        Proposals::List => {
            let waiting = node.read(|read| read.proposals(None))?;
            let one = |p: &store::ProposalRow| json!({"id": p.id.to_string(), "person": p.person, "field": p.key, "value": p.value, "sign_up": p.sign_up, "at": p.at});
            let made: Vec<Value> = waiting.iter().map(one).collect();
            out.result(&json!({"proposals": made}), || {
                if made.is_empty() {
                    "nothing waits".to_owned()
                } else {
                    made.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
                }
            });
            return Ok(());
        }
        Proposals::Take { id } => (id, ProposalState::Taken),
        Proposals::Drop { id } => (id, ProposalState::Dropped),
    };
    let proposal = node.read(|read| read.proposal(id))?;
    node.end_proposal(&proposal, state, by)?;
    added(out, proposal.id);
    Ok(())
}

fn attempt(node: &Node, command: &Attempt, out: Out, by: &str) -> Result<(), Failure> {
    let Attempt::Log { id, how, result, at, line, not_before, next_on } = command;
    let person = find_person(node, id)?.document;
    let line = personal(line.as_ref());
    let draft =
        AttemptDraft { how: how.0, result: result.0, line, not_before: *not_before, next_on: *next_on, at: *at };
    added(out, node.log_attempt(person, draft, by)?);
    Ok(())
}

fn ladder(node: &Node, command: &Ladder, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        Ladder::List => {
            let tally = node.tally()?;
            let ladder = node.read(|read| read.settings())?.ladder;
            let count = |id: &RungId| tally.rungs.iter().find(|(rung, _)| rung == id.as_str()).map_or(0, |(_, n)| *n);
            let one = |rung: &model::Rung| json!({"id": rung.id, "label": rung.label, "count": count(&rung.id), "shown_by": rung.shown_by.in_words()});
            let made: Vec<Value> = ladder.rungs().iter().map(one).collect();
            out.result(&json!({"rungs": made}), || {
                let row = |rung: &model::Rung| {
                    vec![rung.id.to_string(), count(&rung.id).to_string(), rung.shown_by.in_words().to_owned()]
                };
                table(&["rung", "people", "shown by"], &ladder.rungs().iter().map(row).collect::<Vec<_>>())
            });
        }
        Ladder::Move { id, rung, evidence, because } => {
            let person = find_person(node, id)?.document;
            let cited = evidence.iter().map(|event| find_person(node, event)).collect::<Result<Vec<_>, _>>()?;
            let because = personal(because.as_ref());
            let (event, how) = node.move_to(person, &RungId::new(rung.as_str()), &cited, because, by)?;
            let made = json!({"id": event.to_string(), "how": how.word()});
            out.result(&made, || {
                if how == model::MoveKind::Skip { format!("{event} (marked as a skip)") } else { event.to_string() }
            });
        }
    }
    Ok(())
}

fn consent(node: &Node, command: &Consent, out: Out, by: &str) -> Result<(), Failure> {
    let (id, channel, sender, state, source) = match command {
        Consent::Set { id, channel, sender, state, source } => (id, channel, sender, state, source),
        Consent::DoNotContact(wanted) => return work::do_not_contact(node, wanted, out, by),
    };
    let person = find_person(node, id)?.document;
    let sender = match sender.as_str() {
        "network" => Sender::Network,
        slug => Sender::Chapter(node.read(|read| read.chapter(slug))?.scope),
    };
    added(out, node.set_consent(person, channel.0, sender, state.0, source.as_str().into(), by)?);
    Ok(())
}
