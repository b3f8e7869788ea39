//! What both dashboards share: layout, errors, forms, and the pages and JSON that are the same at both.
//!
//! **Invariants:** every control is a link or a form first; a page carries no inline script or style; what a chapter keeps
//! to itself is shown only where the node is a chapter. Knows nothing of SQL, gRPC or of which chapter serves a place.

mod assets;
mod audit;
mod forms;
mod guard;
mod json;
mod live;
mod people;
mod problem;
mod shell;
mod when;

pub use assets::assets;
pub use audit::audit_page;
pub use forms::{Form, working_as};
pub use guard::{BODY_BYTES_MAX, guarded};
pub use json::{chapter_json, event_json, person_json, status_json};
pub use live::live;
pub use people::people_pages;
pub use problem::{Problem, WebError, blocking, html};
pub use shell::{NavItem, Shell, Site};
pub use when::{ago, since};
