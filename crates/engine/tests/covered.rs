//! Batches without entries: rows that came from the receiver or bring nothing any more. Nobody waits for a word on them.

use engine::{
    Ack, Batch, Content, Cursor, CursorVerdict, Effect, Entry, Event, Frame, Head, Hello, Link, LinkState, LocalScope,
    Look, Me, PROTOCOL, Position, ProtocolError, Saved, ScopeHello,
};
use model::{Digest, DocId, Incarnation, NodeId, ScopeId, ScopeSum};

const SCOPE: ScopeId = ScopeId::from_bytes([1; 16]);
const OURS: Incarnation = Incarnation::from_bytes([2; 16]);
const THEIRS: Incarnation = Incarnation::from_bytes([3; 16]);

fn row(seq: u64) -> Position {
    Position { seq, hash: Digest([4; 32]) }
}

/// A scope whose own feed stands at one row, with the peer's read up to another.
fn local(head: u64, read: u64) -> LocalScope {
    let cursor = Some(Cursor { incarnation: THEIRS, position: row(read) });
    LocalScope {
        scope: SCOPE,
        head: row(head),
        cursor,
        acknowledged: 0,
        sum: ScopeSum::default(),
        count: 5,
        folded: true,
    }
}

/// An end on which both have said hello, the peer that its feed stands at a row and that it has read nothing.
fn greeted(me: Me, local: LocalScope, their_head: u64) -> Link {
    let mut link = Link::new(me);
    link.handle(Event::Opened(vec![local]));
    let (sum, count) = (ScopeSum::default(), 5);
    let said =
        ScopeHello { scope: SCOPE, cursor: None, head: row(their_head), acknowledged: 0, sum, count, folded: true };
    link.handle(Event::Received(Frame::Hello(Hello {
        protocol_min: PROTOCOL.0,
        protocol_max: PROTOCOL.1,
        node: NodeId([6; 32]),
        incarnation: THEIRS,
        scopes: vec![said],
        view_version: 1,
        window_bytes: 1 << 20,
    })));
    link
}

fn parent() -> Me {
    Me { node: NodeId([7; 32]), incarnation: OURS, view_version: 1, asks: true }
}

fn child() -> Me {
    Me { asks: false, ..parent() }
}

/// An end that may send its feed from the first row up to this one.
fn sender(head: u64) -> Link {
    let mut link = greeted(child(), local(head, 0), 0);
    link.handle(Event::CursorChecked(SCOPE, CursorVerdict::FromStart));
    link
}

/// An end that has read four rows of five, and has nothing to send.
fn receiver(me: Me) -> Link {
    let mut link = greeted(me, local(0, 4), 5);
    link.handle(Event::CursorChecked(SCOPE, CursorVerdict::FromStart));
    link
}

fn covering(after: u64, last: u64) -> Batch {
    Batch { scope: SCOPE, after, last: row(last), entries: Vec::new() }
}

/// A batch whose last row brings something.
fn bringing(after: u64, last: u64) -> Batch {
    let content = Content::Change { bytes: vec![8; 100] };
    let entries = vec![Entry { seq: last, document: DocId::from_bytes([9; 16]), content }];
    Batch { entries, ..covering(after, last) }
}

fn saved(local: LocalScope, batch: &Batch) -> Event {
    Event::Saved(Saved { local, seq: batch.last.seq, entries: batch.entries.len(), refused: Vec::new() })
}

fn ack(seq: u64) -> Event {
    let (sum, count) = (ScopeSum::default(), 5);
    Event::Received(Frame::Ack(Ack { scope: SCOPE, seq, folded: true, sum, count, refused: Vec::new() }))
}

/// Where the peer's feed stands: it holds so many documents.
fn head(seq: u64, count: u64) -> Event {
    let (position, sum) = (row(seq), ScopeSum::default());
    Event::Received(Frame::Head(Head { scope: SCOPE, position, read: 0, folded: true, sum, count, goes_on: true }))
}

/// Up to which rows acks are sent.
fn acks(effects: &[Effect]) -> Vec<u64> {
    let seq = |effect: &Effect| {
        let Effect::Send(Frame::Ack(ack)) = effect else { return None };
        Some(ack.seq)
    };
    effects.iter().filter_map(seq).collect()
}

/// Up to which rows the peer counts as having acknowledged.
fn counted(effects: &[Effect]) -> Vec<u64> {
    let seq = |effect: &Effect| {
        let Effect::Acknowledged(_, seq, _) = effect else { return None };
        Some(*seq)
    };
    effects.iter().filter_map(seq).collect()
}

fn in_step(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::State(LinkState::InStep)))
}

fn looks(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Look(_, Look::Sums(_))))
}

fn agrees(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Agreed(_)))
}

#[test]
fn a_batch_without_entries_is_saved_and_not_answered() {
    let mut link = receiver(child());
    let effects = link.handle(Event::Received(Frame::Batch(covering(4, 5))));
    assert!(matches!(effects.as_slice(), [.., Effect::Save(_, cursor)] if cursor.position == row(5)), "{effects:?}");
    let effects = link.handle(saved(local(0, 5), &covering(4, 5)));
    assert!(acks(&effects).is_empty() && in_step(&effects), "{effects:?}");
}

