//! What the two ends of a link say to each other.

use crate::reconcile::{Question, Reply};

use model::{
    Digest, DocId, EraseId, EventId, Incarnation, Kind, NodeId, Personal, ProposalId, ScopeId, ScopeSum, Timestamp,
    TransferId,
};

/// A place in a feed: the row's number and its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The row's number, dense from 1; 0 is before the first.
    pub seq: u64,
    /// The row's digest; zeros before the first.
    pub hash: Digest,
}

impl Position {
    /// Before the first row.
    pub const START: Self = Self { seq: 0, hash: Digest([0; 32]) };
}

/// How far a peer's feed was read. Good only in that incarnation, and only if the row there has that digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The life of the peer's database in which it was read.
    pub incarnation: Incarnation,
    /// Up to where.
    pub position: Position,
}

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// The first frame, both ways.
    Hello(Hello),
    /// Rows of a feed.
    Batch(Batch),
    /// What was committed.
    Ack(Ack),
    /// Where a feed stands, when nothing else is said.
    Head(Head),
    /// The child's feed of this scope can't go on from the parent's cursor: the parent is asked to compare.
    Adrift(ScopeId),
    /// The parent asks, comparing.
    Ask(ScopeId, Question),
    /// The child answers.
    Answer(ScopeId, Reply),
    /// The last frame.
    Bye(Bye),
}

impl Frame {
    /// The frame with one scope named as another: two ends may call what they share by different names.
    #[must_use]
    pub fn renamed(mut self, from: ScopeId, to: ScopeId) -> Self {
        let rename = |scope: &mut ScopeId| {
            if *scope == from {
                *scope = to;
            }
        };
        match &mut self {
            Self::Hello(hello) => hello.scopes.iter_mut().for_each(|said| rename(&mut said.scope)),
            Self::Batch(batch) => rename(&mut batch.scope),
            Self::Ack(ack) => rename(&mut ack.scope),
            Self::Head(head) => rename(&mut head.scope),
            Self::Adrift(scope) | Self::Ask(scope, _) | Self::Answer(scope, _) => rename(scope),
            Self::Bye(_) => {}
        }
        self
    }
}

/// What an end says of one scope in its hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeHello {
    /// The scope.
    pub scope: ScopeId,
    /// How far I have read yours.
    pub cursor: Option<Cursor>,
    /// Where mine stands.
    pub head: Position,
    /// How much of mine you have acknowledged, as I remember it.
    pub acknowledged: u64,
    /// The sum of what I hold, folded.
    pub sum: ScopeSum,
    /// How many documents that is.
    pub count: u64,
    /// Whether everything that was logged is folded.
    pub folded: bool,
}

/// The first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Oldest protocol version spoken.
    pub protocol_min: u32,
    /// Newest protocol version spoken.
    pub protocol_max: u32,
    /// Who says it. For logs: authority is the database row of the link, not this.
    pub node: NodeId,
    /// The life of this end's database.
    pub incarnation: Incarnation,
    /// What I say of each scope.
    pub scopes: Vec<ScopeHello>,
    /// The version of the view's shape: rows of another one are not used.
    pub view_version: u32,
    /// How many unacknowledged bytes I take.
    pub window_bytes: u32,
}

/// A view row that comes beside a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// The version of its shape.
    pub version: u32,
    /// The row as JSON.
    pub json: String,
}

/// The parent's word for what it says of a document, which a child keeps and returns when the parent has forgotten:
/// the first 16 bytes of an HMAC that only the parent can make.
pub type Proof = [u8; 16];

/// A node's word that it did what was asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The document has left: nothing of it is here but a stub.
    Left {
        /// The assignment that ended.
        epoch: u64,
    },
    /// The document does not go without the chapter's word: it stays readable here.
    Kept {
        /// The assignment that ended.
        epoch: u64,
    },
    /// The document is erased: not one byte of it is left.
    Erased {
        /// The erasure.
        erasure: EraseId,
    },
}

/// Which part the child has in a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It gives her.
    Give,
    /// It takes her.
    Take,
}

/// Where a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferState {
    /// It is proposed.
    Open,
    /// The child agrees to its part.
    Agreed,
    /// One of the two does not.
    Declined,
    /// It has happened.
    Done,
}

/// A transfer as the sender knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// The child's part.
    pub side: Side,
    /// Where it stands.
    pub state: TransferState,
    /// The giving chapter's assignment on which it stands.
    pub epoch: u64,
    /// The receiving chapter's short name; empty: back to the network.
    pub to: String,
    /// Who she is, for a chapter that does not have her record yet.
    pub summary: Personal,
    /// The hand-over note, or why it was declined.
    pub text: Personal,
    /// Whether she was asked and agreed.
    pub agreed: bool,
    /// Whether she stays where she is, and the receiving chapter serves her, too.
    pub also: bool,
    /// Whether she asked for it herself: then the giving chapter's word is not needed.
    pub her_word: bool,
    /// When it was proposed.
    pub at: Timestamp,
}

