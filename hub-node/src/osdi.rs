//! The public sign-up endpoint: OSDI's person signup helper.
//!
//! **Invariant:** the answer is built only from what was posted and where that would be placed; it says nothing of who is
//! known here, unless the caller shows a token that may see people; and nothing of limits.

use std::net::IpAddr;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use model::{ChapterCard, DocId, Right, SIGN_UP_BODY_BYTES_MAX, SignUp, SignUpOrigin};
use node::{Came, Filled, Node, NodeError, Posted, Priority, Who};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::{Answered, HeldSignUp, KeptAnswer};
use web::{Problem, Visitor, idempotency_key, key_reused, person_json};

use crate::site::Hub;

/// Where OSDI's helper is.
pub(crate) const PATH: &str = "/api/v1/people/person_signup_helper";
/// Any page may post a sign-up, and nothing else.
pub(crate) const CORS: [(HeaderName, &str); 3] = [
    (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (ACCESS_CONTROL_ALLOW_METHODS, "POST"),
    (ACCESS_CONTROL_ALLOW_HEADERS, "content-type, idempotency-key"),
];

pub(crate) async fn sign_up(
    State(hub): State<Hub>,
    Extension(Visitor(from)): Extension<Visitor>,
    who: Option<Extension<Who>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = match body {
        Ok(body) => {
            let who = who.map(|Extension(who)| who).filter(|who| who.role.may(Right::SeePeople));
            tokio::task::spawn_blocking(move || answer(&hub, (from, who.as_ref()), &headers, &body)).await
        }
        Err(_) => {
            let words = format!("a sign-up has at most {SIGN_UP_BODY_BYTES_MAX} bytes");
            return (CORS, Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", words)).into_response();
        }
    };
    match answer.unwrap_or_else(|_| Err(Problem::from(&NodeError::ShuttingDown))) {
        Ok(body) => (CORS, [(CONTENT_TYPE, "application/hal+json")], body).into_response(),
        Err(problem) => (CORS, problem).into_response(),
    }
}

/// `who` is a caller who may see people.
fn answer(hub: &Hub, (from, who): (IpAddr, Option<&Who>), headers: &HeaderMap, body: &[u8]) -> Result<String, Problem> {
    let node = &hub.site.node;
    let failed = |error: NodeError| Problem::from(&error);
    let request: [u8; 32] = Sha256::digest(body).into();
    // Who may see people has keys of her own: what she was answered must not be had by whoever repeats her request.
    let key = idempotency_key(headers, who.map_or("", |who| who.by.as_str()))?;
    let _held = key.map(|key| hub.site.keys.hold(key));
    if let Some(key) = &key {
        match node.read(|read| read.answered(key, &request)).map_err(failed)? {
            Answered::Never => {}
            Answered::Same(body) => return Ok(body),
            Answered::Other => return Err(key_reused()),
        }
    }
    let sign_up = SignUp::from_osdi(body, &node.row().country).map_err(|errors| {
        let status =
            if errors.of("body").is_some() { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
        Problem { fields: errors.0.clone(), ..Problem::new(status, "invalid", errors.to_string()) }
    })?;
    let keep = key.map(|key| Keep { key, request, for_strangers: who.is_none() });
    let taken = take(hub, sign_up, SignUpOrigin::Api, (from, Filled::default()), keep).map_err(failed)?;
    let (Some(who), Some(person)) = (who, taken.person) else {
        // Whoever is held is nobody yet.
        return Ok(taken.json().to_string());
    };
    let body = taken.person(node, person, who).map_err(failed)?.to_string();
    if let Some(key) = key {
        let (kept, at) = (KeptAnswer { key, request, body: body.clone() }, taken.came.at);
        node.write(Priority::Interactive, move |tx| tx.keep_answer(&kept, person, at)).map_err(failed)?;
    }
    Ok(body)
}

/// That the answer to a request is kept.
pub(crate) struct Keep {
    key: [u8; 32],
    request: [u8; 32],
    /// Whether it is one for strangers, which is made before anything is stored; who may see people is shown what is.
    for_strangers: bool,
}

/// A sign-up that was taken, with all that may be said about it.
pub(crate) struct Taken {
    sign_up: SignUp,
    came: Came,
    /// Who it is; nobody yet while it is held.
    person: Option<DocId>,
    pub(crate) placement: atlas::Placement,
    pub(crate) card: Option<ChapterCard>,
}

/// Places and stores a sign-up; beyond a limit it is stored and placed later. What is said about it is the same, and kept
/// with it in one transaction. `from` is where it comes from. Blocks.
pub(crate) fn take(
    hub: &Hub,
    sign_up: SignUp,
    origin: SignUpOrigin,
    (from, filled): (IpAddr, Filled),
    keep: Option<Keep>,
) -> Result<Taken, NodeError> {
    let (node, came) = (&hub.site.node, Came::now());
    let placement = hub.routing.place(&sign_up)?;
    let card = card_of(node, &placement)?;
    let mut taken = Taken { sign_up, came, person: None, placement, card };
    let answer = |keep: Keep| KeptAnswer { key: keep.key, request: keep.request, body: taken.json().to_string() };
    match hub.gate.why_held(from, &taken.sign_up.emails, filled, came.at) {
        Some(why) => {
            let sign_up = taken.sign_up.clone();
            let held = HeldSignUp { receipt: came.receipt, at: came.at, why, origin, sign_up };
            node.hold_sign_up(held, keep.map(answer))?;
        }
        None => {
            let posted = Posted { sign_up: taken.sign_up.clone(), origin, placement: taken.placement.fact() };
            let answer = keep.filter(|keep| keep.for_strangers).map(answer);
            taken.person = Some(node.sign_up(&posted, came, answer)?.person);
        }
    }
    Ok(taken)
}

/// The card of the chapter where something was placed.
pub(crate) fn card_of(node: &Node, placement: &atlas::Placement) -> Result<Option<ChapterCard>, NodeError> {
    placement.scope.map_or(Ok(None), |scope| node.read(|read| read.card(scope)))
}

impl Taken {
    /// The person as she is here now, for who may see her, and where what was posted belongs.
    fn person(&self, node: &Node, person: DocId, who: &Who) -> Result<Value, NodeError> {
        let person = node.read(|read| read.person(person))?;
        node.opens_person(person.supporter.id, &who.by)?;
        let mut made = person_json(&person);
        if let (Some(made), Value::Object(posted)) = (made.as_object_mut(), self.json()) {
            let beside = ["identifiers", "chapterhouse:placement"];
            made.extend(posted.into_iter().filter(|(name, _)| beside.contains(&name.as_str())));
            let address = format!("/api/v1/people/{}", person.supporter.id);
            made.insert("_links".to_owned(), json!({"self": {"href": address}}));
        }
        Ok(made)
    }

    /// The posted fields as an OSDI person, and where they belong.
    fn json(&self) -> Value {
        let (posted, at) = (&self.sign_up, self.came.at);
        let receipt = self.came.receipt.to_string();
        let status = |channel: model::Channel| {
            let said = posted.consents.iter().find(|said| said.channel == channel);
            said.map(|said| if said.state == model::ConsentState::Granted { "subscribed" } else { "unsubscribed" })
        };
        let emails: Vec<Value> = posted
            .emails
            .iter()
            .map(|email| json!({"address": email, "status": status(model::Channel::Email)}))
            .collect();
        let phones: Vec<Value> = posted.phones.iter().map(|phone| json!({"number": phone.digits()})).collect();
        let mut made = json!({
            "identifiers": [format!("chapterhouse:{receipt}")],
            "created_date": at, "modified_date": at,
            "email_addresses": emails, "phone_numbers": phones, "postal_addresses": posted.addresses,
            "custom_fields": posted.custom,
            "chapterhouse:placement": {
                "placement": self.placement.placement, "chapter": self.placement.chapter,
                "name": self.placement.chapter_name, "explanation": self.placement.explanation,
                "reason": self.placement.reason, "card": self.card.as_ref().map(|card| &card.fields),
            },
            "_links": {"self": {"href": format!("/api/v1/people/{receipt}")}},
        });
        if let Some(object) = made.as_object_mut() {
            object.extend(posted.fields.iter().map(|(name, value)| (name.clone(), json!(value))));
        }
        made
    }
}
