//! The frame around every page: the rail with the node's name, its pages and the state of the link.

use std::collections::BTreeSet;

use model::{Right, Timestamp};
use node::{Node, Who};
use store::{Direction, LinkRow, LinkStanding, NodeKind};

use crate::undo::Batches;
use crate::undo_edit::Edits;
use crate::{Goals, KeysInUse, Notice, WebError, ago, assets, since};

/// How many places the bar at the foot of a phone's page has: more are too narrow for a thumb.
const BAR: usize = 5;

/// What the frame calls a chapter.
const CHAPTER: &str = "Chapter";

/// A page in the rail.
#[derive(Clone, Copy, Debug)]
pub struct NavItem {
    /// Its address.
    pub href: &'static str,
    /// Its name.
    pub label: &'static str,
    /// `g` and this letter goes there.
    pub key: &'static str,
    /// Who sees it: whoever may open it.
    pub right: Right,
}

/// What the handlers of both dashboards share.
#[derive(Clone, Debug)]
pub struct Site {
    /// The node.
    pub node: Node,
    /// The pages in the rail.
    pub nav: &'static [NavItem],
    /// What its organisers aim at.
    pub goals: Goals,
    /// Idempotency keys whose requests are being answered.
    pub keys: KeysInUse,
    pub(crate) batches: Batches,
    pub(crate) edits: Edits,
}

/// The frame of one page.
#[derive(Clone, Debug)]
pub struct Shell {
    /// The page's title.
    pub title: String,
    /// The node's name.
    pub node: String,
    /// What it is: `Chapter` or `Network`.
    pub kind: &'static str,
    /// The pages in the rail that she may open.
    pub nav: Vec<NavItem>,
    /// The address of the page that is shown.
    pub here: &'static str,
    /// The state of the link, as a sentence.
    pub link: String,
    /// `good`, `warn` or `bad`.
    pub link_class: &'static str,
    /// What was just done, for whoever may want to take it back.
    pub notice: Option<Notice>,
    /// Who has logged in.
    pub by: String,
    /// As what.
    pub role: &'static str,
    /// Changes when style or script do.
    pub stamp: String,
}

impl Shell {
    /// Whether she may open the page of the link: a chapter has one, for whoever sees its people.
    pub fn link_has_page(&self) -> bool {
        self.kind == CHAPTER && self.nav.iter().any(|item| item.href == "/people")
    }

    /// How many of the pages stand in the bar at the foot of a phone's page. The others stand behind its last place.
    pub fn in_bar(&self) -> usize {
        if self.nav.len() > BAR { BAR - 1 } else { self.nav.len() }
    }
}

/// What a page without a rail needs: before somebody has logged in, and for people who sign up.
#[derive(Clone, Debug)]
pub struct Bare {
    /// The page's title.
    pub title: &'static str,
    /// The node's name.
    pub node: String,
    /// Changes when style or script do.
    pub stamp: String,
}

impl Bare {
    /// For a page with this title, of a node with this name.
    pub fn new(title: &'static str, node: &str) -> Self {
        Self { title, node: node.to_owned(), stamp: assets::stamp() }
    }
}

impl Site {
    /// What handlers share, at a node whose organisers aim at the usual.
    pub fn new(node: &Node, nav: &'static [NavItem]) -> Self {
        Self {
            node: node.clone(),
            nav,
            goals: Goals::default(),
            keys: KeysInUse::default(),
            batches: Batches::default(),
            edits: Edits::default(),
        }
    }

    /// The frame for a page. Blocks.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn shell(&self, title: &str, here: &'static str, who: &Who) -> Result<Shell, WebError> {
        let links = self.node.read(|read| read.links())?;
        let chapter = self.node.kind() == NodeKind::Chapter;
        let (link, link_class) = if chapter { link_words(&links, self.node.now()) } else { links_down(&links) };
        Ok(Shell {
            title: title.to_owned(),
            node: self.node.row().name.clone(),
            kind: if chapter { CHAPTER } else { "Network" },
            nav: self.nav.iter().filter(|item| who.role.may(item.right)).copied().collect(),
            here,
            link,
            link_class,
            notice: None,
            by: who.by.clone(),
            role: who.role.word(),
            stamp: assets::stamp(),
        })
    }

    /// What a page without a rail needs.
    pub fn bare(&self, title: &'static str) -> Bare {
        Bare::new(title, &self.node.row().name)
    }
}

/// The state of the link up as a sentence, and `good`, `warn` or `bad`.
pub fn link_words(links: &[LinkRow], now: Timestamp) -> (String, &'static str) {
    let Some(link) = links.iter().find(|link| link.direction == Direction::Up) else {
        return ("Not joined to a network".to_owned(), "warn");
    };
    let waiting = match link.pending {
        0 => String::new(),
        1 => ", 1 change waiting".to_owned(),
        n => format!(", {n} changes waiting"),
    };
    match link.standing {
        LinkStanding::Connected if link.pending == 0 => {
            (format!("In step with {}, {}", link.name, ago(link.last_exchange, now)), "good")
        }
        LinkStanding::Connected => (format!("Connected to {}{waiting}", link.name), "good"),
        LinkStanding::Offline => {
            let since = link.last_exchange.map_or_else(String::new, |then| format!(" for {}", since(then, now)));
            (format!("Offline{since}{waiting}"), "warn")
        }
        LinkStanding::Refused | LinkStanding::Revoked => (format!("Refused: {}", link.detail), "bad"),
        LinkStanding::Left => (format!("Left {} {}", link.name, link.detail), "warn"),
    }
}

fn links_down(links: &[LinkRow]) -> (String, &'static str) {
    let there = |link: &&LinkRow| link.direction == Direction::Down && link.standing != LinkStanding::Left;
    let down = || links.iter().filter(there);
    // A chapter may have several nodes: it is connected when any of them is.
    let all: BTreeSet<_> = down().map(|link| link.scope).collect();
    let connected = down().filter(|link| link.standing == LinkStanding::Connected).map(|link| link.scope);
    let connected = connected.collect::<BTreeSet<_>>().len();
    match all.len() {
        0 => ("No chapter has joined yet".to_owned(), "warn"),
        1 if connected == 1 => ("Our one chapter is connected".to_owned(), "good"),
        all if all == connected => (format!("All {all} chapters connected"), "good"),
        all => (format!("{connected} of {all} chapters connected"), "warn"),
    }
}
