//! The chapter's routes.

use axum::Router;
use axum::routing::get;
use node::Node;
use web::{NavItem, Site, assets, audit_page, guarded, live, people_pages};

use crate::today;

/// The pages in the rail.
const NAV: &[NavItem] = &[
    NavItem { href: "/", label: "Today", key: "t" },
    NavItem { href: "/people", label: "People", key: "p" },
    NavItem { href: "/audit", label: "Audit", key: "a" },
];

pub(crate) fn router(node: &Node) -> Router {
    let site = Site { node: node.clone(), nav: NAV };
    let router = Router::new()
        .route("/", get(today::page))
        .route("/live", get(live))
        .route("/livez", get(|| async { "alive" }))
        .route("/readyz", get(today::ready))
        .merge(people_pages())
        .merge(audit_page())
        .with_state(site)
        .merge(assets());
    guarded(router, &[])
}
