//! The pages about people that are the same at a chapter and at its hub: the list, one person, and the acts on her.

mod list;
mod person;
mod words;

use axum::Router;
use axum::routing::{get, post};

use crate::Site;

/// The routes of people's pages, and their JSON.
pub fn people_pages() -> Router<Site> {
    Router::new()
        .route("/people", get(list::page))
        .route("/people/{id}", get(person::page))
        .route("/people/{id}/{act}", post(person::act))
        .route("/working-as", post(person::working_as_cookie))
        .route("/api/v1/people", get(list::json))
        .route("/api/v1/people/{id}", get(person::json))
}
