//! Runs a node: writer thread, fold workers, clock, randomness, gRPC, TLS, enrolment.
//!
//! **Invariants:** time and randomness enter here and are passed inward; wire types stop here; no lock is held across an
//! await; a link fails alone. Alone imports tonic, rustls and rcgen. Knows nothing of HTML or of which chapter serves a place.

mod actions;
mod acts;
mod address;
mod asked;
mod audit;
mod authority;
mod backoff;
mod backup;
mod belongings;
mod care;
mod case_sheet;
mod children;
mod connect;
mod conversations;
mod convert;
mod copies;
mod corrections;
mod dial;
mod draw;
mod driver;
mod enrol;
mod enrolling;
mod erasing;
mod error;
mod files;
mod folding;
mod handover;
mod house;
mod incoming;
mod invite;
mod keys;
mod known;
mod leaving;
mod limits;
mod lock;
mod logins;
mod merging;
mod network;
mod node;
mod owed;
mod page_tls;
mod password;
mod queue;
mod rebuilding;
mod renew;
mod retire;
mod seal;
mod second;
mod serving;
mod sign_up;
mod slowing;
mod stepping_down;
mod tagging;
mod tls;
mod transfers;
mod users;
mod wire;

pub use actions::{ActionDraft, Marked, PEOPLE_AT_ONCE};
pub use acts::{AskDraft, AttemptDraft, PersonDraft};
pub use address::{listen_address, local_network_address, loopback_only, public_addresses};
pub use asked::{Asked, By, added_json};
pub use authority::{back_up_keys, put_back_keys, unlock_file};
pub use backup::restore;
pub use care::{CareDraft, GIVEN_AT_ONCE_MAX};
pub use conversations::OneToOneDraft;
#[doc(hidden)]
pub use convert::decodes;
pub use corrections::FieldEdit;
pub use enrol::{Accepting, JoinOffer, ask_for_invite, follow, join, join_parent, look};
pub use erasing::Erased;
pub use error::{Kind as ErrorKind, NodeError};
pub use handover::{HandedOver, TakenOver, take_over};
pub use invite::{Invite, InviteError};
pub use known::{Known, Named};
pub use leaving::{AgreedLeaving, Leaving, LeftNetwork, Redraw, Turn, leave};
pub use limits::{Filled, SignUpGate, SignUpLimits};
pub use logins::{Knock, OneTimeLink, SESSION_IDLE_MS, SESSION_LIFE_MS, Showing, SignInError, SignedIn, Who};
pub use merging::Joined;
pub use network::{ChapterDraft, HubDraft, INVITE_LIFE_MS, Inviting};
pub use node::{Node, Priority};
pub use page_tls::PagesTls;
pub use password::Password;
pub use rebuilding::Rebuilt;
pub use retire::{Receipt, Retirement, plan_retirement, refuse_retired, retire};
pub use seal::{Passphrase, PassphraseError};
pub use second::SecondOffer;
pub use serving::{Serving, SyncOutcome};
pub use sign_up::{Came, Posted, SignedUp};
pub use stepping_down::{HandedPerson, SteppedDown, SteppingDown};
pub use tagging::{TAGGED_AT_ONCE_MAX, Tagging};
pub use transfers::{TransferAsked, TransferDraft};
pub use users::{Second, TOKEN_LIFE_MS};

// With `Serving::start_on` and `Node::connect_by`: where the tests put a simulated network.
#[doc(hidden)]
pub use {connect::Connector, connect::Watch, connect::Went, enrol::join_by};
// For peers that the tests make: with a key and a certificate, and whatever they like to say.
#[doc(hidden)]
pub use {authority::Authority, authority::Issued, dial::channel_to, keys::NodeKey};
