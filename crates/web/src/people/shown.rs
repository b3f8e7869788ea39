//! A person's page: what is known, what disagrees, what happened, who raised her, and what stays in the chapter.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use model::{
    AnswerKind, Body, Channel, DocId, EventId, Evidence, EvidenceRule, NetworkSettings, Personal, Relation, Right,
    Supporter, TAG, Timestamp,
};
use node::{Node, NodeError, Who};
use store::{DocState, Note, PersonRow, ProposalRow, Raising};

use crate::attempt::calling_words;
use crate::people::allowed;
use crate::people::known::{author, closed_words, consent_words, contacts, day, nodes, senders};
use crate::people::raised::{Tree, tree};
use crate::people::words::{Wording, address_words, describe, label, place_of};
use crate::{Shell, Site, WebError, ago};

/// Fields that can be edited on the page, in this order.
pub(super) const EDITED: [&str; 5] =
    ["given_name", "family_name", "preferred_language", "would_like", "looked_after_by"];

pub(super) struct Line {
    id: String,
    pub(super) who: String,
    pub(super) what: String,
    pub(super) when: String,
    pub(super) exact: String,
}

/// Something about which two people wrote different things.
pub(super) struct ConflictView {
    pub(super) field: String,
    pub(super) label: String,
    pub(super) values: Vec<Line>,
}

struct FieldView {
    name: &'static str,
    label: String,
    value: String,
}

/// Something to choose, with its words.
struct Choice {
    id: String,
    words: String,
}

/// What is said on her page beside what is known.
#[derive(Default)]
pub(super) struct Said {
    /// What was wrong.
    pub(super) problem: Option<String>,
    /// What was just done, as the address says it.
    pub(super) did: Option<String>,
    /// Of whom somebody has to choose one, and as what.
    pub(super) choice: Option<(Raising, Vec<DocId>)>,
}

impl Said {
    pub(super) fn wrong(problem: String) -> Self {
        Self { problem: Some(problem), ..Self::default() }
    }
}

/// Why a record takes no writes: it has left.
const LEFT: &str =
    "She has left this chapter. What is known of her stays here, and nothing is written to it: people here know her.";
/// Why a record takes no writes: it can't be read to its end.
const UNREADABLE: &str =
    "Nothing can be written here: a change that came for her could not be read. What was known before is shown.";

#[derive(Template)]
#[template(path = "person.html")]
pub(super) struct PersonPage {
    shell: Shell,
    id: String,
    name: String,
    problem: Option<String>,
    rung: String,
    rung_class: String,
    /// Since when she is there, and the highest rung that she has been on.
    since: Option<String>,
    peak: Option<String>,
    chapter: String,
    why: Option<String>,
    joined: Option<String>,
    writable: bool,
    closed: String,
    elsewhere: bool,
    /// Who else is calling her at this moment.
    calling: Option<String>,
    hub: bool,
    may_log: bool,
    may_edit: bool,
    may_move: bool,
    /// Whether she may ask for what is known in full: a caller needs nothing of it.
    sees_more: bool,
    /// Whether she sees what stays in this chapter: a hub keeps nothing, and a caller needs nothing of it.
    sees_private: bool,
    /// Why nobody may contact her, if that is so.
    silent: Option<String>,
    may_lift: bool,
    fields: Vec<FieldView>,
    contacts: Vec<(String, String)>,
    consents: Vec<String>,
    channels: Vec<Choice>,
    senders: Vec<Choice>,
    tree: Tree,
    choice: Vec<Choice>,
    choice_how: &'static str,
    /// Who stands in that field.
    choice_was: String,
    conflicts: Vec<ConflictView>,
    proposals: Vec<Line>,
    history: Vec<Line>,
    evidence: Vec<Choice>,
    rungs: Vec<Choice>,
    asks: Vec<Choice>,
    notes: Vec<Line>,
    private_fields: Vec<(String, String)>,
}

