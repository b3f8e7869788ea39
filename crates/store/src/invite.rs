//! Invitations, and who came by one.
//!
//! **Invariant:** only the secret's hash is kept. An invitation lets one key in, once; whoever has it may repeat that, and
//! nobody else. A key that was revoked comes in again only by a fresh invitation of this hub, one whose chapter left only by
//! one that was made since.

use model::{AuditKind, Digest, NodeId, ScopeId, Timestamp};
use rusqlite::params;

use crate::link::{Acceptance, LinkCertificate, LinkId, LinkStanding, NewLink};
use crate::rows::one_named;
use crate::{Direction, NewAudit, Read, StoreError, Tx};

/// The most nodes of a chapter that its own nodes have invited, those counted who may still come: laptops for a whole office.
/// Each is a link of its own.
const INVITED_BY_A_CHAPTER_MAX: u64 = 20;
/// How many digits of an invitation's number are shown: enough for all that a network ever has.
const NUMBER_DIGITS: usize = 8;

/// Where an invitation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteStanding {
    /// It can be used.
    Open,
    /// A node has come by it.
    Used,
    /// It is too late.
    Expired,
    /// It was taken back.
    Cancelled,
}

impl InviteStanding {
    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An invitation.
#[derive(Clone, Debug)]
pub struct InviteRow {
    /// SHA-256 of its secret: its first digits name it.
    pub secret_hash: Digest,
    /// The chapter's scope.
    pub scope: ScopeId,
    /// The chapter's short name.
    pub slug: String,
    /// The chapter's name.
    pub chapter: String,
    /// When it was made.
    pub made: Timestamp,
    /// Who invited, as they call themselves.
    pub made_by: String,
    /// The chapter's node that invited; none: this hub did.
    pub link: Option<LinkId>,
    /// Until when it can be used.
    pub expires: Timestamp,
    /// Which node came by it.
    pub used_by: Option<NodeId>,
    /// When it was taken back.
    pub cancelled: Option<Timestamp>,
    /// How often another node has shown it after that.
    pub misused: u64,
}

impl InviteRow {
    /// Its number: the first digits of its secret's hash.
    pub fn number(&self) -> String {
        let mut digits = self.secret_hash.to_string();
        digits.truncate(NUMBER_DIGITS);
        digits
    }

    /// Where it stands at a moment.
    pub fn standing(&self, now: Timestamp) -> InviteStanding {
        if self.used_by.is_some() {
            InviteStanding::Used
        } else if self.cancelled.is_some() {
            InviteStanding::Cancelled
        } else if now > self.expires {
            InviteStanding::Expired
        } else {
            InviteStanding::Open
        }
    }
}

/// An invitation to be made.
#[derive(Clone, Debug)]
pub struct NewInvite<'a> {
    /// SHA-256 of its secret.
    pub secret_hash: Digest,
    /// The chapter.
    pub chapter: ScopeId,
    /// The chapter's node that invites; none: this hub does.
    pub link: Option<LinkId>,
    /// Who invites, as they call themselves.
    pub by: &'a str,
    /// When.
    pub at: Timestamp,
    /// Until when it can be used.
    pub expires: Timestamp,
}

/// A node that comes by an invitation.
#[derive(Clone, Debug)]
pub struct Enrolling {
    /// SHA-256 of its public key.
    pub peer: NodeId,
    /// The serial number of what was issued to it.
    pub certificate: LinkCertificate,
    /// Who accepted what the network will see.
    pub accepted: Acceptance,
}

/// What an invitation is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteOutcome {
    /// The node is enrolled into this chapter.
    Enrolled(ScopeId),
    /// No such invitation.
    Unknown,
    /// It is too late.
    Expired,
    /// It was taken back.
    Cancelled,
    /// Another node has used it.
    Used,
    /// This node belongs to another chapter.
    Elsewhere,
    /// This node was revoked, and this is no fresh invitation of the hub.
    Revoked,
    /// Its chapter left the network since it came by this invitation.
    Left,
}

impl InviteOutcome {
    /// The word in the audit log.
    const fn word(self) -> &'static str {
        match self {
            Self::Enrolled(_) => "enrolled",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Used => "used",
            Self::Elsewhere => "of another chapter",
            Self::Revoked => "revoked",
            Self::Left => "of a chapter that left",
        }
    }
}

