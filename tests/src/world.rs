//! A world of nodes in one thread: real databases on a tmpfs, engines as they run, and a network that cuts and delays.
//!
//! **Invariant:** the same seed gives the same run. A crash drops the connection without commit and forgets every value in
//! memory; what was committed is there afterwards.

mod by_hand;
mod clones;
mod going;
mod lives;
mod making;
mod merging;
mod resting;

pub use making::simulate_by_comparing;

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use engine::{
    Batch, Content, CursorVerdict, Effect, Entry, Event, FRAME_BYTES_MAX, Frame, Link, Look, Me, ProtocolError,
    Question, Reply, WINDOW_BYTES,
};
use model::{
    DocId, EventId, Kind, Ladder, Personal, PlacementFact, ScopeId, SignUp, SignUpOrigin, Timestamp, VIEW_VERSION,
};
use rand::RngExt as _;
use rand::rngs::StdRng;
use record::{Record, Stamp, Write};
use store::{
    DocState, Examined, LinkRow, NewDocument, NewNote, NodeKind, NodeRow, NoteKind, Prints, Reader, Store, Writer,
    fold_one,
};
use tempfile::TempDir;

/// A text that must never be in any frame.
const CANARY: &str = "canary-7f3a";
/// The scopes of one link: its own, and the network's.
const LINK_SCOPES: usize = 2;
/// For how many steps a disk is slow, at most: a link does a few dozen things in as many.
const SLOW_STEPS_MAX: usize = 200;

/// One node.
struct SimNode {
    row: NodeRow,
    store: Store,
    writer: Writer,
    reader: Reader,
    actor: [u8; 16],
    scope: Option<ScopeId>,
    parent: Option<usize>,
    /// How far its clock is ahead of the world's, in ms.
    clock_ahead_ms: i64,
    made: Vec<DocId>,
    /// A copy of its database.
    copy: Option<PathBuf>,
    /// The other one of two directories, where this one was copied and both were started: it waits for its turn.
    twin: Option<Store>,
}

/// One end of a link.
struct End {
    node: usize,
    engine: Option<Link>,
    /// Effects that wait for the database.
    work: VecDeque<Effect>,
    /// Frames under way to this end.
    inbox: VecDeque<Frame>,
    moved: bool,
    /// Its node began a new life: the link is opened again.
    restart: bool,
    /// What a comparison has read of its scope.
    kept: Option<Prints>,
    /// It has said that it takes no more than one batch at a time: of each scope, for both may be read at once.
    narrow: bool,
}

/// What came about in a run, so that a test can say that it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How often a comparison came to its end.
    pub compared: u64,
    /// How many records both ends of a link showed at rest as one person's with others.
    pub joined: u64,
    /// How often a copied directory and its original changed places.
    pub turns: u64,
    /// How often something waited for a slow disk.
    pub waited: u64,
}

/// A hub, its chapters, and the links between them.
pub struct World {
    rng: StdRng,
    nodes: Vec<SimNode>,
    /// Of each chapter: the hub's end, and its own.
    pairs: Vec<[End; 2]>,
    now: Timestamp,
    events: u64,
    /// What came about so far.
    pub seen: Seen,
    /// Of which documents some node did not take something over a feed.
    pub refused: BTreeSet<DocId>,
    /// No feed is sent: only comparing brings anything.
    feeds_off: bool,
    /// Whose disk is slow, and for how many steps more.
    slow: Option<(usize, usize)>,
    /// Who is cut off from the node above until it comes back.
    away: Option<usize>,
    directory: TempDir,
}

/// Runs one seed: so many steps, then to rest. Gives a digest of what the nodes hold, and what came about.
///
/// # Errors
/// When something is not as it has to be.
pub fn simulate(seed: u64, steps: usize) -> Result<(String, Seen)> {
    let mut world = World::new(seed, making::layout(seed))?;
    for step in 0..steps {
        world.step().with_context(|| format!("seed {seed}, step {step}"))?;
    }
    world.rest().with_context(|| format!("seed {seed}, at rest"))?;
    Ok((world.digest()?, world.seen))
}

