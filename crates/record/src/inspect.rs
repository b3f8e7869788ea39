//! Checking a foreign change without loading its document.
//!
//! **Invariant:** whatever passes here is a change of our grammar: root keys, scalars, an honest place in its history.
//! What only a load can find is found in [`crate::fold()`].

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::legacy::{Key as AutomergeKey, ObjectId, OpType};
use automerge::{Change, ScalarValue};
use model::{ActorId, Digest, DocId, Key, KeyError};
use sha2::{Digest as _, Sha256};

use crate::runs::claimed;

/// The largest change, in bytes: four times the largest sign-up, so that no honest act comes near.
pub const CHANGE_BYTES_MAX: usize = 256 * 1024;
/// The most operations in one change: a sign-up with every list full has some 270.
pub const OPERATIONS_MAX: usize = 1000;
/// The most values that one change replaces: ten for each operation. More stand in no field that people wrote.
const REPLACED_MAX: u64 = 10 * OPERATIONS_MAX as u64;
/// The longest message, in bytes: `<8 hex>/<login>`.
pub const MESSAGE_BYTES_MAX: usize = 64;
/// A counter that no honest document reaches; `u32::MAX` makes every later edit panic.
const OP_COUNTER_MAX: u64 = 10_000_000;

/// Why a change is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Over the limit.
    #[error("a change of {0} bytes; a change may have at most {CHANGE_BYTES_MAX}")]
    TooLarge(usize),
    /// Not an uncompressed change.
    #[error("the bytes are not one uncompressed change")]
    NotAChange,
    /// Its content has another hash than it says.
    #[error("the change's content does not have the hash that it says")]
    Hash,
    /// Author, extra bytes or a long message.
    #[error("the change carries more than operations and a short message")]
    Extra,
    /// No operations, or too many.
    #[error("a change of {0} operations; it may have 1 to {OPERATIONS_MAX}")]
    Operations(usize),
    /// Too many values taken away.
    #[error("a change that replaces {0} values; it may replace at most {REPLACED_MAX}")]
    Replaced(u64),
    /// Something else than a put or a delete of a scalar in the root.
    #[error("an operation is not a put of a scalar or a delete in the root")]
    NotFlat,
    /// A key outside the grammar.
    #[error("a key is outside the grammar")]
    Key(#[source] KeyError),
    /// An event overwritten or deleted.
    #[error("an event is put once and never changed")]
    EventRewritten,
    /// The first change does not name its document.
    #[error("the first change of a document puts its id, and no other change does")]
    DocumentId,
    /// Not this actor's next change.
    #[error("the actor's change {given} came where {expected} is next")]
    Sequence {
        /// As it says.
        given: u64,
        /// As it has to be.
        expected: u64,
    },
    /// Its operations don't follow its dependencies'.
    #[error("the change's operations begin at {given}, {expected} follows its dependencies")]
    StartOp {
        /// As it says.
        given: u64,
        /// As it has to be.
        expected: u64,
    },
    /// A first change for a document that is there, or a later one for a document that is not.
    #[error("only the first change of a document has no dependencies")]
    Root,
    /// It names an actor that never wrote in this document.
    #[error("the change refers to an actor that never wrote here")]
    UnknownActor,
    /// The actor wrote over another link before.
    #[error("the actor of the change came over another link")]
    ForeignActor,
}

/// A dependency as the store knows it.
#[derive(Clone, Copy, Debug)]
pub struct Dependency {
    /// Its greatest operation counter.
    pub max_op: u64,
}

/// What the store knows of the document that a change is for.
#[derive(Clone, Debug)]
pub struct Context {
    /// The document it was sent for.
    pub document: DocId,
    /// Whether the document is there.
    pub exists: bool,
    /// The dependencies, all known.
    pub dependencies: Vec<Dependency>,
    /// The last sequence number of the change's actor in this document; 0 if there is none.
    pub actor_seq: u64,
    /// Whether each of the other actors that the change names has written in this document.
    pub others_known: bool,
}

/// A change that is of our grammar.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// Its hash, computed from the content.
    pub hash: Digest,
    /// Who wrote it.
    pub actor: ActorId,
    /// Its place among its actor's changes, from 1.
    pub seq: u64,
    /// Its first operation counter.
    pub start_op: u64,
    /// Its greatest operation counter.
    pub max_op: u64,
    /// What it follows.
    pub deps: Vec<Digest>,
    /// Other actors that it refers to.
    pub other_actors: Vec<ActorId>,
    /// The document's id, in the first change.
    pub document: Option<DocId>,
    /// The document's kind, in the first change, if it is not a supporter.
    pub kind: Option<String>,
}

impl Inspected {
    /// Checks the change against its document.
    ///
    /// # Errors
    /// When it is not the honest next change of its actor in this document.
    pub fn check(&self, context: &Context) -> Result<(), Refusal> {
        if self.deps.is_empty() == context.exists {
            return Err(Refusal::Root);
        }
        let names = self.document.is_some();
        if names != self.deps.is_empty() || (names && self.document != Some(context.document)) {
            return Err(Refusal::DocumentId);
        }
        if self.seq != context.actor_seq + 1 {
            return Err(Refusal::Sequence { given: self.seq, expected: context.actor_seq + 1 });
        }
        let expected = context.dependencies.iter().map(|dep| dep.max_op).max().unwrap_or(0) + 1;
        if self.start_op != expected {
            return Err(Refusal::StartOp { given: self.start_op, expected });
        }
        if !context.others_known {
            return Err(Refusal::UnknownActor);
        }
        Ok(())
    }
}

