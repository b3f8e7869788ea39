//! The keys of the pages, as a page: `assets/app.js` shows it over any other one.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use node::Who;

use crate::routes::{Access, Pages};
use crate::{Shell, Site, WebError, blocking, html};

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    shell: Shell,
    hub: bool,
}

/// The route of the page of keys.
pub(crate) fn keys_page() -> Pages<Site> {
    Pages::default().get("/keys", Access::SignedIn, page)
}

async fn page(State(site): State<Site>, Extension(who): Extension<Who>) -> Result<Response, WebError> {
    let made = blocking(move || Ok(KeysPage { shell: site.shell("Keys", "/keys", &who)?, hub: site.node.is_hub() }));
    Ok(html(&made.await?))
}