impl World {
    /// One random act.
    ///
    /// # Errors
    /// When something is not as it has to be.
    pub fn step(&mut self) -> Result<()> {
        self.now = self.now.plus_millis(self.rng.random_range(1..1000));
        self.slow = self.slow.and_then(|(node, steps)| steps.checked_sub(1).map(|left| (node, left)));
        let (node, pair) = (self.rng.random_range(0..self.nodes.len()), self.rng.random_range(0..self.pairs.len()));
        match self.rng.random_range(0..100) {
            0..6 => self.create(node),
            6..23 => self.edit(node),
            23 => self.join_or_part(node),
            24 => {
                self.slow_down(node);
                Ok(())
            }
            25 => self.clone_or_take_turns(node),
            26..29 => self.keep_note(node),
            29..30 => self.crash(node),
            30..32 => self.roll_back(node),
            32 => self.trim(node),
            33 => {
                self.cut(pair);
                Ok(())
            }
            34..40 => self.open(pair),
            40..42 => self.propose_transfer(node),
            42..45 => self.go_on(node),
            45..54 => self.fold(node),
            54..64 => self.tell_moved(pair),
            64..66 => self.heartbeat(pair),
            // An exchange takes a dozen of these: fewer at a time, and links would be cut before they come to anything.
            _ => (0..self.rng.random_range(1..12)).try_for_each(|_| self.run_something(pair)),
        }
    }

    /// One of the rarer acts.
    fn go_on(&mut self, node: usize) -> Result<()> {
        match self.rng.random_range(0..12) {
            0..4 => self.answer(node),
            4 => self.take_without_asking(node),
            5 => self.erase(node),
            6 => {
                self.wait_days(node);
                Ok(())
            }
            _ => self.do_owed(node).map(drop),
        }
    }

    /// A node's disk is slow for a while: what links ask of its database waits, and so does folding, while frames keep
    /// arriving. What its own people do goes first, as in the writer's queue.
    fn slow_down(&mut self, node: usize) {
        let steps = self.rng.random_range(SLOW_STEPS_MAX / 10..SLOW_STEPS_MAX);
        self.slow.get_or_insert((node, steps));
    }

    fn is_slow(&self, node: usize) -> bool {
        self.slow.is_some_and(|(slow, _)| slow == node)
    }

    fn stamp(&self, node: usize) -> Stamp {
        let row = &self.nodes[node];
        Stamp { actor: row.actor, author: format!("{}/sim", row.row.node_id.short()), at: self.clock(node) }
    }

    /// The time by a node's own clock.
    pub fn clock(&self, node: usize) -> Timestamp {
        self.now.plus_millis(self.nodes[node].clock_ahead_ms)
    }

    fn next_event(&mut self, node: usize) -> EventId {
        self.events += 1;
        EventId::from_parts(self.clock(node), self.rng.random())
    }

    fn create(&mut self, node: usize) -> Result<()> {
        let scopes = self.scopes_for_new(node);
        self.sign_up(node, "Pat", &scopes).map(drop)
    }

    /// Somebody signs up at a node, and is in these scopes from the beginning.
    ///
    /// # Errors
    /// When she can't be written.
    pub fn sign_up(&mut self, node: usize, given_name: &str, scopes: &[ScopeId]) -> Result<DocId> {
        let id = DocId::from_parts(self.clock(node), self.rng.random());
        let email = format!("p{}@example.org", self.rng.random::<u64>());
        let sign_up = SignUp::from_fields([("given_name", given_name), ("email", email.as_str())], "US")?;
        let event = self.next_event(node);
        let body = model::Body::SignUp { origin: SignUpOrigin::Form, source: None };
        let placed = PlacementFact {
            chapter: scopes.first().copied(),
            reason: "simulated".to_owned(),
            explanation: String::new(),
            flags: Vec::new(),
            territory_version: 1,
            gazetteer_version: String::new(),
        };
        let events = [
            model::Event { id: event, at: self.clock(node), by: None, body },
            model::Event {
                id: self.next_event(node),
                at: self.clock(node),
                by: None,
                body: model::Body::Placement(placed),
            },
        ];
        let stamp = self.stamp(node);
        let entries = record::from_sign_up(&sign_up, &events);
        let (record, written) = Record::create(id, Kind::Supporter, entries, &stamp);
        let new = NewDocument::new(id, Kind::Supporter, &record, written, stamp.actor, &Ladder::default());
        self.nodes[node].writer.commit(|tx| tx.insert_document(&new, scopes, DocState::Live))?;
        self.nodes[node].made.push(id);
        self.committed(node);
        Ok(id)
    }