/// The hash by which an uncompressed change is named: of everything after its magic number and checksum. It reads nothing,
/// so that a change which is refused here has one, too; `None` for fewer bytes than any change has.
pub fn hash_of(bytes: &[u8]) -> Option<Digest> {
    bytes.get(8..).map(|content| Digest(Sha256::digest(content).into()))
}

/// Reads a change's bytes and checks all that can be checked without its document.
///
/// # Errors
/// When it is outside the grammar or the limits.
pub fn inspect(bytes: &[u8]) -> Result<Inspected, Refusal> {
    if bytes.len() > CHANGE_BYTES_MAX {
        return Err(Refusal::TooLarge(bytes.len()));
    }
    // Magic (4 bytes), checksum (4), chunk type (1: a change; 2 would be a compressed one, which inflates without limit).
    if bytes.get(8) != Some(&1) {
        return Err(Refusal::NotAChange);
    }
    let claimed = claimed(bytes).ok_or(Refusal::NotAChange)?;
    if claimed.operations > OPERATIONS_MAX as u64 {
        return Err(Refusal::Operations(usize::try_from(claimed.operations).unwrap_or(usize::MAX)));
    }
    if claimed.replaced > REPLACED_MAX {
        return Err(Refusal::Replaced(claimed.replaced));
    }
    catch_unwind(AssertUnwindSafe(|| read(bytes))).unwrap_or(Err(Refusal::NotAChange))
}

fn read(bytes: &[u8]) -> Result<Inspected, Refusal> {
    let change = Change::try_from(bytes).map_err(|_| Refusal::NotAChange)?;
    let hash = change.hash().0;
    if bytes[4..8] != hash[..4] {
        return Err(Refusal::Hash);
    }
    let long = change.message().is_some_and(|message| message.len() > MESSAGE_BYTES_MAX);
    if long || !change.extra_bytes().is_empty() || change.author().is_some() {
        return Err(Refusal::Extra);
    }
    let operations = change.len();
    if operations == 0 || operations > OPERATIONS_MAX {
        return Err(Refusal::Operations(operations));
    }
    if change.max_op() > OP_COUNTER_MAX {
        return Err(Refusal::StartOp { given: change.start_op().get(), expected: 1 });
    }
    let actor = |id: &automerge::ActorId| ActorId::try_from(id.to_bytes()).map_err(|_| Refusal::UnknownActor);
    let mut inspected = Inspected {
        hash: Digest(hash),
        actor: actor(change.actor_id())?,
        seq: change.seq(),
        start_op: change.start_op().get(),
        max_op: change.max_op(),
        deps: change.deps().iter().map(|dep| Digest(dep.0)).collect(),
        other_actors: change.other_actor_ids().iter().map(actor).collect::<Result<_, _>>()?,
        document: None,
        kind: None,
    };
    // Each is looked up: what is named a thousand times costs a thousand times.
    let once = inspected.deps.iter().collect::<BTreeSet<_>>().len() == inspected.deps.len()
        && inspected.other_actors.iter().collect::<BTreeSet<_>>().len() == inspected.other_actors.len();
    if !once {
        return Err(Refusal::NotAChange);
    }
    let first = inspected.deps.is_empty();
    for operation in &change.decode().operations {
        let (key, text) = flat(operation)?;
        match key {
            Key::Event(_) => {
                let put = matches!(operation.action, OpType::Put(_));
                if !put || !operation.pred.is_empty() {
                    return Err(Refusal::EventRewritten);
                }
            }
            Key::Field("id") => {
                let id = text.and_then(|text| text.parse().ok());
                if !first || id.is_none() || inspected.document.is_some() {
                    return Err(Refusal::DocumentId);
                }
                inspected.document = id;
            }
            Key::Field("kind") if first => inspected.kind = text.map(str::to_owned),
            // What a document is about is said in its first change: a card never becomes another chapter's.
            Key::Field("kind" | "chapter") if !first => return Err(Refusal::DocumentId),
            Key::Field(_) | Key::Entry(..) => {}
        }
    }
    if first != inspected.document.is_some() {
        return Err(Refusal::DocumentId);
    }
    Ok(inspected)
}

/// The key of a flat operation, and its text if it puts one.
fn flat(operation: &automerge::legacy::Op) -> Result<(Key<'_>, Option<&str>), Refusal> {
    if operation.obj != ObjectId::Root || operation.insert {
        return Err(Refusal::NotFlat);
    }
    let AutomergeKey::Map(key) = &operation.key else { return Err(Refusal::NotFlat) };
    let text = match &operation.action {
        OpType::Put(ScalarValue::Str(text)) => Some(text.as_str()),
        OpType::Put(ScalarValue::Counter(_) | ScalarValue::Unknown { .. }) => return Err(Refusal::NotFlat),
        OpType::Put(_) | OpType::Delete => None,
        OpType::Make(_) | OpType::Increment(_) | OpType::MarkBegin(_) | OpType::MarkEnd(_) => {
            return Err(Refusal::NotFlat);
        }
    };
    Ok((Key::parse(key).map_err(Refusal::Key)?, text))
}
