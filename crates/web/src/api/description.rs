//! The description of the HTTP interface (OpenAPI 3.1), made from the table of routes.
//!
//! **Invariant:** every route of the interface that is served is described, and nothing else is; fields stand in it as they
//! are read.

use axum::body::Bytes;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use crate::api::acts::{ACTS, CORRECT, CORRECTED, NEW, NOTES};
use crate::api::posted::{Field, Holds};
use crate::routes::{Access, Pages, Route};

/// Where it is.
const PATH: &str = "/api/openapi.json";
/// What a program asks beside the interface itself.
const BESIDE: [&str; 2] = ["/livez", "/readyz"];

/// What a route does that reads, or takes a body of its own: method, path, words, parameters in the address.
type Told = (&'static str, &'static str, &'static str, &'static [&'static str]);

static TOLD: [Told; 12] = [
    ("GET", "/livez", "Whether the program runs", &[]),
    ("GET", "/readyz", "Whether its database answers", &[]),
    ("GET", PATH, "This description", &[]),
    (
        "GET",
        "/api/v1/people",
        "People, the newest first; `next` is the `after` of the next page. More than a page is an export",
        &["query", "rung", "tag", "chapter", "after", "limit"],
    ),
    ("GET", "/api/v1/people/{id}", "One person, with her events", &[]),
    ("GET", "/api/v1/actions", "Actions, those to come first, with who was asked and who came", &["before"]),
    ("GET", "/api/v1/chapters", "The chapters, with their counts", &[]),
    ("GET", "/api/v1/unplaced", "People who wait for a chapter", &["after", "limit"]),
    ("POST", "/api/v1/unplaced/{id}/assign", "Place somebody who waits: `{\"chapter\": SLUG}`", &[]),
    ("POST", "/api/v1/people/person_signup_helper", "Sign somebody up (OSDI's person signup helper)", &[]),
    ("OPTIONS", "/api/v1/people/person_signup_helper", "What a browser asks before it posts from another site", &[]),
    ("PATCH", CORRECT, "Correct what is known of her: a text is put there, null empties it", &[]),
];

/// The route on which the description is.
pub fn description_route() -> Route {
    Route { method: Method::GET, path: PATH, access: Access::Open }
}

/// Pages with the description of their interface.
#[must_use]
pub fn described(pages: Pages) -> Pages {
    let routes: Vec<Route> = pages.routes().iter().cloned().chain([description_route()]).collect();
    let body = Bytes::from(describe(&routes).to_string());
    pages.get(PATH, Access::Open, move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    })
}

fn describe(routes: &[Route]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes.iter().filter(|route| route.path.starts_with("/api/") || BESIDE.contains(&route.path)) {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    let problem = json!({
        "description": "What was wrong (RFC 9457)",
        "content": {"application/problem+json": {"schema": {"type": "object", "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
            "detail": {"type": "string"}, "code": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object", "properties": {
                "field": {"type": "string"}, "message": {"type": "string"}}}}}}}},
    });
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Chapterhouse", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {
            "responses": {"Problem": problem},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "OSDI-API-Token"}},
        },
    })
}

/// What a request does, its fields and its parameters.
type Request = (&'static str, &'static [Field], &'static [&'static str]);

fn told(route: &Route) -> Option<Request> {
    let method = route.method.as_str();
    if method == "POST" {
        let adding = [(NEW.path, NEW.words, NEW.fields)];
        let mut acts = ACTS.iter().chain([&NOTES]).map(|act| (act.path, act.words, act.fields)).chain(adding);
        let found = acts.find(|(path, ..)| *path == route.path);
        if let Some((_, words, fields)) = found {
            return Some((words, fields, &[]));
        }
    }
    let &(_, _, words, parameters) = TOLD.iter().find(|told| told.0 == method && told.1 == route.path)?;
    let fields: &'static [Field] = if method == "PATCH" { CORRECTED } else { &[] };
    Some((words, fields, parameters))
}

fn operation(route: &Route) -> Value {
    let (words, fields, parameters) = told(route).unwrap_or_default();
    let post = route.method == Method::POST;
    let who = match route.access {
        Access::Open => "Open to everybody.".to_owned(),
        Access::SignedIn => "For whoever has logged in.".to_owned(),
        Access::Needs(right) => format!("For whoever may {}.", right.words()),
    };
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .chain(parameters.iter().map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}})))
        .collect();
    if post && !fields.is_empty() {
        all.push(json!({
            "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255},
            "description": "Asked again with the same key, it is done once and answered as the first time",
        }));
    }
    let done = if post && !fields.is_empty() { "201" } else { "200" };
    let mut made = json!({
        "summary": words, "description": who, "parameters": all,
        "responses": {(done): {"description": "Done"}, "default": {"$ref": "#/components/responses/Problem"}},
    });
    if route.access != Access::Open {
        made["security"] = json!([{"token": []}]);
    }
    if !fields.is_empty() {
        made["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema(fields)}}});
    }
    made
}

fn schema(fields: &[Field]) -> Value {
    let one = |field: &Field| {
        let mut made = match field.holds {
            Holds::Text => json!({"type": "string"}),
            Holds::Word(words) => json!({"type": "string", "enum": words}),
            Holds::Day => json!({"type": "string", "format": "date"}),
            Holds::Time => json!({"type": "string", "format": "date-time"}),
            Holds::Whole => json!({"type": "integer", "minimum": 0}),
            Holds::Flag => json!({"type": "boolean"}),
            Holds::Texts => json!({"type": "array", "items": {"type": "string"}}),
        };
        made["description"] = json!(field.words);
        (field.name.to_owned(), made)
    };
    let needed: Vec<&str> = fields.iter().filter(|field| field.needed).map(|field| field.name).collect();
    let properties: Map<String, Value> = fields.iter().map(one).collect();
    json!({"type": "object", "properties": properties, "required": needed, "additionalProperties": false})
}
