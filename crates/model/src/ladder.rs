//! The ladder of engagement and what a move on it must show.
//!
//! **Invariants:** a move up goes one rung at a time and cites what shows it, or it is a skip with a written reason; an
//! unknown rung counts as the lowest. A rung's id and rank are fixed for ever; labels can change.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AnswerKind, AttemptResult, Body, Event, MoveKind, Personal};

/// A rung's id, as it stands in records: `contact`, `conversation`, `commitment`, `leadership`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RungId(String);

impl RungId {
    /// From its word.
    pub fn new(word: impl Into<String>) -> Self {
        Self(word.into())
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RungId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What shows that someone stands on a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceRule {
    /// Nothing is asked: the lowest rung.
    Nothing,
    /// A held one-to-one, or an attempt that talked with a written line.
    Conversation,
    /// A kept ask, or having come to an action.
    Commitment,
    /// Someone she recruited or develops has kept an ask.
    Leadership,
}

impl EvidenceRule {
    /// What would show it, for the person whose move was refused.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Conversation => "a one-to-one that was held, or an attempt that talked and has a written line",
            Self::Commitment => "an ask that was kept, or having come to an action",
            Self::Leadership => "an ask kept by someone she recruited or develops",
        }
    }

    /// Whether this piece of evidence shows it.
    pub fn shown_by(self, evidence: &Evidence<'_>) -> bool {
        let own = evidence.relation == Relation::Own;
        match (self, &evidence.event.body) {
            (Self::Nothing, _) => true,
            (Self::Conversation, Body::OneToOne { .. }) => own,
            (Self::Conversation, Body::Attempt { result, line, .. }) => {
                own && *result == AttemptResult::Talked && line.as_ref().is_some_and(|line| !line.is_blank())
            }
            (Self::Commitment, Body::Came { .. }) => own,
            (Self::Commitment, Body::Answer { answer, .. }) => own && *answer == AnswerKind::Kept,
            (Self::Leadership, Body::Answer { answer, .. }) => !own && *answer == AnswerKind::Kept,
            (Self::Conversation | Self::Commitment | Self::Leadership, _) => false,
        }
    }
}

/// One rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// Its id.
    pub id: RungId,
    /// Its name on pages.
    pub label: String,
    /// Its place: higher is further up. New rungs are put between others.
    pub rank: u32,
    /// What shows that someone stands on it.
    pub shown_by: EvidenceRule,
}

/// Whose event is cited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Her own.
    Own,
    /// Of someone whom she recruited or develops.
    Raised,
}

/// An event that is cited for a move.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The event.
    pub event: &'a Event,
    /// Whose it is.
    pub relation: Relation,
}

/// Why a move is refused, in words for the person who tried it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoveRefused {
    /// The ladder has no such rung.
    #[error("there is no rung {0:?}; the rungs are {1}")]
    UnknownRung(String, String),
    /// She stands there.
    #[error("she is on {0} already")]
    AlreadyThere(RungId),
    /// More than one rung at once.
    #[error("a move goes one rung at a time, and after {from} comes {next}; write a reason to skip")]
    TooFar {
        /// Where she stands.
        from: RungId,
        /// What comes next.
        next: RungId,
    },
    /// Nothing shows it.
    #[error("nothing shows {0} yet: cite {1}, or write a reason to skip")]
    NothingShowsIt(RungId, &'static str),
    /// Down without a reason.
    #[error("a move down needs a written reason")]
    DownWithoutReason,
}

/// The rungs, lowest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ladder(Vec<Rung>);

impl Default for Ladder {
    fn default() -> Self {
        let rung =
            |id: &str, label: &str, rank, shown_by| Rung { id: RungId::new(id), label: label.into(), rank, shown_by };
        Self(vec![
            rung("contact", "Contact", 10, EvidenceRule::Nothing),
            rung("conversation", "Conversation", 20, EvidenceRule::Conversation),
            rung("commitment", "Commitment", 30, EvidenceRule::Commitment),
            rung("leadership", "Leadership", 40, EvidenceRule::Leadership),
        ])
    }
}

impl Ladder {
    /// From rungs in any order; `None` without a rung or with two of one id or rank.
    pub fn new(mut rungs: Vec<Rung>) -> Option<Self> {
        rungs.sort_by_key(|rung| rung.rank);
        let apart = rungs.windows(2).all(|pair| pair[0].rank < pair[1].rank);
        let mut ids: Vec<&RungId> = rungs.iter().map(|rung| &rung.id).collect();
        ids.sort();
        ids.dedup();
        (apart && !rungs.is_empty() && ids.len() == rungs.len()).then_some(Self(rungs))
    }

    /// The rungs, lowest first.
    pub fn rungs(&self) -> &[Rung] {
        &self.0
    }

    /// The lowest rung, on which everyone begins.
    pub fn lowest(&self) -> &RungId {
        &self.0[0].id
    }

    /// The rung with this id.
    pub fn get(&self, id: &RungId) -> Option<&Rung> {
        self.0.iter().find(|rung| rung.id == *id)
    }

    /// A rung's place among the rungs, from 0; an unknown one counts as the lowest.
    pub fn position(&self, id: &RungId) -> usize {
        self.0.iter().position(|rung| rung.id == *id).unwrap_or(0)
    }

