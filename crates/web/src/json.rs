//! People, events and status as JSON: the same in commands and over HTTP.

use model::{Event, Timestamp};
use node::{Node, NodeError};
use serde_json::{Map, Value, json};
use store::{ActionRow, ChapterRow, Difference, Direction, LinkRow, PersonRow, SCHEMA_VERSION, Tally};

/// A person in JSON, as the contract has her.
pub fn person_json(person: &PersonRow) -> Value {
    let her = &person.supporter;
    let emails: Vec<Value> =
        her.emails.iter().map(|email| json!({"address": email.address, "status": email.status})).collect();
    let phones: Vec<Value> = her.phones.iter().map(|phone| json!({"number": phone.number.digits()})).collect();
    let conflicts: Vec<Value> =
        her.conflicts.iter().map(|conflict| json!({"field": conflict.field, "values": conflict.values})).collect();
    let mut made = json!({
        "id": her.id, "given_name": her.field("given_name"), "family_name": her.field("family_name"),
        "email_addresses": emails, "phone_numbers": phones, "postal_addresses": her.addresses,
        "tags": her.tags, "custom_fields": her.custom, "rung": her.rung, "peak_rung": her.peak_rung,
        "chapter": person.slug, "chapters": person.chapters, "looked_after_by": her.looked_after_by,
        "consents": her.consents, "do_not_contact": her.do_not_contact, "conflicts": conflicts,
        "created_at": her.id.created_at(), "modified_at": her.modified_at, "merged": her.merged,
    });
    if let Some(object) = made.as_object_mut() {
        let others = her.fields.iter().filter(|(name, _)| !["given_name", "family_name"].contains(&name.as_str()));
        object.extend(others.map(|(name, value)| (name.clone(), json!(value))));
        if person.elsewhere {
            object.insert("home_elsewhere".to_owned(), json!(true));
        }
        if let Some(left) = person.left {
            object.insert("left".to_owned(), json!(left));
        }
        if let Some(reason) = &person.waiting {
            object.insert("waiting".to_owned(), json!(reason));
        }
        if !her.also.is_empty() {
            object.insert("also".to_owned(), json!(her.also));
        }
    }
    made
}

/// An event in JSON.
pub fn event_json(event: &Event) -> Value {
    serde_json::to_value(event).unwrap_or(Value::Null)
}

/// An action in JSON.
pub fn action_json(row: &ActionRow) -> Value {
    let (action, turnout) = (&row.action, row.turnout);
    json!({
        "id": action.id, "name": action.name, "on": action.on, "place": action.place, "tag": action.tag,
        "cancelled": action.cancelled, "chapter": row.chapter, "conflicts": action.conflicts,
        "asked": turnout.asked, "yes": turnout.said_yes, "came": turnout.came, "came_unasked": turnout.came_unasked,
    })
}

/// A chapter in JSON.
pub fn chapter_json(chapter: &ChapterRow) -> Value {
    let connected = chapter.links.iter().any(|(standing, _)| *standing == store::LinkStanding::Connected);
    json!({
        "slug": chapter.slug, "name": chapter.name, "state": chapter.standing(), "intake": chapter.intake,
        "left": chapter.left, "released": chapter.released,
        "supporters": chapter.supporters(), "counts": counts(&chapter.rungs),
        "nodes": chapter.links.len(), "connected": connected, "last_exchange": chapter.last_exchange(),
    })
}

fn counts(rungs: &[(String, u64)]) -> Value {
    Value::Object(rungs.iter().map(|(rung, count)| (rung.clone(), json!(count))).collect::<Map<_, _>>())
}

/// A link in JSON.
pub fn link_json(link: &LinkRow, now: Timestamp) -> Value {
    json!({
        "peer": link.peer.to_string(), "name": link.name, "state": link.standing.word(), "detail": link.detail,
        "direction": if link.direction == Direction::Up { "up" } else { "down" },
        "last_exchange": link.last_exchange, "pending": link.pending,
        "lag_seconds": link.last_exchange.map(|then| now.since(then).max(0) / 1000),
        "certificate_expires": link.expires,
    })
}

/// `status --json`. Blocks.
///
/// # Errors
/// When the database can't be read.
pub fn status_json(node: &Node, tally: &Tally) -> Result<Value, NodeError> {
    let (links, settings) = node.read(|read| Ok((read.links()?, read.settings()?)))?;
    let (recounted, rolled_back) = node.read(|read| Ok((read.recounted()?, read.rolled_back()?)))?;
    let found = |each: &Difference| json!({"what": each.what, "words": each.words});
    let check_found: Vec<Value> = recounted.iter().flat_map(|last| last.found.iter().map(found)).collect();
    let (row, now) = (node.row(), node.now());
    let bytes: u64 = ["", "-wal"]
        .iter()
        .filter_map(|suffix| {
            let mut file = node.database().as_os_str().to_owned();
            file.push(suffix);
            std::fs::metadata(file).ok()
        })
        .map(|found| found.len())
        .sum();
    let of = |rung: &model::Rung| {
        let count = tally.rungs.iter().find(|(id, _)| id == rung.id.as_str()).map_or(0, |(_, count)| *count);
        (rung.id.to_string(), json!(count))
    };
    let rungs: Map<String, Value> = settings.ladder.rungs().iter().map(of).collect();
    let mut made = json!({
        "node": row.node_id.to_string(), "kind": row.kind.word(), "name": row.name,
        "incarnation": row.incarnation.to_string(),
        "database": {"path": node.database(), "bytes": bytes, "schema": SCHEMA_VERSION},
        "supporters": tally.supporters, "counts": rungs, "as_of": now,
        "links": links.iter().map(|link| link_json(link, now)).collect::<Vec<_>>(),
        "conflicts": tally.conflicts, "proposals": tally.proposals, "quarantined": tally.quarantined,
        "refused": tally.refused, "missing": tally.missing, "unfolded": tally.unfolded,
        "checked_at": recounted.map(|last| last.at), "check_found": check_found, "rolled_back_at": rolled_back,
        "backup_age_seconds": node.backup_age(now)?, "handed_over_at": node.handed_over()?,
        "served": node.is_served(), "version": env!("CARGO_PKG_VERSION"),
    });
    if node.is_hub() {
        let (chapters, held, misused) =
            node.read(|read| Ok((read.chapters()?, read.held_count()?, read.misused_invites()?)))?;
        if let Some(object) = made.as_object_mut() {
            object.insert("waiting".to_owned(), json!(tally.waiting));
            object.insert("held".to_owned(), json!(held));
            object.insert("invites_misused".to_owned(), json!(misused));
            object.insert("chapters".to_owned(), json!(chapters.iter().map(chapter_json).collect::<Vec<_>>()));
        }
    }
    Ok(made)
}
