//! Links: who may speak with this node, and where each stands.
//!
//! **Invariant:** authority is the row here, never what a peer says of itself.

use engine::Refused;
use model::{Digest, NodeId, ScopeId, Timestamp};
use rusqlite::params;

use crate::refused::Whose;
use crate::rows::{one_named, split_hashes};
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
    /// The chapter left the network: at the hub each of its nodes, at a node of it the parent.
    Left,
}

impl LinkStanding {
    /// The word in the database and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Offline => "offline",
            Self::Refused => "refused",
            Self::Revoked => "revoked",
            Self::Left => "left",
        }
    }

    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "connected" => Self::Connected,
            "refused" => Self::Refused,
            "revoked" => Self::Revoked,
            "left" => Self::Left,
            _ => Self::Offline,
        }
    }
}

/// Where a parent is, and by which keys it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParentAt {
    /// Its addresses, `host:port`, in the order in which they are tried.
    pub addresses: Vec<String>,
    /// SHA-256 of the public key of its authority: one of these it must have.
    pub pins: Vec<Digest>,
}

/// A certificate, as a link keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCertificate {
    /// Up: the certificate that this node shows, DER; down: its serial number.
    pub bytes: Vec<u8>,
    /// When it ends.
    pub expires: Timestamp,
}

/// Who accepted what the network will see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The version of the sharing statement.
    pub version: u64,
    /// By whom, as they call themselves.
    pub by: String,
    /// When, by the clock of the end that noted it.
    pub at: Timestamp,
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
    /// Where the parent is; of a child: nothing.
    pub parent: ParentAt,
    /// When the child's certificate ends.
    pub expires: Option<Timestamp>,
    /// Who accepted what the network will see.
    pub accepted: Option<Acceptance>,
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
    /// Where the parent is; of a child: nothing.
    pub parent: ParentAt,
    /// The child's certificate.
    pub certificate: Option<LinkCertificate>,
    /// Who accepted what the network will see. Who first accepted a version stays, and what is known if nothing is said.
    pub accepted: Option<Acceptance>,
}

impl<'a> NewLink<'a> {
    /// A link of which nothing more is known.
    pub fn new(peer: NodeId, direction: Direction, name: &'a str, scope: ScopeId) -> Self {
        Self { peer, direction, name, scope, parent: ParentAt::default(), certificate: None, accepted: None }
    }
}

const COLUMNS: &str = "SELECT l.id, l.peer, l.direction, l.name, s.scope, l.addresses, l.pins, l.expires, l.statement,
  l.accepted_by, l.accepted, l.state, l.detail, l.last_exchange, l.scope,
  (SELECT count(*) FROM feed f WHERE f.scope = l.scope AND f.origin_link IS NOT l.id AND f.seq >
     coalesce((SELECT acknowledged FROM link_scope c WHERE c.link = l.id AND c.scope = l.scope), 0))
  FROM link l JOIN scope s ON s.id = l.scope";

/// Addresses in one text, with commas between.
pub(crate) fn split_addresses(text: &str) -> Vec<String> {
    text.split(',').filter(|address| !address.is_empty()).map(str::to_owned).collect()
}

