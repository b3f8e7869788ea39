//! What a hub does for its network: making it, adding chapters, inviting nodes and shutting them out.

use std::path::{Path, PathBuf};

use model::{AuditKind, Digest, Incarnation, Kind, NetworkSettings, ScopeId, Slug};
use record::{Record, Stamp};
use store::{
    ChapterRow, ChapterState, DATABASE_FILE, Direction, DocState, InviteRow, LinkRow, NewAudit, NewChapter,
    NewDocument, NewInvite, NodeKind, NodeRow, ParentAt, ScopeRole, StoreError, private_directory,
};

use crate::authority::{Authority, pin_in, unlock_file};
use crate::invite::Invite;
use crate::keys::NodeKey;
use crate::{Node, NodeError, Priority, draw};

/// How long an invitation is good unless told otherwise, in ms: a week.
pub const INVITE_LIFE_MS: i64 = 7 * 24 * 3600 * 1000;

/// A hub to be made.
#[derive(Clone, Debug)]
pub struct HubDraft {
    /// The network's name.
    pub name: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Where the key file of its authority is to be, if not beside the database.
    pub ca_key_file: Option<PathBuf>,
}

/// An invitation to be made.
#[derive(Clone, Debug)]
pub struct Inviting<'a> {
    /// Where the hub is, if not where it last served.
    pub addresses: Option<Vec<String>>,
    /// How long it is good, in ms.
    pub life_ms: i64,
    /// Who invites, as they call themselves.
    pub by: &'a str,
    /// The link to the chapter's node that invites; none: this hub does.
    pub link: Option<&'a LinkRow>,
}

/// A chapter to be added.
#[derive(Clone, Debug)]
pub struct ChapterDraft {
    /// Its short name.
    pub slug: Slug,
    /// Its name.
    pub name: String,
    /// People waiting for a first conversation at most.
    pub intake: Option<u64>,
}

impl Node {
    /// Makes a hub with its network: its key, its authority, its database with the network's scope and settings. Keys that
    /// are there already, from a try that was broken off, stay.
    ///
    /// # Errors
    /// When there is a node in the directory, or it can't be written.
    pub fn init_hub(directory: &Path, draft: &HubDraft) -> Result<Self, NodeError> {
        if directory.join(DATABASE_FILE).exists() {
            return Err(StoreError::NodeThere(directory.to_owned()).into());
        }
        private_directory(directory)?;
        let key = NodeKey::open_or_draw(directory)?;
        let unlock = draft.ca_key_file.clone().unwrap_or_else(|| unlock_file(directory));
        Authority::open_or_make(directory, &unlock)?;
        let row = NodeRow {
            kind: NodeKind::Hub,
            name: draft.name.clone(),
            country: draft.country.clone(),
            node_id: key.id(),
            incarnation: draw::incarnation(),
            proof_key: draw::proof_key(),
        };
        let settings = NetworkSettings { name: draft.name.clone(), ..NetworkSettings::default() };
        let id = draw::doc_id();
        let author = format!("{}/init", row.node_id.short());
        let stamp = Stamp { actor: draw::actor(), author, at: draw::now() };
        let entries = Record::settings_entries(&settings);
        let (record, written) = Record::create(id, Kind::NetworkSettings, entries, &stamp);
        let new = NewDocument::new(id, Kind::NetworkSettings, &record, written, stamp.actor, &settings.ladder);
        Self::create(directory, &row, |tx| {
            tx.add_scope(ScopeId::NETWORK, ScopeRole::Network)?;
            tx.insert_document(&new, &[ScopeId::NETWORK], DocState::Live)?;
            tx.set_settings(id)
        })
    }

    /// Adds a chapter: its scope, its card, and the set of territories that `territories` makes of the one before, with
    /// the chapter's new scope id; all in one transaction.
    ///
    /// # Errors
    /// When the slug is taken, or the territories can't be made.
    pub fn add_chapter(
        &self,
        draft: &ChapterDraft,
        territories: impl FnOnce(ScopeId, u64, Option<String>) -> Result<String, NodeError>,
        by: &str,
    ) -> Result<ScopeId, NodeError> {
        let (version, body) = self.read(|read| read.territories())?;
        let scope = draw::scope_id();
        let body = territories(scope, version + 1, body)?;
        let (card, stamp) = (draw::doc_id(), self.stamp(by));
        let entries = Record::card_entries(scope, &draft.name);
        let (record, written) = Record::create(card, Kind::ChapterCard, entries, &stamp);
        let ladder = self.read(|read| read.settings())?.ladder;
        let new = NewDocument::new(card, Kind::ChapterCard, &record, written, stamp.actor, &ladder);
        let (draft, said) = (draft.clone(), NewAudit::new(AuditKind::ChapterAdded, stamp.at).by(by));
        self.write(Priority::Interactive, move |tx| {
            tx.add_chapter(&NewChapter {
                scope,
                slug: &draft.slug,
                name: &draft.name,
                card: Some(card),
                intake: draft.intake,
                role: ScopeRole::Chapter,
                at: stamp.at,
            })?;
            tx.insert_document(&new, &[ScopeId::NETWORK], DocState::Live)?;
            tx.audit(&said.detail(draft.slug.as_str()))?;
            tx.publish_territories(version + 1, &body, stamp.at)
        })?;
        Ok(scope)
    }

