//! The commands that are the same at both programs.

mod actions;
mod arguments;
mod asks;
mod audit;
mod going;
mod logins;
mod merging;
mod refused;
mod run;
mod work;

pub(crate) use arguments::Handover;
pub use arguments::Shared;
pub use refused::what_to_do;
pub use run::run_shared;
