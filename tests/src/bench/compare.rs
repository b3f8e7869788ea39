//! What it costs to find out what differs between two large nodes, and to make it good.
//!
//! They are made to differ as a long absence does it: while the link is down people are edited, and then the feeds are
//! trimmed to their newest row (`Tx::trim_feeds`, as a serving node does it after a hundred thousand rows), so that the
//! cursor of the other end is no longer good.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use model::DocId;
use node::{Node, Priority};

use super::pair::{Pair, edit};
use super::{Asked, Figure, Unit, median};
use crate::floor::one_pass;
use crate::meter::{Count, Meter};

/// How often each is measured, beside once to warm up.
const RUNS: usize = 5;
/// People from whom those who are edited are taken in turn, spread over the scope: enough that nobody's turn comes twice.
const PEOPLE: usize = 1_000;

/// What is edited before a comparison, and what is asked of it.
struct Task {
    at_chapter: usize,
    at_hub: usize,
    ms: Asked,
    bytes: Asked,
}

const TASKS: [Task; 2] = [
    Task { at_chapter: 1, at_hub: 0, ms: Asked::AtMost(300.0), bytes: Asked::AtMost(16.0 * 1024.0) },
    Task { at_chapter: 50, at_hub: 50, ms: Asked::AtMost(1_000.0), bytes: Asked::Nothing },
];

pub(super) fn measure(pair: &Pair, directory: &Path) -> Result<Vec<Figure>> {
    let held = pair.held()?;
    let floor = ms(one_pass(directory, held.len())?);
    let line = pair.line(Duration::ZERO)?;
    pair.rest()?;
    let idle = (0..RUNS).map(|_| pair.sync().map(ms)).collect::<Result<Vec<_>>>()?;
    let idle = median(idle);
    let mut people = held.iter().copied().step_by((held.len() / PEOPLE).max(1));
    let mut figures = Vec::new();
    for task in &TASKS {
        compare(pair, &line, task, &mut people)?;
        let runs = (0..RUNS).map(|_| compare(pair, &line, task, &mut people)).collect::<Result<Vec<_>>>()?;
        let Some((_, one)) = runs.last() else { continue };
        let what = format!(
            "comparing {} documents of which {} differ, from dialling until the sums agree",
            held.len(),
            task.at_chapter + task.at_hub
        );
        let split = format!(
            "{} edited at the chapter, {} at the hub; {} questions; the floor is one pass; an idle exchange: {idle:.1} ms",
            task.at_chapter,
            task.at_hub,
            one.down.of("ask").count()
        );
        let took = Figure::new(what, median(runs.iter().map(|(took, _)| ms(*took))), Unit::Ms);
        figures.push(took.beside(floor).asked(task.ms).made_of(split));
        let all = median(runs.iter().map(|(_, count)| count.bytes() as f64));
        let split = format!(
            "up {}, down {}; in DATA frames up {}, down {}",
            one.up.bytes, one.down.bytes, one.up.data_bytes, one.down.data_bytes
        );
        let what = "the same, all bytes both ways";
        figures.push(Figure::new(what, all, Unit::Bytes).asked(task.bytes).made_of(split));
    }
    Ok(figures)
}

/// Makes both differ in ways that no feed tells, and lets them compare; gives how long that took and what it weighed.
fn compare(
    pair: &Pair,
    line: &Meter,
    task: &Task,
    people: &mut impl Iterator<Item = DocId>,
) -> Result<(Duration, Count)> {
    pair.rest()?;
    for (node, edits) in [(&pair.chapter, task.at_chapter), (&pair.hub, task.at_hub)] {
        for _ in 0..edits {
            edit(node, people.next().context("enough people to edit")?, "Compared")?;
        }
        // Also the feed of an end that was not edited: its newest row stays, and with it the other's cursor.
        trim(node)?;
    }
    line.quiet()?;
    line.take();
    let took = pair.until_same()?;
    line.quiet()?;
    let count = line.take();
    ensure!(count.down.of("ask").next().is_some(), "the feeds told it: {}", count.up.said());
    Ok((took, count))
}

/// Takes everything out of a node's feeds but the newest row of each.
fn trim(node: &Node) -> Result<()> {
    while node.write(Priority::Bulk, |tx| tx.trim_feeds(1))? > 0 {}
    Ok(())
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}
