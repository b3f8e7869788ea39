//! Style and script: our own, built in, named by their content so that they are cached for ever.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use axum::routing::get;

const TOKENS: &str = include_str!("../assets/tokens.css");
const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/app.js");
const ICON: &str = include_str!("../assets/icon.svg");

/// The routes of style and script.
pub fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move {
            ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")], text).into_response()
        })
    };
    Router::new()
        .route("/assets/tokens.css", file("text/css; charset=utf-8", TOKENS))
        .route("/assets/style.css", file("text/css; charset=utf-8", STYLE))
        .route("/assets/app.js", file("text/javascript; charset=utf-8", SCRIPT))
        .route("/assets/icon.svg", file("image/svg+xml", ICON))
}

/// A word that changes when any of them does (FNV-1a, 64 bit).
pub(crate) fn stamp() -> String {
    let all = [TOKENS, STYLE, SCRIPT, ICON];
    let hash = all
        .iter()
        .flat_map(|text| text.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
