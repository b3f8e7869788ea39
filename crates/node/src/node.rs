//! A node that is open: its database behind a writer thread and a pool of readers.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use model::{ActorId, AuditKind, NodeId, ScopeId, Timestamp};
use record::Stamp;
use store::{Difference, NewAudit, NodeKind, NodeRow, PROGRAM_VERSION, Read, Reader, Store, StoreError, Tally, Tx};
use tokio::sync::{oneshot, watch};

use crate::authority::unlock_file;
use crate::connect::Connector;
use crate::leaving::Redraw;
use crate::lock::ServeLock;
use crate::logins::Logins;
pub use crate::queue::Priority;
use crate::queue::WriteQueue;
use crate::{NodeError, draw};

/// The most readers kept open: two for each core of a small machine, and one for the watcher.
const READERS_KEPT: usize = 5;
/// How many children may have a long feed or a comparison before them at once: two for each core of a small machine. Each
/// holds a few MiB, and more of them make all of them slower.
const ADMITTED_AT_ONCE: usize = 4;
/// How many of those may be of one chapter: nodes that begin and never end it keep no other chapter out.
const ADMITTED_OF_A_CHAPTER: usize = 3;
/// How long a read waits for the fold to reach the log as it was when it started.
const FOLD_WAIT: Duration = Duration::from_secs(2);
/// How often a command beside a server looks whether it has folded.
const FOLD_POLL: Duration = Duration::from_millis(10);

/// A node that is open. Clones share it.
#[derive(Clone)]
pub struct Node(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    store: Store,
    directory: PathBuf,
    pub(crate) row: NodeRow,
    queue: WriteQueue,
    readers: Mutex<Vec<Reader>>,
    /// Drawn per process, and again when the database begins a new life.
    actor: Mutex<ActorId>,
    changed: watch::Sender<u64>,
    begun_life: AtomicBool,
    /// Who has a long feed or a comparison before it: of each its chapter.
    beginning: Mutex<Vec<ScopeId>>,
    serves: Arc<AtomicBool>,
    connector: OnceLock<Connector>,
    pub(crate) logins: Logins,
    unlock_file: OnceLock<PathBuf>,
    pub(crate) redraw: OnceLock<Redraw>,
}

/// A child that may begin, for as long as this is kept.
pub(crate) struct Admission {
    node: Node,
    chapter: ScopeId,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut beginning = self.node.0.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = beginning.iter().position(|other| *other == self.chapter) {
            beginning.swap_remove(at);
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.0.row.node_id.short())
    }
}

impl Node {
    /// Opens the node in a directory.
    ///
    /// # Errors
    /// When there is none, it is of the other program, or its database can't be opened.
    pub fn open(directory: &Path, kind: NodeKind) -> Result<Self, NodeError> {
        let store = Store::open(directory, kind)?;
        Self::with(store, directory)
    }

