//! Postal addresses, as a sign-up carries them.

use serde::{Deserialize, Serialize};

use crate::Personal;

/// A postal address with OSDI's names. What is not known is absent; nothing is guessed here.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PostalAddress {
    /// Street lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub address_lines: Vec<Personal>,
    /// City or village.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<Personal>,
    /// The last part of ISO 3166-2 (`CA`), or what was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Personal>,
    /// Postal code as typed, without surrounding space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<Personal>,
    /// ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl PostalAddress {
    /// Whether it says nothing about a place.
    pub fn is_empty(&self) -> bool {
        self.address_lines.is_empty()
            && self.locality.is_none()
            && self.region.is_none()
            && self.postal_code.is_none()
            && self.country.is_none()
    }
}

/// ISO 3166-1 alpha-2 in upper case; `None` if the text is not two letters.
pub fn normalise_country(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    fits.then(|| text.to_ascii_uppercase())
}

/// The last part of ISO 3166-2 where the text is a code (`us-ca` and `CA` become `CA`), else the text as typed.
pub fn normalise_region(text: &str, country: Option<&str>) -> String {
    let text = text.trim();
    let bare = country
        .filter(|code| text.len() > 3 && text.is_char_boundary(2) && text[..2].eq_ignore_ascii_case(code))
        .and_then(|_| text[2..].strip_prefix('-'))
        .unwrap_or(text);
    let code = (1..=3).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_alphanumeric());
    if code { bare.to_ascii_uppercase() } else { bare.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_the_last_part_of_its_code() {
        assert_eq!(normalise_region("us-ca", Some("US")), "CA");
        assert_eq!(normalise_region(" ca ", Some("US")), "CA");
        assert_eq!(normalise_region("California", Some("US")), "California");
        assert_eq!(normalise_country("us").as_deref(), Some("US"));
        assert_eq!(normalise_country("USA"), None);
    }
}
