//! Reading arguments about people.

use model::Personal;
use node::Node;
use store::Resolved;

use crate::Failure;

/// The person whom an id, a beginning or an end of one names.
///
/// # Errors
/// When nobody has it, or more than one.
pub fn find_person(node: &Node, id: &str) -> Result<Resolved, Failure> {
    node.settle()?;
    Ok(node.read(|read| read.resolve(id))?)
}

/// A text of a person, when it was given.
pub fn personal(text: Option<&String>) -> Option<Personal> {
    text.map(|text| Personal::from(text.as_str()))
}
