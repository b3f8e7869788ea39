//! Keeping the case on paper.

use crate::{Node, NodeError, Priority};

/// The longest title, in bytes: two lines of a page.
const TITLE_BYTES_MAX: usize = 200;

impl Node {
    /// Keeps a sheet for ever, on this node; gives its number.
    ///
    /// # Errors
    /// When it has no title, or one that can't be shown.
    pub fn keep_case(&self, title: &str, body: String, by: &str) -> Result<u64, NodeError> {
        let title = title.trim().to_owned();
        if title.is_empty() || title.len() > TITLE_BYTES_MAX || title.chars().any(char::is_control) {
            let words = format!("give the sheet a title of at most {TITLE_BYTES_MAX} bytes: what it is for");
            return Err(NodeError::Refused(words));
        }
        let (at, by) = (self.now(), by.to_owned());
        self.write(Priority::Interactive, move |tx| tx.keep_case(at, &by, &title, &body))
    }
}