    fn scopes_for_new(&mut self, node: usize) -> Vec<ScopeId> {
        let own = self.nodes[node].scope;
        if self.nodes[node].row.kind == NodeKind::Chapter || self.rng.random_bool(0.1) {
            return own.into_iter().collect();
        }
        let chapters = self.chapters_of(node);
        let chapter = chapters[self.rng.random_range(0..chapters.len())];
        [chapter].into_iter().chain(own).collect()
    }

    /// One of the newest people here, by any of her records.
    fn somebody(&mut self, node: usize) -> Result<Option<DocId>> {
        let people = self.nodes[node]
            .reader
            .at_once(|read| read.people(&store::Filter::default(), store::Page { limit: 30, after: None }))?;
        if people.is_empty() {
            return Ok(None);
        }
        let records: Vec<DocId> = people[self.rng.random_range(0..people.len())].supporter.ids().collect();
        Ok(Some(records[self.rng.random_range(0..records.len())]))
    }

    fn edit(&mut self, node: usize) -> Result<()> {
        let Some(id) = self.somebody(node)? else { return Ok(()) };
        let name = format!("Name{}", self.rng.random_range(0..5));
        let event = self.next_event(node);
        let at = self.clock(node);
        let say = |body| Write::event(&model::Event { id: event, at, by: None, body });
        let act = self.rng.random_range(0..6);
        let writes = match act {
            0 => vec![Write::field("family_name", &name)],
            1 => vec![Write::Settle("family_name".into(), record::Value::text(name))],
            2 => vec![Write::Put(format!("tag/{name}"), record::Value::Flag)],
            3 => vec![say(model::Body::Return { reason: Personal::from("simulated") })],
            4 => {
                let (how, result) = (model::AttemptHow::Call, model::AttemptResult::NoAnswer);
                vec![say(model::Body::Attempt { how, result, line: None, not_before: None, next_on: None })]
            }
            _ => {
                let row = self.nodes[node].reader.at_once(|read| read.record(id))?;
                let ladder = Ladder::default();
                let rungs = ladder.rungs();
                let to = rungs[self.rng.random_range(0..rungs.len())].id.clone();
                // Her home alone moves her.
                if row.elsewhere || to == row.supporter.rung {
                    return Ok(());
                }
                let up = ladder.position(&to) > ladder.position(&row.supporter.rung);
                let how = if up { model::MoveKind::Up } else { model::MoveKind::Down };
                let (from, because) = (row.supporter.rung, Some(Personal::from("simulated")));
                let said = say(model::Body::Move { from, to: to.clone(), how, evidence: Vec::new(), because });
                vec![said, Write::rung(&to, event)]
            }
        };
        self.write(node, id, &writes)
    }

    fn keep_note(&mut self, node: usize) -> Result<()> {
        if self.nodes[node].row.kind == NodeKind::Hub {
            return Ok(());
        }
        let Some(person) = self.somebody(node)? else { return Ok(()) };
        let note = NewNote {
            id: self.next_event(node),
            event: None,
            kind: NoteKind::Note,
            by: "sim".into(),
            text: CANARY.into(),
            at: self.clock(node),
        };
        self.nodes[node].writer.commit(|tx| tx.add_note(person, &note))?;
        self.committed(node);
        Ok(())
    }

    /// Almost everything in the feeds is too old.
    fn trim(&mut self, node: usize) -> Result<()> {
        let kept = self.rng.random_range(1..6);
        self.nodes[node].writer.commit(|tx| tx.trim_feeds(kept))?;
        self.committed(node);
        Ok(())
    }

