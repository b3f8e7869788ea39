//! What a sign-up says about where she is, read without guessing.
//!
//! **Invariant:** every assumption is a flag. A code that can't be read keeps what was typed, cut to three characters in
//! explanations: no street and no exact point ever stands in one.

use model::PostalAddress;
use serde::{Deserialize, Serialize};

use crate::gazetteer::{Entry, Gazetteer, state_code};

/// The longest postal code, in characters: the longest official one has 10 (ZIP+4 with its hyphen).
const CODE_CHARS_MAX: usize = 12;

/// An assumption, or something odd that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// No country was given: the hub's was taken.
    CountryAssumed,
    /// Region and postal code contradict each other.
    Conflict,
    /// The code belongs to no area: a military post office.
    NonGeographic,
    /// The code has the right shape and is not in the gazetteer.
    UnknownCode,
}

impl Flag {
    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::CountryAssumed => "country_assumed",
            Self::Conflict => "conflict",
            Self::NonGeographic => "non_geographic",
            Self::UnknownCode => "unknown_code",
        }
    }
}

/// A postal code in its country's normal form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PostalCode(String);

/// Why a text is no postal code, with what may have been meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostalCodeError {
    /// Not the country's shape.
    #[error("we don't know the postal code {typed}{}", meant(.near))]
    Shape {
        /// As typed.
        typed: String,
        /// Codes near it.
        near: Vec<&'static str>,
    },
}

fn meant(near: &[&'static str]) -> String {
    match near {
        [] => String::new(),
        [one] => format!(". Did you mean {one}?"),
        [rest @ .., last] => format!(". Did you mean {} or {last}?", rest.join(", ")),
    }
}

impl PostalCode {
    /// Reads a code: lower case, spaces and hyphens are normalised, ZIP+4 is cut to its five digits.
    ///
    /// # Errors
    /// When it has not the country's shape (US: five digits), or has none at all.
    pub fn parse(typed: &str, country: &str) -> Result<Self, PostalCodeError> {
        let shape = |near| PostalCodeError::Shape { typed: typed.trim().chars().take(CODE_CHARS_MAX).collect(), near };
        let plain: String =
            typed.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_uppercase).collect();
        if plain.is_empty()
            || plain.chars().count() > CODE_CHARS_MAX
            || !plain.chars().all(|c| c.is_ascii_alphanumeric())
        {
            return Err(shape(Vec::new()));
        }
        if country != "US" {
            return Ok(Self(plain));
        }
        let digits = plain.bytes().all(|b| b.is_ascii_digit());
        match plain.len() {
            5 | 9 if digits => Ok(Self(plain[..5].to_owned())),
            _ => Err(shape(Gazetteer::us().meant_by(&plain))),
        }
    }

    /// Reads a code that has to exist where the gazetteer covers its country.
    ///
    /// # Errors
    /// As [`PostalCode::parse`], and when the gazetteer does not know it.
    pub fn known(typed: &str, country: &str) -> Result<Self, PostalCodeError> {
        let code = Self::parse(typed, country)?;
        if country == "US" && Gazetteer::us().get(&code.0).is_none() {
            let near = Gazetteer::us().meant_by(&code.0);
            return Err(PostalCodeError::Shape { typed: code.0, near });
        }
        Ok(code)
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a place is known by.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// The code, if one was given and could be read.
    pub code: Option<PostalCode>,
    /// What was typed where a code could not be read.
    pub unreadable_code: Option<String>,
    /// What the gazetteer knows of the code.
    pub entry: Option<&'static Entry>,
    /// The region that was given, as its code where we know it.
    pub region: Option<String>,
    /// What was assumed.
    pub flags: Vec<Flag>,
}

impl Evidence {
    /// Reads an address; `home` is the hub's country, taken where none is given.
    pub fn read(address: &PostalAddress, home: &str) -> Self {
        let mut flags = Vec::new();
        let country = address.country.clone().unwrap_or_else(|| {
            flags.push(Flag::CountryAssumed);
            home.to_owned()
        });
        let typed = address.postal_code.as_ref().map(|code| code.expose().to_owned());
        let (code, unreadable_code) = match typed.map(|typed| (PostalCode::parse(&typed, &country), typed)) {
            None => (None, None),
            Some((Ok(code), _)) => (Some(code), None),
            Some((Err(_), typed)) => (None, Some(typed)),
        };
        let in_us = country == "US";
        let entry = code.as_ref().filter(|_| in_us).and_then(|code| Gazetteer::us().get(code.as_str()));
        let typed_region = address.region.as_ref().map(|region| region.expose().to_owned());
        let region = typed_region.map(|typed| match state_code(&typed) {
            Some(state) if in_us => state.to_owned(),
            _ => typed,
        });
        if in_us && code.is_some() && entry.is_none() {
            flags.push(Flag::UnknownCode);
        }
        if let Some(entry) = entry {
            if entry.is_military() {
                flags.push(Flag::NonGeographic);
            } else if region.as_ref().is_some_and(|region| region != entry.region) {
                flags.push(Flag::Conflict);
            }
        }
        Self { country, code, unreadable_code, entry, region, flags }
    }

    /// Whether nothing that places anyone was given.
    pub fn is_empty(&self) -> bool {
        self.code.is_none() && self.unreadable_code.is_none() && self.region.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zip_plus_four_lower_case_and_spaces_are_normalised() {
        for (typed, country, code) in [
            ("90012-1234", "US", "90012"),
            (" 900121234", "US", "90012"),
            ("sw1a 1aa", "GB", "SW1A1AA"),
            ("k1a-0b1", "CA", "K1A0B1"),
        ] {
            assert_eq!(PostalCode::parse(typed, country).unwrap().as_str(), code, "{typed}");
        }
    }

    #[test]
    fn a_wrong_code_is_an_error_with_what_was_meant() {
        let error = PostalCode::known("9001", "US").unwrap_err().to_string();
        assert!(error.starts_with("we don't know the postal code 9001. Did you mean 9001"), "{error}");
        assert!(PostalCode::known("90000", "US").is_err());
        assert!(PostalCode::parse("", "US").is_err());
        assert!(PostalCode::parse("9001x", "US").is_err());
        assert!(PostalCode::parse("90012/4", "GB").is_err());
    }

    #[test]
    fn every_assumption_is_a_flag() {
        let address = |code: &str, region: Option<&str>, country: Option<&str>| PostalAddress {
            postal_code: Some(code.into()),
            region: region.map(Into::into),
            country: country.map(str::to_owned),
            ..PostalAddress::default()
        };
        assert_eq!(Evidence::read(&address("90012", None, None), "US").flags, [Flag::CountryAssumed]);
        assert_eq!(Evidence::read(&address("90012", Some("california"), Some("US")), "GB").flags, []);
        assert_eq!(Evidence::read(&address("90012", Some("NY"), Some("US")), "US").flags, [Flag::Conflict]);
        assert_eq!(Evidence::read(&address("09001", None, Some("US")), "US").flags, [Flag::NonGeographic]);
        assert_eq!(Evidence::read(&address("00000", None, Some("US")), "US").flags, [Flag::UnknownCode]);
    }
}
