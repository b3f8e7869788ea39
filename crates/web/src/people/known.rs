//! What is known of somebody, in words: how to reach her, what she agreed to, who wrote what, and what the network sees.
//!
//! **Invariant:** what is shown of a person here is made of what the network may see, and of nothing else: notes and private
//! fields can't come in, because they are not given.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use model::{Body, ConsentState, Personal, Standing, Supporter, Timestamp};
use node::{Node, NodeError, Who};
use serde_json::{Value, json};
use store::{DocState, PersonRow};

use crate::people::allowed;
use crate::people::words::{Wording, address_words, describe, label, place_of};
use crate::{Shell, Site, WebError, ago, blocking, event_json, html, person_json};

/// A day as people say it.
pub(super) fn day(at: Timestamp) -> String {
    let whole = at.for_people();
    whole.rsplit_once(' ').map_or(whole.as_str(), |(day, _)| day).to_owned()
}

/// The names of senders of consent, by what stands in a consent.
pub(super) type Senders = BTreeMap<String, String>;

/// Who may write to her, by name: the network, and the chapters that are known here.
pub(super) fn senders(node: &Node) -> Result<Senders, NodeError> {
    let chapters = node.read(|read| read.chapters())?;
    let chapters = chapters.into_iter().map(|chapter| (chapter.scope.to_string(), chapter.name));
    Ok(std::iter::once(("network".to_owned(), "the network".to_owned())).chain(chapters).collect())
}

/// Her addresses, numbers, place, tags and fields, each with its label.
pub(super) fn contacts(her: &Supporter) -> Vec<(String, String)> {
    let emails = her.emails.iter().map(|email| ("E-mail".to_owned(), email.address.as_str().to_owned()));
    let phones = her
        .phones
        .iter()
        .map(|phone| ("Phone".to_owned(), phone.number.as_str().trim_start_matches("raw:").to_owned()));
    let place = Some(("Place".to_owned(), place_of(her))).filter(|(_, place)| !place.is_empty());
    let custom = her.custom.iter().map(|(name, value)| (label(name), value.expose().to_owned()));
    let tags: Vec<&str> = her.tags.iter().map(String::as_str).collect();
    let tags = Some(("Tags".to_owned(), tags.join(", "))).filter(|(_, tags)| !tags.is_empty());
    let also = her.also.iter().map(|(field, values)| {
        let values: Vec<&str> = values.iter().map(Personal::expose).collect();
        (format!("{}, also", label(field)), values.join(", "))
    });
    emails.chain(phones).chain(place).chain(custom).chain(tags).chain(also).collect()
}

/// What she said to a channel and sender, with where and when.
pub(super) fn consent_words(said: &model::Consent, her: &Supporter, senders: &Senders) -> String {
    let sender = senders.get(&said.sender).map_or("another chapter", String::as_str);
    let answer = match said.state {
        ConsentState::Granted => "yes",
        ConsentState::Withdrawn => "no",
    };
    let source = her.event(said.event).map(|event| {
        let source = if let Body::Consent { source, .. } = &event.body { source.expose() } else { "" };
        match source {
            "" => format!(", on {}", day(event.at)),
            "sign-up form" => format!(", from the sign-up form on {}", day(event.at)),
            source => format!(", from: {source}, on {}", day(event.at)),
        }
    });
    format!("{} from {sender}: {answer}{}", label(&said.channel), source.unwrap_or_default())
}

/// Who said that nobody may contact her, why and when.
pub(super) fn closed_words(her: &Supporter) -> Option<String> {
    let said = her.events.iter().rev().find_map(|event| {
        let Body::Consent { channel, state: ConsentState::Withdrawn, source, .. } = &event.body else { return None };
        let by = event.by.as_ref().map_or("the network", Personal::expose);
        let words = || format!("Nobody may contact her: {} ({by}, {})", source.expose(), day(event.at));
        (channel == "any").then(words)
    });
    her.do_not_contact.then(|| said.unwrap_or_else(|| "Nobody may contact her.".to_owned()))
}

/// The names of nodes, by the beginning of their ids.
pub(super) fn nodes(node: &Node) -> Result<BTreeMap<String, String>, NodeError> {
    let links = node.read(|read| read.links())?;
    let others = links.into_iter().map(|link| (link.peer.short(), link.name));
    Ok(others.chain([(node.id().short(), "here".to_owned())]).collect())
}

/// Who wrote a value (a login), and where.
pub(super) fn author(standing: &Standing, nodes: &BTreeMap<String, String>) -> (String, String) {
    let by = standing.by.as_ref().map_or("", Personal::expose);
    let (node, login) = by.split_once('/').unwrap_or(("", by));
    let place = nodes.get(node).cloned().unwrap_or_else(|| format!("node {node}"));
    match (node, login) {
        (_, "") => ("somebody".to_owned(), String::new()),
        ("", login) => (login.to_owned(), String::new()),
        (_, login) => (login.to_owned(), place),
    }
}

struct Written {
    label: String,
    value: String,
    who: String,
    node: String,
    when: String,
    exact: String,
}

