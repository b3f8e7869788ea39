//! Leaving a network, at both ends: the chapter's word, what its hub does then, and what both may agree on.
//!
//! **Invariants:** the hub has heard a chapter's word before anything changes at the chapter, unless somebody says that it is
//! not to be told. By leaving nothing is dropped or erased; people change hands only by the word of both ends, but for those
//! of whom the chapter has not heard: they wait at the hub.

use engine::{Cursor, Position};
use model::{AuditKind, Body, DocId, Event, PlacementFact, ScopeId, Timestamp};
use record::Write;
use store::{Edited, LeaveWord, LinkRow, LinkStanding, NewAudit, StoreError};
use tokio::sync::oneshot;

use crate::dial::dial;
use crate::driver::blocking;
use crate::enrol::answer;
use crate::wire::enrolment::LeaveRequest;
use crate::wire::enrolment::enrolment_client::EnrolmentClient;
use crate::{Node, NodeError, Priority, draw, renew};

/// Who writes into the records of people with whom the network goes on.
const NETWORK: &str = "network";
/// How many people are handed back in one commit or a few: more would wait in memory, and keep others waiting.
const HANDED_BACK_AT_ONCE: usize = 200;

/// What becomes of a chapter's territory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It leaves: nobody is placed there any more.
    Leaves,
    /// It is back: its lines serve again.
    ComesBack,
}

/// Makes the set of territories with this version of the one before, when a chapter leaves or comes back.
pub type Redraw = fn(ScopeId, Turn, u64, Option<String>) -> Result<String, NodeError>;
/// A set of territories that waits for its transaction: its version and its body.
pub(crate) type Redrawn = (u64, String);

/// How a chapter leaves.
#[derive(Clone, Copy, Debug)]
pub struct Leaving<'a> {
    /// What it says of its people.
    pub word: LeaveWord,
    /// Whether the network is not told: it is no more, or has shut this node out.
    pub untold: bool,
    /// Who says so, as they call themselves.
    pub by: &'a str,
}

/// A network that was left.
#[derive(Clone, Debug)]
pub struct LeftNetwork {
    /// Its name.
    pub network: String,
    /// Since when, by the hub's clock; by this node's own if it was not told.
    pub at: Timestamp,
}

/// Why a network goes on with somebody of a chapter that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Because {
    BothAgreed,
    NotHeardOf,
}

impl Because {
    /// The code of the reason for which she waits.
    const fn reason(self) -> &'static str {
        match self {
            Self::BothAgreed => "released",
            Self::NotHeardOf => "chapter_left",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::BothAgreed => "both agreed that the network goes on with her",
            Self::NotHeardOf => "it had not heard of her",
        }
    }
}

/// A chapter that left, and why people of it wait at this hub.
struct Parted<'a> {
    scope: ScopeId,
    name: &'a str,
    left: Timestamp,
    because: Because,
}

/// What came of agreeing on a chapter's leaving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgreedLeaving {
    /// How many people wait at this hub since.
    pub people: u64,
    /// How many stay frozen, because their record can't be written (yet).
    pub frozen: u64,
}

/// Ends this chapter's membership, at its hub and then here. Everything stays here. Before that they exchange once more, as
/// far as that goes, so that each has what was done until now. May be said again: a node that lost the answer, or a further
/// node of the chapter, hears since when it is out.
///
/// # Errors
/// When this node has no network; or when the hub can't be reached or refuses: then nothing has changed here.
pub async fn leave(node: &Node, leaving: Leaving<'_>) -> Result<LeftNetwork, NodeError> {
    let reading = node.clone();
    let known = move || {
        reading.read(|read| {
            read.lives_here()?;
            read.known_parent()
        })
    };
    let link = blocking(known).await?;
    let link = link.ok_or_else(|| NodeError::Refused("this node has no network: it was not joined".to_owned()))?;
    if !leaving.untold && matches!(link.standing, LinkStanding::Connected | LinkStanding::Offline) {
        // What can't be exchanged does not keep it: it stays here, as everything does.
        let _ = node.sync().await;
    }
    let at = if leaving.untold { draw::now() } else { tell(node, &link, leaving.word).await? };
    let released = leaving.word == LeaveWord::Release;
    let how = match (leaving.untold, released) {
        (true, _) => ", which was not told",
        (false, true) => ", which may go on with the people",
        (false, false) => "",
    };
    let now = draw::now();
    let said = NewAudit::new(AuditKind::LeftNetwork, now).by(leaving.by);
    let said = said.detail(format!("hub {}{how}", link.peer.short()));
    let (writing, words) = (node.clone(), format!("on {} by {}", at.for_people(), leaving.by));
    let note = move || {
        writing.write(Priority::Interactive, move |tx| {
            if tx.leave_parent(&words, now)? || released { tx.audit(&said) } else { Ok(()) }
        })
    };
    blocking(note).await?;
    Ok(LeftNetwork { network: link.name, at })
}