    fn heartbeat(&mut self, pair: usize) -> Result<()> {
        (0..2).try_for_each(|at| self.handle(pair, at, Event::Heartbeat))
    }

    fn cut(&mut self, pair: usize) {
        for end in &mut self.pairs[pair] {
            end.engine = None;
            end.restart = false;
            end.work.clear();
            end.inbox.clear();
            end.kept = None;
        }
    }

    fn open(&mut self, pair: usize) -> Result<()> {
        if self.away == Some(self.pairs[pair][1].node) {
            return Ok(());
        }
        if self.pairs[pair].iter().any(|end| end.restart) {
            self.cut(pair);
        }
        if self.pairs[pair].iter().all(|end| end.engine.is_some()) {
            return Ok(());
        }
        self.cut(pair);
        for at in 0..2 {
            let node = self.pairs[pair][at].node;
            let row = &self.nodes[node].row;
            let (asks, incarnation) = (at == 0, row.incarnation);
            let me = Me { node: row.node_id, incarnation, view_version: VIEW_VERSION, asks };
            self.pairs[pair][at].engine = Some(Link::new(me));
            self.pairs[pair][at].narrow = self.rng.random_bool(0.2);
            let link = self.link_row(pair, at)?;
            self.nodes[node].writer.commit(|tx| tx.unconfirmed(link.id))?;
            let scopes = self.nodes[node].reader.at_once(|read| read.local_scopes(link.id))?;
            self.handle(pair, at, Event::Opened(scopes))?;
        }
        Ok(())
    }

    fn link_row(&mut self, pair: usize, at: usize) -> Result<LinkRow> {
        let other = self.nodes[self.pairs[pair][1 - at].node].row.node_id;
        let links = self.nodes[self.pairs[pair][at].node].reader.at_once(|read| read.links())?;
        links.into_iter().find(|link| link.peer == other).context("the link is in the database")
    }

    fn handle(&mut self, pair: usize, at: usize, event: Event) -> Result<()> {
        let between = self.nodes[self.pairs[pair][1].node].row.kind == NodeKind::Hub;
        let Some(engine) = &mut self.pairs[pair][at].engine else { return Ok(()) };
        for effect in engine.handle(event) {
            match effect {
                Effect::Send(mut frame) => {
                    check_frame(&frame)?;
                    match &mut frame {
                        Frame::Hello(hello) if self.pairs[pair][at].narrow => hello.window_bytes = 0,
                        Frame::Ack(ack) => self.refused.extend(ack.refused.iter().map(|refused| refused.document)),
                        Frame::Hello(_) | Frame::Batch(_) | Frame::Head(_) | Frame::Bye(_) => {}
                        Frame::Adrift(_) | Frame::Ask(..) | Frame::Answer(..) => {}
                    }
                    let frame = match (between, at) {
                        (true, 0) => frame.renamed(ScopeId::NETWORK, ScopeId::ABOVE),
                        (true, _) => frame.renamed(ScopeId::ABOVE, ScopeId::NETWORK),
                        (false, _) => frame,
                    };
                    self.pairs[pair][1 - at].inbox.push_back(frame);
                }
                // The one whose database was rolled back says so, and the other hears it: both open the link again.
                Effect::Close(ProtocolError::RolledBack | ProtocolError::Bye { come_back: true, .. }) => {
                    self.pairs[pair][at].restart = true;
                    return Ok(());
                }
                Effect::Close(error) => bail!("a link between honest nodes ended: {error}"),
                Effect::State(_) => {}
                Effect::BeginNewLife => {
                    let node = self.pairs[pair][at].node;
                    self.begin_life(node)?;
                }
                waits @ (Effect::CheckCursor(..)
                | Effect::Read { .. }
                | Effect::Save(..)
                | Effect::Look(..)
                | Effect::Agreed(..)
                | Effect::Confirmed(..)
                | Effect::Acknowledged(..)) => {
                    self.pairs[pair][at].work.push_back(waits);
                }
            }
        }
        self.pairs[pair].iter().try_for_each(check_waiting)
    }

