//! The hub's own sign-up form, its answer page, and finding a chapter by postal code.

use askama::Template;
use atlas::PostalCode;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use model::{ChapterCard, FieldErrors, PostalAddress, SignUp, SignUpOrigin, Timestamp};
use node::Filled;
use serde::Deserialize;
use web::{Bare, Form, Visitor, WebError, blocking, html};

use crate::osdi::{card_of, take};
use crate::site::Hub;

/// A field of the form as it is shown.
struct Field {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
    hint: &'static str,
    value: String,
    error: Option<String>,
}

/// A field that people do not see and programs fill.
const HONEYPOT: &str = "website";
/// When the form was shown, in Unix ms.
const SHOWN: &str = "shown";

/// Name, label, input type, autocomplete, hint.
const FIELDS: [(&str, &str, &str, &str, &str); 7] = [
    ("given_name", "Given name", "text", "given-name", ""),
    ("family_name", "Family name", "text", "family-name", ""),
    ("email", "E-mail", "email", "email", ""),
    ("phone", "Telephone", "tel", "tel", "So that your chapter can call you"),
    ("postal_code", "Postal code", "text", "postal-code", "It tells us which chapter is yours"),
    ("hours_per_week", "Hours a week that you have (if you like)", "text", "off", ""),
    ("would_like", "What you would like to do (if you like)", "text", "off", ""),
];

#[derive(Template)]
#[template(path = "signup.html")]
struct SignUpPage {
    shell: Bare,
    fields: Vec<Field>,
    problem: Option<String>,
    chapters: Vec<(String, String)>,
    chosen: String,
    shown: String,
}

#[derive(Template)]
#[template(path = "signed_up.html")]
struct SignedUpPage {
    shell: Bare,
    given_name: String,
    place: Place,
}

#[derive(Template)]
#[template(path = "find.html")]
struct FindPage {
    shell: Bare,
    postal_code: String,
    problem: Option<String>,
    place: Option<Place>,
}

/// Where somebody belongs, in words.
struct Place {
    chapter: Option<String>,
    explanation: String,
    facts: Vec<(&'static str, String)>,
}

fn place(placement: &atlas::Placement, card: Option<&ChapterCard>) -> Place {
    let fact =
        |field: &str, label: &'static str| card.and_then(|card| card.get(field)).map(|value| (label, value.to_owned()));
    let facts = [
        fact("call_by", "Who calls you"),
        fact("next_meeting", "Next meeting"),
        fact("place", "Where"),
        fact("working_on", "Working on"),
        fact("contact", "How to reach us"),
    ];
    let name = card.and_then(|card| card.get("name")).map(str::to_owned).or_else(|| placement.chapter_name.clone());
    Place {
        chapter: placement.chapter.as_ref().and(name),
        explanation: placement.explanation.clone(),
        facts: facts.into_iter().flatten().collect(),
    }
}

fn page(hub: &Hub, form: &Form, errors: &FieldErrors) -> Result<SignUpPage, WebError> {
    let chapters = hub.site.node.read(|read| read.chapters())?;
    let field = |(name, label, kind, autocomplete, hint): (&'static str, _, _, _, _)| Field {
        name,
        label,
        kind,
        autocomplete,
        hint,
        value: form.get(name).unwrap_or_default().to_owned(),
        error: errors.of(name).map(str::to_owned),
    };
    let elsewhere = errors.0.iter().find(|error| !FIELDS.iter().any(|(name, ..)| *name == error.field));
    Ok(SignUpPage {
        shell: hub.site.bare("Sign up"),
        fields: FIELDS.into_iter().map(field).collect(),
        problem: elsewhere.map(|error| error.message.clone()),
        chapters: chapters
            .into_iter()
            .filter(|chapter| chapter.left.is_none())
            .map(|chapter| (chapter.slug.to_string(), chapter.name))
            .collect(),
        chosen: form.get("chapter").unwrap_or_default().to_owned(),
        // Whoever mends a mistake goes on with the same form.
        shown: form.get(SHOWN).map_or_else(|| hub.site.node.now().as_millis().to_string(), str::to_owned),
    })
}

pub(crate) async fn form(State(hub): State<Hub>) -> Result<Response, WebError> {
    Ok(html(&blocking(move || page(&hub, &Form::default(), &FieldErrors::default())).await?))
}

pub(crate) async fn post(
    State(hub): State<Hub>,
    Extension(Visitor(from)): Extension<Visitor>,
    form: Form,
) -> Result<Response, WebError> {
    blocking(move || {
        let country = hub.site.node.row().country.clone();
        let sign_up = match read(&form, &country) {
            Ok(sign_up) => sign_up,
            Err(errors) => {
                let page = page(&hub, &form, &errors)?;
                return Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response());
            }
        };
        let given_name = sign_up.fields.get("given_name").map_or_else(String::new, |name| name.expose().to_owned());
        let shown = form.get(SHOWN).and_then(|shown| shown.parse().ok()).map(Timestamp::from_millis);
        let filled = Filled { honeypot: form.get(HONEYPOT).is_some(), shown };
        let taken = take(&hub, sign_up, SignUpOrigin::Form, (from, filled), None)?;
        let shell = hub.site.bare("You are in");
        Ok(html(&SignedUpPage { shell, given_name, place: place(&taken.placement, taken.card.as_ref()) }))
    })
    .await
}

/// Reads the form. A person can mend a postal code here, so a wrong one is said, not kept.
fn read(form: &Form, country: &str) -> Result<SignUp, FieldErrors> {
    let known = FIELDS.iter().map(|(name, ..)| *name).chain(["chapter", "consent_email", "consent_phone", "country"]);
    let fields = known.filter_map(|name| form.get(name).map(|value| (name, value)));
    let read = SignUp::from_fields(fields, country);
    let code = form.get("postal_code").map(|code| PostalCode::known(code, form.get("country").unwrap_or(country)));
    let wrong_code = code.and_then(Result::err).map(|error| error.to_string());
    match (read, wrong_code) {
        (read, None) => read,
        (Ok(_), Some(words)) => {
            let mut errors = FieldErrors::default();
            errors.add("postal_code", sentence(&words));
            Err(errors)
        }
        (Err(mut errors), Some(words)) => {
            errors.add("postal_code", sentence(&words));
            Err(errors)
        }
    }
}

/// With a capital, as it stands on a page.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What the address says.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    postal_code: String,
}

pub(crate) async fn find(State(hub): State<Hub>, Query(wanted): Query<Wanted>) -> Result<Response, WebError> {
    let made = blocking(move || {
        let shell = hub.site.bare("Find your chapter");
        let typed = wanted.postal_code.trim().to_owned();
        let country = hub.site.node.row().country.clone();
        let (problem, found) = match (typed.as_str(), PostalCode::known(&typed, &country)) {
            ("", _) => (None, None),
            (_, Err(error)) => (Some(sentence(&error.to_string())), None),
            (_, Ok(_)) => {
                let address = PostalAddress {
                    postal_code: Some(typed.as_str().into()),
                    country: Some(country),
                    ..PostalAddress::default()
                };
                let placement = hub.routing.locate(&address)?;
                let card = card_of(&hub.site.node, &placement)?;
                (None, Some(place(&placement, card.as_ref())))
            }
        };
        Ok(FindPage { shell, postal_code: typed, problem, place: found })
    });
    Ok(html(&made.await?))
}