#[derive(Template)]
#[template(path = "authors.html")]
struct AuthorsPage {
    shell: Shell,
    id: String,
    name: String,
    lines: Vec<Written>,
}

/// A key's value as people read it.
fn plain(key: &str, value: &str) -> (String, String) {
    let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
    match kind {
        "email" | "phone" | "tag" => (label(kind), rest.trim_start_matches("raw:").to_owned()),
        "address" => {
            let address = serde_json::from_str(value).unwrap_or_default();
            (label(kind), address_words(&address))
        }
        // A register: its state, and the event that says so.
        "consent" | "status" | "rung" | "do_not_contact" | "erasure" => {
            let shown = if rest.is_empty() { label(kind) } else { label(rest.split('/').next().unwrap_or(rest)) };
            (shown, value.split(' ').next().unwrap_or_default().to_owned())
        }
        "same_as" => ("Also known as".to_owned(), rest.to_owned()),
        _ => (label(key), value.to_owned()),
    }
}

/// Who wrote what of her, when and at which node.
pub(super) async fn authors(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    let made = blocking(move || {
        let person = allowed(&site.node, &id, &who)?;
        let (known, nodes, now) = (site.node.known(person)?, nodes(&site.node)?, site.node.now());
        let her = site.node.read(|read| read.person(person))?.supporter;
        site.node.opens_person(her.id, &who.by)?;
        let line = |key: &str, standing: &Standing| {
            let (label, value) = plain(key, standing.value.expose());
            let ((who, node), at) = (author(standing, &nodes), standing.at.unwrap_or(her.modified_at));
            Written { label, value, who, node, when: ago(Some(at), now), exact: at.for_people() }
        };
        let lines = known.iter().flat_map(|one| one.values.iter().map(|standing| line(&one.key, standing)));
        let mut lines: Vec<Written> = lines.collect();
        lines.sort_by(|a, b| a.label.cmp(&b.label));
        let name = her.display_name();
        let shell = site.shell(&name, "/people", &who)?;
        Ok(AuthorsPage { shell, id: her.id.to_string(), name, lines })
    });
    Ok(html(&made.await?))
}

/// What the network sees of somebody, as JSON: nothing of whom only this chapter keeps.
pub fn shared_json(person: &PersonRow) -> Value {
    if person.state == DocState::Kept {
        return json!({"id": person.supporter.id, "kept_here": true, "person": null, "events": []});
    }
    let events: Vec<Value> = person.supporter.events.iter().map(event_json).collect();
    json!({"id": person.supporter.id, "kept_here": false, "person": person_json(person), "events": events})
}

struct Line {
    who: String,
    what: String,
    when: String,
    exact: String,
}

#[derive(Template)]
#[template(path = "shared.html")]
struct SharedPage {
    shell: Shell,
    id: String,
    name: String,
    kept: bool,
    chapters: String,
    facts: Vec<(String, String)>,
    history: Vec<Line>,
}

/// What the network sees of somebody, and any chapter to which she later belongs.
pub(super) async fn shared(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    let made = blocking(move || {
        site.node.settle()?;
        let person = allowed(&site.node, &id, &who)?;
        let person = site.node.read(|read| read.person(person))?;
        site.node.opens_person(person.supporter.id, &who.by)?;
        shared_page(&site, &person, &who)
    });
    Ok(html(&made.await?))
}

fn shared_page(site: &Site, person: &PersonRow, who: &Who) -> Result<SharedPage, WebError> {
    let (her, now, senders) = (&person.supporter, site.node.now(), senders(&site.node)?);
    let (settings, actions) =
        site.node.read(|read| Ok((read.settings()?, read.action_names(her.parts().into_keys())?)))?;
    let wording = Wording { her, ladder: &settings.ladder, actions: &actions };
    let fields = her.fields.iter().map(|(name, value)| (label(name), value.expose().to_owned()));
    let people = [
        ("looked_after_by", &her.looked_after_by),
        ("recruited_by", &her.recruited_by),
        ("developed_by", &her.developed_by),
    ];
    let people = people.into_iter().filter_map(|(name, who)| Some((label(name), who.as_ref()?.expose().to_owned())));
    let rung = [("Rung".to_owned(), settings.ladder.label(&her.rung).to_owned())];
    let consents = her.consents.iter().map(|said| ("Consent".to_owned(), consent_words(said, her, &senders)));
    let closed = closed_words(her).map(|words| ("Do not contact".to_owned(), words));
    let facts = fields.chain(contacts(her)).chain(rung).chain(people).chain(consents).chain(closed).collect();
    let line = |event: &model::Event| Line {
        who: event.by.as_ref().map_or_else(|| "the network".to_owned(), |by| by.expose().to_owned()),
        what: describe(event, &wording),
        when: ago(Some(event.at), now),
        exact: event.at.for_people(),
    };
    let name = her.display_name();
    Ok(SharedPage {
        shell: site.shell(&name, "/people", who)?,
        id: her.id.to_string(),
        kept: person.state == DocState::Kept,
        chapters: person.chapters.join(", "),
        facts,
        history: her.events.iter().rev().map(line).collect(),
        name,
    })
}
