//! Folding what was logged: in parallel, batched, committed through the writer.

use std::thread;

use model::Ladder;
use store::{FoldJob, FoldOutcome, Folded, PROGRAM_VERSION, fold_one};

use crate::{Node, NodeError, draw, owed};

/// Documents folded in one round: bounds memory (a record has at most 512 KiB) and the commit.
const ROUND: usize = 256;

/// Folds until nothing is left to do; gives the number of documents that were folded.
pub(crate) fn fold_all(node: &Node) -> Result<usize, NodeError> {
    let mut count = 0;
    loop {
        let folded = fold_round(node)?;
        if folded == 0 {
            return Ok(count);
        }
        count += folded;
    }
}

fn fold_round(node: &Node) -> Result<usize, NodeError> {
    let (jobs, ladder) = node.read(|read| Ok((read.fold_work(ROUND)?, read.settings()?.ladder)))?;
    let (stand, quarantined) = run_jobs(node, jobs, &ladder);
    if quarantined > 0 {
        tracing::warn!(quarantined, "changes could not be read; their records are read-only: see `people unreadable`");
    }
    Ok(stand + quarantined)
}

/// Tries again what another version of this program could not read; gives how many records are live again.
pub(crate) fn retry_unread(node: &Node) -> Result<usize, NodeError> {
    let mut live_again = 0;
    while node.read(|read| read.waits_for_version(PROGRAM_VERSION))? {
        let (jobs, ladder) =
            node.read(|read| Ok((read.retry_work(PROGRAM_VERSION, ROUND)?, read.settings()?.ladder)))?;
        let (stand, quarantined) = run_jobs(node, jobs, &ladder);
        live_again += stand;
        if stand + quarantined == 0 {
            // All of them moved meanwhile, or nothing could be committed: the next time will do.
            break;
        }
    }
    if live_again > 0 {
        tracing::info!(live_again, "this version reads what another one could not");
    }
    Ok(live_again)
}

/// Folds on all cores and commits; gives how many stand, and how many are in quarantine.
fn run_jobs(node: &Node, jobs: Vec<FoldJob>, ladder: &Ladder) -> (usize, usize) {
    if jobs.is_empty() {
        return (0, 0);
    }
    let workers = thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    let mut shares: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    for (nth, job) in jobs.into_iter().enumerate() {
        shares[nth % workers].push(job);
    }
    let folded: Vec<Folded> = thread::scope(|scope| {
        let run =
            |share: Vec<_>| scope.spawn(move || share.into_iter().map(|job| fold_one(job, ladder)).collect::<Vec<_>>());
        let threads: Vec<_> = shares.into_iter().map(run).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    let at = draw::now();
    let (mut stand, mut quarantined) = (0, 0);
    // Each in a job of its own, so that one that fails takes no other with it; the writer commits them together.
    let (answers, answered) = std::sync::mpsc::channel();
    for folded in folded {
        let answers = answers.clone();
        node.write_then(move |tx| tx.put_fold(&folded, at), move |outcome| drop(answers.send(outcome)));
    }
    drop(answers);
    for outcome in answered {
        match outcome {
            Ok(FoldOutcome::Stands) => stand += 1,
            Ok(FoldOutcome::Redo) => {}
            Ok(FoldOutcome::Quarantined) => quarantined += 1,
            Err(error) => tracing::error!(%error, "a fold could not be committed"),
        }
    }
    (stand, quarantined)
}

/// Folds whenever something changes, until the node goes. Runs on a thread of its own.
pub(crate) fn fold_loop(node: &Node, stop: &std::sync::atomic::AtomicBool, wake: &std::sync::mpsc::Receiver<()>) {
    if let Err(error) = retry_unread(node) {
        tracing::error!(%error, "what another version could not read was not tried again");
    }
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let unfolded = node.read(|read| read.unfolded());
        match unfolded {
            Ok(0) => {}
            Ok(_) => {
                if let Err(error) = fold_all(node) {
                    tracing::error!(%error, "folding failed; it is tried again");
                }
            }
            Err(error) => tracing::error!(%error, "the database can't be read"),
        }
        if let Err(error) = owed::do_owed(node) {
            tracing::error!(%error, "what is owed could not be done; it is tried again");
        }
        if wake.recv().is_err() {
            return;
        }
        while wake.try_recv().is_ok() {}
    }
}
