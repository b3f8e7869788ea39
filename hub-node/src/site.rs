//! The hub's routes.

use axum::Router;
use axum::http::StatusCode;
use model::Right;
use node::{Node, SignUpGate};
use web::{Access, NavItem, Pages, Route, Rules, Site, described, description_route, guarded, shared_pages};

use crate::routing::Routing;
use crate::{held, osdi, pages, sign_up_page};

/// The pages in the rail.
const NAV: &[NavItem] = &[
    NavItem { href: "/", label: "Network", key: "n", right: Right::SeeTotals },
    NavItem { href: "/chapters", label: "Chapters", key: "c", right: Right::SeeTotals },
    NavItem { href: "/people", label: "People", key: "p", right: Right::SeePeople },
    NavItem { href: "/unplaced", label: "Waiting", key: "w", right: Right::SeePeople },
    NavItem { href: "/signup", label: "Sign-up", key: "s", right: Right::SeeTotals },
];
/// Paths that a form on any site may post to.
const OPEN: &[&str] = &[osdi::PATH];

/// What the hub's handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    pub(crate) site: Site,
    pub(crate) routing: Routing,
    pub(crate) gate: SignUpGate,
}

fn own_pages() -> Pages<Hub> {
    let (totals, people) = (Access::Needs(Right::SeeTotals), Access::Needs(Right::SeePeople));
    let place = Access::Needs(Right::PlaceWaiting);
    Pages::default()
        .get("/", totals, pages::network)
        .get("/chapters", totals, pages::chapters)
        .get("/chapters/{slug}", totals, pages::chapter)
        .get("/unplaced", people, pages::unplaced)
        .post("/unplaced/{id}/assign", place, pages::assign)
        .post("/held/release", place, held::release_shown)
        .post("/held/{id}/release", place, held::release_one)
        .post("/held/{id}/drop", place, held::drop_one)
        .get("/signup", Access::Open, sign_up_page::form)
        .post("/signup", Access::Open, sign_up_page::post)
        .get("/find", Access::Open, sign_up_page::find)
        .post(osdi::PATH, Access::Open, osdi::sign_up)
        .options(osdi::PATH, Access::Open, || async { (StatusCode::NO_CONTENT, osdi::CORS) })
        .get("/api/v1/chapters", totals, pages::chapters_json)
        .get("/api/v1/unplaced", people, pages::unplaced_json)
        .post("/api/v1/unplaced/{id}/assign", place, pages::assign_json)
}

pub(crate) fn router(node: &Node, gate: SignUpGate, rules: Rules) -> Router {
    let site = Site::new(node, NAV);
    let hub = Hub { site: site.clone(), routing: Routing::new(node), gate };
    let pages = described(own_pages().with_state(hub).merge(shared_pages().with_state(site)));
    guarded(pages, node, rules, OPEN)
}

/// Every route, with who may use it.
pub fn routes() -> Vec<Route> {
    [own_pages().routes(), shared_pages().routes(), &[description_route()]].concat()
}
