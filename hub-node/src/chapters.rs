//! Adding chapters with their territories, and showing them.

use atlas::{Rule, RuleError, Territory, TerritorySet, parse_list};
use cli::{Failure, Out, table};
use model::{ScopeId, Slug};
use node::{ChapterDraft, Node, NodeError, Turn};
use serde_json::json;
use store::{ChapterRow, ChapterState};
use web::{ago, chapter_json};

use crate::arguments::{AddChapter, Chapter};
use crate::nodes;
use crate::routing::read_set;

pub(crate) fn run(node: &Node, command: &Chapter, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        Chapter::Add(wanted) => add(node, wanted, out, by),
        Chapter::List => list(node, out),
        Chapter::Show { slug } => show(node, slug, out),
        Chapter::Pause { slug } => change(node, slug, ChapterState::Paused, out, by),
        Chapter::Resume { slug } => change(node, slug, ChapterState::Open, out, by),
        Chapter::Close { slug } => change(node, slug, ChapterState::Closed, out, by),
        Chapter::Revoke { slug } => nodes::revoke_chapter(node, slug, out, by),
        Chapter::Agree { slug } => agree(node, slug, out, by),
    }
}

/// The set of territories after a change of the one before.
fn next_set(version: u64, body: Option<&str>, change: impl FnOnce(&mut TerritorySet)) -> Result<String, NodeError> {
    let mut set = read_set(version - 1, body)?;
    set.version = version;
    change(&mut set);
    serde_json::to_string(&set).map_err(|error| NodeError::Refused(error.to_string()))
}

/// The territories when a chapter has left or come back: its lines stay in them, and serve while it is there.
pub(crate) fn redraw(chapter: ScopeId, turn: Turn, version: u64, body: Option<String>) -> Result<String, NodeError> {
    next_set(version, body.as_deref(), |set| {
        let id = chapter.to_string();
        for territory in set.territories.iter_mut().filter(|territory| territory.chapter == id) {
            territory.left = turn == Turn::Leaves;
        }
    })
}

fn rules(wanted: &AddChapter, country: &str) -> Result<Vec<Rule>, RuleError> {
    let list = |list: &Option<String>, read: &dyn Fn(&str) -> Result<Rule, RuleError>| {
        list.as_deref().map_or_else(|| Ok(Vec::new()), |list| parse_list(list, read))
    };
    let mut rules = list(&wanted.postal, &|entry| Rule::postal(entry, country))?;
    rules.extend(list(&wanted.region, &Rule::region)?);
    rules.extend(list(&wanted.county, &Rule::county)?);
    Ok(rules)
}

fn add(node: &Node, wanted: &AddChapter, out: Out, by: &str) -> Result<(), Failure> {
    let slug: Slug = wanted.slug.parse()?;
    let rules = rules(wanted, &node.row().country).map_err(|error| Failure::refused(error.to_string()))?;
    if wanted.name.trim().is_empty() || wanted.name.len() > 200 {
        return Err(Failure::refused("a chapter needs a name of at most 200 bytes"));
    }
    let parent = wanted.parent.as_deref().map(|slug| node.read(|read| read.chapter(slug))).transpose()?;
    let draft = ChapterDraft { slug: slug.clone(), name: wanted.name.trim().to_owned(), intake: wanted.intake };
    let territories = |scope: ScopeId, version: u64, body: Option<String>| {
        let territory = Territory {
            chapter: scope.to_string(),
            slug: slug.clone(),
            name: draft.name.clone(),
            parent: parent.map(|parent| parent.scope.to_string()),
            priority: 0,
            paused: false,
            left: false,
            rules: rules.iter().map(Rule::to_string).collect(),
        };
        next_set(version, body.as_deref(), |set| set.territories.push(territory))
    };
    let scope = node.add_chapter(&draft, territories, by)?;
    out.result(&json!({"id": scope.to_string(), "slug": slug, "rules": rules.len()}), || {
        format!("{} added. Invite its first node with `hub-node invite {slug}`", draft.name)
    });
    Ok(())
}

