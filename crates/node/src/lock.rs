//! The lock of a directory: at most one process serves or dials from it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use store::only_for_owner;

use crate::NodeError;

/// The lock's file. It holds nothing; the lock is the system's, and goes with the process.
pub(crate) const LOCK_FILE: &str = "serving.lock";

/// How long a command that looks at the lock may hold it.
const PROBE: Duration = Duration::from_millis(200);

/// Held while this process serves the directory.
#[derive(Debug)]
pub(crate) struct ServeLock {
    /// The lock lives as long as its file is open.
    _file: File,
    serves: Arc<AtomicBool>,
}

impl Drop for ServeLock {
    fn drop(&mut self) {
        self.serves.store(false, Ordering::Relaxed);
    }
}

fn open(directory: &Path) -> Result<File, NodeError> {
    let path = directory.join(LOCK_FILE);
    only_for_owner(OpenOptions::new().create(true).truncate(false).write(true))
        .open(&path)
        .map_err(|error| NodeError::File("open", path.display().to_string(), error))
}

impl ServeLock {
    /// Takes the lock; `serves` is true while it is held.
    pub(crate) fn take(directory: &Path, serves: &Arc<AtomicBool>) -> Result<Self, NodeError> {
        let file = open(directory)?;
        let began = Instant::now();
        let mut tried = file.try_lock();
        // A command that looks whether anybody serves holds the lock for a moment.
        while matches!(tried, Err(TryLockError::WouldBlock)) && began.elapsed() < PROBE {
            std::thread::sleep(PROBE / 10);
            tried = file.try_lock();
        }
        match tried {
            Ok(()) => {
                serves.store(true, Ordering::Relaxed);
                Ok(Self { _file: file, serves: Arc::clone(serves) })
            }
            Err(TryLockError::WouldBlock) => Err(NodeError::AlreadyServed),
            Err(TryLockError::Error(error)) => Err(NodeError::File("lock", directory.display().to_string(), error)),
        }
    }

    /// Whether another process holds it.
    pub(crate) fn is_held(directory: &Path) -> bool {
        open(directory).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }
}
