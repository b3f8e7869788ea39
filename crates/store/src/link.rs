//! Links: who may speak with this node, and where each stands.
//!
//! **Invariant:** authority is the row here, never what a peer says of itself.

use engine::Refused;
use model::{NodeId, ScopeId, Timestamp};
use rusqlite::params;

use crate::refused::Whose;
use crate::{Read, StoreError, Tx};

/// A link's row number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) i64);

/// Which end the other one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The parent.
    Up,
    /// A child.
    Down,
}

/// Where a link stands, as the node that serves last wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkStanding {
    /// A stream is open.
    Connected,
    /// None is.
    Offline,
    /// The other end refuses it.
    Refused,
    /// This end does not let it in any more.
    Revoked,
}

impl LinkStanding {
    /// The word in the database and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Offline => "offline",
            Self::Refused => "refused",
            Self::Revoked => "revoked",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "connected" => Self::Connected,
            "refused" => Self::Refused,
            "revoked" => Self::Revoked,
            _ => Self::Offline,
        }
    }
}

/// A link.
#[derive(Clone, Debug)]
pub struct LinkRow {
    /// Its number.
    pub id: LinkId,
    /// The other node.
    pub peer: NodeId,
    /// Which end that is.
    pub direction: Direction,
    /// The network's or the chapter's name.
    pub name: String,
    /// The scope that both share, beside the network's.
    pub scope: ScopeId,
    /// The parent's address.
    pub address: Option<String>,
    /// Up: the token that this end shows.
    pub token: Option<Vec<u8>>,
    /// Where it stands.
    pub standing: LinkStanding,
    /// More on that, in words.
    pub detail: String,
    /// When data last came or was acknowledged.
    pub last_exchange: Option<Timestamp>,
    /// Feed rows that the peer has not acknowledged.
    pub pending: u64,
    pub(crate) scope_row: i64,
}

/// A link to be made.
#[derive(Clone, Debug)]
pub struct NewLink<'a> {
    /// The other node.
    pub peer: NodeId,
    /// Which end that is.
    pub direction: Direction,
    /// Its name.
    pub name: &'a str,
    /// The scope that both share.
    pub scope: ScopeId,
    /// The parent's address.
    pub address: Option<&'a str>,
    /// Up: the token; down: its SHA-256.
    pub token: &'a [u8],
}

const COLUMNS: &str = "SELECT l.id, l.peer, l.direction, l.name, s.scope, l.address, l.token, l.state, l.detail,
  l.last_exchange, l.scope,
  (SELECT count(*) FROM feed f WHERE f.scope = l.scope AND f.origin_link IS NOT l.id AND f.seq >
     coalesce((SELECT acknowledged FROM link_scope c WHERE c.link = l.id AND c.scope = l.scope), 0))
  FROM link l JOIN scope s ON s.id = l.scope";

fn read_link(row: &rusqlite::Row<'_>) -> rusqlite::Result<LinkRow> {
    Ok(LinkRow {
        id: LinkId(row.get(0)?),
        peer: NodeId(row.get(1)?),
        direction: if row.get_ref(2)?.as_str()? == "up" { Direction::Up } else { Direction::Down },
        name: row.get(3)?,
        scope: ScopeId::from_bytes(row.get(4)?),
        address: row.get(5)?,
        token: row.get(6)?,
        standing: LinkStanding::from_word(row.get_ref(7)?.as_str()?),
        detail: row.get(8)?,
        last_exchange: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_millis),
        scope_row: row.get(10)?,
        pending: row.get(11)?,
    })
}

impl Read<'_> {
    /// Every link, by name.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn links(&self) -> Result<Vec<LinkRow>, StoreError> {
        self.all("read links", &format!("{COLUMNS} ORDER BY l.name, l.id"), [], read_link)
    }

    /// The link to the parent.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn parent(&self) -> Result<Option<LinkRow>, StoreError> {
        self.one("read the link to the parent", &format!("{COLUMNS} WHERE l.direction = 'up'"), [], read_link)
    }

    /// Whether there is a parent. Cheaper than its link, whose row counts what waits for it.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn has_parent(&self) -> Result<bool, StoreError> {
        Ok(self.number("look for a parent", "SELECT EXISTS (SELECT 1 FROM link WHERE direction = 'up')", [])? > 0)
    }

    /// How often an exchange at once was asked for.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn exchanges_wanted(&self) -> Result<u64, StoreError> {
        self.number("read a request", "SELECT wanted FROM link WHERE direction = 'up'", [])
    }

    /// The child whose token has this SHA-256, unless it was revoked.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn child_by_token(&self, token_hash: &[u8; 32]) -> Result<Option<LinkRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE l.direction = 'down' AND l.state != 'revoked' AND l.token = ?");
        self.one("look up a child", &sql, params![token_hash], read_link)
    }
}