/// What a feed's row brings.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// One change, as its author wrote it.
    Change {
        /// The bytes, uncompressed.
        bytes: Vec<u8>,
    },
    /// A document comes into the scope. Flows from parent to child only.
    Enter {
        /// Its kind.
        kind: Kind,
        /// Which assignment this is, counted by the parent.
        epoch: u64,
        /// The saved document.
        snapshot: Vec<u8>,
        /// Its heads, sorted.
        heads: Vec<Digest>,
        /// Its view, so that it can be listed before it is loaded.
        view: Option<ViewRow>,
        /// The parent's word for it.
        proof: Proof,
        /// Whether the scope serves her while her home is another chapter.
        guest: bool,
    },
    /// A document leaves the scope. Flows from parent to child only.
    Leave {
        /// Which assignment of the document takes this one's place, counted by the parent.
        epoch: u64,
        /// The parent's word for it.
        proof: Proof,
        /// Whether it has come to where it goes: until then the child keeps it, read-only.
        arrived: bool,
    },
    /// A document is deleted everywhere. Flows from parent to child only.
    Erase {
        /// The erasure.
        erasure: EraseId,
        /// When it was carried out.
        at: Timestamp,
        /// The parent's word for it.
        proof: Proof,
        /// The word of the parent's own parent for it, which a parent that was put back to before asks its children for.
        above: Option<Proof>,
    },
    /// That it was done. Flows from child to parent only.
    Receipt(Receipt),
    /// A transfer, both ways.
    Transfer(Transfer),
    /// A value that someone posted for a known person waits for the chapter's word. Flows from parent to child only.
    Propose {
        /// The proposal.
        proposal: ProposalId,
        /// The sign-up with which it came.
        sign_up: EventId,
        /// The key that it is for.
        key: String,
        /// The value.
        value: Personal,
        /// When it was posted.
        at: Timestamp,
    },
}

impl Content {
    /// What it weighs on the wire, in bytes, without its envelope.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Change { bytes } => bytes.len(),
            Self::Enter { snapshot, heads, view, .. } => {
                snapshot.len() + 32 * heads.len() + view.as_ref().map_or(0, |view| view.json.len())
            }
            Self::Propose { key, value, .. } => key.len() + value.expose().len(),
            Self::Leave { .. } | Self::Erase { .. } | Self::Receipt(_) => 64,
            Self::Transfer(transfer) => 64 + transfer.summary.expose().len() + transfer.text.expose().len(),
        }
    }
}

/// One row of a feed with what it brings.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The row's number.
    pub seq: u64,
    /// The document.
    pub document: DocId,
    /// What it brings.
    pub content: Content,
}

/// Rows of one feed. Rows that came from the peer itself are left out and covered by the range.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Whose feed.
    pub scope: ScopeId,
    /// The row before the first one that is covered.
    pub after: u64,
    /// The last row that is covered.
    pub last: Position,
    /// What the covered rows bring.
    pub entries: Vec<Entry>,
}

impl Batch {
    /// What its entries weigh, in bytes.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| 64 + entry.content.bytes()).sum()
    }
}

/// Why an entry was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedWhy {
    /// The change breaks the grammar or its own history.
    Malformed,
    /// The document is not in the scope, or this end may not write it.
    NotYours,
    /// It follows changes that are not here.
    Missing,
}

/// An entry that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The row.
    pub seq: u64,
    /// The document.
    pub document: DocId,
    /// Why, for a machine.
    pub why: RefusedWhy,
    /// Why, for a person.
    pub words: String,
}

/// What was committed on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Of whose feed.
    pub scope: ScopeId,
    /// Up to which row.
    pub seq: u64,
    /// Whether all of it is folded and passed on.
    pub folded: bool,
    /// The sum of what this end holds, folded.
    pub sum: ScopeSum,
    /// How many documents that is.
    pub count: u64,
    /// What was not taken.
    pub refused: Vec<Refused>,
}

/// Where a feed stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose feed.
    pub scope: ScopeId,
    /// Its last row.
    pub position: Position,
    /// How far this end has read the other's feed.
    pub read: u64,
    /// Whether all that was logged is folded.
    pub folded: bool,
    /// The sum of what this end holds, folded.
    pub sum: ScopeSum,
    /// How many documents that is.
    pub count: u64,
    /// Whether the receiver's place in the feed was found good, or both have compared since it was not: this end was not put
    /// back to before what the receiver knows of it.
    pub goes_on: bool,
}

/// The last frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bye {
    /// Why, in words for a person.
    pub reason: String,
    /// Whether the link is to be opened again at once.
    pub come_back: bool,
}
