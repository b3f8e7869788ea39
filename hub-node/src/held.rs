//! Sign-ups that are held for review: listed, let through or dropped, by command and on the page of those who wait.
//!
//! **Invariant:** one that is let through takes the way of any other, by the territories in force; one that can't stays held.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use cli::{Failure, Out, table};
use model::EventId;
use node::{Node, NodeError, SignedUp, Who};
use serde_json::{Value, json};
use store::HeldSignUp;
use web::{Form, Problem, WebError, ago, blocking};

use crate::arguments::Held;
use crate::routing::Routing;
use crate::site::Hub;

/// The most on one page, which are let through together.
pub(crate) const SHOWN: usize = 200;
/// The most in one list.
const LISTED: usize = 500;

/// One as it is shown.
pub(crate) struct HeldLine {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) contact: String,
    pub(crate) why: &'static str,
    pub(crate) since: String,
}

/// Those that are shown on a page, the oldest first, and how many there are.
pub(crate) fn shown(node: &Node) -> Result<(Vec<HeldLine>, u64), NodeError> {
    let (held, count) = node.read(|read| Ok((read.held_sign_ups(None, SHOWN)?, read.held_count()?)))?;
    let now = node.now();
    let line = |held: &HeldSignUp| HeldLine {
        id: held.receipt.to_string(),
        name: name_of(held),
        contact: contact_of(held),
        why: held.why.in_words(),
        since: ago(Some(held.at), now),
    };
    Ok((held.iter().map(line).collect(), count))
}

fn name_of(held: &HeldSignUp) -> String {
    let names = ["given_name", "family_name"].iter().filter_map(|name| held.sign_up.fields.get(*name));
    names.map(|name| name.expose()).collect::<Vec<_>>().join(" ")
}

fn contact_of(held: &HeldSignUp) -> String {
    let emails = held.sign_up.emails.iter().map(|email| email.as_str().to_owned());
    let mut all = emails.chain(held.sign_up.phones.iter().map(|phone| phone.digits().to_owned()));
    all.next().unwrap_or_default()
}

/// Lets one through, placed by the territories in force.
fn release(node: &Node, routing: &Routing, held: &HeldSignUp, by: &str) -> Result<SignedUp, NodeError> {
    node.release_held(held, routing.place(&held.sign_up)?.fact(), by)
}

pub(crate) fn run(node: &Node, command: &Held, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        Held::List => list(node, out),
        Held::Release { ids, all } => {
            let routing = Routing::new(node);
            let mut done = Released::default();
            if *all {
                let mut after = None;
                loop {
                    let some = node.read(|read| read.held_sign_ups(after, LISTED))?;
                    let Some(last) = some.last().map(|held| held.receipt) else { break };
                    after = Some(last);
                    done.take(node, &routing, &some, by);
                    Out::progress(&format!("{} let through", done.through.len()));
                }
                Out::progress_done();
            } else {
                done.take(node, &routing, &named(node, ids)?, by);
            }
            done.say(out)
        }
        Held::Drop { ids } => {
            for held in named(node, ids)? {
                node.drop_held(held.receipt, by)?;
            }
            out.result(&json!({"dropped": ids.len()}), || format!("{} dropped", ids.len()));
            Ok(())
        }
    }
}

/// The ones that are named, all of them, before anything is done with one.
fn named(node: &Node, ids: &[String]) -> Result<Vec<HeldSignUp>, Failure> {
    Ok(ids.iter().map(|id| node.read(|read| read.held_one(id))).collect::<Result<_, _>>()?)
}

/// What came of letting some through.
#[derive(Default)]
struct Released {
    through: Vec<(EventId, SignedUp)>,
    stay: Vec<(EventId, String)>,
}

impl Released {
    fn take(&mut self, node: &Node, routing: &Routing, some: &[HeldSignUp], by: &str) {
        for held in some {
            match release(node, routing, held, by) {
                Ok(signed_up) => self.through.push((held.receipt, signed_up)),
                Err(error) => self.stay.push((held.receipt, error.to_string())),
            }
        }
    }

    fn say(&self, out: Out) -> Result<(), Failure> {
        let through = |(id, done): &(EventId, SignedUp)| json!({"id": id.to_string(), "person": done.person.to_string(), "new": done.new});
        let stays = |(id, error): &(EventId, String)| json!({"id": id.to_string(), "error": error});
        let made = json!({
            "released": self.through.iter().map(through).collect::<Vec<_>>(),
            "held": self.stay.iter().map(stays).collect::<Vec<_>>(),
        });
        out.result(&made, || format!("{} let through", self.through.len()));
        self.why_not().map_or(Ok(()), |words| Err(Failure::failed(words)))
    }

    /// Why some were not let through.
    fn why_not(&self) -> Option<String> {
        let (_, error) = self.stay.first()?;
        Some(format!("{} could not be let through and stay held: {error}", self.stay.len()))
    }
}

fn list(node: &Node, out: Out) -> Result<(), Failure> {
    let (held, count) = node.read(|read| Ok((read.held_sign_ups(None, LISTED)?, read.held_count()?)))?;
    let one = |held: &HeldSignUp| json!({"id": held.receipt.to_string(), "at": held.at, "why": held.why.word(), "origin": held.origin, "sign_up": held.sign_up});
    let made: Vec<Value> = held.iter().map(one).collect();
    out.result(&json!({"held": made, "count": count}), || {
        let row = |held: &HeldSignUp| {
            let id = held.receipt.to_string();
            let short = id[id.len() - 8..].to_owned();
            vec![short, name_of(held), contact_of(held), held.at.for_people(), held.why.in_words().to_owned()]
        };
        let rows: Vec<Vec<String>> = held.iter().map(row).collect();
        if rows.is_empty() {
            "nothing is held".to_owned()
        } else {
            table(&["id", "name", "contact", "when", "why"], &rows)
        }
    });
    Ok(())
}

/// One of them is let through.
pub(crate) async fn release_one(
    State(hub): State<Hub>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
) -> Result<Redirect, WebError> {
    blocking(move || {
        let node = &hub.site.node;
        let held = node.read(|read| read.held_one(&id))?;
        release(node, &hub.routing, &held, &who.by)?;
        Ok(Redirect::to("/unplaced"))
    })
    .await
}

/// One of them is dropped.
pub(crate) async fn drop_one(
    State(hub): State<Hub>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
) -> Result<Redirect, WebError> {
    blocking(move || {
        let node = &hub.site.node;
        let held = node.read(|read| read.held_one(&id))?;
        node.drop_held(held.receipt, &who.by)?;
        Ok(Redirect::to("/unplaced"))
    })
    .await
}

/// Those that the page showed are let through: what came meanwhile is not, for nobody has looked at it.
pub(crate) async fn release_shown(
    State(hub): State<Hub>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Redirect, WebError> {
    blocking(move || {
        let node = &hub.site.node;
        let last: Option<EventId> = form.parse("through")?;
        let mut shown = node.read(|read| read.held_sign_ups(None, SHOWN))?;
        shown.retain(|held| Some(held.receipt) <= last);
        let mut done = Released::default();
        done.take(node, &hub.routing, &shown, &who.by);
        match done.why_not() {
            None => Ok(Redirect::to("/unplaced")),
            Some(words) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", words).into()),
        }
    })
    .await
}
