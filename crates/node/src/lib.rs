//! Runs a node: writer thread, fold workers, clock, randomness, gRPC, enrolment.
//!
//! **Invariants:** time and randomness enter here and are passed inward; wire types stop here; no lock is held across an
//! await; a link fails alone. Alone imports tonic. Knows nothing of HTML or of which chapter serves a place.

mod acts;
mod address;
mod audit;
mod backoff;
mod backup;
mod belongings;
mod connect;
mod convert;
mod copies;
mod corrections;
mod dial;
mod draw;
mod driver;
mod enrol;
mod erasing;
mod error;
mod folding;
mod handover;
mod house;
mod invite;
mod limits;
mod lock;
mod logins;
mod merging;
mod network;
mod node;
mod owed;
mod password;
mod queue;
mod rebuilding;
mod retire;
mod seal;
mod second;
mod serving;
mod sign_up;
mod slowing;
mod transfers;
mod users;
mod wire;

pub use acts::{AskDraft, AttemptDraft, OneToOneDraft, PersonDraft};
pub use address::loopback_only;
pub use backup::restore;
#[doc(hidden)]
pub use convert::decodes;
pub use corrections::FieldEdit;
pub use enrol::{JoinOffer, follow, join, join_parent, look};
pub use erasing::Erased;
pub use error::{Kind as ErrorKind, NodeError};
pub use handover::{HandedOver, TakenOver, take_over};
pub use invite::{Invite, InviteError};
pub use limits::{Filled, SignUpGate, SignUpLimits};
pub use logins::{Knock, SESSION_IDLE_MS, SESSION_LIFE_MS, SignInError, SignedIn, Who};
pub use merging::Joined;
pub use network::{ChapterDraft, HubDraft, INVITE_LIFE_MS};
pub use node::{Node, Priority};
pub use password::Password;
pub use rebuilding::Rebuilt;
pub use retire::{Receipt, Retirement, plan_retirement, refuse_retired, retire};
pub use seal::{Passphrase, PassphraseError};
pub use second::SecondOffer;
pub use serving::{Serving, SyncOutcome};
pub use sign_up::{Posted, SignedUp};
pub use transfers::{TransferAsked, TransferDraft};
pub use users::{Second, TOKEN_LIFE_MS};

// With `Serving::start_on` and `Node::connect_by`: where the tests put a simulated network.
#[doc(hidden)]
pub use {connect::Connector, enrol::join_by};
