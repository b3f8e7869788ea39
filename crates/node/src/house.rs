//! What a serving node does for itself: old feed rows go, documents that came as snapshots are read, and once a day old
//! transfers go, nobody is waited for any more who was revoked, and everything is counted again.
//!
//! **Invariant:** all of it is bulk work in small pieces, so that nobody waits for it; a node that is stopped in between
//! goes on with it when it serves next.

use std::sync::Arc;
use std::time::Duration;

use model::DocId;
use store::{FEED_ROWS_KEPT, Recounted, SnapshotJob, SnapshotOutcome, SnapshotRead, StoreError, read_snapshot};
use tokio_util::sync::CancellationToken;

use crate::driver::blocking;
use crate::{Node, NodeError, Priority, draw};

/// How often a serving node looks what there is to do.
const ROUND: Duration = Duration::from_secs(60);
/// How many snapshots are read and committed together: some ms, for which an edit may have to wait.
const SNAPSHOTS_AT_ONCE: usize = 20;
/// How many in one round: about a second of one core. A chapter of 100,000 people is through in twenty minutes.
const SNAPSHOTS_A_ROUND: usize = 5_000;
/// How often what is done once a day is done, in ms.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Keeps house until told to stop.
pub(crate) async fn keep_house(node: Node, stop: CancellationToken) {
    let mut round = tokio::time::interval(ROUND);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = round.tick() => {}
        }
        trim(&node).await;
        read_snapshots(&node, &stop).await;
        let telling = node.clone();
        if let Err(error) = blocking(move || telling.tell_counted()).await {
            tracing::warn!(%error, "what was refused could not be put into the audit log; it is tried again");
        }
        let daily = node.clone();
        if let Err(error) = blocking(move || daily.once_a_day()).await {
            tracing::warn!(%error, "what is done once a day could not be done; it is tried again");
        }
    }
}

/// Lets old feed rows go, a few at a time.
async fn trim(node: &Node) {
    loop {
        let trimming = node.clone();
        let trim = move || trimming.write(Priority::Bulk, |tx| tx.trim_feeds(FEED_ROWS_KEPT));
        match blocking(trim).await {
            Ok(0) => return,
            Ok(rows) => tracing::debug!(rows, "old feed rows went"),
            Err(error) => {
                tracing::warn!(%error, "old feed rows could not go; it is tried again");
                return;
            }
        }
    }
}

/// Reads documents that came as snapshots, as many as are due in one round.
async fn read_snapshots(node: &Node, stop: &CancellationToken) {
    let (mut after, mut read) = (None, 0);
    while read < SNAPSHOTS_A_ROUND && !stop.is_cancelled() {
        let reading = node.clone();
        match blocking(move || reading.read_some_snapshots(after)).await {
            Ok(Some(last)) => after = Some(last),
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "what came as snapshots could not be read; it is tried again");
                return;
            }
        }
        read += SNAPSHOTS_AT_ONCE;
    }
}

impl Node {
    /// Reads the next documents that came as snapshots; gives the last of them.
    fn read_some_snapshots(&self, after: Option<DocId>) -> Result<Option<DocId>, NodeError> {
        let (jobs, ladder) =
            self.read(|read| Ok((read.unread_snapshots(after, SNAPSHOTS_AT_ONCE)?, read.settings()?.ladder)))?;
        let last = jobs.last().map(SnapshotJob::id);
        if last.is_none() {
            return Ok(None);
        }
        let read: Arc<Vec<SnapshotRead>> = Arc::new(jobs.into_iter().map(|job| read_snapshot(job, &ladder)).collect());
        match self.put_snapshots(&read, 0..read.len()) {
            Err(NodeError::Store(error)) if error.is_damage() => {
                // One row that can't be read stands in the way of none of the others.
                for nth in 0..read.len() {
                    if let Err(error) = self.put_snapshots(&read, nth..nth + 1) {
                        tracing::error!(%error, "what came as a snapshot could not be stored");
                    }
                }
            }
            done => done?,
        }
        Ok(last)
    }

    fn put_snapshots(&self, read: &Arc<Vec<SnapshotRead>>, which: std::ops::Range<usize>) -> Result<(), NodeError> {
        let (read, at) = (Arc::clone(read), draw::now());
        let outcomes = self.write(Priority::Bulk, move |tx| {
            let put = |one: &SnapshotRead| tx.put_read_snapshot(one, at);
            read[which].iter().map(put).collect::<Result<Vec<_>, StoreError>>()
        })?;
        let count = |wanted: SnapshotOutcome| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        let (repaired, quarantined) = (count(SnapshotOutcome::Repaired), count(SnapshotOutcome::Quarantined));
        if repaired > 0 {
            tracing::warn!(repaired, "the network had shown people otherwise than their records say; that is mended");
        }
        if quarantined > 0 {
            tracing::error!(quarantined, "records that came can't be read: see `people unreadable`");
        }
        Ok(())
    }

    /// If it was not done for a day: ends what has waited long enough, then counts sums and counters again and keeps what
    /// differs.
    fn once_a_day(&self) -> Result<(), NodeError> {
        let at = draw::now();
        let last = self.read(|read| read.recounted())?;
        // A clock that was put back does not put it off.
        if last.is_some_and(|last| (0..DAY_MS).contains(&at.since(last.at))) {
            return Ok(());
        }
        self.write(Priority::Bulk, move |tx| {
            tx.trim_transfers(at)?;
            tx.end_waits(at)
        })?;
        let mut found = Vec::new();
        // A scope at a time: while somebody reads one moment, the log can't be emptied.
        for scope in self.read(|read| read.scopes())? {
            found.extend(self.read(|read| read.check_scope(scope))?);
        }
        found.extend(self.read(|read| read.check_counters())?);
        for each in &found {
            tracing::error!(what = each.what.as_str(), words = each.words.as_str(), "counted again: it differs");
        }
        self.write(Priority::Bulk, move |tx| tx.set_recounted(&Recounted { at, found }))
    }
}
