//! `status`, `verify`, `state-hash`: how a node is, and whether what it holds is what it should.

use model::ScopeId;
use node::Node;
use serde_json::json;
use store::Recounted;
use web::status_json;

use crate::{Failure, Out, table};

/// How long `status` says that the database was put back or copied, in ms: a week, in which somebody looks.
const COPIED_SAID_MS: i64 = 7 * 24 * 3600 * 1000;

pub(crate) fn status(node: &Node, out: Out) -> Result<(), Failure> {
    let tally = node.tally()?;
    let made = status_json(node, &tally)?;
    let (recounted, rolled_back) = node.read(|read| Ok((read.recounted()?, read.rolled_back()?)))?;
    let copied = match rolled_back.filter(|at| node.now().since(*at) < COPIED_SAID_MS) {
        Some(at) => Some(format!("{}: {}", at.for_people(), node.copied_words()?)),
        None => None,
    };
    out.result(&made, || {
        let row = node.row();
        let mut lines = vec![format!("{} ({}): {} supporters", row.name, row.kind.word(), tally.supporters)];
        if let Some(at) = made["handed_over_at"].as_str() {
            lines.push(format!("handed over to another machine on {at}: this one takes no writes"));
        }
        lines.extend(tally.rungs.iter().map(|(rung, count)| format!("  {rung}: {count}")));
        let links = made["links"].as_array().cloned().unwrap_or_default();
        for link in &links {
            let text = |name: &str| link[name].as_str().unwrap_or("-").to_owned();
            lines.push(format!(
                "link to {}: {} {}, last exchange {}, {} waiting, certificate until {}",
                text("name"),
                text("state"),
                text("detail"),
                text("last_exchange"),
                link["pending"],
                text("certificate_expires")
            ));
        }
        let misused = made["invites_misused"].as_u64().unwrap_or(0);
        let needs = [
            (misused, "times a used invitation was shown by another node (`invites list`)"),
            (tally.waiting, "waiting for a chapter"),
            (made["held"].as_u64().unwrap_or(0), "sign-ups held for review (`signup held list`)"),
            (tally.conflicts, "with a conflict"),
            (tally.proposals, "proposals"),
            (tally.quarantined, "records that could not be read (`people unreadable`)"),
            (tally.refused, "changes refused (`refused list`)"),
            (tally.unfolded, "not folded yet"),
        ];
        lines.extend(needs.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
        lines.extend(recounted.as_ref().map(counted_line));
        lines.extend(copied);
        lines.join("\n")
    });
    Ok(())
}

/// What counting everything again last came to, in one line.
fn counted_line(last: &Recounted) -> String {
    let at = last.at.for_people();
    let what: Vec<&str> = last.found.iter().map(|each| each.what.as_str()).collect();
    if what.is_empty() {
        format!("counted again {at}: nothing differs")
    } else {
        format!("counted again {at}: {} differ, see `verify`", what.join(", "))
    }
}

pub(crate) fn verify(node: &Node, out: Out) -> Result<(), Failure> {
    let found = node.verify()?;
    let list: Vec<_> = found.iter().map(|each| json!({"what": each.what, "words": each.words})).collect();
    out.result(&json!({"ok": found.is_empty(), "differences": list}), || {
        let rows: Vec<Vec<String>> = found.iter().map(|each| vec![each.what.clone(), each.words.clone()]).collect();
        if rows.is_empty() {
            "everything is as it should be".to_owned()
        } else {
            table(&["what", "how it differs"], &rows)
        }
    });
    if found.is_empty() { Ok(()) } else { Err(Failure::integrity(format!("{} things differ", found.len()))) }
}

pub(crate) fn state_hash(node: &Node, scope: Option<&str>, out: Out) -> Result<(), Failure> {
    node.settle()?;
    let scope: ScopeId = match scope {
        Some("network") => ScopeId::NETWORK,
        Some(slug) => node.read(|read| read.chapter(slug))?.scope,
        None => {
            let own = node.read(|read| read.own_scope())?;
            own.ok_or_else(|| Failure::usage("a hub has a scope for each chapter: name one with --scope SLUG"))?
        }
    };
    let ((sum, count), disputed) = node.read(|read| Ok((read.recount(scope)?, read.disputed(scope)?)))?;
    if !disputed.is_empty() {
        Out::note(&format!("{} records are in dispute and left out", disputed.len()));
    }
    out.result(&json!({"hash": sum.to_string(), "count": count, "disputed": disputed.len()}), || sum.to_string());
    Ok(())
}
