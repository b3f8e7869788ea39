//! The link's state and what each event makes of it.

mod comparing;

use std::collections::{BTreeMap, VecDeque};

use model::{Incarnation, NodeId, ScopeId, ScopeSum};

use crate::frame::{Ack, Batch, Bye, Cursor, Frame, Head, Hello, Position, Refused, ScopeHello};
use crate::reconcile::{Found, Look, Reconciling};
use crate::{BATCH_BYTES_AIMED, ENTRIES_MAX, PROTOCOL, SCOPES_MAX, WINDOW_BYTES};

/// Who this end is.
#[derive(Clone, Debug)]
pub struct Me {
    /// The node.
    pub node: NodeId,
    /// The life of its database.
    pub incarnation: Incarnation,
    /// The version of its view's shape.
    pub view_version: u32,
    /// Whether it is the parent on this link, who asks when both compare.
    pub asks: bool,
}

/// A scope of the link as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalScope {
    /// The scope.
    pub scope: ScopeId,
    /// Where its own feed stands.
    pub head: Position,
    /// How far the peer's feed was read.
    pub cursor: Option<Cursor>,
    /// How much of the own feed the peer has acknowledged.
    pub acknowledged: u64,
    /// The sum of what is held, folded.
    pub sum: ScopeSum,
    /// How many documents that is.
    pub count: u64,
    /// Whether everything that was logged is folded.
    pub folded: bool,
}

/// What the database says of the peer's cursor into our feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorVerdict {
    /// The row is there and is the same: go on after it.
    Good(u64),
    /// There is none: the feed is read from its first row.
    FromStart,
    /// It was of another incarnation, or what comes after it is no longer in the feed: both compare, then go on.
    Adrift,
    /// The peer acknowledged more than there is, or another row: this database was rolled back without saying so.
    RolledBack,
}

/// A batch was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The scope as it stands after it.
    pub local: LocalScope,
    /// Up to which of the peer's rows.
    pub seq: u64,
    /// How many entries it had. One without any is not answered.
    pub entries: usize,
    /// What was not taken.
    pub refused: Vec<Refused>,
}

/// What happens to a link.
#[derive(Clone, Debug)]
pub enum Event {
    /// The stream is open; these are the scopes that the database says this link has.
    Opened(Vec<LocalScope>),
    /// A frame came.
    Received(Frame),
    /// The database checked the peer's cursor.
    CursorChecked(ScopeId, CursorVerdict),
    /// A page of our feed was read.
    Page(Batch),
    /// A batch of the peer's was committed.
    Saved(Saved),
    /// Something in the database moved.
    Moved(LocalScope),
    /// It is time to say that we are here.
    Heartbeat,
    /// What was looked up for a comparison.
    Found(ScopeId, Found),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a frame.
    Send(Frame),
    /// Check the peer's cursor into our feed.
    CheckCursor(ScopeId, Option<Cursor>),
    /// Read our feed after a row.
    Read {
        /// Whose feed.
        scope: ScopeId,
        /// The row before the first one wanted.
        after: u64,
        /// How many bytes to aim at.
        bytes: usize,
    },
    /// Commit a batch with the cursor that it brings.
    Save(Batch, Cursor),
    /// Remember how far the peer has acknowledged, and what it did not take.
    Acknowledged(ScopeId, u64, Vec<Refused>),
    /// Look something up, or write it, for a comparison.
    Look(ScopeId, Look),
    /// Both ends hold the same: nothing is missing any more.
    Agreed(ScopeId),
    /// The peer was not put back to before what this end knows of it: what it has acknowledged still stands.
    Confirmed(ScopeId),
    /// This database was rolled back: it begins a new life before the link is opened again.
    BeginNewLife,
    /// Say where the link stands.
    State(LinkState),
    /// End the stream.
    Close(ProtocolError),
}

/// Where a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Hello was said both ways; there is something to send or to acknowledge.
    Exchanging,
    /// Both ends have what the other had to say.
    InStep,
}

