//! Chapters and their territories, at their hub; and at a chapter, itself.

use model::{ChapterCard, DocId, ScopeId, Slug, Timestamp};
use rusqlite::params;

use crate::link::{LinkRow, LinkStanding};
use crate::{Direction, Read, ScopeRole, StoreError, Tx};

/// A chapter.
#[derive(Clone, Debug)]
pub struct ChapterRow {
    /// Its scope.
    pub scope: ScopeId,
    /// Its short name.
    pub slug: Slug,
    /// Its name.
    pub name: String,
    /// Its card's document.
    pub card: Option<DocId>,
    /// People waiting for a first conversation at most.
    pub intake: Option<u64>,
    /// `open`, `paused` or `closed`.
    pub state: String,
    /// When it left the network; none: it belongs to it.
    pub left: Option<Timestamp>,
    /// Whether it said, leaving, that the network may go on with its people.
    pub released: bool,
    /// How many supporters it has, by rung.
    pub rungs: Vec<(String, u64)>,
    /// Its nodes' links: standing and last exchange.
    pub links: Vec<(LinkStanding, Option<Timestamp>)>,
}

impl ChapterRow {
    /// Where it stands, in a word: `left` for one that left the network.
    pub fn standing(&self) -> &str {
        if self.left.is_some() { "left" } else { &self.state }
    }

    /// How many supporters it has; of one that left, of whom this hub keeps a copy.
    pub fn supporters(&self) -> u64 {
        self.rungs.iter().map(|(_, count)| count).sum()
    }

    /// When any of its nodes last exchanged.
    pub fn last_exchange(&self) -> Option<Timestamp> {
        self.links.iter().filter_map(|(_, at)| *at).max()
    }
}

/// A chapter to be made.
#[derive(Clone, Debug)]
pub struct NewChapter<'a> {
    /// Its scope.
    pub scope: ScopeId,
    /// Its short name.
    pub slug: &'a Slug,
    /// Its name.
    pub name: &'a str,
    /// Its card's document.
    pub card: Option<DocId>,
    /// People waiting for a first conversation at most.
    pub intake: Option<u64>,
    /// Which role its scope has here.
    pub role: ScopeRole,
    /// When.
    pub at: Timestamp,
}

/// Whether a chapter takes people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChapterState {
    /// It does.
    Open,
    /// Not for now.
    Paused,
    /// Never again.
    Closed,
}

impl ChapterState {
    /// As it is stored and shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

impl Read<'_> {
    /// Every chapter, by slug.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn chapters(&self) -> Result<Vec<ChapterRow>, StoreError> {
        let sql =
            "SELECT c.scope, s.scope, c.slug, c.name, c.card, c.intake, c.state, c.left_at, c.released FROM chapter c
                   JOIN scope s ON s.id = c.scope ORDER BY c.slug";
        let rows = self.all("read chapters", sql, [], |row| {
            let (id, slug): (i64, String) = (row.get(0)?, row.get(2)?);
            let more = (row.get(5)?, row.get(6)?, row.get::<_, Option<i64>>(7)?, row.get(8)?);
            Ok((id, slug, ScopeId::from_bytes(row.get(1)?), row.get(3)?, row.get::<_, Option<[u8; 16]>>(4)?, more))
        })?;
        let links = self.links()?;
        let full = |(id, slug, scope, name, card, more): (i64, String, _, _, Option<[u8; 16]>, _)| {
            let (intake, state, left, released): (_, _, Option<i64>, _) = more;
            Ok(ChapterRow {
                scope,
                slug: slug.parse()?,
                name,
                card: card.map(DocId::from_bytes),
                intake,
                state,
                left: left.map(Timestamp::from_millis),
                released,
                rungs: self.rungs_of(id)?,
                links: links_of(&links, id),
            })
        };
        rows.into_iter().map(full).collect()
    }

    /// The chapter with this slug.
    ///
    /// # Errors
    /// When there is none.
    pub fn chapter(&self, slug: &str) -> Result<ChapterRow, StoreError> {
        let found = self.chapters()?.into_iter().find(|chapter| chapter.slug.as_str() == slug);
        found.ok_or_else(|| StoreError::Unknown("chapter", slug.to_owned()))
    }

    fn rungs_of(&self, scope: i64) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT substr(name, 6), value FROM counter WHERE scope = ? AND name LIKE 'rung/%' AND value > 0";
        self.all("read counters", sql, params![scope], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// A chapter's card.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn card(&self, chapter: ScopeId) -> Result<Option<ChapterCard>, StoreError> {
        let sql = "SELECT view FROM card WHERE chapter = ?";
        let json = self.one("read a card", sql, params![chapter.as_bytes()], |row| row.get::<_, String>(0))?;
        json.map(|json| serde_json::from_str(&json).map_err(|_| StoreError::Corrupt("card"))).transpose()
    }

    /// The document of a chapter's card.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn card_document(&self, chapter: ScopeId) -> Result<Option<DocId>, StoreError> {
        let sql = "SELECT d.doc_id FROM card c JOIN document d ON d.id = c.document WHERE c.chapter = ?";
        let found = self.one("find a card", sql, params![chapter.as_bytes()], |row| row.get(0))?;
        Ok(found.map(DocId::from_bytes))
    }

    /// The version of the territories in force; 0 before the first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn territory_version(&self) -> Result<u64, StoreError> {
        self.number("read the territories' version", "SELECT coalesce(max(version), 0) FROM territory", [])
    }

    /// The territories in force, with their version; version 0 and nothing before the first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn territories(&self) -> Result<(u64, Option<String>), StoreError> {
        let sql = "SELECT version, body FROM territory ORDER BY version DESC LIMIT 1";
        let found = self.one("read the territories", sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(found.map_or((0, None), |(version, body)| (version, Some(body))))
    }
}