    /// A chapter takes people, does not for now, or never again, with the set of territories that `territories` makes of the
    /// one before. Its people stay its people.
    ///
    /// # Errors
    /// When it was closed, or the territories can't be made.
    pub fn change_chapter(
        &self,
        chapter: &ChapterRow,
        state: ChapterState,
        territories: impl FnOnce(u64, Option<String>) -> Result<String, NodeError>,
        by: &str,
    ) -> Result<(), NodeError> {
        let (version, body) = self.read(|read| read.territories())?;
        let (body, at, scope) = (territories(version + 1, body)?, draw::now(), chapter.scope);
        let said = NewAudit::new(AuditKind::ChapterChanged, at).by(by);
        let said = said.detail(format!("{}: {}", chapter.slug, state.word()));
        self.write(Priority::Interactive, move |tx| {
            tx.set_chapter_state(scope, state)?;
            tx.audit(&said)?;
            tx.publish_territories(version + 1, &body, at)
        })
    }

    /// Invites a node into a chapter. The hub keeps only the hash of the secret.
    ///
    /// # Errors
    /// When the chapter is not known, or nobody can know where this hub is.
    pub fn invite(&self, slug: &str, inviting: &Inviting<'_>) -> Result<Invite, NodeError> {
        self.invite_into(self.read(|read| read.chapter(slug))?.scope, inviting)
    }

    pub(crate) fn invite_into(&self, chapter: ScopeId, inviting: &Inviting<'_>) -> Result<Invite, NodeError> {
        let addresses = match &inviting.addresses {
            Some(addresses) => addresses.clone(),
            None => self.read(|read| read.addresses())?,
        };
        if addresses.is_empty() {
            let words = "an invitation names this hub's address, and it has never served: start `hub-node serve` first";
            return Err(NodeError::Refused(words.to_owned()));
        }
        let hub = ParentAt { addresses, pins: vec![pin_in(self.directory())?] };
        let (secret, at, by) = (draw::secret(), draw::now(), inviting.by.to_owned());
        let (link, expires) = (inviting.link.map(|link| link.id), at.plus_millis(inviting.life_ms));
        let said = match inviting.link {
            Some(link) => NewAudit::new(AuditKind::Invited, at).by_node(link.peer),
            None => NewAudit::new(AuditKind::Invited, at).by(&by),
        };
        self.write(Priority::Interactive, move |tx| {
            let secret_hash = Digest(Invite::secret_hash(&secret));
            tx.add_invite(&NewInvite { secret_hash, chapter, link, by: &by, at, expires })?;
            let made = tx.invite(&secret_hash.0)?;
            tx.audit(&said.detail(made.map(|invite| invite.slug).unwrap_or_default()))
        })?;
        Ok(Invite { secret, hub })
    }

    /// Takes back the invitation that the first or last digits of its number name.
    ///
    /// # Errors
    /// When there is none, or a node has come by it.
    pub fn cancel_invite(&self, number: &str, by: &str) -> Result<InviteRow, NodeError> {
        let (number, at) = (number.to_owned(), draw::now());
        let said = NewAudit::new(AuditKind::InviteCancelled, at).by(by);
        self.write(Priority::Interactive, move |tx| {
            let invite = tx.cancel_invite(&number, at)?;
            tx.audit(&said.detail(format!("{} {}", invite.number(), invite.slug)))?;
            Ok(invite)
        })
    }

    /// Shuts out the node that an id, or a unique beginning or end of one, names: what is open to it is cut within a second,
    /// its next call is refused. Nothing of what it has or had is touched.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn revoke_node(&self, node: &str, by: &str) -> Result<LinkRow, NodeError> {
        let link = self.read(|read| read.child_named(node))?;
        self.revoke(vec![link.clone()], None, by)?;
        Ok(link)
    }

    /// Shuts out all nodes of a chapter, and whoever was invited into it and has not come yet.
    ///
    /// # Errors
    /// When the chapter is not known.
    pub fn revoke_chapter(&self, slug: &str, by: &str) -> Result<Vec<LinkRow>, NodeError> {
        let (chapter, links) = self.read(|read| Ok((read.chapter(slug)?, read.links()?)))?;
        let of = |link: &LinkRow| link.scope == chapter.scope && link.direction == Direction::Down;
        let links: Vec<LinkRow> = links.into_iter().filter(of).collect();
        self.revoke(links.clone(), Some(chapter), by)?;
        Ok(links)
    }

    fn revoke(&self, links: Vec<LinkRow>, chapter: Option<ChapterRow>, by: &str) -> Result<(), NodeError> {
        let (at, by) = (draw::now(), by.to_owned());
        let words = format!("on {} by {by}", at.for_people());
        self.write(Priority::Interactive, move |tx| {
            let said = |whom: String| tx.audit(&NewAudit::new(AuditKind::Revoked, at).by(&by).detail(whom));
            if let Some(chapter) = chapter {
                tx.cancel_invites(chapter.scope, at)?;
                said(format!("every node of {}", chapter.slug))?;
            }
            links.iter().try_for_each(|link| {
                let was_in = tx.revoke(link.id, &words, at)?;
                if was_in { said(format!("node {}", link.peer.short())) } else { Ok(()) }
            })
        })
    }
}

/// The row of a chapter's new node.
pub(crate) fn chapter_row(name: &str, country: &str, node_id: model::NodeId) -> NodeRow {
    let (incarnation, proof_key): (Incarnation, _) = (draw::incarnation(), draw::proof_key());
    let (name, country) = (name.to_owned(), country.to_owned());
    NodeRow { kind: NodeKind::Chapter, name, country, node_id, incarnation, proof_key }
}
