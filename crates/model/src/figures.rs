//! Who counts in the four numbers: List, Base, Committed, Leaders, as docs/METRICS.md defines them.
//!
//! **Invariant:** each number is within the one before it; a pure function of a view, the ladder and the moment.

use crate::{AnswerKind, Body, EmailStatus, EvidenceRule, Ladder, PostalAddress, Rung, Supporter, Timestamp};

/// A day, in ms.
const DAY_MS: i64 = 24 * 3600 * 1000;
/// How long somebody stays in the base after somebody last talked with her or she came, in days.
pub const BASE_DAYS: i64 = 365;
/// How long somebody stays committed after she last kept an ask or came, in days.
pub const KEPT_DAYS: i64 = 90;

/// Since when something has to have happened to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// Talked with her, or she came.
    pub spoken: Timestamp,
    /// She kept an ask, or came.
    pub kept: Timestamp,
}

impl Since {
    /// As of a moment.
    pub const fn of(now: Timestamp) -> Self {
        Self { spoken: now.plus_millis(-BASE_DAYS * DAY_MS), kept: now.plus_millis(-KEPT_DAYS * DAY_MS) }
    }
}

/// Four numbers of people, each within the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FourNumbers {
    /// Everybody, joined records once.
    pub list: u64,
    /// Of them, who can be reached and was talked with or came in the last [`BASE_DAYS`].
    pub base: u64,
    /// Of them, who stands on commitment or above and kept an ask or came in the last [`KEPT_DAYS`].
    pub committed: u64,
    /// Of them, who stands on leadership and develops somebody who kept an ask in the last [`KEPT_DAYS`].
    pub leaders: u64,
}

impl Ladder {
    /// The rungs from the first one that this shows, upwards; none if no rung is shown by it.
    pub fn above(&self, rule: EvidenceRule) -> &[Rung] {
        let from = self.rungs().iter().position(|rung| rung.shown_by == rule);
        from.map(|from| &self.rungs()[from..]).unwrap_or_default()
    }
}

impl Supporter {
    /// Whether her chapter can reach her: a telephone number, an e-mail address that takes mail or a street is known, and
    /// nobody has said that she may not be contacted.
    pub fn is_reachable(&self) -> bool {
        let takes_mail = |status: Option<EmailStatus>| status.is_none_or(|status| status == EmailStatus::Subscribed);
        let mail = self.emails.iter().any(|email| takes_mail(email.status));
        let door = |address: &PostalAddress| address.address_lines.iter().any(|line| !line.is_blank());
        !self.do_not_contact && (mail || !self.phones.is_empty() || self.addresses.iter().any(door))
    }

    /// Whether she stands on a rung that this shows, or above it.
    pub fn stands_above(&self, ladder: &Ladder, rule: EvidenceRule) -> bool {
        ladder.above(rule).iter().any(|rung| rung.id == self.rung)
    }

    /// Whether she is in the base.
    pub fn in_base(&self, since: Since) -> bool {
        self.is_reachable() && self.work().spoken.is_some_and(|at| at >= since.spoken)
    }

    /// Whether she is committed.
    pub fn is_committed(&self, ladder: &Ladder, since: Since) -> bool {
        if !self.stands_above(ladder, EvidenceRule::Commitment) || !self.is_reachable() {
            return false;
        }
        let work = self.work();
        work.spoken.is_some_and(|at| at >= since.spoken) && work.kept.is_some_and(|at| at >= since.kept)
    }

    /// Whether she kept an ask lately: having come to something is not enough here.
    pub fn kept_an_ask(&self, since: Since) -> bool {
        let kept = |body: &Body| matches!(body, Body::Answer { answer: AnswerKind::Kept, .. });
        self.events.iter().any(|event| event.at >= since.kept && kept(&event.body))
    }

    /// Who develops her, as it stands in her record, unless that is herself.
    pub fn raised_by(&self) -> Option<&str> {
        let by = self.developed_by.as_ref()?.expose();
        (!self.ids().any(|id| id.to_string() == by)).then_some(by)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_780_000_000_000);

