//! Registers: a state and the event that set it, so that every act is an operation and a second STOP counts.

use model::{Body, Event, EventId, Ladder, MoveKind, RungId};

use crate::Value;

/// A register's value: `<state> <event id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// The state's word.
    pub state: String,
    /// The event that set it.
    pub event: EventId,
}

impl Register {
    /// From its parts.
    pub fn new(state: &str, event: EventId) -> Self {
        Self { state: state.to_owned(), event }
    }

    /// Reads a stored value; `None` if it has another shape.
    pub fn parse(text: &str) -> Option<Self> {
        let (state, event) = text.rsplit_once(' ')?;
        Some(Self { state: state.to_owned(), event: event.parse().ok()? })
    }

    pub(crate) fn value(&self) -> Value {
        Value::Text(format!("{} {}", self.state, self.event))
    }
}

/// The rung that is shown when these stand, and whether a person has to settle it.
///
/// Two moves up made apart, each with what shows it: the higher stands. A move down, a skip, a settlement or an event
/// that is not known on any side: the lower is shown until a person settles it, so that the base is never overstated.
pub fn rung_in_force(standing: &[Register], events: &[Event], ladder: &Ladder) -> (RungId, Agreement) {
    let position = |register: &&Register| ladder.position(&RungId::new(register.state.as_str()));
    let by_rank =
        |pick: Option<&Register>| pick.map_or_else(|| ladder.lowest().clone(), |r| RungId::new(r.state.as_str()));
    let (lower, higher) = (standing.iter().min_by_key(position), standing.iter().max_by_key(position));
    let first = standing.first().map(|register| register.state.as_str());
    if standing.iter().all(|register| Some(register.state.as_str()) == first) {
        return (by_rank(lower), Agreement::Agreed);
    }
    let shown_up = |register: &Register| {
        events.iter().any(|event| {
            event.id == register.event
                && matches!(&event.body, Body::Move { how: MoveKind::Up, evidence, .. } if !evidence.is_empty())
        })
    };
    if standing.iter().all(shown_up) {
        (by_rank(higher), Agreement::Agreed)
    } else {
        (by_rank(lower), Agreement::ToSettle)
    }
}

/// Whether standing values need a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// They don't.
    Agreed,
    /// They do.
    ToSettle,
}