/// What the page is made of.
pub(super) struct Material {
    pub(super) person: PersonRow,
    proposals: Vec<ProposalRow>,
    notes: Vec<Note>,
    private_fields: Vec<(String, String)>,
    settings: NetworkSettings,
    /// What the actions are called that she had a part in.
    actions: BTreeMap<DocId, String>,
}

pub(super) fn material(node: &Node, id: &str, who: &Who) -> Result<Material, NodeError> {
    node.settle()?;
    let person = allowed(node, id, who)?;
    node.read(|read| {
        let person = read.person(person)?;
        let (mut proposals, mut notes): (Vec<ProposalRow>, Vec<Note>) = (Vec::new(), Vec::new());
        let mut private_fields: Vec<(String, String)> = Vec::new();
        for record in person.supporter.ids() {
            proposals.extend(read.proposals(Some(record))?);
            notes.extend(read.notes(record)?);
            private_fields.extend(read.private_fields(record)?);
        }
        notes.sort_by_key(|note| std::cmp::Reverse(note.at));
        let actions = read.action_names(person.supporter.parts().into_keys())?;
        Ok(Material { proposals, notes, private_fields, settings: read.settings()?, actions, person })
    })
}

pub(super) fn build(site: &Site, id: &str, who: &Who, said: Said) -> Result<PersonPage, WebError> {
    let node = &site.node;
    let Material { person, proposals, notes, private_fields, settings, actions } = material(node, id, who)?;
    let her = &person.supporter;
    let wording = Wording { her, ladder: &settings.ladder, actions: &actions };
    node.opens_person(her.id, &who.by)?;
    let (now, writable) = (node.now(), [DocState::Live, DocState::Kept].contains(&person.state));
    let may = |right| writable && who.role.may(right);
    let (sees_more, may_edit) = (who.role.may(Right::SeePeople), may(Right::EditPeople));
    let sees_private = !node.is_hub() && sees_more;
    let senders = senders(node)?;
    let choice_was = said.choice.as_ref().and_then(|(how, _)| how.by(her));
    let choice_was = choice_was.map_or_else(String::new, |who| who.expose().to_owned());
    let (choice_how, choice) = choices(node, said.choice)?;
    let position = settings.ladder.position(&her.rung);
    let other_rungs = settings.ladder.rungs().iter().filter(|rung| rung.id != her.rung);
    let others = her.fields.iter().filter(|(name, _)| !EDITED.contains(&name.as_str()));
    let others = others.map(|(name, value)| (label(name), value.expose().to_owned()));
    let history = her.events.iter().rev().map(|event| {
        let what = describe(event, &wording);
        line(event.id.to_string(), event.by.as_ref(), what, (event.at, now))
    });
    let calling = node.read(|read| read.calling(now))?;
    let calling = calling.iter().find(|held| her.covers(held.person) && held.by != who.by);
    let mut shell = site.shell(&her.display_name(), "/people", who)?;
    shell.notice = site.notice(said.did.as_deref(), &format!("/people/{id}"), who);
    Ok(PersonPage {
        shell,
        id: her.id.to_string(),
        name: her.display_name(),
        problem: said.problem,
        rung: settings.ladder.label(&her.rung).to_owned(),
        rung_class: format!("rung-{}", position + 1),
        since: here_since(her),
        peak: Some(settings.ladder.label(&her.peak_rung).to_owned())
            .filter(|_| settings.ladder.position(&her.peak_rung) > position),
        chapter: served_by(&person),
        why: why_here(her),
        joined: joined_words(her),
        writable,
        closed: closed(&person),
        elsewhere: person.elsewhere,
        calling: calling.map(|held| calling_words(held, now)),
        hub: node.is_hub(),
        may_log: may(Right::LogAttempts),
        may_edit,
        may_move: may(Right::MoveRungs),
        sees_more,
        sees_private,
        silent: closed_words(her),
        may_lift: may(Right::ContactAgain),
        fields: EDITED.iter().map(|name| FieldView { name, label: label(name), value: value_of(her, name) }).collect(),
        contacts: contacts(her).into_iter().chain(others).collect(),
        consents: her.consents.iter().map(|said| consent_words(said, her, &senders)).collect(),
        channels: Channel::ALL
            .iter()
            .map(|one| Choice { id: one.word().to_owned(), words: label(one.word()) })
            .collect(),
        senders: senders.iter().map(|(id, name)| Choice { id: id.clone(), words: name.clone() }).collect(),
        tree: if sees_more { tree(node, her, &settings.ladder)? } else { Tree::default() },
        choice,
        choice_how,
        choice_was,
        conflicts: conflicts(her, &nodes(node)?, now),
        proposals: proposals
            .iter()
            .map(|waits| line(waits.id.to_string(), None, proposed(&waits.key, waits.value.expose()), (waits.at, now)))
            .collect(),
        history: history.collect(),
        evidence: evidence(&wording),
        rungs: other_rungs.map(|rung| Choice { id: rung.id.to_string(), words: rung.label.clone() }).collect(),
        asks: open_asks(her),
        notes: if sees_private { notes.iter().map(|note| note_line(note, now)).collect() } else { Vec::new() },
        private_fields: if sees_private { here_only(private_fields) } else { Vec::new() },
    })
}