fn read_link(row: &rusqlite::Row<'_>) -> rusqlite::Result<LinkRow> {
    let accepted = match row.get::<_, Option<u64>>(8)? {
        None => None,
        Some(version) => Some(Acceptance { version, by: row.get(9)?, at: Timestamp::from_millis(row.get(10)?) }),
    };
    Ok(LinkRow {
        id: LinkId(row.get(0)?),
        peer: NodeId(row.get(1)?),
        direction: if row.get_ref(2)?.as_str()? == "up" { Direction::Up } else { Direction::Down },
        name: row.get(3)?,
        scope: ScopeId::from_bytes(row.get(4)?),
        parent: ParentAt {
            addresses: split_addresses(row.get_ref(5)?.as_str()?),
            pins: split_hashes(row.get_ref(6)?.as_blob()?),
        },
        expires: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_millis),
        accepted,
        standing: LinkStanding::from_word(row.get_ref(11)?.as_str()?),
        detail: row.get(12)?,
        last_exchange: row.get::<_, Option<i64>>(13)?.map(Timestamp::from_millis),
        scope_row: row.get(14)?,
        pending: row.get(15)?,
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

    /// The link to the parent, also to one that this node has left.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn known_parent(&self) -> Result<Option<LinkRow>, StoreError> {
        self.one("read the link to the parent", &format!("{COLUMNS} WHERE l.direction = 'up'"), [], read_link)
    }

    /// The link to the parent; none once this node has left it.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn parent(&self) -> Result<Option<LinkRow>, StoreError> {
        Ok(self.known_parent()?.filter(|link| link.standing != LinkStanding::Left))
    }

    /// Whether there is a parent. Cheaper than its link, whose row counts what waits for it.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn has_parent(&self) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM link WHERE direction = 'up' AND state != 'left')";
        Ok(self.number("look for a parent", sql, [])? > 0)
    }

    /// How often an exchange at once was asked for.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn exchanges_wanted(&self) -> Result<u64, StoreError> {
        self.number("read a request", "SELECT wanted FROM link WHERE direction = 'up'", [])
    }

    /// The child with this key, whether or not it is let in.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn child(&self, peer: NodeId) -> Result<Option<LinkRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE l.direction = 'down' AND l.peer = ?");
        self.one("look up a child", &sql, params![peer.0], read_link)
    }

    /// The child that an id, or a unique beginning or end of one, names.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn child_named(&self, text: &str) -> Result<LinkRow, StoreError> {
        let children = self.links()?.into_iter().filter(|link| link.direction == Direction::Down).collect();
        one_named(&text.replace(' ', ""), "node", children, |link: &LinkRow| link.peer.to_string())
    }

    /// The children that are not let in any more: they were revoked, or their chapter left.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn shut_out(&self) -> Result<Vec<LinkId>, StoreError> {
        let sql = "SELECT id FROM link WHERE state = 'revoked' OR state = 'left'";
        self.all("look who is let in no more", sql, [], |row| row.get(0).map(LinkId))
    }

    /// The certificate that this node shows on the link to its parent, DER.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn link_certificate(&self, link: LinkId) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT certificate FROM link WHERE id = ? AND direction = 'up'";
        Ok(self.one("read a certificate", sql, params![link.0], |row| row.get(0))?.flatten())
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
        let (addresses, pins) = (link.parent.addresses.join(","), pins_of(&link.parent));
        let (certificate, expires) =
            link.certificate.as_ref().map(|each| (each.bytes.as_slice(), each.expires.as_millis())).unzip();
        let accepted = link.accepted.as_ref();
        let sql = "INSERT INTO link (peer, direction, name, scope, addresses, pins, certificate, expires, statement,
                     accepted_by, accepted, state)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'offline')
                   ON CONFLICT (peer) DO UPDATE SET name = ?3, scope = ?4, addresses = ?5, pins = ?6, certificate = ?7,
                     expires = ?8, statement = coalesce(?9, statement),
                     accepted_by = CASE WHEN statement = ?9 THEN accepted_by ELSE coalesce(?10, accepted_by) END,
                     accepted = CASE WHEN statement = ?9 THEN accepted ELSE coalesce(?11, accepted) END,
                     state = 'offline', detail = ''
                   RETURNING id";
        let row = params![
            link.peer.0,
            direction,
            link.name,
            scope,
            addresses,
            pins,
            certificate,
            expires,
            accepted.map(|accepted| accepted.version),
            accepted.map(|accepted| accepted.by.as_str()),
            accepted.map(|accepted| accepted.at.as_millis())
        ];
        let id = self.one("make a link", sql, row, |row| row.get(0))?;
        id.map(LinkId).ok_or(StoreError::Corrupt("link"))
    }

    /// Notes where a link stands.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn set_standing(&self, link: LinkId, standing: LinkStanding, detail: &str) -> Result<(), StoreError> {
        let sql = "UPDATE link SET state = ?1, detail = ?2, confirmed = confirmed AND ?1 = 'connected'
                   WHERE id = ?3 AND state != 'revoked' AND state != 'left'";
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

    /// Follows a parent to other addresses.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn set_parent_addresses(&self, addresses: &[String]) -> Result<(), StoreError> {
        let sql = "UPDATE link SET addresses = ? WHERE direction = 'up'";
        self.run("note an address", sql, params![addresses.join(",")]).map(drop)
    }

    /// Notes the certificate that a link has from now on.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn renewed(&self, link: LinkId, certificate: &LinkCertificate) -> Result<(), StoreError> {
        let sql = "UPDATE link SET certificate = ?, expires = ? WHERE id = ?";
        let row = params![certificate.bytes, certificate.expires.as_millis(), link.0];
        self.run("note a certificate", sql, row).map(drop)
    }

    /// Does not let a child in any more, nor whom it has invited and who has not come yet. Gives whether it was let in.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn revoke(&self, link: LinkId, words: &str, at: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE invite SET cancelled = ? WHERE link = ? AND used_by IS NULL AND cancelled IS NULL";
        self.run("cancel invitations", sql, params![at.as_millis(), link.0])?;
        let sql =
            "UPDATE link SET state = 'revoked', detail = ? WHERE id = ? AND direction = 'down' AND state != 'revoked'";
        Ok(self.run("revoke a node", sql, params![words, link.0])? > 0)
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

fn pins_of(parent: &ParentAt) -> Vec<u8> {
    parent.pins.iter().flat_map(|pin| pin.0).collect()
}