const COLUMNS: &str = "SELECT i.secret, s.scope, c.slug, c.name, i.made, i.made_by, i.link, i.expires, i.used_by,
  i.cancelled, i.misused FROM invite i JOIN scope s ON s.id = i.scope JOIN chapter c ON c.scope = i.scope";

fn read_invite(row: &rusqlite::Row<'_>) -> rusqlite::Result<InviteRow> {
    Ok(InviteRow {
        secret_hash: Digest(row.get(0)?),
        scope: ScopeId::from_bytes(row.get(1)?),
        slug: row.get(2)?,
        chapter: row.get(3)?,
        made: Timestamp::from_millis(row.get(4)?),
        made_by: row.get(5)?,
        link: row.get::<_, Option<i64>>(6)?.map(LinkId),
        expires: Timestamp::from_millis(row.get(7)?),
        used_by: row.get::<_, Option<[u8; 32]>>(8)?.map(NodeId),
        cancelled: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_millis),
        misused: row.get(10)?,
    })
}

impl Read<'_> {
    /// Every invitation, the newest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn invites(&self) -> Result<Vec<InviteRow>, StoreError> {
        self.all("read invitations", &format!("{COLUMNS} ORDER BY i.made DESC, i.secret"), [], read_invite)
    }

    /// The invitation whose secret has this SHA-256.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn invite(&self, secret_hash: &[u8; 32]) -> Result<Option<InviteRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE i.secret = ?");
        self.one("look up an invitation", &sql, params![secret_hash], read_invite)
    }

    /// How often invitations were shown that another node had used.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn misused_invites(&self) -> Result<u64, StoreError> {
        self.number("count invitations", "SELECT coalesce(sum(misused), 0) FROM invite", [])
    }
}

