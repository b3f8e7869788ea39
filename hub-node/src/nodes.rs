//! Nodes of chapters: inviting them, listing them, shutting them out; and the authority by which they know this hub.

use std::path::PathBuf;

use cli::{Config, Failure, Globals, InviteShape, Out, life, print_invite, read_passphrase, table};
use model::{AuditKind, NodeId};
use node::{Inviting, Node, back_up_keys, public_addresses, put_back_keys, unlock_file};
use serde_json::{Value, json};
use store::{DATABASE_FILE, Direction, InviteRow, InviteStanding, LinkRow, LinkStanding};
use web::ago;

use crate::arguments::{Ca, Invites, NodeCommand, PROGRAM};

pub(crate) fn invite(
    node: &Node,
    (slug, expires, address): (&str, &str, Option<&str>),
    shape: InviteShape,
    out: Out,
    by: &str,
) -> Result<(), Failure> {
    let addresses = address.map(public_addresses).transpose()?;
    let invite = node.invite(slug, &Inviting { addresses, life_ms: life(expires)?, by, link: None })?;
    print_invite(&invite, shape, out)
}

pub(crate) fn invites(node: &Node, command: &Invites, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        Invites::List => list_invites(node, out),
        Invites::Cancel { id } => {
            let invite = node.cancel_invite(id, by)?;
            out.result(&json!({"id": invite.number(), "cancelled": true}), || {
                format!("the invitation {} into {} is taken back", invite.number(), invite.chapter)
            });
            Ok(())
        }
    }
}

fn list_invites(node: &Node, out: Out) -> Result<(), Failure> {
    let (invites, now) = (node.read(|read| read.invites())?, node.now());
    let one = |invite: &InviteRow| {
        json!({
            "id": invite.number(), "chapter": invite.slug, "state": invite.standing(now).word(), "made": invite.made,
            "by": invite.made_by, "by_chapter": invite.link.is_some(), "expires": invite.expires,
            "used_by": invite.used_by.map(|node| node.to_string()), "misused": invite.misused,
        })
    };
    out.result(&json!({"invites": invites.iter().map(one).collect::<Vec<_>>()}), || {
        let row = |invite: &InviteRow| {
            let used = invite.used_by.map_or_else(String::new, |node| node.fingerprint());
            let by = if invite.link.is_some() { "its own node" } else { "this hub" };
            vec![
                invite.number(),
                invite.slug.clone(),
                invite.standing(now).word().to_owned(),
                invite.expires.for_people(),
                format!("{} ({by})", invite.made_by),
                used,
                if invite.misused > 0 { format!("{} times by another key", invite.misused) } else { String::new() },
            ]
        };
        let rows: Vec<Vec<String>> = invites.iter().map(row).collect();
        if rows.is_empty() {
            "nobody was invited yet".to_owned()
        } else {
            table(&["number", "chapter", "state", "good until", "by", "used by", "misused"], &rows)
        }
    });
    Ok(())
}

pub(crate) fn run(node: &Node, command: &NodeCommand, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        NodeCommand::List => list(node, out),
        NodeCommand::Revoke { node: named } => {
            let link = node.revoke_node(named, by)?;
            let (open, brought) = (open_invites(node, &link)?, brought_in(node, &link)?);
            let ids: Vec<String> = brought.iter().map(NodeId::to_string).collect();
            let made = json!({"node": link.peer.to_string(), "revoked": true, "open_invites": open, "brought_in": ids});
            out.result(&made, || {
                let words = left_words(open, &brought);
                format!("the node {} of {} is shut out. {words}", link.peer.fingerprint(), link.name)
            });
            Ok(())
        }
    }
}

pub(crate) fn revoke_chapter(node: &Node, slug: &str, out: Out, by: &str) -> Result<(), Failure> {
    let links = node.revoke_chapter(slug, by)?;
    let ids: Vec<String> = links.iter().map(|link| link.peer.to_string()).collect();
    out.result(&json!({"chapter": slug, "revoked": ids}), || {
        format!("{} nodes of {slug} are shut out, and nobody is invited into it any more. {KEPT}", ids.len())
    });
    Ok(())
}

/// What shutting out does not do.
const KEPT: &str = "Nothing is deleted: they keep what they have, and work on";

fn left_words(open: usize, brought: &[NodeId]) -> String {
    let mut words = KEPT.to_owned();
    if open > 0 {
        words.push_str(&format!(". {open} open invitations into this chapter are left: see `invites list`"));
    }
    if !brought.is_empty() {
        let keys: Vec<String> = brought.iter().map(NodeId::fingerprint).collect();
        words.push_str(&format!(". Nodes that it had invited are in still: {}", keys.join("; ")));
    }
    words
}

