//! Drives one end of a link: the engine's effects against the database and a stream.
//!
//! **Invariant:** saves are queued in the order in which batches came; nothing waits here with a lock held.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{
    Bye, Cursor, CursorVerdict, Effect, Event, Found, Frame, Link, LinkState, Look, Me, ProtocolError, WINDOW_BYTES,
};
use model::{ScopeId, VIEW_VERSION};
use store::{Direction, Examined, LinkRow, LinkStanding, Prints, StoreError, Tx};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;

use crate::convert::{FromWireError, from_wire, to_wire};
use crate::node::Admission;
use crate::wire::sync as wire;
use crate::{ErrorKind, Node, NodeError, draw};

/// How often an end says where its feeds stand when nothing else is said.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// An end that has said nothing for this long is gone: three heartbeats.
const SILENCE: Duration = Duration::from_secs(50);

/// The most batches logged in one job: about 1 MiB, so that a person who waits, waits for some tens of milliseconds.
const BATCHES_LOGGED: usize = 4;

/// The most batches that wait for the writer, and with a window of bytes as many as an honest peer sends. Beyond it nothing
/// is read from the peer: one that sends faster than this disk takes waits, at the price of its own socket.
const BATCHES_WAITING_MAX: usize = 64;
/// The most small writes of one link that wait for the writer: acks and heartbeats. Twice as many as a window has batches to
/// be acknowledged.
const NOTES_WAITING_MAX: usize = 32;

/// A feed that is longer than this, read from its beginning, is work for a while: a tenth of a second.
const LONG_FEED_ROWS: u64 = 2_000;

/// How a link ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It was told to stop.
    Stopped,
    /// The stream broke or fell silent.
    Broken(String),
    /// The other end sent what can't be read, and was told so: a bad line.
    Garbled(String),
    /// One end found that its database was rolled back: the link is opened again.
    Anew(String),
    /// One end refused to go on.
    Refused(String),
    /// This end's database failed.
    Failed(NodeError),
}

impl From<NodeError> for Ended {
    fn from(error: NodeError) -> Self {
        let words = || error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"));
        match error.kind() {
            ErrorKind::Unreachable => Self::Broken(error.to_string()),
            ErrorKind::Refused | ErrorKind::NotFound => Self::Refused(words()),
            ErrorKind::Failed | ErrorKind::Integrity => Self::Failed(error),
        }
    }
}

/// Where the link stands, for who waits for it.
pub(crate) type StateWatch = watch::Sender<Option<LinkState>>;

/// Batches on their way through the writer.
#[derive(Default)]
struct ToLog {
    /// They came and are not logged yet, in order.
    waiting: VecDeque<(Examined, Cursor)>,
    /// What those weigh.
    bytes: usize,
    /// They are logged: thousands of small pieces of memory, which the writer has no time to give back.
    spent: Vec<(Examined, Cursor)>,
}

/// One link that is open.
struct Driver<'a> {
    node: &'a Node,
    link: &'a LinkRow,
    engine: Link,
    outgoing: mpsc::Sender<wire::Frame>,
    results: mpsc::UnboundedSender<Result<Event, NodeError>>,
    to_log: Arc<Mutex<ToLog>>,
    /// Places for small writes that nobody waits for.
    notes: Arc<Semaphore>,
    state: &'a StateWatch,
    /// Whether the parent's network is another one than this node's own.
    between: bool,
    /// Held while the peer gets so much at once that only some may.
    admitted: Admitted,
    /// What a comparison has read of its scope.
    kept: Arc<Mutex<Option<Prints>>>,
}

type Admitted = Arc<Mutex<Option<Admission>>>;

