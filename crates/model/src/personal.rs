//! Text about a person, which must not end in a log.
//!
//! **Invariant:** `Debug` prints the length only; the text comes out by `expose` or by serialising on purpose.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A piece of text about a person (a name, an address, a line that someone wrote). Prints redacted.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal(String);

impl Personal {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for a page, a document or a command's output, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it but white space.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

impl From<&str> for Personal {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Personal {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_prints_itself() {
        assert_eq!(format!("{:?}", Personal::new("Mary")), "[4 bytes]");
    }
}