    /// Makes a node whose first rows are there from its first moment, or not at all.
    pub(crate) fn create(
        directory: &Path,
        row: &NodeRow,
        first: impl FnOnce(&Tx<'_>) -> Result<(), StoreError>,
    ) -> Result<Self, NodeError> {
        let store = Store::create(directory, row, draw::now(), first)?;
        Self::with(store, directory)
    }

    fn with(store: Store, directory: &Path) -> Result<Self, NodeError> {
        let mut reader = store.reader()?;
        let row = reader.at_once(|read| read.node())?;
        let (changed, _) = watch::channel(0);
        let queue = WriteQueue::start(store.clone(), store.writer()?, changed.clone());
        Ok(Self(Arc::new(Inner {
            store,
            directory: directory.to_owned(),
            row,
            queue,
            readers: Mutex::new(vec![reader]),
            actor: Mutex::new(draw::actor()),
            changed,
            begun_life: AtomicBool::new(false),
            beginning: Mutex::default(),
            serves: Arc::new(AtomicBool::new(false)),
            connector: OnceLock::new(),
            logins: Logins::default(),
            unlock_file: OnceLock::new(),
            redraw: OnceLock::new(),
        })))
    }

    /// Connects to its parent by this connector. To be said before it first dials: later it changes nothing.
    #[doc(hidden)]
    pub fn connect_by(&self, connector: Connector) {
        let _ = self.0.connector.set(connector);
    }

    pub(crate) fn connector(&self) -> &Connector {
        self.0.connector.get_or_init(Connector::tcp)
    }

    /// Says where the key file of this hub's authority is, if not beside its database. To be said before it serves.
    pub fn unlock_by(&self, file: PathBuf) {
        let _ = self.0.unlock_file.set(file);
    }

    pub(crate) fn unlock_file(&self) -> &Path {
        self.0.unlock_file.get_or_init(|| unlock_file(&self.0.directory))
    }

    /// What this node is.
    pub fn row(&self) -> &NodeRow {
        &self.0.row
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        self.0.row.node_id
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The database's file.
    pub fn database(&self) -> &Path {
        self.0.store.path()
    }

    /// The time by this machine's clock.
    pub fn now(&self) -> Timestamp {
        draw::now()
    }

    pub(crate) fn stamp(&self, by: &str) -> Stamp {
        let actor = *self.0.actor.lock().unwrap_or_else(PoisonError::into_inner);
        Stamp { actor, author: format!("{}/{by}", self.id().short()), at: draw::now() }
    }

    /// Reads at one moment. Blocks: from async code, inside `spawn_blocking`.
    ///
    /// # Errors
    /// The job's.
    pub fn read<T>(&self, job: impl FnOnce(&Read<'_>) -> Result<T, StoreError>) -> Result<T, NodeError> {
        let kept = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = match kept {
            Some(reader) => reader,
            None => self.0.store.reader()?,
        };
        let made = reader.at_once(job);
        let mut readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_KEPT {
            readers.push(reader);
        }
        Ok(made?)
    }

    /// Writes in the next transaction and waits for its commit. Blocks.
    ///
    /// # Errors
    /// The job's, or the commit's.
    pub fn write<T: Send + 'static>(
        &self,
        priority: Priority,
        job: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, NodeError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.0.queue.submit(priority, job, move |made| drop(answer.send(made)));
        Ok(answered.recv().map_err(|_| NodeError::ShuttingDown)??)
    }

    /// Writes in the next transaction; the receiver is answered after its commit. Jobs keep their order.
    pub(crate) fn write_later<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, StoreError>> {
        let (answer, answered) = oneshot::channel();
        self.0.queue.submit(Priority::Interactive, job, move |made| drop(answer.send(made)));
        answered
    }

    /// Writes in the next transaction; `answer` is called after its commit. Jobs and answers keep their order.
    pub(crate) fn write_then<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
        answer: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        self.0.queue.submit(Priority::Interactive, job, answer);
    }

    /// Begins a new life of the database, which a peer has found to be rolled back or copied: a new incarnation, and nothing
    /// more is written by the actor of the old one.
    pub(crate) fn begin_life(&self, peer: NodeId) -> Result<(), NodeError> {
        *self.0.actor.lock().unwrap_or_else(PoisonError::into_inner) = draw::actor();
        self.0.begun_life.store(true, Ordering::Relaxed);
        let (incarnation, at) = (draw::incarnation(), draw::now());
        self.write(Priority::Interactive, move |tx| {
            tx.audit(&NewAudit::new(AuditKind::RolledBack, at).by_node(peer))?;
            tx.begin_life(incarnation)?;
            tx.set_rolled_back(at)
        })
    }

    /// Lets a node of a chapter begin; `None` when others have to be through first.
    pub(crate) fn admit(&self, chapter: ScopeId) -> Option<Admission> {
        let mut beginning = self.0.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = beginning.iter().filter(|other| **other == chapter).count();
        if beginning.len() >= ADMITTED_AT_ONCE || of_it >= ADMITTED_OF_A_CHAPTER {
            return None;
        }
        beginning.push(chapter);
        Some(Admission { node: self.clone(), chapter })
    }

    /// Whether this process has found its database rolled back already.
    pub(crate) fn has_begun_life(&self) -> bool {
        self.0.begun_life.load(Ordering::Relaxed)
    }

    /// Counts up whenever the database changes, also by another process while this one serves.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    pub(crate) fn notice(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }

    pub(crate) fn reader(&self) -> Result<Reader, NodeError> {
        Ok(self.0.store.reader()?)
    }

    /// Takes the lock, for a node that lives here.
    pub(crate) fn take_lock(&self) -> Result<ServeLock, NodeError> {
        let lock = ServeLock::take(&self.0.directory, &self.0.serves)?;
        // Under the lock: whoever hands the node over holds it, too.
        self.read(|read| read.lives_here())?;
        Ok(lock)
    }

    /// Whether any process serves this directory, this one included.
    pub fn is_served(&self) -> bool {
        self.0.serves.load(Ordering::Relaxed) || ServeLock::is_held(&self.0.directory)
    }

    /// Waits until what is logged is folded, at most 2 s; without a server, folds it here, and tries again what another
    /// version of this program could not read.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn settle(&self) -> Result<(), NodeError> {
        let began = Instant::now();
        if self.read(|read| read.waits_for_version(PROGRAM_VERSION))? && !self.is_served() {
            crate::folding::retry_unread(self)?;
        }
        while self.read(|read| read.unfolded())? > 0 && began.elapsed() < FOLD_WAIT {
            if self.is_served() {
                std::thread::sleep(FOLD_POLL);
            } else if crate::folding::fold_all(self)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The figures of this node, after what is logged was folded.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn tally(&self) -> Result<Tally, NodeError> {
        self.settle()?;
        self.read(|read| read.tally())
    }

    /// Counts everything again.
    ///
    /// # Errors
    /// When the database can't be read at all.
    pub fn verify(&self) -> Result<Vec<Difference>, NodeError> {
        self.settle()?;
        self.read(|read| read.verify())
    }

    /// Whether this is a hub or a chapter.
    pub fn kind(&self) -> NodeKind {
        self.0.row.kind
    }
}