/// Whether a child may begin: of those that have a long feed or a comparison before them, only some at once.
fn admit(
    node: &Node,
    link: &LinkRow,
    scope: ScopeId,
    verdict: CursorVerdict,
    admitted: &Admitted,
) -> Result<(), NodeError> {
    let long = match verdict {
        CursorVerdict::Adrift => true,
        CursorVerdict::FromStart => {
            let scopes = node.read(|read| read.local_scopes(link.id))?;
            scopes.iter().any(|local| local.scope == scope && local.head.seq > LONG_FEED_ROWS)
        }
        CursorVerdict::Good(_) | CursorVerdict::RolledBack => false,
    };
    let mut admitted = admitted.lock().unwrap_or_else(PoisonError::into_inner);
    if long && link.direction == Direction::Down && admitted.is_none() {
        *admitted = Some(node.admit(link.scope).ok_or(NodeError::ManyNew)?);
    }
    Ok(())
}

/// Drives a link until it ends. `incoming` are the peer's frames, `outgoing` takes ours.
pub(crate) async fn drive<S>(
    node: &Node,
    link: &LinkRow,
    mut incoming: S,
    outgoing: mpsc::Sender<wire::Frame>,
    state: &StateWatch,
    stop: CancellationToken,
) -> Ended
where
    S: Stream<Item = Result<wire::Frame, tonic::Status>> + Unpin,
{
    let reading = node.clone();
    let row = match blocking(move || reading.read(|read| read.node())).await {
        Ok(row) => row,
        Err(error) => return Ended::Failed(error),
    };
    let asks = link.direction == Direction::Down;
    if !asks {
        let (writing, id) = (node.clone(), link.id);
        if let Err(error) =
            blocking(move || writing.write(crate::Priority::Interactive, move |tx| tx.unconfirmed(id))).await
        {
            return Ended::Failed(error);
        }
    }
    let between = node.is_hub() && link.direction == Direction::Up;
    let me = Me { node: row.node_id, incarnation: row.incarnation, view_version: VIEW_VERSION, asks };
    let (results, mut from_database) = mpsc::unbounded_channel();
    let mut driver = Driver {
        node,
        link,
        engine: Link::new(me),
        outgoing,
        results,
        to_log: Arc::default(),
        notes: Arc::new(Semaphore::new(NOTES_WAITING_MAX)),
        state,
        between,
        admitted: Arc::default(),
        kept: Arc::default(),
    };
    let mut changes = node.changes();
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.tick().await;
    let mut heard_until = tokio::time::Instant::now() + SILENCE;
    if let Err(ended) = driver.open().await {
        return ended;
    }
    loop {
        let step = tokio::select! {
            () = stop.cancelled() => return Ended::Stopped,
            () = tokio::time::sleep_until(heard_until) => return Ended::Broken("the other end fell silent".to_owned()),
            frame = incoming.next(), if driver.has_room() => match frame {
                None => return Ended::Broken("the other end closed the connection".to_owned()),
                Some(Err(status)) => return status_ended(&status),
                Some(Ok(frame)) => match from_wire(frame, link.scope) {
                    Ok(Some(frame)) => {
                        let frame = driver.as_named_here(frame);
                        heard_until = tokio::time::Instant::now() + SILENCE;
                        driver.heard(&frame).await;
                        driver.feed(Event::Received(frame)).await
                    }
                    Ok(None) => Ok(()),
                    Err(error) => return driver.could_not_read(&error).await,
                },
            },
            Some(result) = from_database.recv() => match result {
                Ok(event) => driver.feed(event).await,
                // The link is opened again, and both compare.
                Err(NodeError::FeedGone) => Err(Ended::Anew(NodeError::FeedGone.to_string())),
                Err(NodeError::ManyNew) => Err(driver.not_now().await),
                Err(error) => Err(Ended::Failed(error)),
            },
            Ok(()) = changes.changed() => driver.moved().await,
            _ = heartbeat.tick() => driver.feed(Event::Heartbeat).await,
        };
        if let Err(ended) = step {
            return ended;
        }
    }
}

fn lock(to_log: &Mutex<ToLog>) -> MutexGuard<'_, ToLog> {
    to_log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a status is a refusal or a broken line.
pub(crate) fn status_ended(status: &tonic::Status) -> Ended {
    let refusals = [tonic::Code::Unauthenticated, tonic::Code::PermissionDenied, tonic::Code::FailedPrecondition];
    if refusals.contains(&status.code()) {
        Ended::Refused(status.message().to_owned())
    } else {
        Ended::Broken(format!("the connection broke off ({})", status.code()))
    }
}

