//! Whole-system tests: the harness that runs the real programs, the small world of the simulation, and the story.
//!
//! **Invariant:** nothing here is a stand-in for what a user would run: real binaries, real databases, real sockets.

pub mod bench;
pub mod floor;
pub mod fuzzing;
pub mod harness;
pub mod http;
pub mod isolated;
pub mod javascript;
pub mod logins;
pub mod meter;
pub mod peer;
pub mod people;
pub mod proxy;
pub mod sign_ups;
pub mod story;
pub mod two_chapters;
pub mod world;