#[test]
fn a_batch_with_an_entry_is_answered_when_it_is_saved_and_again_when_it_is_folded() {
    let mut link = receiver(child());
    let effects = link.handle(Event::Received(Frame::Batch(bringing(4, 5))));
    assert!(acks(&effects).is_empty(), "{effects:?}");
    let logged = LocalScope { folded: false, ..local(0, 5) };
    assert_eq!(acks(&link.handle(saved(logged, &bringing(4, 5)))), [5]);
    assert_eq!(acks(&link.handle(Event::Moved(local(0, 5)))), [5]);
}

#[test]
fn what_was_not_answered_is_not_acknowledged_when_something_else_is_folded() {
    let mut link = receiver(child());
    link.handle(Event::Received(Frame::Batch(covering(4, 5))));
    link.handle(saved(LocalScope { folded: false, ..local(0, 5) }, &covering(4, 5)));
    let effects = link.handle(Event::Moved(local(0, 5)));
    assert!(acks(&effects).is_empty(), "{effects:?}");
}

#[test]
fn a_batch_without_entries_counts_as_acknowledged_when_nothing_is_before_it() {
    let mut link = sender(3);
    let effects = link.handle(Event::Page(covering(0, 3)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Send(Frame::Batch(_)))), "{effects:?}");
    assert_eq!(counted(&effects), [3]);
    assert!(in_step(&effects), "{effects:?}");
}

#[test]
fn a_batch_without_entries_waits_for_the_word_on_what_was_sent_before_it() {
    let mut link = sender(4);
    for page in [bringing(0, 1), covering(1, 2), covering(2, 3), bringing(3, 4)] {
        let effects = link.handle(Event::Page(page));
        assert!(counted(&effects).is_empty() && !in_step(&effects), "{effects:?}");
    }
    let effects = link.handle(ack(1));
    assert_eq!(counted(&effects), [3], "and what follows it without entries");
    assert!(!in_step(&effects), "{effects:?}");
    let effects = link.handle(ack(4));
    assert_eq!(counted(&effects), [4]);
    assert!(in_step(&effects), "{effects:?}");
}

#[test]
fn an_ack_that_comes_all_the_same_changes_nothing_and_one_of_what_was_not_sent_ends_the_link() {
    let mut link = sender(3);
    link.handle(Event::Page(covering(0, 3)));
    let effects = link.handle(ack(3));
    assert!(effects.is_empty(), "{effects:?}");
    let effects = link.handle(ack(4));
    assert!(matches!(effects.as_slice(), [.., Effect::Close(ProtocolError::AckAhead(4))]), "{effects:?}");
}

#[test]
fn what_a_head_says_is_compared_once_the_batch_before_it_is_saved() {
    let mut link = receiver(parent());
    link.handle(Event::Received(Frame::Batch(covering(4, 5))));
    let effects = link.handle(head(5, 6));
    assert!(!looks(&effects), "{effects:?}");
    let effects = link.handle(saved(local(0, 5), &covering(4, 5)));
    assert!(looks(&effects), "the peer holds one more: {effects:?}");

    let mut link = receiver(parent());
    link.handle(Event::Received(Frame::Batch(covering(4, 5))));
    assert!(!agrees(&link.handle(head(5, 5))));
    let effects = link.handle(saved(local(0, 5), &covering(4, 5)));
    assert!(agrees(&effects) && !looks(&effects), "{effects:?}");
}

/// A peer that was put back may stand where this end has read its feed, and have lost what it acknowledged.
#[test]
fn a_peer_is_trusted_only_once_it_is_known_how_far_it_has_read() {
    let confirmed = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Confirmed(_)));
    // The child has read all five rows of the parent, which says that it has read two of the child's four.
    let mut link = greeted(child(), LocalScope { acknowledged: 4, ..local(4, 5) }, 5);
    assert!(!confirmed(&link.handle(head(5, 5))), "its feed alone says nothing of ours");
    let effects = link.handle(Event::CursorChecked(SCOPE, CursorVerdict::Good(2)));
    let (at, told) = (|effect: &Effect| matches!(effect, Effect::Acknowledged(_, 2, _)), counted(&effects));
    assert!(told == [2] && confirmed(&effects), "{effects:?}");
    let trusted = effects.iter().position(|effect| matches!(effect, Effect::Confirmed(_)));
    assert!(effects.iter().position(at) < trusted, "first what it has, then that it is trusted: {effects:?}");
    assert!(!confirmed(&link.handle(head(5, 5))), "once");
    // One that has to compare first is trusted after that.
    let mut link = greeted(child(), local(4, 5), 5);
    link.handle(head(5, 5));
    assert!(!confirmed(&link.handle(Event::CursorChecked(SCOPE, CursorVerdict::Adrift))));
}