/// Which nodes came by an invitation that the node of a link had made, and are let in still.
fn brought_in(node: &Node, link: &LinkRow) -> Result<Vec<NodeId>, Failure> {
    let (invites, links) = node.read(|read| Ok((read.invites()?, read.links()?)))?;
    let out = [LinkStanding::Revoked, LinkStanding::Left];
    let is_in = |id: &NodeId| links.iter().any(|it| it.peer == *id && !out.contains(&it.standing));
    let brought = invites.iter().filter(|invite| invite.link == Some(link.id)).filter_map(|invite| invite.used_by);
    Ok(brought.filter(is_in).collect())
}

/// How many invitations into the chapter of a link can be used still.
fn open_invites(node: &Node, link: &LinkRow) -> Result<usize, Failure> {
    let (invites, now) = (node.read(|read| read.invites())?, node.now());
    let open = |invite: &&InviteRow| invite.scope == link.scope && invite.standing(now) == InviteStanding::Open;
    Ok(invites.iter().filter(open).count())
}

fn accepted(link: &LinkRow) -> Value {
    link.accepted.as_ref().map_or(Value::Null, |it| json!({"version": it.version, "by": it.by, "at": it.at}))
}

fn list(node: &Node, out: Out) -> Result<(), Failure> {
    let links: Vec<LinkRow> = node.read(|read| read.links())?;
    let one = |link: &LinkRow| {
        json!({
            "node": link.peer.to_string(), "key": link.peer.fingerprint(), "chapter": link.name,
            "direction": if link.direction == Direction::Up { "up" } else { "down" },
            "state": link.standing.word(), "detail": link.detail, "last_exchange": link.last_exchange,
            "pending": link.pending, "certificate_expires": link.expires, "accepted": accepted(link),
        })
    };
    out.result(&json!({"nodes": links.iter().map(one).collect::<Vec<_>>()}), || {
        let row = |link: &LinkRow| {
            vec![
                link.peer.fingerprint(),
                link.name.clone(),
                link.standing.word().to_owned(),
                ago(link.last_exchange, node.now()),
                link.expires.map_or_else(|| "-".to_owned(), |expires| expires.for_people()),
            ]
        };
        let rows: Vec<Vec<String>> = links.iter().map(row).collect();
        if rows.is_empty() {
            "no node has joined yet".to_owned()
        } else {
            table(&["key", "chapter", "link", "last exchange", "certificate until"], &rows)
        }
    });
    Ok(())
}

/// The authority's keys: a copy of them, or putting them back. Either stands in the log, where there is one.
pub(crate) fn ca(
    globals: &Globals,
    key_file: Option<PathBuf>,
    command: &Ca,
    out: Out,
    by: &str,
) -> Result<(), Failure> {
    let directory = &globals.directory(PROGRAM)?;
    let configured = Config::read(directory)?.ca_key_file;
    let unlock = key_file.or(configured).unwrap_or_else(|| unlock_file(directory));
    let there = directory.join(DATABASE_FILE).exists();
    let node = there.then(|| globals.open(PROGRAM)).transpose().unwrap_or_else(|error| {
        // Keys are needed most where the database is lost.
        Out::note(&format!("{}. What is done here stands in no log", error.words()));
        None
    });
    node.as_ref().map_or(Ok(()), |node| node.read(|read| read.lives_here()))?;
    let note = |what: AuditKind| node.as_ref().map_or(Ok(()), |node| node.audit(node.audit_by(what, by)));
    match command {
        Ca::Backup { file, passphrase_file } => {
            let given = passphrase_file.as_deref().map(|path| read_passphrase(Some(path))).transpose()?;
            let printed = given.is_none();
            let passphrase = back_up_keys(directory, &unlock, file, given)?;
            if let Err(error) = note(AuditKind::KeysBackedUp) {
                // No copy is left of which nothing is written down.
                let _ = std::fs::remove_file(file);
                return Err(error.into());
            }
            let shown = printed.then(|| passphrase.to_string());
            out.result(&json!({"file": file, "passphrase": shown}), || {
                let kept = format!("{} holds the keys of this hub: keep it away from the hub", file.display());
                let once = "It is shown this once and kept nowhere: keep it away from the file";
                shown.as_ref().map_or_else(|| kept.clone(), |shown| format!("passphrase: {shown}\n{once}.\n{kept}"))
            });
        }
        Ca::Restore { file, passphrase_file } => {
            let passphrase = read_passphrase(passphrase_file.as_deref())?;
            let pin = put_back_keys(directory, &unlock, file, &passphrase)?;
            note(AuditKind::KeysRestored)?;
            out.result(&json!({"data": directory, "authority": pin.to_string()}), || {
                format!("the keys of the hub are in {}. Now: hub-node serve", directory.display())
            });
        }
    }
    Ok(())
}
