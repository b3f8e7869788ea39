//! The chapter's routes.

use axum::Router;
use model::Right;
use node::Node;
use web::{Access, Goals, NavItem, Pages, Route, Rules, Site, guarded, shared_pages};

use crate::{actions, case, figures, leaders, stepping, today};

/// The pages in the rail.
const NAV: &[NavItem] = &[
    NavItem { href: "/", label: "Today", key: "t", right: Right::SeeGiven },
    NavItem { href: "/people", label: "People", key: "p", right: Right::SeePeople },
    NavItem { href: "/actions", label: "Actions", key: "c", right: Right::SeePeople },
    NavItem { href: "/figures", label: "Figures", key: "f", right: Right::SeeTotals },
    NavItem { href: "/audit", label: "Audit", key: "a", right: Right::SeeAudit },
];

fn pages() -> Pages<Site> {
    Pages::default()
        .get("/", Access::Needs(Right::SeeGiven), today::page)
        .merge(actions::action_pages())
        .merge(figures::figure_pages())
        .merge(case::case_pages())
        .merge(leaders::leader_pages())
        .merge(stepping::stepping_pages())
        .merge(shared_pages())
}

pub(crate) fn router(node: &Node, rules: Rules, goals: Goals) -> Router {
    let mut site = Site::new(node, NAV);
    site.goals = goals;
    guarded(pages().with_state(site), node, rules, &[])
}

/// Every route, with who may use it.
pub fn routes() -> Vec<Route> {
    pages().routes().to_vec()
}