    fn run_something(&mut self, pair: usize) -> Result<()> {
        let at = self.rng.random_range(0..2);
        self.run_one(pair, at).map(drop)
    }

    /// Runs one effect that waits, or takes one frame; `false` when there is neither, or the disk is slow.
    fn run_one(&mut self, pair: usize, at: usize) -> Result<bool> {
        let (prefer_frame, slow) = (self.rng.random_bool(0.5), self.is_slow(self.pairs[pair][at].node));
        let end = &mut self.pairs[pair][at];
        if (prefer_frame || slow || end.work.is_empty())
            && let Some(frame) = end.inbox.pop_front()
        {
            self.handle(pair, at, Event::Received(frame))?;
            return Ok(true);
        }
        if slow {
            self.seen.waited += u64::from(!end.work.is_empty());
            return Ok(false);
        }
        let Some(effect) = end.work.pop_front() else { return Ok(false) };
        let node = end.node;
        let now = self.clock(node);
        let link = self.link_row(pair, at)?;
        let state = &mut self.nodes[node];
        let event = match effect {
            Effect::CheckCursor(scope, _) if self.feeds_off => Event::CursorChecked(scope, CursorVerdict::Adrift),
            Effect::CheckCursor(scope, cursor) => {
                Event::CursorChecked(scope, state.reader.at_once(|read| read.check_cursor(scope, cursor))?)
            }
            Effect::Read { .. } if self.feeds_off => return Ok(true),
            Effect::Read { scope, after, bytes } => {
                match state.reader.at_once(|read| read.feed_page(link.id, scope, after, bytes))? {
                    Some(page) => Event::Page(page),
                    None => {
                        self.pairs[pair][at].restart = true;
                        return Ok(true);
                    }
                }
            }
            Effect::Save(batch, cursor) => {
                let saved = {
                    let examined = Examined::new(batch);
                    state.writer.commit(|tx| tx.log(&link, &examined, cursor, now))?
                };
                self.committed(node);
                Event::Saved(saved)
            }
            Effect::Acknowledged(scope, seq, refused) => {
                state.writer.commit(|tx| tx.acknowledged(&link, scope, seq, &refused, now))?;
                return Ok(true);
            }
            Effect::Confirmed(scope) => {
                if link.direction == store::Direction::Up {
                    state.writer.commit(|tx| tx.confirmed(link.id, scope, now))?;
                }
                return Ok(true);
            }
            Effect::Agreed(scope) => {
                state.writer.commit(|tx| tx.nothing_missing(&link, scope))?;
                return Ok(true);
            }
            Effect::Look(scope, look) if store::writes(&look) => {
                self.seen.compared += u64::from(at == 0 && matches!(look, Look::MoveCursor(_)));
                let found = state.writer.commit(|tx| tx.write_look(&link, scope, look, now))?;
                self.committed(node);
                Event::Found(scope, found)
            }
            Effect::Look(scope, look) => {
                let kept = &mut self.pairs[pair][at].kept;
                Event::Found(scope, state.reader.at_once(|read| read.look(scope, &look, kept))?)
            }
            Effect::Send(_) | Effect::State(_) | Effect::Close(_) | Effect::BeginNewLife => {
                bail!("an effect that does not wait was queued")
            }
        };
        self.handle(pair, at, event)?;
        Ok(true)
    }

    fn fold(&mut self, node: usize) -> Result<()> {
        if self.is_slow(node) { Ok(()) } else { self.fold_all(node).map(drop) }
    }

    fn fold_all(&mut self, node: usize) -> Result<bool> {
        let jobs = self.nodes[node].reader.at_once(|read| read.fold_work(8))?;
        let any = !jobs.is_empty();
        for job in jobs {
            let (folded, now) = (fold_one(job, &Ladder::default()), self.clock(node));
            self.nodes[node].writer.commit(|tx| tx.put_fold(&folded, now))?;
        }
        if any {
            self.committed(node);
        }
        Ok(any)
    }

