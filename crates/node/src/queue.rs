//! The writer thread and the queue before it.
//!
//! **Invariant:** a job is answered after the commit that holds it; interactive jobs go before bulk ones; jobs of one
//! priority keep their order. What gathered while the last commit ran is committed together.

use std::collections::VecDeque;
use std::error::Error as _;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use store::{Store, StoreError, Tx, Writer};
use tokio::sync::watch;

/// The most jobs in one commit: bounds what a failed commit takes with it.
const GROUP_JOBS_MAX: usize = 1_000;
/// The longest a group gathers before its commit.
const GROUP_TIME_MAX: Duration = Duration::from_millis(50);
/// How long bulk jobs go on in a group once an interactive one waits.
const BULK_YIELDS_AFTER: Duration = Duration::from_millis(5);

/// After how many commits the other thread looks whether the log is to be copied: a few MiB when they are large.
const COPY_AFTER: usize = 4;

/// Which jobs go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A person or a peer waits for it.
    Interactive,
    /// It is part of long work.
    Bulk,
}

/// Runs in the transaction; gives what answers the caller once the commit is known.
type Job = Box<dyn FnOnce(Result<&mut store::Group<'_>, StoreError>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

#[derive(Default)]
struct Waiting {
    interactive: VecDeque<Job>,
    bulk: VecDeque<Job>,
    closed: bool,
}

struct Shared {
    waiting: Mutex<Waiting>,
    come: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer thread's front: dropped, the thread commits what waits and ends.
pub(crate) struct WriteQueue {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl WriteQueue {
    /// Starts the thread, and the one that copies the log into the file. `changed` counts commits.
    pub(crate) fn start(store: Store, writer: Writer, changed: watch::Sender<u64>) -> Self {
        let shared = Arc::new(Shared { waiting: Mutex::default(), come: Condvar::new() });
        let for_thread = Arc::clone(&shared);
        let (written, copy) = mpsc::sync_channel(1);
        let copying = move || copy_loop(&store, &copy);
        let writing = move || write_loop(writer, &for_thread, &changed, &written);
        let spawned = [
            thread::Builder::new().name("writer".to_owned()).spawn(writing),
            thread::Builder::new().name("checkpointer".to_owned()).spawn(copying),
        ];
        Self { shared, threads: spawned.into_iter().flatten().collect() }
    }

    /// Queues a job; `answer` is called from the writer thread after the commit, or with the error.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        priority: Priority,
        job: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
        answer: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        let job: Job = Box::new(move |group| {
            let made = group.and_then(|group| group.run(job));
            Box::new(move |committed| answer(committed.and(made)))
        });
        let mut waiting = self.shared.lock();
        match priority {
            Priority::Interactive => waiting.interactive.push_back(job),
            Priority::Bulk => waiting.bulk.push_back(job),
        }
        drop(waiting);
        self.shared.come.notify_one();
    }
}

impl Drop for WriteQueue {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.come.notify_one();
        // The last handle can be dropped by the thread itself, inside an answer: it does not wait for itself.
        if self.threads.iter().any(|thread| thread.thread().id() == thread::current().id()) {
            return;
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn write_loop(mut writer: Writer, shared: &Shared, changed: &watch::Sender<u64>, written: &SyncSender<()>) {
    let mut commits: usize = 0;
    while let Some(first) = next_job(shared) {
        let (answers, committed) = run_group(&mut writer, first, shared);
        if committed {
            // Only then: who looks for work at every change would turn in circles while the disk is full.
            changed.send_modify(|count| *count += 1);
        }
        commits += 1;
        if commits.is_multiple_of(COPY_AFTER) {
            // Full: the other thread is about to look anyway.
            let _ = written.try_send(());
        }
        for answer in answers {
            answer();
        }
    }
}

/// Copies the log into the file beside the writer, until that ends.
fn copy_loop(store: &Store, written: &Receiver<()>) {
    // A command that writes once never opens this connection.
    let Ok(()) = written.recv() else { return };
    let copied = store.checkpointer().and_then(|checkpointer| {
        checkpointer.copy()?;
        while written.recv().is_ok() {
            checkpointer.copy()?;
        }
        Ok(())
    });
    if let Err(error) = copied {
        tracing::warn!(%error, "the log is copied by the writer from now on");
    }
}

/// Waits for a job; `None` when the queue is closed and empty.
fn next_job(shared: &Shared) -> Option<Job> {
    let mut waiting = shared.lock();
    loop {
        if let Some(job) = pop(&mut waiting) {
            return Some(job);
        }
        if waiting.closed {
            return None;
        }
        waiting = shared.come.wait(waiting).unwrap_or_else(PoisonError::into_inner);
    }
}

fn pop(waiting: &mut Waiting) -> Option<Job> {
    waiting.interactive.pop_front().or_else(|| waiting.bulk.pop_front())
}

/// Runs one group; gives the answers to be said, and whether it was committed.
fn run_group(writer: &mut Writer, first: Job, shared: &Shared) -> (Vec<Box<dyn FnOnce()>>, bool) {
    let mut group = match writer.begin() {
        Ok(group) => group,
        Err(error) => {
            tracing::error!(%error, "a write could not begin");
            let answer = first(Err(error));
            return (vec![Box::new(move || answer(Ok(())))], false);
        }
    };
    let began = Instant::now();
    let mut answers: Vec<Answer> = vec![first(Ok(&mut group))];
    while group.stands() && answers.len() < GROUP_JOBS_MAX && began.elapsed() < GROUP_TIME_MAX {
        let mut waiting = shared.lock();
        let bulk_may_run = waiting.interactive.is_empty() && began.elapsed() < BULK_YIELDS_AFTER;
        let next =
            waiting.interactive.pop_front().or_else(|| if bulk_may_run { waiting.bulk.pop_front() } else { None });
        drop(waiting);
        let Some(job) = next else { break };
        answers.push(job(Ok(&mut group)));
    }
    match group.commit() {
        Ok(()) => {
            let said = |answer: Answer| Box::new(move || answer(Ok(()))) as Box<dyn FnOnce()>;
            (answers.into_iter().map(said).collect(), true)
        }
        Err(error) => {
            tracing::error!(%error, cause = error.source().map(ToString::to_string), "a commit failed");
            let (words, full) = (error.to_string(), matches!(error, StoreError::Full | StoreError::RolledBack));
            let failed = move |answer: Answer| {
                let error = if full { StoreError::Full } else { StoreError::NotCommitted(words.clone()) };
                Box::new(move || answer(Err(error))) as Box<dyn FnOnce()>
            };
            (answers.into_iter().map(failed).collect(), false)
        }
    }
}