impl Tx<'_> {
    /// Makes a link, or renews it for the same peer.
    ///
    /// # Errors
    /// When the scope is not known.
    pub fn put_link(&self, link: &NewLink<'_>) -> Result<LinkId, StoreError> {
        let scope = self.known_scope(link.scope)?.id;
        let direction = if link.direction == Direction::Up { "up" } else { "down" };
        let sql = "INSERT INTO link (peer, direction, name, scope, address, token, state)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'offline')
                   ON CONFLICT (peer) DO UPDATE SET name = ?3, scope = ?4, address = ?5, token = ?6, state = 'offline'
                   RETURNING id";
        let row = params![link.peer.0, direction, link.name, scope, link.address, link.token];
        let id = self.one("make a link", sql, row, |row| row.get(0))?;
        id.map(LinkId).ok_or(StoreError::Corrupt("link"))
    }

    /// Notes where a link stands.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn set_standing(&self, link: LinkId, standing: LinkStanding, detail: &str) -> Result<(), StoreError> {
        let sql = "UPDATE link SET state = ?1, detail = ?2, confirmed = confirmed AND ?1 = 'connected' WHERE id = ?3 AND state != 'revoked'";
        self.run("note where a link stands", sql, params![standing.word(), detail, link.0]).map(drop)
    }

    /// A node that starts to serve has no open streams.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn all_offline(&self) -> Result<(), StoreError> {
        self.run(
            "begin with no streams",
            "UPDATE link SET state = 'offline', confirmed = 0 WHERE state = 'connected'",
            [],
        )
        .map(drop)
    }

    /// Asks the process that serves for an exchange at once.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn want_exchange(&self) -> Result<(), StoreError> {
        self.run("ask for an exchange", "UPDATE link SET wanted = wanted + 1 WHERE direction = 'up'", []).map(drop)
    }

    /// Follows a parent to another address.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn set_parent_address(&self, address: &str) -> Result<(), StoreError> {
        self.run("note an address", "UPDATE link SET address = ? WHERE direction = 'up'", params![address]).map(drop)
    }

    /// Notes that the peer was heard.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn heard(&self, link: LinkId, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE link SET last_exchange = ? WHERE id = ?";
        self.run("note an exchange", sql, params![at.as_millis(), link.0]).map(drop)
    }

    /// A conversation with the parent begins: whether it was put back to before is not known yet.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn unconfirmed(&self, link: LinkId) -> Result<(), StoreError> {
        self.run("open a link", "UPDATE link SET confirmed = 0 WHERE id = ?", params![link.0]).map(drop)
    }

    /// The parent was not put back to before what this node knows of it: who may go, goes.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn confirmed(&self, link: LinkId, scope: ScopeId, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE link SET confirmed = 1 WHERE id = ? AND scope = (SELECT id FROM scope WHERE scope = ?)";
        self.run("trust a parent", sql, params![link.0, scope.as_bytes()])?;
        self.let_go(at)
    }

    /// Notes how far the peer has acknowledged our feed, and what it did not take.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn acknowledged(
        &self,
        link: &LinkRow,
        scope: ScopeId,
        seq: u64,
        refused: &[Refused],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO link_scope (link, scope, acknowledged) VALUES (?1, ?2, ?3)
                   ON CONFLICT DO UPDATE SET acknowledged = ?3";
        let scope = self.known_scope(scope)?.id;
        self.run("note an ack", sql, params![link.id.0, scope, seq])?;
        self.heard(link.id, at)?;
        // Before anything is let go: a document of which something was refused stays.
        refused.iter().try_for_each(|refused| self.note_refused(link, scope, refused, Whose::Ours, at))?;
        match link.direction {
            Direction::Down => self.arrived(scope, seq, at)?,
            Direction::Up => self.let_go(at)?,
        }
        if refused.is_empty() { Ok(()) } else { self.bound_refused(link) }
    }
}
