//! What stands around every route: host names, origins, sizes, times, headers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use model::Role;
use node::{Node, SESSION_LIFE_MS, SignedIn, Who};

use crate::proxies::Proxies;
use crate::routes::{Pages, TOKEN_HEADER};
use crate::{Problem, WebError};

/// The largest body of a form, in bytes: the longest note with room for its form.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a request may take until its answer begins: a form over a slow telephone, and the longest wait for a fold.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// No inline script or style, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Whether a second factor is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondFactor {
    /// Administrators of a hub can do nothing before they have one.
    #[default]
    OfAdministrators,
    /// Whoever likes has one.
    Optional,
}

/// What the operator says of the pages.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Host names beside those of this machine, in small letters: those under which a proxy with TLS stands before it.
    pub hosts: Vec<String>,
    /// Who needs a second factor.
    pub second: SecondFactor,
    /// Reverse proxies whose word on who asks is taken.
    pub proxies: Proxies,
    /// Whether this node itself serves them over TLS, under any address of its machine.
    pub own_tls: bool,
}

/// From where a request comes: the nearest address that is none of the proxies. Beside every request.
#[derive(Clone, Copy, Debug)]
pub struct Visitor(pub IpAddr);

/// What is the same for every request.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) node: Node,
    second: SecondFactor,
}

/// What every request has to pass, whether there is a node yet or not.
#[derive(Debug)]
struct Fence {
    rules: Rules,
    open: &'static [&'static str],
    door: Option<Arc<Door>>,
}

impl Fence {
    /// Whether a host name is one of those that are answered. An address is as good as a name where there is TLS: whoever
    /// rebinds a name can't rebind that.
    fn answers(&self, host: &str) -> bool {
        let name = name_of(host);
        let address = || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        is_own(host) || self.rules.hosts.contains(&name.to_ascii_lowercase()) || (self.rules.own_tls && address())
    }
}

/// One request's way in.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) door: Arc<Door>,
    /// Whether the browser came over TLS: to this node's own, or to a name that is not this machine's own.
    secure: bool,
    /// From where the request comes.
    pub(crate) from: Option<IpAddr>,
}

impl Visit {
    /// Over TLS the name binds the cookie to this host. On this machine a cookie goes to every port of it, so there
    /// each node has a name of its own.
    fn cookie_name(&self) -> String {
        if self.secure { "__Host-session".to_owned() } else { format!("session-{}", self.door.node.id().short()) }
    }

    /// What the browser holds of a session.
    pub(crate) fn held(&self, headers: &HeaderMap) -> Option<String> {
        let name = self.cookie_name();
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut each =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        each.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    }

    fn cookie(&self, value: &str, seconds: i64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", self.cookie_name())
    }

    /// The cookie that gives a session to the browser.
    pub(crate) fn give(&self, signed_in: &SignedIn) -> String {
        self.cookie(&signed_in.id, SESSION_LIFE_MS / 1000)
    }

    /// The cookie that takes it away.
    pub(crate) fn take(&self) -> String {
        self.cookie("", 0)
    }

    /// Whether she has to set a second factor up before she can do anything.
    pub(crate) fn wants_second(&self, who: &Who) -> bool {
        let asked = self.door.node.is_hub() && self.door.second == SecondFactor::OfAdministrators;
        asked && who.role == Role::Administrator && who.session.is_some() && !who.second
    }
}

/// Puts the guards around pages: only host names that the node was told are answered, so that a page elsewhere can't
/// reach a node on localhost, and a form is only taken from our own pages. `open` are paths that any origin may post to.
pub fn guarded(pages: Pages, node: &Node, rules: Rules, open: &'static [&'static str]) -> Router {
    let door = Arc::new(Door { node: node.clone(), second: rules.second });
    fenced(pages, Fence { rules, open, door: Some(door) })
}

/// Puts the same guards around pages of this machine that are served before there is a node. Of them only those are
/// answered that are open to everybody: nobody can log in yet.
pub fn guarded_before_a_node(pages: Pages) -> Router {
    fenced(pages, Fence { rules: Rules::default(), open: &[], door: None })
}

