//! Coming in and going: the login page, the link for the first login, logging out.
//!
//! **Invariants:** whatever is wrong, the answer is the same sentence; a session begins with a new id each time.

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::header::{RETRY_AFTER, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use model::Login;
use node::{Knock, Password, SignInError, SignedIn, Who};
use serde::Deserialize;

use crate::forms::Form;
use crate::guard::Visit;
use crate::routes::{Access, LOGIN, Pages};
use crate::shell::Bare;
use crate::{Problem, Site, WebError, blocking, html};

/// Where the first login is made.
const SET_UP: &str = "/setup";

pub(crate) fn entry_pages() -> Pages<Site> {
    Pages::default()
        .get(LOGIN, Access::Open, login_page)
        .post(LOGIN, Access::Open, sign_in)
        .post("/logout", Access::SignedIn, sign_out)
        .get(SET_UP, Access::Open, set_up_page)
        .post(SET_UP, Access::Open, set_up)
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    shell: Bare,
    /// The program whose command makes a login, while nobody can log in.
    nobody: Option<&'static str>,
    problem: Option<String>,
    name: String,
    next: String,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetUpPage {
    shell: Bare,
    problem: Option<String>,
    name: String,
    token: String,
    /// Whether the link is good.
    open: bool,
}

/// What the address of the login page says.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    next: String,
    #[serde(default)]
    token: String,
}

/// Only a path of this node is gone to after a login or an act. Browsers leave tabs and ends of lines out of an address, so that
/// `/<tab>/evil.example` would be another site: whatever is no visible letter of ASCII is no path.
pub(crate) fn local(next: &str) -> &str {
    let visible = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if next.starts_with('/') && !next.starts_with("//") && visible { next } else { "/" }
}

fn agent(headers: &HeaderMap) -> String {
    headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("a program").to_owned()
}

fn come_in(visit: &Visit, signed_in: &SignedIn, next: &str) -> Response {
    ([(SET_COOKIE, visit.give(signed_in))], Redirect::to(local(next))).into_response()
}

/// The status of a login that was refused; with how long to wait, if that is it.
fn refusal(error: &SignInError) -> (StatusCode, Option<String>) {
    match error {
        SignInError::Wait(seconds) => (StatusCode::TOO_MANY_REQUESTS, Some(seconds.to_string())),
        SignInError::Wrong | SignInError::Node(_) => (StatusCode::UNPROCESSABLE_ENTITY, None),
    }
}

/// A page that says why not.
pub(crate) fn refused_page(error: &SignInError, page: Response) -> Response {
    let (status, wait) = refusal(error);
    match wait {
        Some(wait) => (status, [(RETRY_AFTER, wait)], page).into_response(),
        None => (status, page).into_response(),
    }
}

async fn login(site: Site, name: &str, next: &str, problem: Option<String>) -> Result<LoginPage, WebError> {
    let (name, next) = (name.to_owned(), local(next).to_owned());
    blocking(move || {
        let program = if site.node.is_hub() { "hub-node" } else { "chapter-node" };
        let nobody = (!site.node.read(|read| read.has_users())?).then_some(program);
        Ok(LoginPage { shell: site.bare("Log in"), nobody, problem, name, next })
    })
    .await
}

async fn login_page(State(site): State<Site>, Query(wanted): Query<Wanted>) -> Result<Response, WebError> {
    Ok(html(&login(site, "", &wanted.next, None).await?))
}

async fn sign_in(
    State(site): State<Site>,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, WebError> {
    let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
    let knock = Knock {
        name: text("name"),
        password: text("password"),
        code: text("code"),
        address: visit.from,
        agent: agent(&headers),
        before: visit.held(&headers),
    };
    match site.node.sign_in(knock).await {
        Ok(signed_in) => Ok(come_in(&visit, &signed_in, &text("next"))),
        Err(SignInError::Node(error)) => Err(error.into()),
        Err(error) => {
            let page = login(site, &text("name"), &text("next"), Some(error.to_string())).await?;
            Ok(refused_page(&error, html(&page)))
        }
    }
}

async fn sign_out(
    State(site): State<Site>,
    Extension(visit): Extension<Visit>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    blocking(move || Ok(site.node.sign_out(&who)?)).await?;
    Ok(([(SET_COOKIE, visit.take())], Redirect::to(LOGIN)).into_response())
}

fn first(site: &Site, token: String, name: String, problem: Option<String>) -> SetUpPage {
    let open = site.node.may_set_up(&token);
    SetUpPage { shell: site.bare("Make the first login"), problem, name, token, open }
}

async fn set_up_page(State(site): State<Site>, Query(wanted): Query<Wanted>) -> Response {
    let page = first(&site, wanted.token, String::new(), None);
    let status = if page.open { StatusCode::OK } else { StatusCode::GONE };
    (status, html(&page)).into_response()
}

/// The name and the password of the first login.
fn first_login(form: &Form) -> Result<(Login, Password), String> {
    let name = form.get("name").unwrap_or_default().parse::<Login>().map_err(|error| error.to_string())?;
    Ok((name, new_password(form)?))
}

/// A new password that was typed twice.
pub(crate) fn new_password(form: &Form) -> Result<Password, String> {
    let password = form.get("password").unwrap_or_default();
    if form.get("again").unwrap_or_default() != password {
        return Err("the two passwords are not the same: type them again".to_owned());
    }
    password.parse::<Password>().map_err(|error| error.to_string())
}

async fn set_up(
    State(site): State<Site>,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, WebError> {
    let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
    let problem = match first_login(&form) {
        Err(problem) => problem,
        Ok((login, password)) => match site.node.set_up(text("token"), login, password, agent(&headers)).await {
            Ok(signed_in) => return Ok(come_in(&visit, &signed_in, "/")),
            Err(SignInError::Node(error)) => {
                let said = Problem::from(&error);
                if said.status != StatusCode::UNPROCESSABLE_ENTITY {
                    return Err(said.into());
                }
                said.detail
            }
            Err(error @ (SignInError::Wrong | SignInError::Wait(_))) => error.to_string(),
        },
    };
    let page = first(&site, text("token"), text("name"), Some(problem));
    Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_node_is_gone_to_after_a_login() {
        assert_eq!(local("/people?query=mary"), "/people?query=mary");
        for elsewhere in ["", "people", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb"] {
            assert_eq!(local(elsewhere), "/", "{elsewhere:?}");
        }
        for stripped in ["/\t/evil.example", "/\n/evil.example", "/ /evil.example", "/caf\u{e9}"] {
            assert_eq!(local(stripped), "/", "{stripped:?}");
        }
    }
}