    fn committed(&mut self, node: usize) {
        for end in self.pairs.iter_mut().flatten().filter(|end| end.node == node) {
            end.moved = true;
        }
    }

    fn tell_moved(&mut self, pair: usize) -> Result<()> {
        let at = self.rng.random_range(0..2);
        self.moved(pair, at)
    }

    fn moved(&mut self, pair: usize, at: usize) -> Result<()> {
        if !std::mem::take(&mut self.pairs[pair][at].moved) || self.pairs[pair][at].engine.is_none() {
            return Ok(());
        }
        let link = self.link_row(pair, at)?;
        let scopes = self.nodes[self.pairs[pair][at].node].reader.at_once(|read| read.local_scopes(link.id))?;
        scopes.into_iter().try_for_each(|scope| self.handle(pair, at, Event::Moved(scope)))
    }

    /// A digest of everything that the nodes hold: equal for equal runs.
    ///
    /// # Errors
    /// When a database can't be read.
    pub fn digest(&mut self) -> Result<String> {
        let mut words = String::new();
        for n in 1..self.nodes.len() {
            let scope = self.nodes[n].scope.context("a chapter has a scope")?;
            let (sum, count) = self.nodes[n].reader.at_once(|read| read.recount(scope))?;
            words.push_str(&format!("{sum}/{count} "));
        }
        Ok(words)
    }
}

/// What waits at an end is bounded, however slow its disk is: batches by the window that it said, and of everything else
/// that costs memory one at a time a scope. A batch that only covers rows weighs nothing.
fn check_waiting(end: &End) -> Result<()> {
    let (mut batches, mut bytes, mut others) = (0, 0, [0; 3]);
    let mut weigh = |batch: &Batch| {
        batches += usize::from(!batch.entries.is_empty());
        bytes += batch.bytes();
    };
    for frame in &end.inbox {
        if let Frame::Batch(batch) = frame {
            weigh(batch);
        }
    }
    for effect in &end.work {
        match effect {
            Effect::Save(batch, _) => weigh(batch),
            Effect::CheckCursor(..) => others[0] += 1,
            Effect::Read { .. } => others[1] += 1,
            Effect::Look(..) => others[2] += 1,
            Effect::Acknowledged(..) | Effect::Agreed(_) | Effect::Confirmed(_) => {}
            Effect::Send(_) | Effect::State(_) | Effect::Close(_) | Effect::BeginNewLife => {}
        }
    }
    let fits = batches <= LINK_SCOPES || (!end.narrow && bytes <= WINDOW_BYTES + FRAME_BYTES_MAX);
    ensure!(fits, "{batches} batches of {bytes} bytes wait at node {}, narrow: {}", end.node, end.narrow);
    ensure!(others.iter().all(|waiting| *waiting <= LINK_SCOPES), "{others:?} wait at node {}", end.node);
    Ok(())
}

/// What stays in a chapter is in no frame.
fn check_frame(frame: &Frame) -> Result<()> {
    let entries: &[Entry] = match frame {
        Frame::Batch(batch) => &batch.entries,
        Frame::Ask(_, Question::Take(entries)) | Frame::Answer(_, Reply::Fetched { entries, .. }) => entries,
        Frame::Hello(_) | Frame::Ack(_) | Frame::Head(_) | Frame::Bye(_) | Frame::Adrift(_) => return Ok(()),
        Frame::Ask(..) | Frame::Answer(..) => return Ok(()),
    };
    let has = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
    for entry in entries {
        let found = match &entry.content {
            Content::Change { bytes } => has(bytes),
            Content::Enter { snapshot, view, .. } => {
                has(snapshot) || view.as_ref().is_some_and(|view| has(view.json.as_bytes()))
            }
            Content::Propose { value, .. } => has(value.expose().as_bytes()),
            Content::Transfer(said) => has(said.summary.expose().as_bytes()) || has(said.text.expose().as_bytes()),
            Content::Leave { .. } | Content::Erase { .. } | Content::Receipt(_) => false,
        };
        ensure!(!found, "a private note is on its way out");
    }
    Ok(())
}
