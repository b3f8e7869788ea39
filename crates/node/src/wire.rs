//! The generated code of `proto/`, kept in `wire/`. `cargo xtask proto` writes it; a test of `proto` compares it.

#[rustfmt::skip]
#[path = "wire/chapterhouse.sync.v1.rs"]
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, clippy::wildcard_enum_match_arm, reason = "generated")]
pub(crate) mod sync;

#[rustfmt::skip]
#[path = "wire/chapterhouse.enrolment.v1.rs"]
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, clippy::wildcard_enum_match_arm, reason = "generated")]
pub(crate) mod enrolment;
