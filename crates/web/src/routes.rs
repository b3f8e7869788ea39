//! Routes, each with who may use it.
//!
//! **Invariant:** a route can't be added without an [`Access`], and what does not come out of here is not served
//! ([`crate::guarded`] takes nothing else). Whoever may not use a route is told before its handler runs.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodRouter, get, options, patch, post};
use model::{Right, Role};
use node::{NodeError, Showing, Who};

use crate::guard::Visit;
use crate::{Problem, WebError};

/// The header in which a program shows its token (OSDI).
pub(crate) const TOKEN_HEADER: &str = "osdi-api-token";
/// Where somebody logs in.
pub(crate) const LOGIN: &str = "/login";
/// Where somebody sets her second factor up.
pub(crate) const ACCOUNT: &str = "/account";

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody. A good token is noticed, and a bad one is as none.
    Open,
    /// Whoever has logged in, whatever she may do.
    SignedIn,
    /// Whoever has this right.
    Needs(Right),
}

/// A route as it was added.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
}

/// A router whose routes all say who may use them.
#[derive(Debug)]
pub struct Pages<S = ()> {
    pub(crate) router: Router<S>,
    routes: Vec<Route>,
}

impl<S: Clone + Send + Sync + 'static> Default for Pages<S> {
    fn default() -> Self {
        Self { router: Router::new(), routes: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Pages<S> {
    /// Adds a page.
    #[must_use]
    pub fn get<T: 'static>(self, path: &'static str, access: Access, handler: impl Handler<T, S>) -> Self {
        self.add(Method::GET, path, access, get(handler))
    }

    /// Adds what is posted.
    #[must_use]
    pub fn post<T: 'static>(self, path: &'static str, access: Access, handler: impl Handler<T, S>) -> Self {
        self.add(Method::POST, path, access, post(handler))
    }

    /// Adds what corrects.
    #[must_use]
    pub fn patch<T: 'static>(self, path: &'static str, access: Access, handler: impl Handler<T, S>) -> Self {
        self.add(Method::PATCH, path, access, patch(handler))
    }

    /// Adds what a browser asks before it posts from another site.
    #[must_use]
    pub fn options<T: 'static>(self, path: &'static str, access: Access, handler: impl Handler<T, S>) -> Self {
        self.add(Method::OPTIONS, path, access, options(handler))
    }

    fn add(mut self, method: Method, path: &'static str, access: Access, handler: MethodRouter<S>) -> Self {
        let layer = from_fn(move |request: Request, next: Next| enter(access, request, next));
        self.router = self.router.route(path, handler.route_layer(layer));
        self.routes.push(Route { method, path, access });
        self
    }

    /// With the routes of another one.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.routes.extend(other.routes);
        self
    }

    /// With what its handlers share.
    pub fn with_state(self, state: S) -> Pages {
        Pages { router: self.router.with_state(state), routes: self.routes }
    }

    /// Every route.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}

/// What a request shows of who asks.
enum Shown {
    Nothing,
    Session(String, Showing),
    Token(String),
}

fn shown(headers: &HeaderMap, visit: &Visit) -> Shown {
    if let Some(token) = headers.get(TOKEN_HEADER) {
        // What is no text is no token of ours.
        return Shown::Token(token.to_str().unwrap_or_default().to_owned());
    }
    // Browsers say so of what a script asks for: ours follows what moves.
    let by_script = headers.get("sec-fetch-dest").is_some_and(|dest| dest == "empty");
    let showing = if by_script { Showing::HerPage } else { Showing::Herself };
    visit.held(headers).map_or(Shown::Nothing, |id| Shown::Session(id, showing))
}

async fn who(shown: Shown, visit: &Visit) -> Result<Option<Who>, Problem> {
    let door = Arc::clone(&visit.door);
    let asked = match shown {
        Shown::Nothing => return Ok(None),
        Shown::Session(id, showing) => tokio::task::spawn_blocking(move || door.node.who_holds(&id, showing)).await,
        Shown::Token(token) => tokio::task::spawn_blocking(move || door.node.who_shows(&token)).await,
    };
    asked.unwrap_or(Err(NodeError::ShuttingDown)).map_err(|error| Problem::from(&error))
}

/// Lets a request in to its handler, or says why not.
async fn enter(access: Access, mut request: Request, next: Next) -> Response {
    let Some(visit) = request.extensions().get::<Visit>().cloned() else {
        // There is no node yet: nobody is known, and what is open is all that is served.
        let open = access == Access::Open;
        return if open { next.run(request).await } else { StatusCode::NOT_FOUND.into_response() };
    };
    let shown = shown(request.headers(), &visit);
    if access == Access::Open && !matches!(shown, Shown::Token(_)) {
        return next.run(request).await;
    }
    let who = match who(shown, &visit).await {
        Ok(who) => who,
        Err(problem) => return refuse(&request, problem),
    };
    match (access, who) {
        (Access::Open, None) => {}
        (Access::SignedIn | Access::Needs(_), None) => return not_signed_in(&request),
        (Access::Needs(right), Some(who)) if !who.role.may(right) => {
            visit.door.node.refuses(&who, right);
            return refuse(&request, may_not(who.role, right));
        }
        (Access::Needs(_), Some(who)) if visit.wants_second(&who) => return second_first(&request),
        (Access::Open | Access::SignedIn | Access::Needs(_), Some(who)) => {
            request.extensions_mut().insert(who);
        }
    }
    next.run(request).await
}

fn is_program(request: &Request) -> bool {
    request.uri().path().starts_with("/api/")
}

/// As a page for people, as problem details for programs.
fn refuse(request: &Request, problem: Problem) -> Response {
    if is_program(request) { problem.into_response() } else { WebError(problem).into_response() }
}

pub(crate) fn may_not(role: Role, right: Right) -> Problem {
    let words =
        format!("your role here, {}, may not {}: ask an administrator of this node", role.word(), right.words());
    Problem::new(StatusCode::FORBIDDEN, "not_allowed", words)
}

fn not_signed_in(request: &Request) -> Response {
    if is_program(request) {
        let words = "log in, or send a token that is good in the header OSDI-API-Token";
        return Problem::new(StatusCode::UNAUTHORIZED, "not_signed_in", words).into_response();
    }
    let wanted = request.uri().path_and_query().filter(|_| request.method() == Method::GET);
    let next = wanted.map_or("/", |wanted| wanted.as_str());
    Redirect::to(&format!("{LOGIN}?next={}", encoded(next))).into_response()
}

/// A text as a value in an address.
pub fn encoded(text: &str) -> String {
    let byte = |byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn second_first(request: &Request) -> Response {
    if is_program(request) {
        let words = "an administrator of a hub needs a second factor: set it up on the account page first";
        return Problem::new(StatusCode::FORBIDDEN, "second_factor_needed", words).into_response();
    }
    Redirect::to(ACCOUNT).into_response()
}
