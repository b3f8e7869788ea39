//! What an edit of one field weighs on a link that is open and quiet.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::pair::{Pair, edit};
use super::{Asked, Figure, Unit, median};
use crate::harness::until;
use crate::meter::Count;

/// Edits that are counted, each of somebody whom this chapter has not edited yet: such a change names one actor more.
const EDITS: usize = 15;
/// Of them, those that must be left when heartbeats fell into the others.
const EDITS_MIN: usize = 5;
/// What is asked, in bytes.
const BYTES: f64 = 200.0;

pub(super) fn measure(pair: &Pair) -> Result<Vec<Figure>> {
    let people = pair.held()?;
    let line = pair.line(Duration::ZERO)?;
    pair.rest()?;
    let serving = pair.serve()?;
    until("both have said hello", || Ok(line.count().down.of("hello").next().map(|_| ())))?;
    line.quiet()?;
    let mut counts = Vec::new();
    // The first warms up.
    for (nth, person) in people.into_iter().take(EDITS + 1).enumerate() {
        line.take();
        edit(&pair.chapter, person, &format!("Edited{nth}"))?;
        until("the hub has the edit and has said so", || {
            let count = line.count();
            Ok((count.up.of("batch").next().is_some() && count.down.of("ack").next().is_some()).then_some(()))
        })?;
        line.quiet()?;
        if nth > 0 {
            counts.push(line.take());
        }
    }
    pair.stop(serving);
    // A heartbeat that fell in between is not the edit's.
    counts.retain(|count| count.messages().all(|message| message.kind != "head"));
    ensure!(counts.len() >= EDITS_MIN, "only {} edits were not disturbed by a heartbeat", counts.len());

    let of = |bytes: fn(&Count) -> usize| median(counts.iter().map(|count| bytes(count) as f64));
    let said = |said: fn(&Count) -> String| counts.last().map_or_else(String::new, said);
    let split = format!(
        "gRPC messages {}; every byte of the connection {:.0}",
        said(|count| count.up.said()),
        of(|count| count.up.bytes)
    );
    let sent = Figure::new(
        "a field edit on the wire, DATA frames from the chapter",
        of(|count| count.up.data_bytes),
        Unit::Bytes,
    )
    .asked(Asked::AtMost(BYTES))
    .made_of(split);
    let split = format!(
        "gRPC messages {}; every byte of the connection {:.0}",
        said(|count| count.down.said()),
        of(|count| count.down.bytes)
    );
    let answer = Figure::new("what the hub answers to it, DATA frames", of(|count| count.down.data_bytes), Unit::Bytes);
    Ok(vec![sent, answer.made_of(split)])
}