impl Tx<'_> {
    /// Notes an invitation by the hash of its secret.
    ///
    /// # Errors
    /// When the chapter is not known, or its nodes have invited too many already.
    pub fn add_invite(&self, new: &NewInvite<'_>) -> Result<(), StoreError> {
        let scope = self.known_scope(new.chapter)?.id;
        let sql = "SELECT count(*) FROM invite i WHERE scope = ?1 AND link IS NOT NULL AND cancelled IS NULL
                   AND CASE WHEN used_by IS NULL THEN expires > ?2
                       ELSE EXISTS (SELECT 1 FROM link l WHERE l.peer = i.used_by AND l.state != 'revoked') END";
        let invited = self.number("count invitations", sql, params![scope, new.at.as_millis()])?;
        if new.link.is_some() && invited >= INVITED_BY_A_CHAPTER_MAX {
            let words = format!("this chapter has invited {invited} nodes by itself: ask the network to invite more");
            return Err(StoreError::Refused(words));
        }
        let sql = "INSERT INTO invite (secret, scope, made, made_by, link, expires) VALUES (?, ?, ?, ?, ?, ?)";
        let (made, expires) = (new.at.as_millis(), new.expires.as_millis());
        let row = params![new.secret_hash.0, scope, made, new.by, new.link.map(|link| link.0), expires];
        self.run("note an invitation", sql, row).map(drop)
    }

    /// Takes back the invitation that the first or last digits of its number name.
    ///
    /// # Errors
    /// When there is none, several fit, or a node has come by it.
    pub fn cancel_invite(&self, number: &str, at: Timestamp) -> Result<InviteRow, StoreError> {
        let invite =
            one_named(number, "invitation", self.invites()?, |invite: &InviteRow| invite.secret_hash.to_string())?;
        if let Some(node) = invite.used_by {
            let words =
                format!("a node has come by this invitation already: `node revoke {}` shuts it out", node.short());
            return Err(StoreError::Refused(words));
        }
        let sql = "UPDATE invite SET cancelled = coalesce(cancelled, ?) WHERE secret = ?";
        self.run("cancel an invitation", sql, params![at.as_millis(), invite.secret_hash.0])?;
        Ok(invite)
    }

    /// Takes back all invitations into a chapter that nobody has used; gives how many.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn cancel_invites(&self, chapter: ScopeId, at: Timestamp) -> Result<usize, StoreError> {
        let sql = "UPDATE invite SET cancelled = ? WHERE scope = ? AND used_by IS NULL AND cancelled IS NULL";
        self.run("cancel invitations", sql, params![at.as_millis(), self.known_scope(chapter)?.id])
    }

    /// Takes back every invitation that nobody has used as this database has it: in one that was put back, somebody may have.
    pub(crate) fn cancel_open_invites(&self, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE invite SET cancelled = ? WHERE used_by IS NULL AND cancelled IS NULL";
        self.run("cancel invitations", sql, params![at.as_millis()]).map(drop)
    }

    /// Consumes an invitation and makes the link, in one step; the same node may repeat it.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn enrol(&self, secret_hash: &[u8; 32], new: &Enrolling, at: Timestamp) -> Result<InviteOutcome, StoreError> {
        let Some(invite) = self.invite(secret_hash)? else {
            return self.not_enrolled(InviteOutcome::Unknown, Some(new.peer), at);
        };
        let again = invite.used_by == Some(new.peer);
        if let Some(refused) = self.refusal(&invite, new.peer, at)? {
            return self.not_enrolled(refused, Some(new.peer), at);
        }
        let sql = "UPDATE invite SET used_by = ? WHERE secret = ?";
        self.run("consume an invitation", sql, params![new.peer.0, secret_hash])?;
        let was_here = self.child(new.peer)?.filter(|_| !again);
        self.put_link(&NewLink {
            certificate: Some(new.certificate.clone()),
            accepted: Some(new.accepted.clone()),
            ..NewLink::new(new.peer, Direction::Down, &invite.chapter, invite.scope)
        })?;
        was_here.map_or(Ok(()), |link| self.was_away(link.scope_row, at))?;
        let back = if self.come_back(invite.scope, at)? { ": the chapter is back" } else { "" };
        if !again {
            let said = NewAudit::new(AuditKind::Enrolled, at).by_node(new.peer);
            self.audit(&said.detail(format!("{}{back}", invite.chapter)))?;
        }
        Ok(InviteOutcome::Enrolled(invite.scope))
    }

    /// Why an invitation does not let a node in; nothing: it does. One that another node has used counts that.
    fn refusal(&self, invite: &InviteRow, peer: NodeId, at: Timestamp) -> Result<Option<InviteOutcome>, StoreError> {
        let again = invite.used_by == Some(peer);
        match invite.standing(at) {
            InviteStanding::Used if !again => {
                let sql = "UPDATE invite SET misused = misused + 1 WHERE secret = ?";
                self.run("note what an invitation was used for", sql, params![invite.secret_hash.0])?;
                return Ok(Some(InviteOutcome::Used));
            }
            InviteStanding::Expired => return Ok(Some(InviteOutcome::Expired)),
            InviteStanding::Cancelled => return Ok(Some(InviteOutcome::Cancelled)),
            InviteStanding::Used | InviteStanding::Open => {}
        }
        let sql = "SELECT s.scope, l.state FROM link l JOIN scope s ON s.id = l.scope WHERE l.peer = ?";
        let known = self.one("look up a node", sql, params![peer.0], |row| {
            Ok((ScopeId::from_bytes(row.get(0)?), LinkStanding::from_word(row.get_ref(1)?.as_str()?)))
        })?;
        Ok(match known {
            Some((scope, _)) if scope != invite.scope => Some(InviteOutcome::Elsewhere),
            Some((_, LinkStanding::Revoked)) if again || invite.link.is_some() => Some(InviteOutcome::Revoked),
            Some((_, LinkStanding::Left)) if again => Some(InviteOutcome::Left),
            Some(_) | None => None,
        })
    }

    /// Notes that somebody showed an invitation that is not good: a node, or one that only looks and shows no key.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn not_enrolled(
        &self,
        outcome: InviteOutcome,
        peer: Option<NodeId>,
        at: Timestamp,
    ) -> Result<InviteOutcome, StoreError> {
        let refused = NewAudit::new(AuditKind::EnrolmentRefused, at).detail(outcome.word());
        let refused = match peer {
            Some(peer) => refused.by_node(peer),
            None => refused,
        };
        self.audit_bounded("enrolment", &refused).map(|()| outcome)
    }
}