    /// Somebody on a rung with these events, each so many days ago.
    fn her(rung: &str, events: &[(i64, Value)], more: Value) -> Supporter {
        let event = |(nth, (days, body)): (usize, &(i64, Value))| {
            let mut event = body.clone();
            event["id"] = json!(crate::EventId::from_bytes([nth as u8 + 1; 16]));
            event["at"] = json!(NOW.plus_millis(-days * DAY_MS));
            event
        };
        let events: Vec<Value> = events.iter().enumerate().map(event).collect();
        let mut plain = json!({
            "id": crate::DocId::from_bytes([1; 16]), "rung": rung, "peak_rung": rung, "events": events,
            "modified_at": NOW, "phones": [{"number": "+12135550142"}],
        });
        if let (Some(plain), Some(more)) = (plain.as_object_mut(), more.as_object()) {
            plain.extend(more.clone());
        }
        serde_json::from_value(plain).unwrap()
    }

    fn talked() -> Value {
        json!({"kind": "attempt", "how": "call", "result": "talked"})
    }

    fn kept() -> Value {
        json!({"kind": "answer", "of": crate::EventId::from_bytes([9; 16]), "answer": "kept"})
    }

    #[test]
    fn the_base_is_who_can_be_reached_and_was_talked_with_within_a_year() {
        let since = Since::of(NOW);
        let on = |days| her("contact", &[(days, talked())], json!({}));
        assert!(on(1).in_base(since) && on(365).in_base(since) && !on(366).in_base(since));
        assert!(!her("leadership", &[], json!({})).in_base(since), "a rung is no conversation");
        for closed in [
            json!({"do_not_contact": true}),
            json!({"phones": []}),
            json!({"phones": [], "emails": [{"address": "m@example.org", "status": "bouncing"}]}),
            json!({"phones": [], "addresses": [{"postal_code": "90012"}]}),
        ] {
            assert!(!her("contact", &[(1, talked())], closed.clone()).in_base(since), "{closed}");
        }
        let mail = json!({"phones": [], "emails": [{"address": "m@example.org"}]});
        assert!(her("contact", &[(1, talked())], mail).in_base(since));
    }

    #[test]
    fn committed_is_a_rung_and_something_kept_lately() {
        let (since, ladder) = (Since::of(NOW), Ladder::default());
        let on = |rung, days| her(rung, &[(days, talked()), (days, kept())], json!({}));
        assert!(on("commitment", 90).is_committed(&ladder, since) && on("leadership", 1).is_committed(&ladder, since));
        assert!(!on("commitment", 91).is_committed(&ladder, since), "it was too long ago");
        assert!(!on("conversation", 1).is_committed(&ladder, since), "the rung is too low");
        assert!(!her("commitment", &[(1, kept())], json!({})).is_committed(&ladder, since), "nobody talked with her");
        assert!(!on("captain", 1).is_committed(&ladder, since), "an unknown rung counts as the lowest");
        let came = json!({"kind": "came", "action": crate::DocId::from_bytes([8; 16])});
        let came = her("commitment", &[(1, came)], json!({}));
        assert!(came.is_committed(&ladder, since) && !came.kept_an_ask(since));
    }

    #[test]
    fn nobody_develops_herself() {
        let own = json!({"developed_by": crate::DocId::from_bytes([1; 16])});
        assert_eq!(her("contact", &[], own).raised_by(), None);
        assert_eq!(her("contact", &[], json!({"developed_by": "ana"})).raised_by(), Some("ana"));
    }

    #[test]
    fn a_ladder_without_a_rung_of_leaders_has_none() {
        let rungs: Vec<Rung> = Ladder::default().rungs()[..2].to_vec();
        let short = Ladder::new(rungs).unwrap();
        assert!(short.above(EvidenceRule::Leadership).is_empty());
        assert_eq!(Ladder::default().above(EvidenceRule::Commitment).len(), 2);
    }
}
