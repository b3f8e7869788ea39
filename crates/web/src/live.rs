//! Live pages: an event when something moved, at most once a second. The page fetches itself again.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use tokio::time::Instant;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt as _};

use crate::Site;

/// Figures move at most this often: faster is unrest.
const PACE: Duration = Duration::from_secs(1);
/// How long one stream follows: the page then asks again, and whose session has ended meanwhile hears nothing more.
const FOLLOWS: Duration = Duration::from_secs(5 * 60);
/// What an event says. Browsers drop one that says nothing.
const MOVED: &str = "look again";

/// The stream of `moved` events.
pub(crate) async fn live(State(site): State<Site>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let began = Instant::now();
    let changes = WatchStream::from_changes(site.node.changes()).take_while(move |_| began.elapsed() < FOLLOWS);
    let moved = changes.map(|_| Ok(Event::default().event("moved").data(MOVED)));
    Sse::new(Box::pin(moved.throttle(PACE))).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
