//! Three replicas, random edits, any order of delivery with duplicates: the same view and the same heads everywhere.

use std::collections::BTreeMap;

use model::{
    AttemptHow, AttemptResult, Body, ConsentState, DocId, Event, EventId, Kind, Ladder, MoveKind, Personal, RungId,
    Timestamp,
};
use proptest::prelude::*;
use record::{Record, Stamp, Value, Write, Written, fold};

fn stamp(actor: u8) -> Stamp {
    Stamp { actor: [actor; 16], author: format!("0000000{actor}/lee"), at: Timestamp::from_millis(1_000_000) }
}

fn event(n: u64, body: Body) -> Event {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&n.to_be_bytes());
    Event { id: EventId::from_bytes(id), at: Timestamp::from_millis(1_000), by: None, body }
}

/// Three nodes that hold one record and every change that any of them wrote.
struct Replicas {
    records: Vec<Record>,
    received: Vec<BTreeMap<[u8; 32], Written>>,
    events: u64,
}

impl Replicas {
    fn new() -> Self {
        let entries =
            vec![("family_name".to_owned(), Value::text("Brown")), ("email/m@a.org".to_owned(), Value::text("{}"))];
        let (record, written) = Record::create(DocId::from_bytes([9; 16]), Kind::Supporter, entries, &stamp(9));
        let all = BTreeMap::from([(written.hash.0, written)]);
        Self { records: vec![record; 3], received: vec![all; 3], events: 0 }
    }

    fn write(&mut self, node: usize, writes: &[Write]) -> bool {
        let written = self.records[node].edit(writes, &stamp(node as u8 + 1));
        let wrote = written.is_some();
        self.received[node].extend(written.map(|written| (written.hash.0, written)));
        wrote
    }

    fn next_event(&mut self, body: Body) -> Event {
        self.events += 1;
        event(self.events, body)
    }

    fn consent(&mut self, node: usize, state: ConsentState) {
        let body =
            Body::Consent { channel: "email".into(), sender: "network".into(), state, source: Personal::from("phone") };
        let said = self.next_event(body);
        self.write(node, &[Write::event(&said), Write::consent("email", "network", state, said.id)]);
    }

    fn rung(&mut self, node: usize, to: &str, how: MoveKind) {
        let shown = self.next_event(Body::Attempt {
            how: AttemptHow::Call,
            result: AttemptResult::Talked,
            line: Some("yes".into()),
            not_before: None,
            next_on: None,
        });
        let from = self.view(node).rung;
        let evidence = if how == MoveKind::Up { vec![shown.id] } else { Vec::new() };
        let to = RungId::new(to);
        let moved = self.next_event(Body::Move { from, to: to.clone(), how, evidence, because: None });
        let rung =
            if how == MoveKind::Settled { Write::settle_rung(&to, moved.id) } else { Write::rung(&to, moved.id) };
        self.write(node, &[Write::event(&shown), Write::event(&moved), rung]);
    }

    fn view(&self, node: usize) -> model::Supporter {
        self.records[node].supporter(&Ladder::default())
    }

    /// Brings every change of `from` to `to`, those it has already too.
    fn deliver(&mut self, from: usize, to: usize) {
        let changes = self.received[from].clone();
        let mut heads: Vec<_> = self.records[to].heads();
        let fresh: Vec<&Written> = changes.values().filter(|w| !self.received[to].contains_key(&w.hash.0)).collect();
        heads.extend(fresh.iter().map(|written| written.hash));
        let all: Vec<&Written> = changes.values().chain(self.received[to].values()).collect();
        heads.retain(|head| !all.iter().any(|written| written.deps.contains(head)));
        let bytes: Vec<&[u8]> = changes.values().map(|written| written.bytes.as_slice()).collect();
        let (record, _) = fold(Some(&self.records[to].save()), bytes, &heads).expect("honest changes fold");
        self.records[to] = record;
        self.received[to].extend(changes);
    }