impl Driver<'_> {
    /// What the parent calls its network is what is above this hub's own.
    fn as_named_here(&self, frame: Frame) -> Frame {
        if self.between { frame.renamed(ScopeId::NETWORK, ScopeId::ABOVE) } else { frame }
    }

    fn as_named_there(&self, frame: &Frame) -> wire::Frame {
        let own = self.link.scope;
        if !self.between {
            return to_wire(frame, own);
        }
        to_wire(&frame.clone().renamed(ScopeId::ABOVE, ScopeId::NETWORK), own)
    }

    /// Others are new here, too: the peer comes again by its own backoff.
    async fn not_now(&self) -> Ended {
        let reason = NodeError::ManyNew.to_string();
        let _ = self.send(&Frame::Bye(Bye { reason: reason.clone(), come_back: true })).await;
        Ended::Anew(reason)
    }

    fn has_room(&self) -> bool {
        let to_log = lock(&self.to_log);
        to_log.waiting.len() < BATCHES_WAITING_MAX && to_log.bytes < WINDOW_BYTES
    }

    /// Writes something small that nobody waits for: a peer that sets more of it in motion than this disk takes waits, as
    /// with batches.
    async fn note(&self, job: impl FnOnce(&Tx<'_>) -> Result<(), StoreError> + Send + 'static) {
        // Nobody closes the semaphore.
        let Ok(place) = Arc::clone(&self.notes).acquire_owned().await else { return };
        drop(self.node.write_later(move |tx| {
            let _place = place;
            job(tx)
        }));
    }

    /// Tells the peer what it sent, in words. Only a frame of a newer version is its refusal; the rest is a bad line.
    async fn could_not_read(&self, error: &FromWireError) -> Ended {
        if !matches!(error, FromWireError::UnknownCritical) {
            self.audit_refused("a frame that can't be read");
        }
        let reason = error.to_string();
        let bye = Frame::Bye(Bye { reason: reason.clone(), come_back: false });
        // It may be gone already: the words stand here, too.
        let _ = self.send(&bye).await;
        if matches!(error, FromWireError::UnknownCritical) { Ended::Refused(reason) } else { Ended::Garbled(reason) }
    }

    /// A peer that does not keep to the protocol stands in the audit log: it may be trying what it can do.
    fn audit_breach(&self, error: &ProtocolError) {
        match error {
            ProtocolError::ForeignScope => self.audit_refused("a scope that is not on its link"),
            ProtocolError::OutOfPlace(_) | ProtocolError::Gap { .. } | ProtocolError::TooMuch(_) => {
                self.audit_refused("a frame against the protocol");
            }
            ProtocolError::AckAhead(_) => self.audit_refused("an acknowledgement of what was not sent"),
            ProtocolError::NoCommonVersion { .. } | ProtocolError::Bye { .. } | ProtocolError::RolledBack => {}
        }
    }

    fn audit_refused(&self, why: &'static str) {
        let (link, at) = (self.link.clone(), draw::now());
        drop(self.node.write_later(move |tx| tx.audit_refused(&link, why, (1, None), at)));
    }

    async fn open(&mut self) -> Result<(), Ended> {
        let (node, link) = (self.node.clone(), self.link.id);
        let scopes = blocking(move || node.read(|read| read.local_scopes(link))).await.map_err(Ended::Failed)?;
        self.feed(Event::Opened(scopes)).await
    }

    /// A heartbeat says that nothing is outstanding: the last exchange is now. A hello that names what is not on the link is
    /// answered as if it did not, for a later version may have more; it stands in the audit log.
    async fn heard(&self, frame: &Frame) {
        let on_link = |scope: ScopeId| scope == self.link.scope || scope == ScopeId::NETWORK;
        if matches!(frame, Frame::Head(head) if head.scope == self.link.scope) {
            let (link, at) = (self.link.id, draw::now());
            self.note(move |tx| tx.heard(link, at)).await;
        } else if let Frame::Hello(hello) = frame
            && self.link.direction == Direction::Down
            && !hello.scopes.iter().all(|said| on_link(said.scope))
        {
            self.audit_refused("a scope that is not on its link");
        }
    }

    /// Something in the database moved: the engine hears of each scope as it stands now.
    async fn moved(&mut self) -> Result<(), Ended> {
        let (node, link) = (self.node.clone(), self.link.id);
        let scopes = blocking(move || node.read(|read| read.local_scopes(link))).await.map_err(Ended::Failed)?;
        for scope in scopes {
            self.feed(Event::Moved(scope)).await?;
        }
        Ok(())
    }

    async fn feed(&mut self, event: Event) -> Result<(), Ended> {
        for effect in self.engine.handle(event) {
            self.run(effect).await?;
        }
        Ok(())
    }

    async fn run(&mut self, effect: Effect) -> Result<(), Ended> {
        match effect {
            Effect::Send(frame) => {
                if let Frame::Adrift(scope) = frame {
                    self.look_ahead(scope);
                }
                self.send(&frame).await?;
            }
            Effect::CheckCursor(scope, cursor) => {
                let (node, link, admitted) = (self.node.clone(), self.link.clone(), Arc::clone(&self.admitted));
                self.later(move || {
                    let verdict = node.read(|read| read.check_cursor(scope, cursor))?;
                    admit(&node, &link, scope, verdict, &admitted)?;
                    // A database that is open can't be rolled back under itself: what a peer says after that is its own affair.
                    if verdict == CursorVerdict::RolledBack && node.has_begun_life() {
                        let (why, at) = ("a place in a feed that there is not", draw::now());
                        drop(node.write_later(move |tx| tx.audit_refused(&link, why, (1, None), at)));
                        return Ok(Event::CursorChecked(scope, CursorVerdict::Adrift));
                    }
                    Ok(Event::CursorChecked(scope, verdict))
                });
            }
            Effect::Read { scope, after, bytes } => {
                let (node, link) = (self.node.clone(), self.link.id);
                self.later(move || {
                    let page = node.read(|read| read.feed_page(link, scope, after, bytes))?;
                    page.map(Event::Page).ok_or(NodeError::FeedGone)
                });
            }
            Effect::Save(batch, cursor) => {
                let examined = blocking(move || Ok(Examined::new(batch))).await.map_err(Ended::Failed)?;
                self.log(examined, cursor);
            }
            Effect::Acknowledged(scope, seq, refused) => {
                let (link, at) = (self.link.clone(), draw::now());
                self.note(move |tx| tx.acknowledged(&link, scope, seq, &refused, at)).await;
            }
            Effect::Look(scope, look) => self.look(scope, look),
            Effect::Agreed(scope) => {
                let link = self.link.clone();
                drop(self.node.write_later(move |tx| tx.nothing_missing(&link, scope)));
            }
            Effect::Confirmed(scope) if self.link.direction == Direction::Up => {
                let (link, at) = (self.link.id, draw::now());
                drop(self.node.write_later(move |tx| tx.confirmed(link, scope, at)));
            }
            Effect::Confirmed(_) => {}
            Effect::BeginNewLife => {
                tracing::warn!("this database was rolled back; it compares with its neighbours what was lost");
                let (node, peer) = (self.node.clone(), self.link.peer);
                blocking(move || node.begin_life(peer)).await.map_err(Ended::Failed)?;
            }
            Effect::State(state) => {
                if state == LinkState::InStep {
                    drop(self.admitted.lock().unwrap_or_else(PoisonError::into_inner).take());
                }
                self.state.send_replace(Some(state));
            }
            Effect::Close(error) => {
                if error == ProtocolError::RolledBack {
                    let (node, words) = (self.node.clone(), error.to_string());
                    return Err(Ended::Anew(blocking(move || node.copied_words()).await.unwrap_or(words)));
                }
                self.audit_breach(&error);
                let anew = matches!(error, ProtocolError::Bye { come_back: true, .. });
                let words = if let ProtocolError::Bye { reason, .. } = error { reason } else { error.to_string() };
                return Err(if anew { Ended::Anew(words) } else { Ended::Refused(words) });
            }
        }
        Ok(())
    }

    /// Logs a batch after those that wait. What came while the writer was busy goes into one job, which is one flush of the search words.
    fn log(&self, examined: Examined, cursor: Cursor) {
        let spent = {
            let mut to_log = lock(&self.to_log);
            to_log.bytes += examined.bytes();
            to_log.waiting.push_back((examined, cursor));
            std::mem::take(&mut to_log.spent)
        };
        drop(spent);
        let (link, at, results) = (self.link.clone(), draw::now(), self.results.clone());
        let to_log = Arc::clone(&self.to_log);
        let job = move |tx: &Tx<'_>| {
            let batches: Vec<_> = {
                let mut to_log = lock(&to_log);
                let count = to_log.waiting.len().min(BATCHES_LOGGED);
                let batches: Vec<_> = to_log.waiting.drain(..count).collect();
                to_log.bytes -= batches.iter().map(|(examined, _)| examined.bytes()).sum::<usize>();
                batches
            };
            let log = |(examined, cursor): &(Examined, Cursor)| tx.log(&link, examined, *cursor, at);
            let logged = batches.iter().map(log).collect::<Result<Vec<_>, _>>();
            lock(&to_log).spent.extend(batches);
            logged
        };
        // Answered from the writer thread itself: what was saved is heard of in the order in which it was saved.
        self.node.write_then(job, move |logged| match logged {
            Ok(logged) => logged.into_iter().for_each(|saved| drop(results.send(Ok(Event::Saved(saved))))),
            Err(error) => drop(results.send(Err(NodeError::Store(error)))),
        });
    }

    /// The parent is about to ask: what it will ask for is read while it reads its own.
    fn look_ahead(&self, scope: ScopeId) {
        let (node, kept) = (self.node.clone(), Arc::clone(&self.kept));
        tokio::task::spawn_blocking(move || {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = node.read(|read| read.look_ahead(scope, &mut kept)) {
                tracing::warn!(%error, "what a comparison will ask for could not be read ahead");
            }
        });
    }

    /// Looks something up for a comparison, or writes it.
    fn look(&self, scope: ScopeId, look: Look) {
        if matches!(look, Look::MoveCursor(_)) {
            // It is over: what was read for it goes.
            drop(self.kept.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        if store::writes(&look) {
            let (link, at, results) = (self.link.clone(), draw::now(), self.results.clone());
            let found = move |found: Result<Found, StoreError>| {
                drop(results.send(found.map(|found| Event::Found(scope, found)).map_err(NodeError::Store)));
            };
            self.node.write_then(move |tx| tx.write_look(&link, scope, look, at), found);
        } else {
            let (node, kept) = (self.node.clone(), Arc::clone(&self.kept));
            self.later(move || {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(Event::Found(scope, node.read(|read| read.look(scope, &look, &mut kept))?))
            });
        }
    }

    fn later(&self, work: impl FnOnce() -> Result<Event, NodeError> + Send + 'static) {
        let results = self.results.clone();
        tokio::task::spawn_blocking(move || drop(results.send(work())));
    }

    async fn send(&self, frame: &Frame) -> Result<(), Ended> {
        let gone = || Ended::Broken("the connection broke off".to_owned());
        let sent = tokio::time::timeout(SILENCE, self.outgoing.send(self.as_named_there(frame))).await;
        sent.map_err(|_| gone())?.map_err(|_| gone())
    }
}

/// Notes in the database where a link stands.
pub(crate) fn note_standing(node: &Node, link: &LinkRow, standing: LinkStanding, detail: &str) {
    let (id, detail) = (link.id, detail.to_owned());
    drop(node.write_later(move |tx| tx.set_standing(id, standing, &detail)));
}

/// Runs blocking work from async code.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| NodeError::ShuttingDown)?
}
