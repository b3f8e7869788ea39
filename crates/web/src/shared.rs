//! The routes that are the same at a chapter and at its hub.

use axum::extract::State;

use crate::routes::{Access, Pages};
use crate::{Problem, Site, account, api, assets, audit, blocking, entry, live, people, shortcuts};

/// Logging in, one's own account, people, the audit log, the keys, live updates, style, and whether the node is well.
pub fn shared_pages() -> Pages<Site> {
    Pages::default()
        .get("/livez", Access::Open, || async { "alive" })
        .get("/readyz", Access::Open, ready)
        .get("/live", Access::SignedIn, live::live)
        .merge(entry::entry_pages())
        .merge(account::account_pages())
        .merge(people::people_pages())
        .merge(api::act_pages())
        .merge(audit::audit_page())
        .merge(shortcuts::keys_page())
        .merge(assets::assets())
}

/// Whether the database answers.
async fn ready(State(site): State<Site>) -> Result<&'static str, Problem> {
    let asked = blocking(move || Ok(site.node.read(|read| read.node()).map(drop)?));
    asked.await.map(|()| "ready").map_err(|error| error.0)
}