/// Why a link ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A frame that does not fit where the conversation stands.
    #[error("the peer sent {0} where it does not belong")]
    OutOfPlace(&'static str),
    /// No version is spoken by both.
    #[error("the peer speaks protocol versions {theirs_min} to {theirs_max}, this node {ours_min} to {ours_max}: the older one needs an upgrade", ours_min = PROTOCOL.0, ours_max = PROTOCOL.1)]
    NoCommonVersion {
        /// Their oldest.
        theirs_min: u32,
        /// Their newest.
        theirs_max: u32,
    },
    /// A scope that the link does not have.
    #[error("the peer named a scope that is not on this link")]
    ForeignScope,
    /// A batch that does not begin where the last one ended.
    #[error("the peer sent rows after {given} where rows after {expected} are next")]
    Gap {
        /// As it came.
        given: u64,
        /// As it has to be.
        expected: u64,
    },
    /// Over a limit.
    #[error("the peer sent {0}, which is over the limit")]
    TooMuch(&'static str),
    /// An acknowledgement of what was not sent.
    #[error("the peer acknowledged row {0}, which was not sent")]
    AckAhead(u64),
    /// The peer said goodbye.
    #[error("the peer ended the link: {reason}")]
    Bye {
        /// Why, in its words.
        reason: String,
        /// Whether it is to be opened again at once.
        come_back: bool,
    },
    /// This database was rolled back without saying so.
    #[error("the peer has acknowledged rows that this database does not have: it was rolled back")]
    RolledBack,
}

/// One scope of the link.
#[derive(Debug)]
struct Scope {
    local: LocalScope,
    /// The last row that was sent; `None` until the peer's cursor has been checked.
    sent: Option<u64>,
    /// Batches under way: last row and bytes; one without entries weighs nothing and is never the first.
    under_way: VecDeque<(u64, usize)>,
    reading: bool,
    /// The last of the peer's rows that came, saved or about to be.
    received: u64,
    /// The last of the peer's rows that is saved.
    saved: u64,
    /// Whether a batch was acknowledged in this conversation: only then is there something to acknowledge again.
    answered: bool,
    /// Where the peer says that its feed stands.
    peer_head: u64,
    /// How many documents it said it holds.
    peer_count: u64,
    /// What its hello says as a head would, as long as nothing has moved since.
    said_in_hello: Option<Head>,
    /// The head that came last, until every batch before it is saved.
    heard: Option<Head>,
    /// Whether the peer's cursor into our feed was not good: nothing is fed until both have compared.
    adrift: bool,
    /// The parent's side of a comparison.
    reconciling: Option<Reconciling>,
    /// The child's side: where its feed stood when its sums were taken.
    offered: Option<Position>,
    /// The child's side: it has given its last answer, and the parent has not said that it has it.
    unconfirmed: bool,
    /// Heartbeats to let pass before comparing again, and how often comparing has not helped.
    patience: (u32, u32),
    /// Whether both ends were found to hold the same since something was last not taken.
    agreed: bool,
    /// Whether the peer has shown in this conversation that its feed was not put back to before.
    shown: bool,
    /// Whether that was said: only once it is known how far the peer has read our feed.
    confirmed: bool,
}

/// One end of a link.
#[derive(Debug)]
pub struct Link {
    me: Me,
    peer: Option<(Incarnation, usize)>,
    scopes: BTreeMap<ScopeId, Scope>,
    said: Option<LinkState>,
    said_heads: bool,
    ended: bool,
}

impl Link {
    /// A link that is about to open.
    pub fn new(me: Me) -> Self {
        Self { me, peer: None, scopes: BTreeMap::new(), said: None, said_heads: false, ended: false }
    }

    /// Takes an event and says what is to be done. After [`Effect::Close`] nothing is done any more.
    pub fn handle(&mut self, event: Event) -> Vec<Effect> {
        if self.ended {
            return Vec::new();
        }
        let mut effects = Vec::new();
        let outcome = match event {
            Event::Opened(scopes) => {
                self.open(scopes, &mut effects);
                Ok(())
            }
            Event::Received(frame) => self.receive(frame, &mut effects),
            Event::CursorChecked(scope, verdict) => self.cursor_checked(scope, verdict, &mut effects),
            Event::Page(batch) => {
                self.page(batch, &mut effects);
                Ok(())
            }
            Event::Saved(saved) => {
                self.saved(saved, &mut effects);
                Ok(())
            }
            Event::Moved(local) => {
                self.moved(local, &mut effects);
                Ok(())
            }
            Event::Found(scope, found) => self.found(scope, found, &mut effects),
            Event::Heartbeat => {
                self.heartbeat(&mut effects);
                Ok(())
            }
        };
        match outcome {
            Ok(()) => {
                self.send_more(&mut effects);
                self.say_state(&mut effects);
                // Reading goes first, so that the next page is read while this one is packed and sent.
                effects.sort_by_key(|effect| !matches!(effect, Effect::Read { .. }));
            }
            Err(error) => {
                if error == ProtocolError::RolledBack {
                    effects.push(Effect::BeginNewLife);
                }
                let bye = Bye { reason: error.to_string(), come_back: error == ProtocolError::RolledBack };
                if !matches!(error, ProtocolError::Bye { .. }) {
                    effects.push(Effect::Send(Frame::Bye(bye)));
                }
                effects.push(Effect::Close(error));
                self.ended = true;
            }
        }
        effects
    }

    fn open(&mut self, scopes: Vec<LocalScope>, effects: &mut Vec<Effect>) {
        let say = |local: &LocalScope| ScopeHello {
            scope: local.scope,
            cursor: local.cursor,
            head: local.head,
            acknowledged: local.acknowledged,
            sum: local.sum,
            count: local.count,
            folded: local.folded,
        };
        effects.push(Effect::Send(Frame::Hello(Hello {
            protocol_min: PROTOCOL.0,
            protocol_max: PROTOCOL.1,
            node: self.me.node,
            incarnation: self.me.incarnation,
            scopes: scopes.iter().map(say).collect(),
            view_version: self.me.view_version,
            window_bytes: WINDOW_BYTES as u32,
        })));
        let scope = |local: LocalScope| {
            let fresh = Scope {
                sent: None,
                under_way: VecDeque::new(),
                reading: false,
                received: 0,
                saved: 0,
                answered: false,
                peer_head: 0,
                peer_count: 0,
                said_in_hello: None,
                heard: None,
                adrift: false,
                reconciling: None,
                offered: None,
                unconfirmed: false,
                patience: (0, 0),
                agreed: false,
                shown: false,
                confirmed: false,
                local,
            };
            (fresh.local.scope, fresh)
        };
        self.scopes = scopes.into_iter().map(scope).collect();
    }

    fn receive(&mut self, frame: Frame, effects: &mut Vec<Effect>) -> Result<(), ProtocolError> {
        match frame {
            Frame::Hello(hello) => self.hello(&hello, effects),
            Frame::Bye(bye) => Err(ProtocolError::Bye { reason: bye.reason, come_back: bye.come_back }),
            Frame::Batch(batch) => self.batch(batch, effects),
            Frame::Ack(ack) => self.ack(ack, effects),
            Frame::Head(head) => self.head(head, effects),
            Frame::Adrift(id) => self.wished(id, effects),
            Frame::Ask(id, question) => self.asked(id, question, effects),
            Frame::Answer(id, reply) => self.answered(id, reply, effects),
        }
    }

    /// The scope, once hello was said.
    fn greeted(&mut self, scope: ScopeId, what: &'static str) -> Result<&mut Scope, ProtocolError> {
        if self.peer.is_none() {
            return Err(ProtocolError::OutOfPlace(what));
        }
        self.scopes.get_mut(&scope).ok_or(ProtocolError::ForeignScope)
    }

    fn hello(&mut self, hello: &Hello, effects: &mut Vec<Effect>) -> Result<(), ProtocolError> {
        if self.peer.is_some() {
            return Err(ProtocolError::OutOfPlace("a second hello"));
        }
        if hello.protocol_min > PROTOCOL.1 || hello.protocol_max < PROTOCOL.0 {
            let (theirs_min, theirs_max) = (hello.protocol_min, hello.protocol_max);
            return Err(ProtocolError::NoCommonVersion { theirs_min, theirs_max });
        }
        if hello.scopes.len() > SCOPES_MAX {
            return Err(ProtocolError::TooMuch("scopes"));
        }
        // A window of nothing would never move: at least one batch is always under way.
        self.peer = Some((hello.incarnation, (hello.window_bytes as usize).min(WINDOW_BYTES)));
        for (id, scope) in &mut self.scopes {
            let theirs = hello.scopes.iter().find(|theirs| theirs.scope == *id);
            let same_life = |cursor: &Cursor| cursor.incarnation == hello.incarnation;
            // Their feed goes on where our cursor stands, or begins anew: they decide the same from our hello.
            let read = scope.local.cursor.filter(same_life).map_or(0, |cursor| cursor.position.seq);
            scope.received = read;
            scope.saved = read;
            scope.peer_head = theirs.map_or(0, |theirs| theirs.head.seq);
            scope.peer_count = theirs.map_or(0, |theirs| theirs.count);
            let at_head = |cursor: &Cursor| theirs.is_some_and(|theirs| theirs.head == cursor.position);
            if scope.local.cursor.filter(same_life).is_some_and(|cursor| at_head(&cursor)) {
                scope.confirm(effects);
            }
            scope.said_in_hello = theirs.map(|theirs| {
                let ScopeHello { scope, head, cursor, folded, sum, count, .. } = *theirs;
                let same_life = |cursor: &Cursor| cursor.incarnation == self.me.incarnation;
                let read = cursor.filter(same_life).map_or(0, |cursor| cursor.position.seq);
                Head { scope, position: head, read, folded, sum, count, goes_on: false }
            });
            effects.push(Effect::CheckCursor(*id, theirs.and_then(|theirs| theirs.cursor)));
        }
        Ok(())
    }

    fn cursor_checked(
        &mut self,
        id: ScopeId,
        verdict: CursorVerdict,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ProtocolError> {
        let scope = self.greeted(id, "a cursor")?;
        let from = match verdict {
            CursorVerdict::Good(seq) => seq,
            CursorVerdict::FromStart => 0,
            CursorVerdict::Adrift => {
                scope.adrift = true;
                if self.me.asks {
                    self.begin_reconciling(id, effects);
                } else {
                    effects.push(Effect::Send(Frame::Adrift(id)));
                }
                return Ok(());
            }
            CursorVerdict::RolledBack => return Err(ProtocolError::RolledBack),
        };
        scope.sent = Some(from);
        scope.local.acknowledged = from;
        effects.push(Effect::Acknowledged(id, from, Vec::new()));
        scope.say_confirmed(effects);
        Ok(())
    }

    fn batch(&mut self, batch: Batch, effects: &mut Vec<Effect>) -> Result<(), ProtocolError> {
        let Some((incarnation, _)) = self.peer else { return Err(ProtocolError::OutOfPlace("a batch")) };
        let scope = self.greeted(batch.scope, "a batch")?;
        if batch.entries.len() > ENTRIES_MAX {
            return Err(ProtocolError::TooMuch("entries in a batch"));
        }
        // A feed that begins anew is not a gap: the peer could not find our cursor's row.
        if batch.after != scope.received && batch.after != 0 {
            return Err(ProtocolError::Gap { given: batch.after, expected: scope.received });
        }
        let rows = batch.entries.iter().map(|entry| entry.seq);
        let ordered = rows.clone().zip(rows.clone().skip(1)).all(|(one, next)| one < next);
        if !ordered
            || rows.clone().any(|seq| seq <= batch.after || seq > batch.last.seq)
            || batch.last.seq <= batch.after
        {
            return Err(ProtocolError::OutOfPlace("rows out of order"));
        }
        scope.said_in_hello = None;
        // The peer feeds only from a place that it has found good.
        scope.confirm(effects);
        scope.received = batch.last.seq;
        scope.peer_head = scope.peer_head.max(batch.last.seq);
        let cursor = Cursor { incarnation, position: batch.last };
        effects.push(Effect::Save(batch, cursor));
        Ok(())
    }

    fn ack(&mut self, ack: Ack, effects: &mut Vec<Effect>) -> Result<(), ProtocolError> {
        let scope = self.greeted(ack.scope, "an ack")?;
        if ack.seq > scope.sent.unwrap_or(0) {
            return Err(ProtocolError::AckAhead(ack.seq));
        }
        scope.acknowledge(ack.seq, ack.refused, effects);
        Ok(())
    }

    fn page(&mut self, batch: Batch, effects: &mut Vec<Effect>) {
        let Some(scope) = self.scopes.get_mut(&batch.scope) else { return };
        scope.reading = false;
        if scope.sent != Some(batch.after) || batch.last.seq <= batch.after {
            return;
        }
        scope.said_in_hello = None;
        scope.sent = Some(batch.last.seq);
        scope.under_way.push_back((batch.last.seq, batch.bytes()));
        effects.push(Effect::Send(Frame::Batch(batch)));
        scope.acknowledge(0, Vec::new(), effects);
    }

    fn saved(&mut self, saved: Saved, effects: &mut Vec<Effect>) {
        let id = saved.local.scope;
        let Some(scope) = self.scopes.get_mut(&id) else { return };
        scope.saved = saved.seq;
        scope.agreed &= saved.refused.is_empty();
        let acknowledged = scope.local.acknowledged;
        // What moved after this commit may have been heard of before it: the feed's head never goes back.
        let head = if saved.local.head.seq < scope.local.head.seq { scope.local.head } else { saved.local.head };
        scope.local = LocalScope { acknowledged, head, ..saved.local };
        if saved.entries > 0 {
            scope.answered = true;
            effects.push(Effect::Send(Frame::Ack(scope.ack(saved.refused))));
        }
        self.compare_heard(id, effects);
    }

    fn moved(&mut self, local: LocalScope, effects: &mut Vec<Effect>) {
        let Some(scope) = self.scopes.get_mut(&local.scope) else { return };
        let acknowledged = scope.local.acknowledged;
        let folded_now = local.folded && !scope.local.folded;
        scope.local = LocalScope { acknowledged, ..local };
        if folded_now && scope.answered {
            effects.push(Effect::Send(Frame::Ack(scope.ack(Vec::new()))));
        }
    }

    fn heartbeat(&mut self, effects: &mut Vec<Effect>) {
        if self.peer.is_none() {
            return;
        }
        effects.extend(self.scopes.values().map(|scope| Effect::Send(Frame::Head(scope.head()))));
    }

    /// Once at the beginning of a link: where nothing has moved since the hellos, each end knows from them what a head would
    /// say; else it says so.
    fn compare_hellos(&mut self, effects: &mut Vec<Effect>) {
        let scopes: Vec<ScopeId> = self.scopes.keys().copied().collect();
        for id in scopes {
            let Some(scope) = self.scopes.get_mut(&id) else { continue };
            match scope.said_in_hello.take() {
                Some(said) if said.folded && scope.local.folded => self.compare_sums(&said, effects),
                Some(_) | None => effects.push(Effect::Send(Frame::Head(scope.head()))),
            }
        }
    }

    /// Reads the feeds while there is room in the window; one page a scope at a time.
    fn send_more(&mut self, effects: &mut Vec<Effect>) {
        let Some((_, window)) = self.peer else { return };
        let mut under_way: usize =
            self.scopes.values().flat_map(|scope| &scope.under_way).map(|(_, bytes)| bytes).sum();
        for (id, scope) in &mut self.scopes {
            let Some(after) = scope.sent.filter(|sent| *sent < scope.local.head.seq) else { continue };
            if scope.reading || (under_way + BATCH_BYTES_AIMED > window && under_way > 0) {
                continue;
            }
            scope.reading = true;
            under_way += BATCH_BYTES_AIMED;
            effects.push(Effect::Read { scope: *id, after, bytes: BATCH_BYTES_AIMED });
        }
    }

    fn say_state(&mut self, effects: &mut Vec<Effect>) {
        if self.peer.is_none() {
            return;
        }
        let quiet = |scope: &Scope| {
            scope.sent == Some(scope.local.head.seq)
                && scope.under_way.is_empty()
                && scope.saved == scope.received
                && scope.received >= scope.peer_head
                && scope.reconciling.is_none()
                && !scope.unconfirmed
                && !scope.adrift
        };
        let state = if self.scopes.values().all(quiet) { LinkState::InStep } else { LinkState::Exchanging };
        if self.said != Some(state) {
            self.said = Some(state);
            if state == LinkState::InStep && !self.said_heads {
                // Once at the beginning of a link, so that what differs is found without waiting for a heartbeat.
                self.said_heads = true;
                self.compare_hellos(effects);
            }
            effects.push(Effect::State(state));
        }
    }
}

impl Scope {
    fn confirm(&mut self, effects: &mut Vec<Effect>) {
        self.shown = true;
        self.say_confirmed(effects);
    }

    /// The peer has acknowledged up to a row, and with it what comes next in batches without entries: no word of the peer
    /// is needed for rows that bring it nothing.
    fn acknowledge(&mut self, seq: u64, refused: Vec<Refused>, effects: &mut Vec<Effect>) {
        let mut reached = self.local.acknowledged.max(seq);
        while let Some(&(last, bytes)) = self.under_way.front()
            && (last <= reached || bytes == 0)
        {
            reached = reached.max(last);
            self.under_way.pop_front();
        }
        if reached > self.local.acknowledged || !refused.is_empty() {
            self.local.acknowledged = reached;
            self.agreed &= refused.is_empty();
            effects.push(Effect::Acknowledged(self.local.scope, reached, refused));
        }
    }

    fn head(&self) -> Head {
        let LocalScope { scope, head, sum, count, folded, cursor, .. } = self.local;
        let read = cursor.map_or(0, |cursor| cursor.position.seq);
        Head { scope, position: head, read, folded, sum, count, goes_on: self.sent.is_some() }
    }

    fn ack(&self, refused: Vec<Refused>) -> Ack {
        let LocalScope { scope, sum, count, folded, .. } = self.local;
        Ack { scope, seq: self.saved, folded, sum, count, refused }
    }
}
