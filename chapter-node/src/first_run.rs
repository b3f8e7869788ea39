//! Before this node has joined a network: pages with one field, into which the invitation is pasted.
//!
//! **Invariants:** only this machine is served, and only whoever holds the link that the terminal shows can do anything; what
//! the network will see is shown, and accepted, before anything is made, and it is made once, however often the button was
//! pressed. Knows nothing of the pages that come afterwards but where the first login is made.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::extract::{Query, Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use cli::{Begun, Failure, serve_before_a_node};
use model::NodeId;
use node::{Accepting, Invite, JoinOffer, Node, OneTimeLink, join, look};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use web::{Access, Bare, Form, Pages, WebError, assets, blocking, guarded_before_a_node, html};

/// Where the invitation is pasted, and where it is accepted.
const JOIN: &str = "/join";
const ACCEPT: &str = "/join/accept";
/// Where pages begin, and where the first login is made, once there is a node.
const PAGES: [&str; 2] = ["/", "/setup"];

/// A node that was made, and what is in the link for its first login.
type Made = (Node, Option<String>);

/// What the handlers share.
#[derive(Clone)]
struct Desk(Arc<Inner>);

struct Inner {
    directory: PathBuf,
    by: String,
    link: OneTimeLink,
    /// Held by the one that joins.
    stands: Mutex<Stands>,
}

/// How far it is.
enum Stands {
    /// Nothing is made; whoever joins says here what she has made.
    Waiting(oneshot::Sender<Made>),
    /// A network was joined.
    Done(Joined),
}

impl Desk {
    /// Not while somebody joins: nobody waits for that here.
    fn is_done(&self) -> bool {
        self.0.stands.try_lock().is_ok_and(|stands| matches!(*stands, Stands::Done(_)))
    }
}

#[derive(Template)]
#[template(path = "join.html")]
struct JoinPage {
    shell: Bare,
    /// Whether she holds the link.
    open: bool,
    token: String,
    problem: Option<String>,
    offer: Option<Offered>,
    joined: Option<Joined>,
}

/// What there is to accept.
struct Offered {
    invite: String,
    network: String,
    chapter: String,
    /// By which keys the network is known, wherever it is.
    hub_key: String,
    statement: Vec<String>,
    version: u64,
}

/// What came of it.
#[derive(Clone)]
struct Joined {
    network: String,
    chapter: String,
    key: String,
    /// What is in the link for the first login.
    set_up: Option<String>,
}

/// What the address says.
#[derive(Debug, Default, Deserialize)]
struct Held {
    #[serde(default)]
    token: String,
}

impl JoinPage {
    fn new(token: &str) -> Self {
        let shell = Bare::new("Join a network", "Chapterhouse");
        Self { shell, open: true, token: token.to_owned(), problem: None, offer: None, joined: None }
    }

