//! What it costs to connect again with nothing to say.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::pair::Pair;
use super::{Asked, Figure, Unit, median};
use crate::harness::until;
use crate::meter::{Count, Message};

/// How often each is measured.
const RUNS: usize = 5;
/// How long each byte needs one way where round trips are counted: many times what either end computes meanwhile.
const DELAY: Duration = Duration::from_millis(100);
/// What is asked, in bytes and in round trips.
const BYTES: f64 = 1024.0;
const ROUND_TRIPS: f64 = 1.0;

pub(super) fn measure(pair: &Pair) -> Result<Vec<Figure>> {
    let documents = pair.held()?.len();
    let short = (0..RUNS).map(|_| reconnect(pair, Duration::ZERO)).collect::<Result<Vec<_>>>()?;
    let long = (0..RUNS).map(|_| reconnect(pair, DELAY)).collect::<Result<Vec<_>>>()?;
    let Some(one) = short.last() else { return Ok(Vec::new()) };

    let all = median(short.iter().map(|count| count.bytes() as f64));
    let split = format!(
        "{} bytes up and {} down after the TLS handshake, without TLS: HTTP/2's preface, SETTINGS, HEADERS, DATA and the rest",
        one.up.bytes, one.down.bytes
    );
    let what = format!("idle reconnect at {documents} documents, all bytes both ways");
    let bytes = Figure::new(what, all, Unit::Bytes).asked(Asked::AtMost(BYTES)).made_of(split);

    let data = median(short.iter().map(|count| count.data_bytes() as f64));
    let messages: usize = one.messages().map(|message| message.bytes).sum();
    let split = format!("gRPC messages {messages} bytes; up {}; down {}", one.up.said(), one.down.said());
    let data = Figure::new("the same, DATA frames alone", data, Unit::Bytes).made_of(split);

    let greeted = median(long.iter().map(|count| round_trips(count.up.of("hello").chain(count.down.of("hello")))));
    let split = format!(
        "the chapter has the hub's after {:.1}, the hub the chapter's after {:.1}; the last word is there after {:.1}",
        median(long.iter().map(|count| round_trips(count.down.of("hello")))),
        median(long.iter().map(|count| round_trips(count.up.of("hello")))),
        median(long.iter().map(|count| round_trips(count.messages()))),
    );
    let what = "the same, from the handshake until each has the other's hello";
    let trips = Figure::new(what, greeted, Unit::RoundTrips).asked(Asked::AtMost(ROUND_TRIPS)).made_of(split);
    Ok(vec![bytes, data, trips])
}

/// The chapter begins to serve over a line of that length, and has nothing to say.
fn reconnect(pair: &Pair, delay: Duration) -> Result<Count> {
    let line = pair.line(delay)?;
    pair.rest()?;
    line.quiet()?;
    line.take();
    let serving = pair.serve()?;
    until("both have said hello", || {
        let count = line.count();
        let greeted = count.up.of("hello").next().is_some() && count.down.of("hello").next().is_some();
        Ok(greeted.then_some(()))
    })?;
    line.quiet()?;
    let count = line.count();
    pair.stop(serving);
    let idle = count.messages().all(|message| ["hello", "head"].contains(&message.kind));
    ensure!(idle, "there was something to say: up {}; down {}", count.up.said(), count.down.said());
    Ok(count)
}

/// How many round trips over a long line went by from the handshake until the last of these messages was there, to the
/// half: one way is half of one.
fn round_trips<'a>(messages: impl Iterator<Item = &'a Message>) -> f64 {
    let there = messages.map(|message| message.there).max().unwrap_or_default();
    (there.as_secs_f64() / DELAY.as_secs_f64()).round() / 2.0
}
