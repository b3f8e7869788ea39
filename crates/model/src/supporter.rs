//! The view of one supporter: what her record says, read once and shown everywhere.
//!
//! **Invariant:** the view is derived from the record alone; two nodes with the same changes show the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::event::words;
use crate::{
    DocId, EmailAddress, EmailStatus, Event, EventId, Personal, PhoneNumber, PostalAddress, RungId, ScopeId, Timestamp,
};

/// The version of the view's shape: a row that came with another one is read from its document instead.
pub const VIEW_VERSION: u32 = 1;

/// One supporter as shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Supporter {
    /// The record's id.
    pub id: DocId,
    /// Text fields that are set, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Personal>,
    /// E-mail addresses, the primary one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<EmailEntry>,
    /// Telephone numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<PhoneEntry>,
    /// Postal addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<PostalAddress>,
    /// Tags that the network shares.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Custom fields that the network shares.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Personal>,
    /// What she agreed to, by channel and sender; what is absent is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<Consent>,
    /// Nobody may contact her.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub do_not_contact: bool,
    /// It was asked that she be deleted everywhere, and not withdrawn: she is in no list and no figure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erasure_asked: bool,
    /// Her rung.
    pub rung: RungId,
    /// The highest rung among her moves.
    pub peak_rung: RungId,
    /// The organiser who keeps the relationship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_after_by: Option<Personal>,
    /// Who recruited her: a login or a supporter's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recruited_by: Option<Personal>,
    /// Who develops her: a login or a supporter's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub developed_by: Option<Personal>,
    /// Fields on which two nodes disagree, until a person settles them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Her history, oldest first, without what was voided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// Known keys with a value of a wrong type, which are kept and not shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flagged: Vec<String>,
    /// Other records that this one says are hers, too; they need not be here.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub same_as: BTreeSet<DocId>,
    /// The other records that are shown with this one as one person; never in a single record's view.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<DocId>,
    /// What those say of fields that have another value here, by field; never in a single record's view.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub also: BTreeMap<String, BTreeSet<Personal>>,
    /// When the newest change was written.
    pub modified_at: Timestamp,
}

impl Supporter {
    /// A text field's shown value, or nothing.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", Personal::expose)
    }

    /// Given and family name, or the e-mail address, or a dash.
    pub fn display_name(&self) -> String {
        let name = format!("{} {}", self.field("given_name"), self.field("family_name"));
        let name = name.trim();
        match (name, self.emails.first()) {
            ("", Some(email)) => email.address.as_str().to_owned(),
            ("", None) => "(no name)".to_owned(),
            (name, _) => name.to_owned(),
        }
    }

    /// Every id under which she is known here, the one that is shown first.
    pub fn ids(&self) -> impl Iterator<Item = DocId> {
        std::iter::once(self.id).chain(self.merged.iter().copied())
    }

    /// Whether this is one of her records.
    pub fn covers(&self, id: DocId) -> bool {
        self.ids().any(|hers| hers == id)
    }

    /// The event with this id, unless it was voided.
    pub fn event(&self, id: EventId) -> Option<&Event> {
        self.events.iter().find(|event| event.id == id)
    }
}

/// An e-mail address of hers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailEntry {
    /// The address.
    pub address: EmailAddress,
    /// What it may be used for, if anybody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<EmailStatus>,
    /// The one to use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub primary: bool,
}

/// A telephone number of hers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneEntry {
    /// The number.
    pub number: PhoneNumber,
    /// The one to use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub primary: bool,
}

words!(
    /// A way to reach someone that she can agree to.
    Channel {
        /// E-mail.
        Email = "email",
        /// Text message.
        Sms = "sms",
        /// Telephone.
        Phone = "phone",
        /// Letter.
        Post = "post",
    }
);
words!(
    /// What she said.
    ConsentState {
        /// Yes.
        Granted = "granted",
        /// No longer.
        Withdrawn = "withdrawn",
    }
);

/// Who may write to her.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// The network.
    Network,
    /// One chapter.
    Chapter(ScopeId),
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network => f.write_str("network"),
            Self::Chapter(scope) => scope.fmt(f),
        }
    }
}

impl FromStr for Sender {
    type Err = crate::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "network" { Ok(Self::Network) } else { text.parse().map(Self::Chapter) }
    }
}

/// What she agreed to, for one channel and sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The channel's word.
    pub channel: String,
    /// `network` or a chapter's scope id.
    pub sender: String,
    /// What is in force.
    pub state: ConsentState,
    /// The event that says so.
    pub event: EventId,
}

/// A field on which two nodes disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The field.
    pub field: String,
    /// What stands, the shown value first.
    pub values: Vec<Standing>,
}

/// One of the standing values of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The value.
    pub value: Personal,
    /// `<node>/<login>` of the change that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Personal>,
    /// When it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}
