//! The chapter's routes.

use axum::Router;
use model::Right;
use node::Node;
use web::{Access, NavItem, Pages, Route, Rules, Site, guarded, shared_pages};

use crate::today;

/// The pages in the rail.
const NAV: &[NavItem] = &[
    NavItem { href: "/", label: "Today", key: "t", right: Right::SeeGiven },
    NavItem { href: "/people", label: "People", key: "p", right: Right::SeePeople },
    NavItem { href: "/audit", label: "Audit", key: "a", right: Right::SeeAudit },
];

fn pages() -> Pages<Site> {
    Pages::default().get("/", Access::Needs(Right::SeeGiven), today::page).merge(shared_pages())
}

pub(crate) fn router(node: &Node, rules: Rules) -> Router {
    let site = Site { node: node.clone(), nav: NAV };
    guarded(pages().with_state(site), node, rules, &[])
}

/// Every route, with who may use it.
pub fn routes() -> Vec<Route> {
    pages().routes().to_vec()
}
