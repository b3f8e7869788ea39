//! What stands around every route: host names, origins, sizes, headers.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};

use crate::{Problem, WebError};

/// The largest body of a form, in bytes: the longest note with room for its form.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// No inline script or style, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Puts the guards around a router: only host names of this machine are answered, so that a page elsewhere can't reach a
/// node on localhost, and a form is only taken from our own pages. `open` are paths that any origin may post to.
pub fn guarded(router: Router, open: &'static [&'static str]) -> Router {
    router
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(move |request: Request, next: Next| check(request, next, open)))
}

async fn nowhere(request: Request) -> Response {
    let problem = Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such page");
    if request.uri().path().starts_with("/api/") { problem.into_response() } else { WebError(problem).into_response() }
}

async fn check(request: Request, next: Next, open: &'static [&'static str]) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    if !is_own(&host) {
        let words = format!("this node does not answer to the host name {:?}", name_of(&host));
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", words).into_response();
    }
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if !safe && !open.contains(&request.uri().path()) && !same_origin(&request, &host) {
        let words = "this form was sent from another site, and was not taken";
        return Problem::new(StatusCode::FORBIDDEN, "cross_origin", words).into_response();
    }
    let mut response = next.run(request).await;
    let headers: [(HeaderName, &'static str); 4] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn name_of(host: &str) -> &str {
    let end = if host.starts_with('[') {
        host.find(']').map_or(host.len(), |at| at + 1)
    } else {
        host.find(':').unwrap_or(host.len())
    };
    &host[..end]
}

fn is_own(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].contains(&name_of(host))
}

/// A browser says where a form was sent from; a program that says nothing is not a browser.
fn same_origin(request: &Request, host: &str) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let site = header("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let origin = header(ORIGIN.as_str()).is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
    site && origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        assert!(is_own("localhost:8080") && is_own("127.0.0.1") && is_own("[::1]:80"));
        assert!(
            !is_own("evil.example") && !is_own("localhost.evil.example") && !is_own("") && !is_own("127.0.0.1.nip.io")
        );
    }

    #[test]
    fn a_form_of_another_site_is_not_taken() {
        let request =
            |name: &str, value: &str| Request::builder().header(name, value).body(axum::body::Body::empty()).unwrap();
        assert!(same_origin(&request("origin", "http://localhost:1"), "localhost:1"));
        assert!(!same_origin(&request("origin", "http://evil.example"), "localhost:1"));
        assert!(!same_origin(&request("origin", "null"), "localhost:1"));
        assert!(!same_origin(&request("sec-fetch-site", "cross-site"), "localhost:1"));
    }
}