    fn deliver_all(&mut self) {
        for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 1), (2, 1), (1, 2), (1, 0), (0, 2)] {
            self.deliver(from, to);
        }
        assert_eq!(self.records[0].heads(), self.records[1].heads());
        assert_eq!(self.records[1].heads(), self.records[2].heads());
        assert_eq!(self.view(0), self.view(1));
        assert_eq!(self.view(1), self.view(2));
    }
}

#[derive(Clone, Debug)]
enum Act {
    Name(usize, String),
    Employer(usize, String),
    Tag(usize, u8),
    Consent(usize, bool),
    Rung(usize, usize, bool),
    SettleName(usize),
    WholeForm(usize),
    Deliver(usize, usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..3_usize, "[a-c]").prop_map(|(n, s)| Act::Name(n, s)),
        (0..3_usize, "[a-c]?").prop_map(|(n, s)| Act::Employer(n, s)),
        (0..3_usize, 0..3_u8).prop_map(|(n, t)| Act::Tag(n, t)),
        (0..3_usize, any::<bool>()).prop_map(|(n, g)| Act::Consent(n, g)),
        (0..3_usize, 0..4_usize, any::<bool>()).prop_map(|(n, r, up)| Act::Rung(n, r, up)),
        (0..3_usize).prop_map(Act::SettleName),
        (0..3_usize).prop_map(Act::WholeForm),
        (0..3_usize, 0..3_usize).prop_map(|(a, b)| Act::Deliver(a, b)),
    ];
    proptest::collection::vec(act, 1..25)
}

const RUNGS: [&str; 4] = ["contact", "conversation", "commitment", "leadership"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn replicas_agree_whatever_was_done_and_however_it_came(acts in acts()) {
        let mut replicas = Replicas::new();
        for act in acts {
            match act {
                Act::Name(node, name) => drop(replicas.write(node, &[Write::field("family_name", &name)])),
                Act::Employer(node, name) => drop(replicas.write(node, &[Write::field("employer", &name)])),
                Act::Tag(node, tag) => drop(replicas.write(node, &[Write::Put(format!("tag/{tag}"), Value::Flag)])),
                Act::Consent(node, granted) => {
                    replicas.consent(node, if granted { ConsentState::Granted } else { ConsentState::Withdrawn });
                }
                Act::Rung(node, to, up) => replicas.rung(node, RUNGS[to], if up { MoveKind::Up } else { MoveKind::Skip }),
                Act::SettleName(node) => {
                    let shown = replicas.view(node).field("family_name").to_owned();
                    replicas.write(node, &[Write::Settle("family_name".into(), Value::text(shown))]);
                    prop_assert!(!replicas.view(node).conflicts.iter().any(|c| c.field == "family_name"));
                }
                Act::WholeForm(node) => {
                    let view = replicas.view(node);
                    let form: Vec<Write> =
                        view.fields.iter().map(|(name, value)| Write::field(name, value.expose())).collect();
                    prop_assert!(!replicas.write(node, &form), "a form that posts all its fields settles nothing");
                }
                Act::Deliver(from, to) => replicas.deliver(from, to),
            }
        }
        replicas.deliver_all();
        for record in &replicas.records {
            let again = Record::load(&record.save()).expect("what was saved loads");
            prop_assert_eq!(again.heads(), record.heads());
        }
    }
}

#[test]
fn a_name_corrected_apart_is_a_conflict_until_settled_on_either_side() {
    let mut replicas = Replicas::new();
    replicas.write(0, &[Write::field("family_name", "Browne")]);
    replicas.write(1, &[Write::field("family_name", "Braun")]);
    replicas.deliver_all();
    let view = replicas.view(2);
    assert_eq!(view.conflicts.len(), 1);
    assert_eq!(view.conflicts[0].values[0].value.expose(), view.field("family_name"));
    assert!(view.conflicts[0].values[0].by.is_some());
    let shown = view.field("family_name").to_owned();
    replicas.write(2, &[Write::Settle("family_name".into(), Value::text(shown))]);
    replicas.deliver_all();
    assert!(replicas.view(0).conflicts.is_empty());
}

