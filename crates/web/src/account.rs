//! One's own account: password, second factor, sessions, one's own record.
//!
//! **Invariant:** a program's token has no account; what changes how somebody logs in asks for her password again, and what
//! takes her second factor away for a code of it.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use model::Digest;
use node::{NodeError, SecondOffer, SignInError, Who};
use qrcode::QrCode;
use qrcode::render::svg;
use store::{Session, StoreError};

use crate::entry::{new_password, refused_page};
use crate::forms::{Form, refused};
use crate::guard::Visit;
use crate::people::allowed;
use crate::routes::{ACCOUNT, Access, Pages};
use crate::{Problem, Shell, Site, WebError, ago, blocking, html};

/// The side of a QR code, in pixels: a telephone reads it from a desk away.
const QR_PIXELS: u32 = 200;

pub(crate) fn account_pages() -> Pages<Site> {
    Pages::default()
        .get(ACCOUNT, Access::SignedIn, page)
        .post("/account/password", Access::SignedIn, change_password)
        .post("/account/second", Access::SignedIn, set_second)
        .post("/account/second/drop", Access::SignedIn, drop_second)
        .post("/account/sessions", Access::SignedIn, end_session)
        .post("/account/record", Access::SignedIn, tie)
}

struct SessionLine {
    id: String,
    agent: String,
    since: String,
    seen: String,
    here: bool,
}

struct Offer {
    secret: String,
    qr: String,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    shell: Shell,
    problem: Option<String>,
    /// She can do nothing else before she has a second factor.
    wanted: bool,
    /// None: she has one.
    offer: Option<Offer>,
    may_drop: bool,
    recovery: usize,
    sessions: Vec<SessionLine>,
    own: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "recovery.html")]
struct RecoveryPage {
    shell: Shell,
    codes: Vec<String>,
}

/// The code as SVG without what stands before it in a file of its own.
fn qr(text: &str) -> String {
    let drawn =
        QrCode::new(text).map(|code| code.render::<svg::Color<'_>>().min_dimensions(QR_PIXELS, QR_PIXELS).build());
    drawn.ok().and_then(|svg| svg.find("<svg").map(|at| svg[at..].to_owned())).unwrap_or_default()
}

fn session_line(session: &Session, who: &Who, now: model::Timestamp) -> SessionLine {
    SessionLine {
        id: session.hash.to_string(),
        agent: session.agent.clone(),
        since: ago(Some(session.created), now),
        seen: ago(Some(session.seen), now),
        here: who.session == Some(session.hash),
    }
}

fn no_account() -> WebError {
    let words = "a token has no account: log in with a name and a password";
    Problem::new(StatusCode::FORBIDDEN, "not_allowed", words).into()
}

fn build(site: &Site, who: &Who, visit: &Visit, problem: Option<String>) -> Result<AccountPage, WebError> {
    let node = &site.node;
    let (user, sessions) = node.read(|read| Ok((read.user(&who.by)?, read.sessions(&who.by)?)))?;
    let user = user.filter(|_| who.session.is_some()).ok_or_else(no_account)?;
    let own = user.supporter.map(|id| match node.read(|read| read.person(id)) {
        Ok(person) => Ok((id.to_string(), person.supporter.display_name())),
        Err(NodeError::Store(StoreError::NotFound(_))) => {
            Ok((id.to_string(), "somebody who is not here any more".to_owned()))
        }
        Err(error) => Err(error),
    });
    let offer = if user.totp.is_none() { Some(node.offer_second(who)?) } else { None };
    let now = node.now();
    Ok(AccountPage {
        shell: site.shell("Your account", ACCOUNT, who)?,
        problem,
        wanted: visit.wants_second(who),
        offer: offer.map(|SecondOffer { secret, url }| Offer { secret, qr: qr(&url) }),
        may_drop: !visit.wants_second(&Who { second: false, ..who.clone() }),
        recovery: user.recovery.len(),
        sessions: sessions.iter().map(|session| session_line(session, who, now)).collect(),
        own: own.transpose()?,
    })
}

async fn page(
    State(site): State<Site>,
    Extension(visit): Extension<Visit>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build(&site, &who, &visit, None)).await?))
}

/// Back to the account; or the account again, with what was wrong.
async fn done(site: Site, who: Who, visit: Visit, result: Result<(), SignInError>) -> Result<Response, WebError> {
    let error = match result {
        Ok(()) => return Ok(Redirect::to(ACCOUNT).into_response()),
        Err(error) => error,
    };
    if let SignInError::Node(error) = &error {
        let problem = Problem::from(error);
        if problem.status != StatusCode::UNPROCESSABLE_ENTITY {
            return Err(problem.into());
        }
    }
    let words = error.to_string();
    let page = blocking(move || build(&site, &who, &visit, Some(words))).await?;
    Ok(refused_page(&error, html(&page)))
}

fn text(form: &Form, name: &str) -> String {
    form.get(name).unwrap_or_default().to_owned()
}

async fn change_password(
    State(site): State<Site>,
    Extension(visit): Extension<Visit>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    let result = match new_password(&form) {
        Ok(new) => site.node.change_password(who.clone(), text(&form, "old"), new, visit.from).await,
        Err(words) => Err(NodeError::Refused(words).into()),
    };
    done(site, who, visit, result).await
}

async fn set_second(
    State(site): State<Site>,
    Extension(visit): Extension<Visit>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    let typed = (text(&form, "secret"), text(&form, "code"));
    match site.node.set_second(who.clone(), text(&form, "password"), typed, visit.from).await {
        Ok(codes) => {
            let shell = blocking(move || site.shell("Your recovery codes", ACCOUNT, &who)).await?;
            Ok(html(&RecoveryPage { shell, codes }))
        }
        Err(error) => done(site, who, visit, Err(error)).await,
    }
}

async fn drop_second(
    State(site): State<Site>,
    Extension(visit): Extension<Visit>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    let typed = (text(&form, "password"), text(&form, "code"));
    let result = site.node.drop_second(who.clone(), typed, visit.from).await;
    done(site, who, visit, result).await
}

async fn end_session(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    let session: Digest = form.parse("session")?.ok_or_else(|| refused("choose the session that is to end"))?;
    blocking(move || Ok(site.node.end_own_session(&who, session)?)).await?;
    Ok(Redirect::to(ACCOUNT).into_response())
}

async fn tie(
    State(site): State<Site>,
    Extension(visit): Extension<Visit>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    let (node, by, person) = (site.node.clone(), who.clone(), text(&form, "person"));
    let tied = blocking(move || {
        let tie = || {
            let own = if person.is_empty() { None } else { Some(allowed(&node, &person, &by)?) };
            node.tie_login(&by, own)
        };
        // Nobody of that id is something to be said beside the field.
        Ok(tie().map_err(|error| NodeError::Refused(error.to_string())))
    });
    let result = tied.await?.map_err(SignInError::from);
    done(site, who, visit, result).await
}
