//! The commands of the README. Imports none of ours.
fn main() {}
