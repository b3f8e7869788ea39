//! Who may do what: logins, roles and rights.
//!
//! **Invariant:** what a role may do stands in one table, [`Role::may`], and nowhere else.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The longest login or name of a token, in bytes: with the node's id it has to fit into a change's message of 64.
const LOGIN_BYTES_MAX: usize = 40;

/// Why a text is no login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} can't be a login: use 1 to 40 of a-z, 0-9, full stop, hyphen and underscore, beginning with a letter or digit"
)]
pub struct LoginError(String);

/// The name of a login or of a token, in small letters: it stands beside what is done in that name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Login(String);

impl Login {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Login {
    type Err = LoginError;

    fn from_str(text: &str) -> Result<Self, LoginError> {
        let login = text.trim().to_ascii_lowercase();
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let begins = login.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins && login.len() <= LOGIN_BYTES_MAX && login.chars().all(fits) {
            Ok(Self(login))
        } else {
            Err(LoginError(text.chars().take(LOGIN_BYTES_MAX).collect()))
        }
    }
}

/// What somebody is at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// At both: everything, logins and settings included.
    Administrator,
    /// At a hub: sees people, places who waits.
    Staff,
    /// At a hub: sees totals, no names.
    Viewer,
    /// At a chapter: works with all of its people.
    Organiser,
    /// At a chapter: sees all, writes nothing.
    Reader,
    /// At a chapter: sees the people who are given to her, and logs what came of calling them.
    Caller,
}

/// What may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Figures, chapters, how the node is.
    SeeTotals,
    /// Everybody's names and records, search and lists.
    SeePeople,
    /// The records of people who are looked after by this login.
    SeeGiven,
    /// Fields, conflicts, proposals, one-to-ones, asks, notes.
    EditPeople,
    /// Attempts, and what came of asks.
    LogAttempts,
    /// Letting somebody be contacted again who was not to be.
    ContactAgain,
    /// Letting somebody go whom the network takes away unasked, and taking back that somebody is to be deleted.
    LetGo,
    /// Moves on the ladder.
    MoveRungs,
    /// Placing people who wait.
    PlaceWaiting,
    /// Lists on paper or in files.
    ExportLists,
    /// Logins and tokens of others.
    ManageUsers,
    /// Who did what.
    SeeAudit,
    /// Settings of the node and of the network.
    ChangeSettings,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 13] = [
        Self::SeeTotals,
        Self::SeePeople,
        Self::SeeGiven,
        Self::EditPeople,
        Self::LogAttempts,
        Self::ContactAgain,
        Self::LetGo,
        Self::MoveRungs,
        Self::PlaceWaiting,
        Self::ExportLists,
        Self::ManageUsers,
        Self::SeeAudit,
        Self::ChangeSettings,
    ];

    /// What it allows, after "may".
    pub const fn words(self) -> &'static str {
        match self {
            Self::SeeTotals => "see totals",
            Self::SeePeople => "see people",
            Self::SeeGiven => "see people given to her",
            Self::EditPeople => "edit people",
            Self::LogAttempts => "log attempts",
            Self::ContactAgain => "lift a do-not-contact",
            Self::LetGo => "decide who goes and who is deleted",
            Self::MoveRungs => "move people on the ladder",
            Self::PlaceWaiting => "place people who wait",
            Self::ExportLists => "export or print lists",
            Self::ManageUsers => "manage logins",
            Self::SeeAudit => "see who did what",
            Self::ChangeSettings => "change settings",
        }
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Administrator, Self::Staff, Self::Viewer, Self::Organiser, Self::Reader, Self::Caller];
    /// The roles of a hub.
    pub const AT_HUB: [Self; 3] = [Self::Administrator, Self::Staff, Self::Viewer];
    /// The roles of a chapter.
    pub const AT_CHAPTER: [Self; 4] = [Self::Administrator, Self::Organiser, Self::Reader, Self::Caller];

    /// The word in the database, on a command line and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Staff => "staff",
            Self::Viewer => "viewer",
            Self::Organiser => "organiser",
            Self::Reader => "reader",
            Self::Caller => "caller",
        }
    }

    /// The role of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// Whether it has a right: the whole table.
    pub const fn may(self, right: Right) -> bool {
        let works = matches!(self, Self::Administrator | Self::Staff | Self::Organiser);
        match right {
            Right::SeeTotals => !matches!(self, Self::Caller),
            Right::SeePeople => works || matches!(self, Self::Reader),
            Right::SeeGiven => !matches!(self, Self::Viewer),
            Right::LogAttempts => works || matches!(self, Self::Caller),
            Right::EditPeople | Right::MoveRungs => works,
            Right::PlaceWaiting => matches!(self, Self::Administrator | Self::Staff),
            Right::ContactAgain
            | Right::LetGo
            | Right::ExportLists
            | Right::ManageUsers
            | Right::SeeAudit
            | Right::ChangeSettings => matches!(self, Self::Administrator),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_is_all_that_each_role_may() {
        let row = |right: &Right| {
            let who = Role::ALL.iter().filter(|role| role.may(*right)).map(|role| role.word());
            format!("{}: {}", right.words(), who.collect::<Vec<_>>().join(", "))
        };
        let table = [
            "see totals: administrator, staff, viewer, organiser, reader",
            "see people: administrator, staff, organiser, reader",
            "see people given to her: administrator, staff, organiser, reader, caller",
            "edit people: administrator, staff, organiser",
            "log attempts: administrator, staff, organiser, caller",
            "lift a do-not-contact: administrator",
            "decide who goes and who is deleted: administrator",
            "move people on the ladder: administrator, staff, organiser",
            "place people who wait: administrator, staff",
            "export or print lists: administrator",
            "manage logins: administrator",
            "see who did what: administrator",
            "change settings: administrator",
        ];
        assert_eq!(Right::ALL.iter().map(row).collect::<Vec<_>>(), table);
    }

    #[test]
    fn a_word_is_a_role_at_a_hub_or_at_a_chapter() {
        for role in Role::ALL {
            assert_eq!(Role::from_word(role.word()), Some(role));
            assert!(Role::AT_HUB.contains(&role) || Role::AT_CHAPTER.contains(&role));
        }
        assert_eq!(Role::from_word("Administrator"), None);
    }

    #[test]
    fn a_login_is_a_short_plain_word_in_small_letters() {
        assert_eq!(" Lee.O-1_".parse::<Login>().map(|login| login.to_string()), Ok("lee.o-1_".to_owned()));
        for wrong in ["", "-lee", "lee/ana", "lee ana", "jos\u{e9}", &"a".repeat(41)] {
            assert!(wrong.parse::<Login>().is_err(), "{wrong:?}");
        }
    }
}
