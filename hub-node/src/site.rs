//! The hub's routes.

use axum::Router;
use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::routing::{get, post};
use node::Node;
use web::{NavItem, Site, assets, audit_page, guarded, live, people_pages};

use crate::door::Door;
use crate::routing::Routing;
use crate::{held, osdi, pages, sign_up_page};

/// The pages in the rail.
const NAV: &[NavItem] = &[
    NavItem { href: "/", label: "Network", key: "n" },
    NavItem { href: "/chapters", label: "Chapters", key: "c" },
    NavItem { href: "/people", label: "People", key: "p" },
    NavItem { href: "/unplaced", label: "Waiting", key: "w" },
    NavItem { href: "/signup", label: "Sign-up", key: "s" },
];
/// Paths that a form on any site may post to.
const OPEN: &[&str] = &[osdi::PATH];

/// What the hub's handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    pub(crate) site: Site,
    pub(crate) routing: Routing,
    pub(crate) keys: osdi::KeysInUse,
    pub(crate) door: Door,
}

impl FromRef<Hub> for Site {
    fn from_ref(hub: &Hub) -> Self {
        hub.site.clone()
    }
}

pub(crate) fn router(node: &Node, door: Door) -> Router {
    let hub = Hub {
        site: Site { node: node.clone(), nav: NAV },
        routing: Routing::new(node),
        keys: osdi::KeysInUse::default(),
        door,
    };
    let people = people_pages().merge(audit_page()).with_state(hub.site.clone());
    let router = Router::new()
        .route("/", get(pages::network))
        .route("/chapters", get(pages::chapters))
        .route("/chapters/{slug}", get(pages::chapter))
        .route("/unplaced", get(pages::unplaced))
        .route("/unplaced/{id}/assign", post(pages::assign))
        .route("/held/release", post(held::release_shown))
        .route("/held/{id}/{act}", post(held::act))
        .route("/signup", get(sign_up_page::form).post(sign_up_page::post))
        .route("/find", get(sign_up_page::find))
        .route("/live", get(live))
        .route("/livez", get(|| async { "alive" }))
        .route("/readyz", get(pages::ready))
        .route(osdi::PATH, post(osdi::sign_up).options(|| async { (StatusCode::NO_CONTENT, osdi::CORS) }))
        .route("/api/v1/chapters", get(pages::chapters_json))
        .route("/api/v1/unplaced", get(pages::unplaced_json))
        .route("/api/v1/unplaced/{id}/assign", post(pages::assign_json))
        .with_state(hub)
        .merge(people)
        .merge(assets());
    guarded(router, OPEN)
}
