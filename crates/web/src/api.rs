//! Writing by JSON: what is done with a person, somebody new, and corrections; and the description of the whole interface.
//!
//! **Invariants:** a field that is not known is refused by its name, and nothing is written then; an act that is asked again
//! with its idempotency key is done once.

mod acts;
mod description;
mod posted;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use node::{Asked, By, Who, added_json};
use store::Answered;

pub use description::{described, description_route};

use crate::keys::hash_of;
use crate::people::allowed;
use crate::routes::{Access, Pages};
use crate::{BODY_BYTES_MAX, Problem, Site, WebError, blocking, idempotency_key, key_reused};
use acts::{ACTS, Act, NEW, NOTES, On};
use posted::Posted;

/// Acts on people, and corrections.
pub(crate) fn act_pages() -> Pages<Site> {
    let pages = Pages::default().patch(acts::CORRECT, Access::Needs(acts::CORRECT_RIGHT), correct);
    ACTS.iter().fold(pages, with_act)
}

/// What only a chapter takes: somebody new, and what stays there.
pub fn own_people_pages() -> Pages<Site> {
    with_act(Pages::default().post(NEW.path, Access::Needs(NEW.right), add), &NOTES)
}

fn with_act(pages: Pages<Site>, act: &'static Act) -> Pages<Site> {
    pages.post(act.path, Access::Needs(act.right), move |site, id, who, headers, body| {
        perform(site, id, who, headers, body, act)
    })
}

/// A body, or that it is too long.
fn within(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|_| {
        let words = format!("a request has at most {BODY_BYTES_MAX} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", words)
    })
}

fn answered(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

/// Does what is asked once for its key, if it has one; gives the answer. `what` is all that makes it this request. Blocks.
fn once(
    site: &Site,
    key: Option<[u8; 32]>,
    what: &[&[u8]],
    act: impl FnOnce(Option<Asked>) -> Result<String, WebError>,
) -> Result<String, WebError> {
    let Some(key) = key else { return act(None) };
    let _held = site.keys.hold(key);
    let request = hash_of(what);
    match site.node.read(|read| read.answered(&key, &request))? {
        Answered::Never => act(Some(Asked { key, request })),
        Answered::Same(body) => Ok(body),
        Answered::Other => Err(key_reused().into()),
    }
}

/// An act on one person.
async fn perform(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
    act: &'static Act,
) -> Result<Response, Problem> {
    let (body, key) = (within(body)?, idempotency_key(&headers, &who.by)?);
    let made = blocking(move || {
        let person = allowed(&site.node, &id, &who)?;
        once(&site, key, &[act.path.as_bytes(), person.as_bytes(), &body], |asked| {
            let on = On { node: &site.node, person, by: By::asking(&who.by, asked) };
            Ok(added_json((act.does)(&on, Posted::read(&body, act.fields)?)?))
        })
    });
    made.await.map(|body| answered(StatusCode::CREATED, body)).map_err(|error| error.0)
}

/// Somebody new.
async fn add(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (body, key) = (within(body)?, idempotency_key(&headers, &who.by)?);
    let made = blocking(move || {
        once(&site, key, &[NEW.path.as_bytes(), &body], |asked| {
            let person = acts::somebody(Posted::read(&body, NEW.fields)?, &site.node.row().country)?;
            Ok(added_json(site.node.add_person(person, By::asking(&who.by, asked))?))
        })
    });
    made.await.map(|body| answered(StatusCode::CREATED, body)).map_err(|error| error.0)
}

/// Corrections: only what is named is written. Asked again, they change nothing.
async fn correct(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = within(body)?;
    let made = blocking(move || {
        let person = allowed(&site.node, &id, &who)?;
        let edits = Posted::read(&body, acts::CORRECTED)?.edits()?;
        site.node.edit_fields(person, &edits, &who.by)?;
        Ok(added_json(person))
    });
    made.await.map(|body| answered(StatusCode::OK, body)).map_err(|error| error.0)
}