fn line(id: String, who: Option<&Personal>, what: String, (at, now): (Timestamp, Timestamp)) -> Line {
    let who = who.map_or_else(|| "the network".to_owned(), |who| who.expose().to_owned());
    Line { id, who, what, when: ago(Some(at), now), exact: at.for_people() }
}

fn note_line(note: &Note, now: Timestamp) -> Line {
    let text = note.text.expose();
    let what = if note.kind == "note" { text.to_owned() } else { format!("{}: {text}", label(&note.kind)) };
    line(note.id.to_string(), Some(&note.by), what, (note.at, now))
}

/// Fields and tags that stay in the chapter, each with its label.
fn here_only(fields: Vec<(String, String)>) -> Vec<(String, String)> {
    let (tags, fields): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| name.starts_with(TAG));
    let tags: Vec<&str> = tags.iter().filter_map(|(name, _)| name.strip_prefix(TAG)).collect();
    let tags = Some(("Tags".to_owned(), tags.join(", "))).filter(|(_, tags)| !tags.is_empty());
    tags.into_iter().chain(fields.into_iter().map(|(name, value)| (label(&name), value))).collect()
}

/// What two people wrote differently, with who and where.
pub(super) fn conflicts(her: &Supporter, nodes: &BTreeMap<String, String>, now: Timestamp) -> Vec<ConflictView> {
    let value = |standing: &model::Standing| {
        let (who, place) = author(standing, nodes);
        let who = if place.is_empty() { who } else { format!("{who}, {place}") };
        let at = standing.at.unwrap_or(her.modified_at);
        line(String::new(), Some(&Personal::new(who)), standing.value.expose().to_owned(), (at, now))
    };
    let view = |conflict: &model::Conflict| ConflictView {
        field: conflict.field.clone(),
        label: label(&conflict.field),
        values: conflict.values.iter().map(value).collect(),
    };
    her.conflicts.iter().map(view).collect()
}

/// The people of whom one is to be chosen, and as what.
fn choices(node: &Node, choice: Option<(Raising, Vec<DocId>)>) -> Result<(&'static str, Vec<Choice>), NodeError> {
    let Some((how, people)) = choice else { return Ok(("", Vec::new())) };
    let one = |id: DocId| {
        let person = node.read(|read| read.person(id))?;
        let place = place_of(&person.supporter);
        Ok(Choice { id: id.to_string(), words: format!("{} {place}", person.supporter.display_name()) })
    };
    Ok((how.word(), people.into_iter().map(one).collect::<Result<_, NodeError>>()?))
}

/// Since when she stands on her rung.
fn here_since(her: &Supporter) -> Option<String> {
    let moved = her.events.iter().rev().find(|event| matches!(&event.body, Body::Move { to, .. } if *to == her.rung));
    moved.map(|event| day(event.at))
}