    fn problem(token: &str, words: String) -> Response {
        let page = Self { problem: Some(words), ..Self::new(token) };
        (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
    }

    /// For whoever does not hold the link.
    fn closed() -> Response {
        (StatusCode::GONE, html(&Self { open: false, ..Self::new("") })).into_response()
    }
}

/// Serves the page until a network was joined; nothing: a signal came first.
pub(crate) fn join_on_a_page(http: &str, directory: &Path, by: &str) -> Result<Option<(Node, Begun)>, Failure> {
    let (held, link) = OneTimeLink::draw();
    let (made, joined) = oneshot::channel();
    let (directory, by) = (directory.to_owned(), by.to_owned());
    let desk = Desk(Arc::new(Inner { directory, by, link, stands: Mutex::new(Stands::Waiting(made)) }));
    let pages = Pages::default()
        .get("/", Access::Open, || async { JoinPage::closed() })
        .get(JOIN, Access::Open, field)
        .post(JOIN, Access::Open, show)
        .post(ACCEPT, Access::Open, accept)
        .merge(assets());
    let router = guarded_before_a_node(pages.with_state(desk.clone())).layer(from_fn_with_state(desk, until_joined));
    serve_before_a_node(http, &format!("{JOIN}?token={held}"), router, joined)
}

/// Every answer is the last of its connection: what a browser asks once there is a node goes to that one's pages. It may have
/// connected before it knew what to ask.
async fn until_joined(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let wanted = request.uri().path_and_query().filter(|wanted| PAGES.contains(&wanted.path()) && desk.is_done());
    let again = wanted.map(|wanted| Redirect::temporary(wanted.as_str()));
    let mut response = match again {
        Some(again) => again.into_response(),
        None => next.run(request).await,
    };
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn field(State(desk): State<Desk>, Query(held): Query<Held>) -> Response {
    if desk.0.link.holds(&held.token) { html(&JoinPage::new(&held.token)) } else { JoinPage::closed() }
}

/// What was pasted, if whoever asks holds the link.
fn pasted(desk: &Desk, form: &Form) -> Result<(String, Invite), Box<Response>> {
    let token = form.get("token").unwrap_or_default();
    if !desk.0.link.holds(token) {
        return Err(Box::new(JoinPage::closed()));
    }
    let invite = form.get("invite").unwrap_or_default().parse::<Invite>();
    let invite = invite.map_err(|error| Box::new(JoinPage::problem(token, error.to_string())))?;
    Ok((token.to_owned(), invite))
}

/// Shows what the network will see. Nothing is made, and the invitation is not used up.
async fn show(State(desk): State<Desk>, form: Form) -> Response {
    let (token, invite) = match pasted(&desk, &form) {
        Ok(pasted) => pasted,
        Err(answer) => return *answer,
    };
    match look(&invite).await {
        Ok(offer) => html(&JoinPage { offer: Some(offered(&invite, offer)), ..JoinPage::new(&token) }),
        Err(error) => JoinPage::problem(&token, error.to_string()),
    }
}

fn offered(invite: &Invite, offer: JoinOffer) -> Offered {
    let keys = invite.hub.pins.iter().map(|pin| NodeId(pin.0).fingerprint());
    Offered {
        invite: invite.to_string(),
        network: offer.network,
        chapter: offer.chapter,
        hub_key: keys.collect::<Vec<_>>().join(", "),
        statement: offer.statement.lines().map(str::to_owned).collect(),
        version: offer.statement_version,
    }
}

async fn accept(State(desk): State<Desk>, form: Form) -> Result<Response, WebError> {
    let (token, invite) = match pasted(&desk, &form) {
        Ok(pasted) => pasted,
        Err(answer) => return Ok(*answer),
    };
    let version = form.parse::<u64>("version")?.unwrap_or_default();
    let runtime = Handle::current();
    let joining = blocking(move || {
        let mut stands = desk.0.stands.lock().unwrap_or_else(PoisonError::into_inner);
        if let Stands::Done(joined) = &*stands {
            return Ok(Ok(joined.clone()));
        }
        let accepting = Accepting { version, by: &desk.0.by };
        // Here, where it may block: it makes a database.
        let made = runtime.block_on(join(&desk.0.directory, &invite, None, accepting));
        Ok::<_, WebError>(made.and_then(|node| {
            let network = node.read(|read| read.known_parent())?.map(|link| link.name).unwrap_or_default();
            let set_up = node.offer_set_up()?;
            let (chapter, key) = (node.row().name.clone(), node.id().fingerprint());
            let joined = Joined { network, chapter, key, set_up: set_up.clone() };
            if let Stands::Waiting(made) = std::mem::replace(&mut *stands, Stands::Done(joined.clone())) {
                // Nobody waits any more: a signal has ended the program, and the node is there when it starts again.
                let _ = made.send((node, set_up));
            }
            Ok(joined)
        }))
    });
    Ok(match joining.await? {
        Ok(joined) => html(&JoinPage { joined: Some(joined), ..JoinPage::new(&token) }),
        Err(error) => JoinPage::problem(&token, error.to_string()),
    })
}
