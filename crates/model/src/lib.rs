//! The words and the rules of the movement, and the ids that cross crates.
//!
//! **Invariants:** no I/O, no clock, no randomness, no async: times and ids come in as arguments. What was parsed once
//! is never checked again. A type that holds something about a person prints redacted.
//! Knows nothing of Automerge, SQL, sockets or pages.

mod action;
mod address;
mod audit;
mod card;
mod event;
mod figures;
mod id;
mod key;
mod ladder;
mod merge;
mod personal;
mod reach;
mod role;
mod row;
mod settings;
mod signup;
mod sum;
mod supporter;
mod time;
mod work;

pub use action::{Action, Part};
pub use address::{PostalAddress, normalise_country, normalise_region};
pub use audit::AuditKind;
pub use card::ChapterCard;
pub use event::{AnswerKind, AskKind, AttemptHow, AttemptResult, Body, Event, MoveKind, PlacementFact, SignUpOrigin};
pub use figures::{BASE_DAYS, FourNumbers, KEPT_DAYS, Since};
pub use id::{
    ActorId, Digest, DocId, EraseId, EventId, IdError, Incarnation, Kind, NodeId, ProposalId, ScopeId, Slug, TransferId,
};
pub use key::{ADDRESS, CONSENT, CUSTOM, EMAIL, EVENT, Key, KeyError, PHONE, SAME_AS, STATUS, TAG, TEXT_FIELDS};
pub use ladder::{Evidence, EvidenceRule, Ladder, MoveRefused, Relation, Rung, RungId};
pub use merge::{JOINED_MAX, as_one};
pub use personal::Personal;
pub use reach::{ContactError, EmailAddress, EmailStatus, PhoneNumber, warm_phone_metadata};
pub use role::{Login, LoginError, Right, Role};
pub use settings::{AskOffer, NetworkSettings};
pub use signup::{FieldError, FieldErrors, PostedConsent, SIGN_UP_BODY_BYTES_MAX, SignUp};
pub use sum::ScopeSum;
pub use supporter::{
    Channel, Conflict, Consent, ConsentState, EmailEntry, PhoneEntry, Sender, Standing, Supporter, VIEW_VERSION,
};
pub use time::{Date, TimeError, Timestamp};
pub use work::{Due, FollowUp, New, Tried, WILLING_TAG, Work};
