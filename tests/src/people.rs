//! Many people of a chapter's own, made through its node without a command for each.

use std::path::Path;

use anyhow::Result;
use model::SignUp;
use node::Node as OpenNode;
use store::NodeKind;

use crate::harness::Node;

/// Adds people to a chapter that does not serve; gives their ids.
///
/// # Errors
/// When its database can't be written.
pub fn add(chapter: &Node, count: usize) -> Result<Vec<String>> {
    add_in(&chapter.data, count)
}

fn add_in(directory: &Path, count: usize) -> Result<Vec<String>> {
    let node = OpenNode::open(directory, NodeKind::Chapter)?;
    let one = |nth: usize| {
        let (name, email) = (format!("Person{nth}"), format!("own{nth}@example.org"));
        let person = SignUp::from_fields([("given_name", name.as_str()), ("email", email.as_str())], "US")?;
        Ok(node.add_person(person, "lee")?.to_string())
    };
    (0..count).map(one).collect()
}
