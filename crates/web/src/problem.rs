//! Errors: as problem details (RFC 9457) for programs, as a sentence on a page for people.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use node::{ErrorKind, NodeError};
use serde_json::{Value, json};
use store::StoreError;

/// Problem details (RFC 9457).
#[derive(Clone, Debug)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// A stable word.
    pub code: &'static str,
    /// What happened, for a person.
    pub detail: String,
    /// What is wrong with each field.
    pub fields: Vec<model::FieldError>,
}

impl Problem {
    /// A problem without fields.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), fields: Vec::new() }
    }

    /// The JSON of RFC 9457, with `code` and `errors` beside its own members.
    pub fn json(&self) -> Value {
        let title = self.status.canonical_reason().unwrap_or("Error");
        json!({
            "type": "about:blank", "title": title, "status": self.status.as_u16(),
            "detail": self.detail, "code": self.code, "errors": self.fields,
        })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, [(CONTENT_TYPE, "application/problem+json")], self.json().to_string()).into_response()
    }
}

impl From<&NodeError> for Problem {
    fn from(error: &NodeError) -> Self {
        let status = match error.kind() {
            ErrorKind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Unreachable => StatusCode::BAD_GATEWAY,
            ErrorKind::Failed | ErrorKind::Integrity => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if matches!(error, NodeError::Busy | NodeError::ShuttingDown) {
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "try_again", error.to_string());
        }
        if matches!(error, NodeError::Store(StoreError::Full)) {
            return Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", error.to_string());
        }
        // What failed inside is for the log of whoever runs the node, not for whoever asked.
        let detail = if status.is_server_error() {
            tracing::error!(%error, "a request failed");
            "something failed inside this node; its log says what".to_owned()
        } else {
            error.to_string()
        };
        let fields = if let NodeError::Fields(fields) = error { fields.0.clone() } else { Vec::new() };
        Self { status, code: error.code(), detail, fields }
    }
}

/// An error on its way to a page.
#[derive(Debug)]
pub struct WebError(pub Problem);

impl From<NodeError> for WebError {
    fn from(error: NodeError) -> Self {
        Self(Problem::from(&error))
    }
}

impl From<Problem> for WebError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'a str,
    detail: &'a str,
    stamp: String,
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let title = match self.0.status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN => "Not allowed",
            status if status.is_server_error() => "Something failed",
            _ => "That did not work",
        };
        let page = ErrorPage { title, detail: &self.0.detail, stamp: crate::assets::stamp() };
        (self.0.status, html(&page)).into_response()
    }
}

/// A rendered page.
pub fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Runs blocking work for a page.
///
/// # Errors
/// The work's, or that the node shuts down.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WebError> + Send + 'static,
) -> Result<T, WebError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| NodeError::ShuttingDown)?
}