fn fenced(pages: Pages, fence: Fence) -> Router {
    let fence = Arc::new(fence);
    pages
        .router
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(move |request: Request, next: Next| check(request, next, Arc::clone(&fence))))
}

async fn nowhere(request: Request) -> Response {
    let problem = Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such page");
    if request.uri().path().starts_with("/api/") { problem.into_response() } else { WebError(problem).into_response() }
}

async fn check(mut request: Request, next: Next, fence: Arc<Fence>) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    if !fence.answers(&host) {
        let words = format!("this node does not answer to the host name {:?}", name_of(&host));
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", words).into_response();
    }
    // A name that is not this machine's own is reached over TLS only.
    let secure = fence.rules.own_tls || !is_own(&host);
    let origin = format!("{}://{host}", if secure { "https" } else { "http" });
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    let taken = fence.open.contains(&request.uri().path()) || by_token(&request) || same_origin(&request, &origin);
    if !safe && !taken {
        let words = "this form was sent from another site, and was not taken";
        return Problem::new(StatusCode::FORBIDDEN, "cross_origin", words).into_response();
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let from = peer.map(|peer| fence.rules.proxies.client(peer, request.headers()));
    if let Some(from) = from {
        request.extensions_mut().insert(Visitor(from));
    }
    if let Some(door) = &fence.door {
        request.extensions_mut().insert(Visit { door: Arc::clone(door), secure, from });
    }
    let answer = tokio::time::timeout(ANSWER_TIME_MAX, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_| {
        let words = "this took too long, and was given up: try again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_slow", words).into_response()
    });
    let headers: [(HeaderName, &'static str); 5] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        // What a login may see must not be shown by the next one's "back".
        (CACHE_CONTROL, "no-store"),
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
fn same_origin(request: &Request, ours: &str) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let site = header("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    site && header(ORIGIN.as_str()).is_none_or(|origin| origin == ours)
}

/// A token stands beside no cookie ([`crate::routes`]), and a browser asks before it lets another site's page send that header:
/// it is not told yes.
fn by_token(request: &Request) -> bool {
    request.uri().path().starts_with("/api/") && request.headers().contains_key(TOKEN_HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        assert!(is_own("localhost:8080") && is_own("127.0.0.1") && is_own("[::1]:80"));
        assert!(
            !is_own("evil.example") && !is_own("localhost.evil.example") && !is_own("") && !is_own("127.0.0.1.nip.io")
        );
    }

    #[test]
    fn a_form_of_another_site_is_not_taken() {
        let request =
            |name: &str, value: &str| Request::builder().header(name, value).body(axum::body::Body::empty()).unwrap();
        assert!(same_origin(&request("origin", "http://localhost:1"), "http://localhost:1"));
        assert!(!same_origin(&request("origin", "http://evil.example"), "http://localhost:1"));
        assert!(!same_origin(&request("origin", "null"), "http://localhost:1"));
        assert!(!same_origin(&request("sec-fetch-site", "cross-site"), "http://localhost:1"));
        assert!(same_origin(&request("origin", "https://hub.example.org"), "https://hub.example.org"));
        assert!(!same_origin(&request("origin", "http://hub.example.org"), "https://hub.example.org"));
    }

    #[test]
    fn an_address_is_answered_to_only_over_our_own_tls_and_a_strange_name_never() {
        let fence = |own_tls| Fence {
            rules: Rules { hosts: vec!["la.example.org".to_owned()], own_tls, ..Rules::default() },
            open: &[],
            door: None,
        };
        for host in ["localhost:1", "127.0.0.1:1", "[::1]:1", "LA.example.org:1"] {
            assert!(fence(false).answers(host) && fence(true).answers(host), "{host}");
        }
        for host in ["192.0.2.7:8090", "[2001:db8::7]:8090"] {
            assert!(!fence(false).answers(host) && fence(true).answers(host), "{host}");
        }
        for host in ["", "evil.example", "192.0.2.7.evil.example", "localhost.evil.example:1"] {
            assert!(!fence(true).answers(host), "{host}");
        }
    }
}