#[test]
fn two_settlings_made_apart_are_a_new_conflict() {
    let mut replicas = Replicas::new();
    replicas.write(0, &[Write::field("family_name", "Browne")]);
    replicas.write(1, &[Write::field("family_name", "Braun")]);
    replicas.deliver_all();
    replicas.write(0, &[Write::Settle("family_name".into(), Value::text("Browne"))]);
    replicas.write(1, &[Write::Settle("family_name".into(), Value::text("Braun"))]);
    replicas.deliver_all();
    assert_eq!(replicas.view(0).conflicts.len(), 1);
}

#[test]
fn a_second_stop_stands_against_a_grant_that_saw_the_first() {
    let mut replicas = Replicas::new();
    replicas.consent(0, ConsentState::Withdrawn);
    replicas.deliver_all();
    replicas.consent(0, ConsentState::Withdrawn);
    replicas.consent(1, ConsentState::Granted);
    replicas.deliver_all();
    assert_eq!(replicas.view(2).consents[0].state, ConsentState::Withdrawn);
    replicas.consent(2, ConsentState::Granted);
    replicas.deliver_all();
    assert_eq!(replicas.view(0).consents[0].state, ConsentState::Granted);
}

#[test]
fn two_moves_up_made_apart_show_the_higher() {
    let mut replicas = Replicas::new();
    replicas.rung(0, "conversation", MoveKind::Up);
    replicas.deliver(0, 1);
    replicas.rung(0, "commitment", MoveKind::Up);
    replicas.rung(1, "leadership", MoveKind::Up);
    replicas.deliver_all();
    assert_eq!(replicas.view(2).rung.as_str(), "leadership");
    assert!(replicas.view(2).conflicts.is_empty());
}

#[test]
fn a_skip_or_a_move_down_on_a_side_shows_the_lower_until_settled() {
    for other in [MoveKind::Skip, MoveKind::Down] {
        let mut replicas = Replicas::new();
        replicas.rung(0, "conversation", MoveKind::Up);
        replicas.deliver_all();
        replicas.rung(0, "commitment", MoveKind::Up);
        replicas.rung(1, if other == MoveKind::Skip { "leadership" } else { "contact" }, other);
        replicas.deliver_all();
        let view = replicas.view(2);
        assert_eq!(view.rung.as_str(), if other == MoveKind::Skip { "commitment" } else { "contact" });
        assert_eq!(view.conflicts[0].field, "rung");
        assert_eq!(view.conflicts[0].values[0].value.expose(), view.rung.as_str());
        replicas.rung(2, "commitment", MoveKind::Settled);
        replicas.deliver_all();
        assert!(replicas.view(0).conflicts.is_empty());
        assert_eq!(replicas.view(0).rung.as_str(), "commitment");
    }
}

#[test]
fn two_settlements_of_a_rung_made_apart_show_the_lower() {
    let mut replicas = Replicas::new();
    replicas.rung(0, "commitment", MoveKind::Skip);
    replicas.rung(1, "leadership", MoveKind::Skip);
    replicas.deliver_all();
    replicas.rung(0, "commitment", MoveKind::Settled);
    replicas.rung(1, "leadership", MoveKind::Settled);
    replicas.deliver_all();
    assert_eq!(replicas.view(2).rung.as_str(), "commitment");
    assert_eq!(replicas.view(2).conflicts.len(), 1);
    assert_eq!(replicas.view(2).peak_rung.as_str(), "leadership");
}

#[test]
fn a_voided_event_is_hidden_and_what_is_unknown_is_kept() {
    let mut replicas = Replicas::new();
    let wrong = replicas.next_event(Body::Return { reason: "typed into the wrong page".into() });
    let void = replicas.next_event(Body::Void { of: wrong.id });
    replicas.write(0, &[Write::event(&wrong), Write::event(&void), Write::Put("later/thing".into(), Value::text("x"))]);
    replicas.deliver_all();
    assert!(replicas.view(1).events.is_empty());
    assert!(replicas.records[1].keys().contains(&"later/thing".to_owned()));
}
