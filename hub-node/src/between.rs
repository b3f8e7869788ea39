//! A hub between its chapters and a bigger hub: joining it, and placing whom it sends.
//!
//! **Invariant:** whoever comes from above is placed by this hub's own territories, or waits here with the reason.

use std::time::Duration;

use cli::{Beside, Failure, Out, read_invite, runtime};
use model::{DocId, SignUp};
use node::{Accepting, Node, NodeError, join_parent, look};
use serde_json::json;
use store::{FROM_ABOVE, Filter, Page};

use crate::routing::Routing;

/// How many are placed in one round.
const PLACED_AT_ONCE: usize = 100;
/// How long is waited after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

pub(crate) fn join(node: &Node, invite: Option<&str>, out: Out, by: &str) -> Result<(), Failure> {
    let (invite, runtime) = (read_invite(invite)?, runtime()?);
    let offer = runtime.block_on(look(&invite))?;
    Out::note(&format!(
        "{} invites this hub as its chapter {}.\n\n{}\n",
        offer.network, offer.chapter, offer.statement
    ));
    // A hub joins with everybody whom its own chapters share already: who runs it decides that by this command.
    let accepting = Accepting { version: offer.statement_version, by };
    let key = runtime.block_on(join_parent(node, &invite, accepting))?.fingerprint();
    out.result(&json!({"joined": true, "network": offer.network, "chapter": offer.slug, "key": key}), || {
        format!(
            "this hub belongs to {}: everybody here is shared with it from the next exchange on. The key of this hub is \
             {key}; {} sees the same for it",
            offer.network, offer.network
        )
    });
    Ok(())
}

/// Places who comes from above, as long as this hub serves.
pub(crate) fn keep_placing(node: &Node) -> Beside {
    let (node, routing) = (node.clone(), Routing::new(node));
    Box::pin(async move {
        let mut changes = node.changes();
        loop {
            let (placing, routing) = (node.clone(), routing.clone());
            let placed = tokio::task::spawn_blocking(move || place_waiting(&placing, &routing)).await;
            match placed {
                Ok(Ok(PLACED_AT_ONCE)) => continue,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "somebody from above could not be placed; it is tried again");
                    tokio::time::sleep(AFTER_FAILURE).await;
                    continue;
                }
                Err(_) => return,
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    })
}

/// Places some of who came from above; gives how many.
fn place_waiting(node: &Node, routing: &Routing) -> Result<usize, NodeError> {
    if !node.read(|read| read.is_between())? {
        return Ok(0);
    }
    let filter = Filter { waits_for: Some(FROM_ABOVE), ..Filter::default() };
    let people = node.read(|read| read.people(&filter, Page { limit: PLACED_AT_ONCE, after: None }))?;
    let mut placed = 0;
    for person in people.iter().filter(|person| person.state == store::DocState::Live) {
        place(node, routing, person.supporter.id, person)?;
        placed += 1;
    }
    Ok(placed)
}

fn place(node: &Node, routing: &Routing, id: DocId, person: &store::PersonRow) -> Result<(), NodeError> {
    let sign_up = SignUp { addresses: person.supporter.addresses.clone(), ..SignUp::default() };
    let fact = routing.place(&sign_up)?.fact();
    match node.place_from_above(id, &fact) {
        // Somebody placed her by hand meanwhile.
        Err(NodeError::Store(store::StoreError::Refused(_))) => Ok(()),
        other => other,
    }
}
