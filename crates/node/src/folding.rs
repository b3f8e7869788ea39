//! Folding what was logged: in parallel, batched, committed through the writer.

use std::thread;

use store::{FoldOutcome, Folded, fold_one};

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
    if jobs.is_empty() {
        return Ok(0);
    }
    let workers = thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    let mut shares: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    for (nth, job) in jobs.into_iter().enumerate() {
        shares[nth % workers].push(job);
    }
    let ladder = &ladder;
    let folded: Vec<Folded> = thread::scope(|scope| {
        let run =
            |share: Vec<_>| scope.spawn(move || share.into_iter().map(|job| fold_one(job, ladder)).collect::<Vec<_>>());
        let threads: Vec<_> = shares.into_iter().map(run).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    let at = draw::now();
    let mut folded_now = 0;
    // Each in a job of its own, so that one that fails takes no other with it; the writer commits them together.
    let (answers, answered) = std::sync::mpsc::channel();
    for folded in folded {
        let answers = answers.clone();
        node.write_then(move |tx| tx.put_fold(&folded, at), move |outcome| drop(answers.send(outcome)));
    }
    drop(answers);
    for outcome in answered {
        match outcome {
            Ok(FoldOutcome::Stands) => folded_now += 1,
            Ok(FoldOutcome::Redo) => {}
            Ok(FoldOutcome::Quarantined) => {
                folded_now += 1;
                tracing::warn!("a change could not be read; its record is read-only");
            }
            Err(error) => tracing::error!(%error, "a fold could not be committed"),
        }
    }
    Ok(folded_now)
}

/// Folds whenever something changes, until the node goes. Runs on a thread of its own.
pub(crate) fn fold_loop(node: &Node, stop: &std::sync::atomic::AtomicBool, wake: &std::sync::mpsc::Receiver<()>) {
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
