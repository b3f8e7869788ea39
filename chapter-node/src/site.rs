//! The chapter's routes.

use axum::Router;
use model::Right;
use node::Node;
use web::{
    Access, Goals, NavItem, Pages, Route, Rules, Site, described, description_route, guarded, own_people_pages,
    shared_pages,
};

use crate::{actions, asks, case, figures, ladder, leaders, link, one_to_ones, stepping, today, transfers};

/// The pages in the rail.
const NAV: &[NavItem] = &[
    NavItem { href: "/", label: "Today", key: "t", right: Right::SeeGiven },
    NavItem { href: "/people", label: "People", key: "p", right: Right::SeePeople },
    NavItem { href: "/ladder", label: "Ladder", key: "l", right: Right::SeePeople },
    NavItem { href: "/asks", label: "Asks", key: "k", right: Right::SeePeople },
    NavItem { href: "/actions", label: "Actions", key: "c", right: Right::SeePeople },
    NavItem { href: "/figures", label: "Figures", key: "f", right: Right::SeeTotals },
    NavItem { href: "/audit", label: "Audit", key: "a", right: Right::SeeAudit },
];

fn pages() -> Pages<Site> {
    let (people, edit) = (Access::Needs(Right::SeePeople), Access::Needs(Right::EditPeople));
    let moves = Access::Needs(Right::MoveRungs);
    Pages::default()
        .get("/", Access::Needs(Right::SeeGiven), today::page)
        .get("/ladder", people, ladder::page)
        .get("/people/{id}/move", moves, ladder::ask)
        .post("/people/{id}/move", moves, ladder::act)
        .get("/people/{id}/one-to-one", edit, one_to_ones::form)
        .post("/people/{id}/one-to-one", edit, one_to_ones::post)
        .get("/one-to-ones", people, one_to_ones::list)
        .get("/one-to-ones.ics", people, one_to_ones::ics)
        .get("/asks", people, asks::page)
        .post("/asks/answers", edit, asks::answer)
        .post("/asks/offers", edit, asks::offers)
        .merge(actions::action_pages())
        .merge(figures::figure_pages())
        .merge(case::case_pages())
        .merge(leaders::leader_pages())
        .merge(stepping::stepping_pages())
        .merge(link::link_pages())
        .merge(transfers::transfer_pages())
        .merge(own_people_pages())
        .merge(shared_pages())
}

pub(crate) fn router(node: &Node, rules: Rules, goals: Goals) -> Router {
    let mut site = Site::new(node, NAV);
    site.goals = goals;
    guarded(described(pages().with_state(site)), node, rules, &[])
}

/// Every route, with who may use it.
pub fn routes() -> Vec<Route> {
    pages().routes().iter().cloned().chain([description_route()]).collect()
}
