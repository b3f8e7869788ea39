//! Style and script: our own, built in, named by their content so that they are cached for ever.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

use crate::routes::{Access, Pages};

const TOKENS: &str = include_str!("../assets/tokens.css");
const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/app.js");
const LADDER: &str = include_str!("../assets/ladder.js");
const ICON: &str = include_str!("../assets/icon.svg");

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")], text).into_response()
}

/// The routes of style and script.
pub fn assets<S: Clone + Send + Sync + 'static>() -> Pages<S> {
    Pages::default()
        .get("/assets/tokens.css", Access::Open, || async { file("text/css; charset=utf-8", TOKENS) })
        .get("/assets/style.css", Access::Open, || async { file("text/css; charset=utf-8", STYLE) })
        .get("/assets/app.js", Access::Open, || async { file("text/javascript; charset=utf-8", SCRIPT) })
        .get("/assets/ladder.js", Access::Open, || async { file("text/javascript; charset=utf-8", LADDER) })
        .get("/assets/icon.svg", Access::Open, || async { file("image/svg+xml", ICON) })
}

/// A word that changes when any of them does (FNV-1a, 64 bit).
pub(crate) fn stamp() -> String {
    let all = [TOKENS, STYLE, SCRIPT, LADDER, ICON];
    let hash = all
        .iter()
        .flat_map(|text| text.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
