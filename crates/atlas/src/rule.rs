//! One line of a territory.

use std::fmt;
use std::str::FromStr;

use model::normalise_country;

use crate::evidence::{PostalCode, PostalCodeError};
use crate::gazetteer::{Gazetteer, state_name};

/// The most entries in one list of a command: all US codes of a large state.
const LIST_MAX: usize = 10_000;

/// One line of a territory. Written `postal:US:90012`, `prefix:US:900`, `range:US:94000-94199`, `county:06037`,
/// `region:US-CA`, `country:US`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// One postal code.
    Postal(String, String),
    /// All codes that begin so.
    Prefix(String, String),
    /// All codes from the first to the last, compared as text of one length.
    Range(String, String, String),
    /// A US county, by FIPS code.
    County(String),
    /// A region: country and the last part of ISO 3166-2.
    Region(String, String),
    /// A country.
    Country(String),
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A postal code that is none.
    #[error(transparent)]
    Code(#[from] PostalCodeError),
    /// A range that is none.
    #[error("{0:?} is not a range: write the first and the last code, like 94000-94199")]
    Range(String),
    /// A prefix that is none.
    #[error("{0:?} is not a prefix: write its beginning and a star, like 900*")]
    Prefix(String),
    /// Not a county that we know.
    #[error("{0:?} is not a county: write its FIPS code of five digits, like 06037")]
    County(String),
    /// Not a region's code.
    #[error("{0:?} is not a region: write its ISO 3166-2 code, like US-CA")]
    Region(String),
    /// Not a country's code.
    #[error("{0:?} is not a country: write its ISO 3166-1 code of two letters, like US")]
    Country(String),
    /// Too many.
    #[error("a list has at most {LIST_MAX} entries, this one has {0}")]
    TooMany(usize),
    /// Another version's rule.
    #[error("{0:?} is not a rule that this version knows")]
    Unknown(String),
}

impl Rule {
    /// Reads an entry of `--postal`: a code, a prefix with `*`, a range.
    ///
    /// # Errors
    /// When it is none of them, or the code is not known.
    pub fn postal(text: &str, country: &str) -> Result<Self, RuleError> {
        let text = text.trim().to_ascii_uppercase();
        if let Some(prefix) = text.strip_suffix('*') {
            let fits = !prefix.is_empty() && prefix.len() <= 8 && prefix.bytes().all(|b| b.is_ascii_alphanumeric());
            let digits = country != "US" || (prefix.len() < 5 && prefix.bytes().all(|b| b.is_ascii_digit()));
            return if fits && digits {
                Ok(Self::Prefix(country.to_owned(), prefix.to_owned()))
            } else {
                Err(RuleError::Prefix(text))
            };
        }
        // ZIP+4 has a hyphen too, with four digits behind it.
        if let Some((first, last)) = text.split_once('-').filter(|(first, last)| first.len() == last.len()) {
            let wrong = || RuleError::Range(text.clone());
            let first = PostalCode::parse(first, country).map_err(|_| wrong())?;
            let last = PostalCode::parse(last, country).map_err(|_| wrong())?;
            let ordered = first.as_str().len() == last.as_str().len() && first <= last;
            return if ordered {
                Ok(Self::Range(country.to_owned(), first.as_str().to_owned(), last.as_str().to_owned()))
            } else {
                Err(wrong())
            };
        }
        Ok(Self::Postal(country.to_owned(), PostalCode::known(&text, country)?.as_str().to_owned()))
    }

    /// Reads an entry of `--region`: an ISO 3166-2 code.
    ///
    /// # Errors
    /// When it has not that shape.
    pub fn region(text: &str) -> Result<Self, RuleError> {
        let upper = text.trim().to_ascii_uppercase();
        let wrong = || RuleError::Region(text.trim().to_owned());
        let (country, region) = upper.split_once('-').ok_or_else(wrong)?;
        let country = normalise_country(country).ok_or_else(wrong)?;
        let fits = (1..=3).contains(&region.len()) && region.bytes().all(|b| b.is_ascii_alphanumeric());
        let known = country != "US" || state_name(region).is_some();
        if fits && known { Ok(Self::Region(country, region.to_owned())) } else { Err(wrong()) }
    }

    /// Reads an entry of `--county`: a FIPS code.
    ///
    /// # Errors
    /// When the gazetteer has no such county.
    pub fn county(text: &str) -> Result<Self, RuleError> {
        let text = text.trim();
        match Gazetteer::us().county_name(text) {
            Some(_) if text.len() == 5 => Ok(Self::County(text.to_owned())),
            _ => Err(RuleError::County(text.to_owned())),
        }
    }
}

/// Reads a comma-separated list of rules.
///
/// # Errors
/// The first entry that can't be read.
pub fn parse_list(list: &str, read: impl Fn(&str) -> Result<Rule, RuleError>) -> Result<Vec<Rule>, RuleError> {
    let entries: Vec<&str> = list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.len() > LIST_MAX {
        return Err(RuleError::TooMany(entries.len()));
    }
    entries.into_iter().map(read).collect()
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postal(country, code) => write!(f, "postal:{country}:{code}"),
            Self::Prefix(country, prefix) => write!(f, "prefix:{country}:{prefix}"),
            Self::Range(country, first, last) => write!(f, "range:{country}:{first}-{last}"),
            Self::County(county) => write!(f, "county:{county}"),
            Self::Region(country, region) => write!(f, "region:{country}-{region}"),
            Self::Country(country) => write!(f, "country:{country}"),
        }
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    /// Reads what [`Rule`]'s `Display` wrote; the code was checked when it was entered.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let unknown = || RuleError::Unknown(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(unknown)?;
        let pair =
            |separator| rest.split_once(separator).map(|(a, b)| (a.to_owned(), b.to_owned())).ok_or_else(unknown);
        match kind {
            "postal" => pair(':').map(|(country, code)| Self::Postal(country, code)),
            "prefix" => pair(':').map(|(country, prefix)| Self::Prefix(country, prefix)),
            "range" => {
                let (country, range) = pair(':')?;
                let (first, last) = range.split_once('-').ok_or_else(unknown)?;
                Ok(Self::Range(country, first.to_owned(), last.to_owned()))
            }
            "county" => Ok(Self::County(rest.to_owned())),
            "region" => pair('-').map(|(country, region)| Self::Region(country, region)),
            "country" => Ok(Self::Country(rest.to_owned())),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_codes_prefixes_and_ranges() {
        let rules = parse_list("90012, 900*,94000-94199,90012-1234", |entry| Rule::postal(entry, "US")).unwrap();
        let words: Vec<String> = rules.iter().map(Rule::to_string).collect();
        assert_eq!(words, ["postal:US:90012", "prefix:US:900", "range:US:94000-94199", "postal:US:90012"]);
        for rule in rules {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    #[test]
    fn what_is_no_rule_is_said() {
        for wrong in ["9001", "*", "94199-94000", "x*", "900123*"] {
            assert!(Rule::postal(wrong, "US").is_err(), "{wrong}");
        }
        assert!(Rule::region("CA").is_err());
        assert!(Rule::region("US-XX").is_err());
        assert_eq!(Rule::region("us-ca"), Ok(Rule::Region("US".into(), "CA".into())));
        assert!(Rule::county("99999").is_err());
        assert_eq!(Rule::county("06037"), Ok(Rule::County("06037".into())));
    }
}