/// Where the links of a chapter's nodes stand.
fn links_of(links: &[LinkRow], scope: i64) -> Vec<(LinkStanding, Option<Timestamp>)> {
    let here = links.iter().filter(|link| link.scope_row == scope && link.direction == Direction::Down);
    here.map(|link| (link.standing, link.last_exchange)).collect()
}

impl Tx<'_> {
    /// Makes a chapter known, with its scope.
    ///
    /// # Errors
    /// When its slug is taken.
    pub fn add_chapter(&self, new: &NewChapter<'_>) -> Result<(), StoreError> {
        let taken =
            self.number("look for a slug", "SELECT count(*) FROM chapter WHERE slug = ?", params![new.slug.as_str()])?;
        if taken > 0 {
            return Err(StoreError::Taken("chapter", new.slug.to_string()));
        }
        self.add_scope(new.scope, new.role)?;
        let scope = self.known_scope(new.scope)?.id;
        let sql =
            "INSERT INTO chapter (scope, slug, name, card, intake, state, created) VALUES (?, ?, ?, ?, ?, 'open', ?)";
        let card = new.card.map(|id| *id.as_bytes());
        let row = params![scope, new.slug.as_str(), new.name, card, new.intake, new.at.as_millis()];
        self.run("add a chapter", sql, row).map(drop)
    }

    /// A chapter takes people, does not for now, or never again. Nobody goes from it by that.
    ///
    /// # Errors
    /// When there is no such chapter, it was closed, or it left the network.
    pub fn set_chapter_state(&self, scope: ScopeId, state: ChapterState) -> Result<(), StoreError> {
        if self.left_at(scope)?.is_some() {
            let words = "this chapter left the network: nothing of it is changed until it comes back, by an invitation";
            return Err(StoreError::Refused(words.to_owned()));
        }
        let sql =
            "UPDATE chapter SET state = ?1 WHERE scope = (SELECT id FROM scope WHERE scope = ?2) AND state != 'closed'";
        match self.run("change a chapter", sql, params![state.word(), scope.as_bytes()])? {
            0 => Err(StoreError::Refused("this chapter was closed".to_owned())),
            _ => Ok(()),
        }
    }

    /// Publishes a set of territories as the version after the one that it was made on.
    ///
    /// # Errors
    /// When another set was published meanwhile.
    pub fn publish_territories(&self, version: u64, body: &str, at: Timestamp) -> Result<(), StoreError> {
        let (now, _) = self.territories()?;
        if version != now + 1 {
            return Err(StoreError::Refused("the territories were changed meanwhile: try again".to_owned()));
        }
        let sql = "INSERT INTO territory (version, at, body) VALUES (?, ?, ?)";
        self.run("publish territories", sql, params![version, at.as_millis(), body]).map(drop)
    }
}