/// Tells the hub. The certificate that is shown for it may have ended.
async fn tell(node: &Node, link: &LinkRow, word: LeaveWord) -> Result<Timestamp, NodeError> {
    let (key, certificate) = renew::shown(node, link.id).await?;
    let dialled = dial(&link.parent, Some((&key, certificate.as_slice())), node.connector()).await?;
    let mut client = EnrolmentClient::new(dialled.channel);
    let (reading, id, scope) = (node.clone(), link.id, link.scope);
    let read = blocking(move || reading.read(|read| read.cursor(id, scope))).await?;
    let (incarnation, position) =
        read.map_or((Vec::new(), Position::START), |cursor| (cursor.incarnation.as_bytes().to_vec(), cursor.position));
    let (release, hash) = (word == LeaveWord::Release, position.hash.0.to_vec());
    let asked = client.leave(LeaveRequest { release, incarnation, seq: position.seq, hash });
    Ok(Timestamp::from_millis(answer(&dialled.address, asked).await?.left_ms))
}

impl Node {
    /// Says how territories are drawn again when a chapter leaves or comes back. To be said before this hub serves; without
    /// it they stay as they are.
    pub fn redraw_by(&self, redraw: Redraw) {
        let _ = self.0.redraw.set(redraw);
    }

    /// The territories as they are after that.
    pub(crate) fn redrawn(&self, chapter: ScopeId, turn: Turn) -> Result<Option<Redrawn>, NodeError> {
        let Some(redraw) = self.0.redraw.get() else { return Ok(None) };
        let (version, body) = self.read(|read| read.territories())?;
        Ok(Some((version + 1, redraw(chapter, turn, version + 1, body)?)))
    }

    /// The hub's side: a node says that its chapter leaves, and how far it has read this hub's feed. Gives since when it is out.
    pub(crate) fn chapter_leaves(
        &self,
        link: &LinkRow,
        word: LeaveWord,
        read: Option<Cursor>,
    ) -> Result<Timestamp, NodeError> {
        let (chapter, peer, at) = (link.scope, link.peer, draw::now());
        let known = self.read(|read| read.left_at(chapter))?;
        if known.is_none() && link.standing == LinkStanding::Left {
            // Its chapter has come back without it.
            return Ok(at);
        }
        let redrawn = if known.is_none() { self.redrawn(chapter, Turn::Leaves)? } else { None };
        let left = self.write(Priority::Interactive, move |tx| {
            let before = tx.left_at(chapter)?;
            let left = tx.chapter_leaves(peer, word, read, at)?;
            if let Some((version, body)) = redrawn
                && before.is_none()
                && tx.left_at(chapter)?.is_some()
            {
                tx.publish_territories(version, &body, at)?;
            }
            Ok(left)
        })?;
        // Again where it was broken off: the chapter has no answer then, and says it again.
        let unknown = self.read(|read| read.not_heard_of(chapter))?;
        self.go_on_with(&unknown, &Parted { scope: chapter, name: &link.name, left, because: Because::NotHeardOf })?;
        Ok(left)
    }

