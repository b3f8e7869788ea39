//! What both dashboards share: layout, login, errors, forms, and the pages and JSON that are the same at both.
//!
//! **Invariants:** no route is served that does not say who may use it; every control is a link or a form first; a page
//! carries no inline script or style; what a chapter keeps to itself is shown only where the node is a chapter. Knows nothing of SQL, gRPC or of which chapter serves a place.

mod account;
mod api;
mod assets;
mod attempt;
mod audit;
mod chart;
mod entry;
mod forms;
mod giving;
mod goals;
mod guard;
mod json;
mod keys;
mod live;
mod metrics;
mod people;
mod problem;
mod proxies;
mod routes;
mod serving;
mod shared;
mod sheet;
mod shell;
mod shortcuts;
mod undo;
mod undo_edit;
mod when;

pub use api::{described, description_route, own_people_pages};
pub use assets::assets;
pub use attempt::{Attempt, result_words};
pub use chart::{chart_of_parts, chart_of_weeks};
pub use forms::Form;
pub use goals::{Goals, ONE_TO_ONES_A_WEEK, QUIET_AFTER_DAYS};
pub use guard::{BODY_BYTES_MAX, Rules, SecondFactor, Visitor, guarded, guarded_before_a_node};
pub use json::{action_json, chapter_json, event_json, link_json, person_json, status_json};
pub use keys::{KeyHeld, KeysInUse, idempotency_key, key_reused};
pub use metrics::{Amount, Figure, Metrics, Period, metrics};
pub use people::{Span, Wording, describe, people_json, shared_json};
pub use problem::{Problem, WebError, blocking, html};
pub use proxies::Proxies;
pub use routes::{Access, Pages, Route, encoded};
pub use serving::serve_pages;
pub use shared::shared_pages;
pub use sheet::{Cell, Choice, Sheet, SheetAction};
pub use shell::{Bare, NavItem, Shell, Site, link_words};
pub use undo::Notice;
pub use when::{ago, since};
