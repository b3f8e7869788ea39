//! What can go wrong in a running node, and what kind of thing that is for a person or a script.

use std::path::PathBuf;

use model::{FieldErrors, MoveRefused, Timestamp};
use store::StoreError;

/// What kind of failure: it decides exit codes and HTTP statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something failed that should not.
    Failed,
    /// The other end can't be reached.
    Unreachable,
    /// It is not allowed or not valid.
    Refused,
    /// There is no such thing.
    NotFound,
    /// What is stored is damaged.
    Integrity,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Fields that can't be read.
    #[error("{0}")]
    Fields(#[from] FieldErrors),
    /// A move that nothing carries.
    #[error("{0}")]
    Move(#[from] MoveRefused),
    /// Not allowed or not valid, in a sentence.
    #[error("{0}")]
    Refused(String),
    /// No such thing.
    #[error("there is no {0} {1:?}")]
    NotFound(&'static str, String),
    /// The parent can't be reached.
    #[error("{0} can't be reached: {1}")]
    Unreachable(String, String),
    /// An address that can't be listened on.
    #[error("could not listen on {0}")]
    Listen(String, #[source] std::io::Error),
    /// A file.
    #[error("could not {0} {1}")]
    File(&'static str, String, #[source] std::io::Error),
    /// Another process serves this directory.
    #[error("another process serves this node already")]
    AlreadyServed,
    /// The writer thread is gone: the process is about to end.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// Rows of a feed went while a link had still to send them.
    #[error("the peer was further behind than the feed reaches: both compare")]
    FeedGone,
    /// The node of this directory was retired: it lives on another machine.
    #[error("this node was retired on {when}: only its receipt is left in {place}", when = .0.for_people(), place = .1.display())]
    Retired(Timestamp, PathBuf),
    /// The node of this directory is about to retire: some of it is overwritten already.
    #[error("the node in {place} is being retired: run `retire --yes` again to end it", place = .0.display())]
    Retiring(PathBuf),
    /// A node that lives here only can't retire.
    #[error("this node was never handed over: nobody else has what it keeps to itself")]
    NeverHandedOver,
    /// A file that came is not as it was sent.
    #[error("{0}")]
    Damaged(String),
    /// A step of cryptography.
    #[error("could not {0}: {1}")]
    Crypto(&'static str, String),
    /// The node's key is not beside its database.
    #[error("the key of this node is not there: {}", .0.display())]
    NoKey(PathBuf),
    /// The key beside the database is another node's.
    #[error("{} is the key of another node than this database's", .0.display())]
    OtherKey(PathBuf),
    /// A file of the hub's authority is not there.
    #[error("the authority of this hub can't be used: {} is not there", .0.display())]
    NoAuthority(PathBuf),
    /// Too many children begin at once.
    #[error("this hub is busy with other nodes that have much to read: it is tried again by itself")]
    ManyNew,
    /// An edit lost the race too often.
    #[error("the record is being changed by somebody else: try again")]
    Busy,
}

impl NodeError {
    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store(error) if error.is_damage() => Kind::Integrity,
            Self::Fields(_) | Self::Move(_) | Self::Refused(_) | Self::AlreadyServed => Kind::Refused,
            Self::Retired(..) | Self::Retiring(_) | Self::NeverHandedOver => Kind::Refused,
            Self::NoKey(_) | Self::OtherKey(_) | Self::NoAuthority(_) => Kind::Refused,
            Self::Damaged(_) => Kind::Integrity,
            Self::NotFound(..) => Kind::NotFound,
            Self::Unreachable(..) => Kind::Unreachable,
            Self::Listen(..)
            | Self::File(..)
            | Self::Crypto(..)
            | Self::ShuttingDown
            | Self::FeedGone
            | Self::ManyNew
            | Self::Busy => Kind::Failed,
            Self::Store(error) => match error {
                StoreError::NotFound(_) | StoreError::Unknown(..) | StoreError::NoDocument(_) => Kind::NotFound,
                StoreError::Ambiguous(_)
                | StoreError::NoNode(_)
                | StoreError::NoLedger(_)
                | StoreError::NodeThere(_)
                | StoreError::OtherKind { .. }
                | StoreError::NewerSchema { .. }
                | StoreError::OldSqlite(_)
                | StoreError::NotWritable(..)
                | StoreError::Taken(..)
                | StoreError::HandedOver(_)
                | StoreError::Refused(_) => Kind::Refused,
                StoreError::Corrupt(_) | StoreError::Record(..) | StoreError::Id(_) => Kind::Integrity,
                StoreError::Sql(..)
                | StoreError::File { .. }
                | StoreError::Stale(_)
                | StoreError::Full
                | StoreError::NotCommitted(_)
                | StoreError::RolledBack
                | StoreError::Panicked => Kind::Failed,
            },
        }
    }

    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        if let Self::Store(error) = self {
            return if error.is_damage() { "integrity" } else { store_code(error) };
        }
        if matches!(self, Self::AlreadyServed) {
            return "already_served";
        }
        if matches!(self, Self::Move(_)) {
            return "move_refused";
        }
        if matches!(self, Self::Retired(..) | Self::Retiring(_)) {
            return "retired";
        }
        if matches!(self, Self::NoKey(_) | Self::OtherKey(_) | Self::NoAuthority(_)) {
            return "no_key";
        }
        if matches!(self, Self::Fields(_)) { "invalid" } else { kind_code(self.kind()) }
    }

    /// What to do, for the person who met it.
    pub fn hint(&self) -> Option<&'static str> {
        if let Self::Store(error) = self {
            let damage = "the file is damaged: stop the node and keep a copy of its directory before anything else";
            return if error.is_damage() { Some(damage) } else { store_hint(error) };
        }
        if matches!(self, Self::Unreachable(..)) {
            return Some("nothing is lost: it is sent when the network is back");
        }
        if matches!(self, Self::AlreadyServed) {
            return Some("stop the other process, or use commands beside it");
        }
        if matches!(self, Self::Retired(..)) {
            return Some(
                "it lives on another machine; keep the receipt, delete the directory, or name another with --data",
            );
        }
        if matches!(self, Self::NoKey(_) | Self::OtherKey(_)) {
            return Some(
                "copy node.key from the node's old directory into this one. If it is lost: a chapter asks the network for \
                 an invitation and runs `chapter-node join` with it here, which gives it a new key; a hub runs \
                 `hub-node ca restore`",
            );
        }
        if matches!(self, Self::NoAuthority(_)) {
            return Some(
                "copy it from the hub's old directory, name its place with --ca-key-file, or run `hub-node ca restore FILE` \
                 with the file that `hub-node ca backup` made",
            );
        }
        if matches!(self, Self::NeverHandedOver) {
            return Some(
                "`handover FILE` first, and open the file on the other machine; who gives the node up deletes its directory",
            );
        }
        None
    }
}

const fn kind_code(kind: Kind) -> &'static str {
    match kind {
        Kind::Failed => "failed",
        Kind::Unreachable => "unreachable",
        Kind::Refused => "refused",
        Kind::NotFound => "not_found",
        Kind::Integrity => "integrity",
    }
}

const fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::NoNode(_) => "no_node",
        StoreError::NoLedger(_) => "no_ledger",
        StoreError::NodeThere(_) => "node_there",
        StoreError::OtherKind { .. } => "other_kind",
        StoreError::NewerSchema { .. } => "newer_schema",
        StoreError::Ambiguous(_) => "ambiguous",
        StoreError::Taken(..) => "taken",
        StoreError::HandedOver(_) => "handed_over",
        StoreError::NotFound(_) | StoreError::Unknown(..) | StoreError::NoDocument(_) => "not_found",
        StoreError::OldSqlite(_) | StoreError::NotWritable(..) | StoreError::Refused(_) => "refused",
        StoreError::Corrupt(_) | StoreError::Record(..) | StoreError::Id(_) => "integrity",
        StoreError::Full => "disk_full",
        StoreError::Sql(..)
        | StoreError::File { .. }
        | StoreError::Stale(_)
        | StoreError::NotCommitted(_)
        | StoreError::RolledBack
        | StoreError::Panicked => "failed",
    }
}

const fn store_hint(error: &StoreError) -> Option<&'static str> {
    if matches!(error, StoreError::NoNode(_)) {
        return Some("name the node's directory with --data; `hub-node init` or `chapter-node join` makes a new one");
    }
    if matches!(error, StoreError::NoLedger(_)) {
        return Some(
            "copy erasures.jsonl from the node's old directory into this one first; if it is lost, say --without-ledger: \
             neighbours say at the next exchange who was deleted",
        );
    }
    if matches!(error, StoreError::Full) {
        return Some("make room on the disk of the node's directory; what was stored before is safe");
    }
    if matches!(error, StoreError::NodeThere(_)) {
        return Some("use another directory with --data");
    }
    if matches!(error, StoreError::OtherKind { .. }) {
        return Some("use the other program, or another directory with --data");
    }
    if matches!(error, StoreError::NotFound(_) | StoreError::Ambiguous(_)) {
        return Some("`people list` shows ids; the last 8 digits are enough");
    }
    None
}