    /// A rung's name on pages.
    pub fn label<'a>(&'a self, id: &'a RungId) -> &'a str {
        self.get(id).map_or(id.as_str(), |rung| &rung.label)
    }

    /// Says what kind of move this is.
    ///
    /// # Errors
    /// When the rung is unknown or hers already, or when neither evidence nor a reason carries the move.
    pub fn check_move(
        &self,
        from: &RungId,
        to: &RungId,
        evidence: &[Evidence<'_>],
        because: Option<&Personal>,
    ) -> Result<MoveKind, MoveRefused> {
        let Some(target) = self.get(to) else {
            let names: Vec<&str> = self.0.iter().map(|rung| rung.id.as_str()).collect();
            return Err(MoveRefused::UnknownRung(to.to_string(), names.join(", ")));
        };
        let (here, there) = (self.position(from), self.position(to));
        let reason = because.is_some_and(|reason| !reason.is_blank());
        if here == there {
            return Err(MoveRefused::AlreadyThere(to.clone()));
        }
        if there < here {
            return if reason { Ok(MoveKind::Down) } else { Err(MoveRefused::DownWithoutReason) };
        }
        let one_rung = there == here + 1;
        if one_rung && evidence.iter().any(|piece| target.shown_by.shown_by(piece)) {
            return Ok(MoveKind::Up);
        }
        match (reason, one_rung) {
            (true, _) => Ok(MoveKind::Skip),
            (false, true) => Err(MoveRefused::NothingShowsIt(to.clone(), target.shown_by.in_words())),
            (false, false) => Err(MoveRefused::TooFar { from: from.clone(), next: self.0[here + 1].id.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttemptHow, EventId, Timestamp};

    fn event(body: Body) -> Event {
        Event { id: EventId::from_bytes([1; 16]), at: Timestamp::from_millis(0), by: None, body }
    }

    fn attempt(result: AttemptResult, line: Option<&str>) -> Event {
        event(Body::Attempt {
            how: AttemptHow::Call,
            result,
            line: line.map(Personal::from),
            not_before: None,
            next_on: None,
        })
    }

    fn check(
        from: &str,
        to: &str,
        events: &[(&Event, Relation)],
        because: Option<&str>,
    ) -> Result<MoveKind, MoveRefused> {
        let evidence: Vec<Evidence<'_>> =
            events.iter().map(|(event, relation)| Evidence { event, relation: *relation }).collect();
        Ladder::default().check_move(
            &RungId::new(from),
            &RungId::new(to),
            &evidence,
            because.map(Personal::from).as_ref(),
        )
    }

    #[test]
    fn each_rung_is_shown_by_its_own_evidence_only() {
        let talked = attempt(AttemptResult::Talked, Some("wants to help with the clinic"));
        let silent = attempt(AttemptResult::Talked, Some("  "));
        let no_answer = attempt(AttemptResult::NoAnswer, Some("rang twice"));
        let kept = event(Body::Answer { of: EventId::from_bytes([2; 16]), answer: AnswerKind::Kept, line: None });
        let yes = event(Body::Answer { of: EventId::from_bytes([2; 16]), answer: AnswerKind::Yes, line: None });
        assert_eq!(check("contact", "conversation", &[(&talked, Relation::Own)], None), Ok(MoveKind::Up));
        for wrong in [&silent, &no_answer, &kept] {
            assert!(check("contact", "conversation", &[(wrong, Relation::Own)], None).is_err());
        }
        assert_eq!(check("conversation", "commitment", &[(&kept, Relation::Own)], None), Ok(MoveKind::Up));
        assert!(check("conversation", "commitment", &[(&yes, Relation::Own)], None).is_err());
        assert_eq!(check("commitment", "leadership", &[(&kept, Relation::Raised)], None), Ok(MoveKind::Up));
        assert!(check("commitment", "leadership", &[(&kept, Relation::Own)], None).is_err());
    }

    #[test]
    fn a_reason_in_place_of_evidence_is_a_skip() {
        assert_eq!(check("contact", "conversation", &[], Some("known for years")), Ok(MoveKind::Skip));
        assert_eq!(check("contact", "leadership", &[], Some("led the last drive")), Ok(MoveKind::Skip));
        assert!(matches!(check("contact", "leadership", &[], None), Err(MoveRefused::TooFar { .. })));
        assert!(matches!(check("contact", "conversation", &[], Some(" ")), Err(MoveRefused::NothingShowsIt(..))));
    }

    #[test]
    fn down_needs_a_reason_and_the_same_rung_is_no_move() {
        assert_eq!(check("commitment", "contact", &[], Some("moved away")), Ok(MoveKind::Down));
        assert_eq!(check("commitment", "contact", &[], None), Err(MoveRefused::DownWithoutReason));
        assert!(matches!(check("contact", "contact", &[], None), Err(MoveRefused::AlreadyThere(_))));
        assert!(matches!(check("contact", "captain", &[], None), Err(MoveRefused::UnknownRung(..))));
    }

    #[test]
    fn an_unknown_rung_counts_as_the_lowest() {
        assert_eq!(Ladder::default().position(&RungId::new("captain")), 0);
    }
}