    /// This hub's word, after that of a chapter that left: the network goes on with the people whom it had through it. They
    /// wait for a chapter, in all totals; the chapter is closed here, by the set of territories that `territories` makes of
    /// the one before. What the chapter itself has stays there. Broken off, it goes on when it is said again.
    ///
    /// # Errors
    /// When the chapter did not leave, or did not say that they may go on with its people.
    pub fn agree_to_leaving(
        &self,
        slug: &str,
        territories: impl FnOnce(u64, Option<String>) -> Result<String, NodeError>,
        by: &str,
    ) -> Result<AgreedLeaving, NodeError> {
        let (chapter, (version, body)) = self.read(|read| Ok((read.chapter(slug)?, read.territories()?)))?;
        let (scope, at, body) = (chapter.scope, draw::now(), territories(version + 1, body)?);
        let people = self.read(|read| read.at_home(scope))?;
        let anybody = !people.is_empty();
        let said = self.audit_by(AuditKind::PeopleReleased, by).detail(slug).number(people.len() as u64);
        self.write(Priority::Interactive, move |tx| {
            if tx.agree_to_leaving(scope, at)? {
                tx.publish_territories(version + 1, &body, at)?;
            }
            if anybody { tx.audit(&said) } else { Ok(()) }
        })?;
        let left = chapter.left.unwrap_or(at);
        self.go_on_with(&people, &Parted { scope, name: &chapter.name, left, because: Because::BothAgreed })
    }

    /// People of a chapter that left wait at this hub from now on, with why in their records.
    fn go_on_with(&self, people: &[DocId], parted: &Parted<'_>) -> Result<AgreedLeaving, NodeError> {
        let mut agreed = AgreedLeaving::default();
        for group in people.chunks(HANDED_BACK_AT_ONCE) {
            let begun: Vec<_> = group.iter().map(|person| self.hands_back(*person, parted)).collect();
            for answer in begun {
                match answer.and_then(|answer| Ok(answer.blocking_recv().map_err(|_| NodeError::ShuttingDown)??)) {
                    Ok(was_there) => agreed.people += u64::from(was_there),
                    Err(NodeError::Store(
                        StoreError::Stale(_)
                        | StoreError::NotWritable(..)
                        | StoreError::Record(..)
                        | StoreError::Corrupt(_),
                    )) => agreed.frozen += 1,
                    // Deleted meanwhile.
                    Err(NodeError::Store(StoreError::NoDocument(_))) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(agreed)
    }

    /// Begins to hand somebody back; the answer says whether she was the chapter's until then.
    fn hands_back(
        &self,
        person: DocId,
        parted: &Parted<'_>,
    ) -> Result<oneshot::Receiver<Result<bool, StoreError>>, NodeError> {
        let (loaded, settings) = self.read(|read| Ok((read.load(person)?, read.settings()?)))?;
        let mut loaded = loaded.ok_or(StoreError::NoDocument(person))?;
        let Parted { scope, name, left, because } = *parted;
        let body = Body::Placement(PlacementFact {
            chapter: None,
            reason: because.reason().to_owned(),
            explanation: format!(
                "\u{201c}{name}\u{201d} left the network on {}; {}.",
                left.for_people(),
                because.words()
            ),
            flags: Vec::new(),
            territory_version: 0,
            gazetteer_version: String::new(),
        });
        let stamp = self.stamp(NETWORK);
        let said = Event { id: draw::event_id(), at: stamp.at, by: None, body };
        // An event is new: it is always written.
        let written = loaded.record.edit(&[Write::event(&said)], &stamp).ok_or(StoreError::Stale(person))?;
        let edited = Edited::new(loaded, written, stamp.actor, &settings.ladder);
        let at = stamp.at;
        Ok(self.write_later(move |tx| tx.hand_back(person, scope, &edited, at)))
    }

    /// Why there is nobody to exchange with.
    pub(crate) fn no_parent(&self) -> NodeError {
        let link = match self.read(|read| read.known_parent()) {
            Ok(link) => link,
            Err(error) => return error,
        };
        NodeError::Refused(match link {
            None => "this node has no network yet: it was not joined".to_owned(),
            Some(link) => {
                format!("this node left {} {}: it comes back by a new invitation, with `join`", link.name, link.detail)
            }
        })
    }
}