/// Whether the territory of a chapter takes people.
fn take_people(set: &mut TerritorySet, slug: &str, state: ChapterState) {
    for territory in set.territories.iter_mut().filter(|territory| territory.slug.as_str() == slug) {
        territory.paused = state != ChapterState::Open;
        if state == ChapterState::Closed {
            territory.rules.clear();
        }
    }
}

/// This hub's word, after the chapter's, on who goes on with its people.
fn agree(node: &Node, slug: &str, out: Out, by: &str) -> Result<(), Failure> {
    node.settle()?;
    let close = |version: u64, body: Option<String>| {
        next_set(version, body.as_deref(), |set| take_people(set, slug, ChapterState::Closed))
    };
    let agreed = node.agree_to_leaving(slug, close, by)?;
    out.result(&json!({"slug": slug, "people": agreed.people, "frozen": agreed.frozen}), || {
        let waits = format!("the network goes on with {} people of {slug}: they wait (`unplaced list`)", agreed.people);
        if agreed.frozen == 0 {
            waits
        } else {
            format!("{waits}. {} records could not be written: say it again later", agreed.frozen)
        }
    });
    Ok(())
}

/// Who is in the chapter stays in it, whatever becomes of it: only new people go elsewhere.
fn change(node: &Node, slug: &str, state: ChapterState, out: Out, by: &str) -> Result<(), Failure> {
    let chapter = node.read(|read| read.chapter(slug))?;
    let territories =
        |version: u64, body: Option<String>| next_set(version, body.as_deref(), |set| take_people(set, slug, state));
    node.change_chapter(&chapter, state, territories, by)?;
    out.result(&json!({"slug": slug, "state": state.word()}), || match state {
        ChapterState::Open => format!("{} takes people again", chapter.name),
        ChapterState::Paused => format!("{} takes nobody for now: who belongs there waits", chapter.name),
        ChapterState::Closed => {
            format!(
                "{} is closed: nobody is placed there any more; its {} people stay with it",
                chapter.name,
                chapter.supporters()
            )
        }
    });
    Ok(())
}

fn line(chapter: &ChapterRow, node: &Node) -> Vec<String> {
    let connected = chapter.links.iter().any(|(standing, _)| *standing == store::LinkStanding::Connected);
    let link = match chapter.left {
        Some(left) => format!("left {}", left.for_people()),
        None if chapter.links.is_empty() => "not joined".to_owned(),
        None if connected => "connected".to_owned(),
        None => "offline".to_owned(),
    };
    vec![
        chapter.slug.to_string(),
        chapter.name.clone(),
        chapter.supporters().to_string(),
        link,
        ago(chapter.last_exchange(), node.now()),
    ]
}

fn list(node: &Node, out: Out) -> Result<(), Failure> {
    node.settle()?;
    let chapters = node.read(|read| read.chapters())?;
    out.result(&json!({"chapters": chapters.iter().map(chapter_json).collect::<Vec<_>>()}), || {
        let rows: Vec<Vec<String>> = chapters.iter().map(|chapter| line(chapter, node)).collect();
        if rows.is_empty() {
            "no chapters yet: add one with `hub-node chapter add`".to_owned()
        } else {
            table(&["slug", "name", "people", "link", "last exchange"], &rows)
        }
    });
    Ok(())
}

fn show(node: &Node, slug: &str, out: Out) -> Result<(), Failure> {
    node.settle()?;
    let (chapter, card, (version, body)) = node.read(|read| {
        let chapter = read.chapter(slug)?;
        Ok((chapter.clone(), read.card(chapter.scope)?, read.territories()?))
    })?;
    let set = read_set(version, body.as_deref())?;
    let territory = set.territories.iter().find(|territory| territory.slug == chapter.slug);
    let rules = territory.filter(|territory| !territory.left).map(|territory| territory.rules.clone());
    let rules = rules.unwrap_or_default();
    let mut made = chapter_json(&chapter);
    if let Some(object) = made.as_object_mut() {
        object.insert("card".to_owned(), json!(card.map(|card| card.fields)));
        object.insert("rules".to_owned(), json!(rules));
        object.insert("territory_version".to_owned(), json!(version));
    }
    out.result(&made, || serde_json::to_string_pretty(&made).unwrap_or_default());
    Ok(())
}