/// Why she is in this chapter, or waits.
fn why_here(her: &Supporter) -> Option<String> {
    her.events
        .iter()
        .rev()
        .find_map(|event| if let Body::Placement(fact) = &event.body { Some(fact.explanation.clone()) } else { None })
}

/// Why her record takes no writes, if it takes none.
fn closed(person: &PersonRow) -> String {
    match person.left {
        Some(left) => format!(
            "Her chapter left the network on {}. This is what was known here then: it is frozen, and she is in no total.",
            left.for_people()
        ),
        None if person.state == DocState::ReadOnly => LEFT.to_owned(),
        None => UNREADABLE.to_owned(),
    }
}

/// Her chapter, and whether others serve her, too.
fn served_by(person: &PersonRow) -> String {
    let others: Vec<&str> =
        person.chapters.iter().filter(|slug| Some(*slug) != person.slug.as_ref()).map(String::as_str).collect();
    match &person.chapter_name {
        _ if person.elsewhere => "Served here beside her home chapter".to_owned(),
        Some(name) if others.is_empty() => name.clone(),
        Some(name) => format!("{name}, also served by {}", others.join(", ")),
        None => "Waiting for a chapter".to_owned(),
    }
}

fn value_of(her: &Supporter, name: &str) -> String {
    match name {
        "looked_after_by" => her.looked_after_by.as_ref().map_or_else(String::new, |who| who.expose().to_owned()),
        _ => her.field(name).to_owned(),
    }
}

/// A proposed value as a person reads it.
fn proposed(key: &str, value: &str) -> String {
    let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
    match kind {
        "email" | "phone" | "tag" => format!("{}: {rest}", label(kind)),
        "address" => {
            let address: model::PostalAddress = serde_json::from_str(value).unwrap_or_default();
            format!("Address: {}", address_words(&address))
        }
        "consent" => {
            let channel = rest.split('/').next().unwrap_or_default();
            format!("{} from the network: {}", label(channel), if value == "granted" { "yes" } else { "no" })
        }
        _ => format!("{}: {value}", label(key)),
    }
}

/// That she is shown for several records, with their ids: what is written here goes into the first.
fn joined_words(her: &Supporter) -> Option<String> {
    let others: Vec<String> = her.merged.iter().map(|id| id.to_string()[28..].to_owned()).collect();
    let words = || format!("Shown together with what is known of her as {}.", others.join(" and "));
    (!others.is_empty()).then(words)
}

/// Her events that can show a move, newest first.
fn evidence(wording: &Wording<'_>) -> Vec<Choice> {
    let rules = wording.ladder.rungs().iter().map(|rung| rung.shown_by).filter(|rule| *rule != EvidenceRule::Nothing);
    let rules: Vec<EvidenceRule> = rules.collect();
    let shows =
        |event: &&model::Event| rules.iter().any(|rule| rule.shown_by(&Evidence { event, relation: Relation::Own }));
    let choice = |event: &model::Event| Choice { id: event.id.to_string(), words: describe(event, wording) };
    wording.her.events.iter().rev().filter(shows).map(choice).collect()
}

/// Asks without an outcome: no answer that ends them, and she did not come to the action that they name.
fn open_asks(her: &Supporter) -> Vec<Choice> {
    let ended = her.events.iter().filter_map(|event| {
        if let Body::Answer { of, answer, .. } = &event.body {
            (*answer != AnswerKind::Yes).then_some(*of)
        } else {
            None
        }
    });
    let ended: BTreeSet<EventId> = ended.collect();
    let open = her.events.iter().filter(|event| !ended.contains(&event.id));
    let choice = |event: &model::Event| {
        if let Body::Ask { text, .. } = &event.body
            && !her.came_as_asked(event.id)
        {
            Some(Choice { id: event.id.to_string(), words: text.expose().to_owned() })
        } else {
            None
        }
    };
    open.filter_map(choice).collect()
}
