//! What a hub does for its network: making it, adding chapters, inviting nodes.

use std::path::Path;

use model::{AuditKind, Incarnation, Kind, NetworkSettings, ScopeId, Slug};
use record::{Record, Stamp};
use store::{ChapterState, DocState, NewAudit, NewChapter, NewDocument, NodeKind, NodeRow, ScopeRole};

use crate::invite::Invite;
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
    /// Makes a hub with its network: database, the network's scope and its settings.
    ///
    /// # Errors
    /// When there is a node in the directory, or it can't be written.
    pub fn init_hub(directory: &Path, draft: &HubDraft) -> Result<Self, NodeError> {
        let row = NodeRow {
            kind: NodeKind::Hub,
            name: draft.name.clone(),
            country: draft.country.clone(),
            node_id: draw::node_id(),
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
        let draft = draft.clone();
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
        chapter: ScopeId,
        state: ChapterState,
        territories: impl FnOnce(u64, Option<String>) -> Result<String, NodeError>,
    ) -> Result<(), NodeError> {
        let (version, body) = self.read(|read| read.territories())?;
        let (body, at) = (territories(version + 1, body)?, draw::now());
        self.write(Priority::Interactive, move |tx| {
            tx.set_chapter_state(chapter, state)?;
            tx.publish_territories(version + 1, &body, at)
        })
    }

    /// Invites a node into a chapter. The hub keeps only the hash of the secret.
    ///
    /// # Errors
    /// When the chapter is not known, or nobody can know where this hub is.
    pub fn invite(&self, slug: &str, address: Option<String>, life_ms: i64) -> Result<Invite, NodeError> {
        let (chapter, served) = self.read(|read| Ok((read.chapter(slug)?, read.address()?)))?;
        let Some(address) = address.or(served) else {
            let words = "an invitation names this hub's address, and it has never served: start `hub-node serve` first";
            return Err(NodeError::Refused(words.to_owned()));
        };
        let secret = draw::secret();
        let (hash, expires) = (Invite::secret_hash(&secret), draw::now().plus_millis(life_ms));
        let said = NewAudit::new(AuditKind::Invited, draw::now()).detail(chapter.slug.as_str());
        self.write(Priority::Interactive, move |tx| {
            tx.add_invite(&hash, chapter.scope, expires)?;
            tx.audit(&said)
        })?;
        Ok(Invite { secret, address })
    }
}

/// The row of a chapter's new node.
pub(crate) fn chapter_row(name: &str, country: &str, node_id: model::NodeId) -> NodeRow {
    let (incarnation, proof_key): (Incarnation, _) = (draw::incarnation(), draw::proof_key());
    let (name, country) = (name.to_owned(), country.to_owned());
    NodeRow { kind: NodeKind::Chapter, name, country, node_id, incarnation, proof_key }
}
