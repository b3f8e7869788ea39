//! E-mail addresses and telephone numbers, normalised once where they are entered.
//!
//! **Invariant:** readers never normalise again: what stands in a record is compared byte by byte for ever.

use std::fmt;
use std::str::FromStr;

use phonenumber::Mode;
use serde::{Deserialize, Serialize};

/// The longest address that can be delivered to (RFC 5321, section 4.5.3.1.3), in bytes.
const EMAIL_BYTES_MAX: usize = 254;
/// The longest text taken for a telephone number, in bytes: E.164 has 15 digits, people add signs and an extension.
const PHONE_BYTES_MAX: usize = 40;

/// Characters that nobody sees and that come with copied text.
const INVISIBLE: [char; 5] = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}'];

/// Why a text is no way to reach someone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContactError {
    /// Not the shape of an e-mail address.
    #[error("this is not an e-mail address: it needs one @ with something on both sides, like mary@example.org")]
    Email,
    /// No digits, or too many.
    #[error("this is not a telephone number: write it with its area code, like 213 555 0142")]
    Phone,
}

/// An e-mail address in lower case with its domain in ASCII.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a text that was normalised when it was entered, as it is.
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl FromStr for EmailAddress {
    type Err = ContactError;

    fn from_str(text: &str) -> Result<Self, ContactError> {
        let text = text.trim().to_lowercase();
        let (local, domain) = text.rsplit_once('@').ok_or(ContactError::Email)?;
        let domain = domain_in_ascii(domain).ok_or(ContactError::Email)?;
        let plain = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
        let local_fits = plain(local)
            && !local.contains(['@', '/', ':', '<', '>', ',', ';', '"', '\u{fffd}'])
            && !local.contains("..")
            && !local.chars().any(|c| INVISIBLE.contains(&c));
        if !local_fits || !domain.contains('.') || local.len() + 1 + domain.len() > EMAIL_BYTES_MAX {
            return Err(ContactError::Email);
        }
        Ok(Self(format!("{local}@{domain}")))
    }
}

/// The domain in ASCII by IDNA (UTS 46), refused when it could not be looked up.
fn domain_in_ascii(domain: &str) -> Option<String> {
    let strict = idna::AsciiDenyList::STD3;
    idna::domain_to_ascii_cow(domain.as_bytes(), strict).ok().map(|ascii| ascii.into_owned()).filter(|ascii| {
        let fits = |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
        !ascii.is_empty() && ascii.split('.').all(fits)
    })
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[e-mail]")
    }
}

/// A telephone number as E.164, or `raw:` and its digits if it can't be made that.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads what a person typed; a number without a country code is taken for `country`'s (ISO 3166-1 alpha-2).
    ///
    /// # Errors
    /// When there are no digits in it, or more text than a number can have.
    pub fn parse(text: &str, country: Option<&str>) -> Result<Self, ContactError> {
        let text = text.trim();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if digits.len() < 3 || text.len() > PHONE_BYTES_MAX {
            return Err(ContactError::Phone);
        }
        let region = country.and_then(|code| code.parse::<phonenumber::country::Id>().ok());
        match phonenumber::parse(region, text) {
            Ok(number) if phonenumber::is_valid(&number) => Ok(Self(number.format().mode(Mode::E164).to_string())),
            _ => Ok(Self(format!("raw:{digits}"))),
        }
    }

    /// Takes a number that was normalised when it was entered, as it is.
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// E.164 (`+12135550142`), or `raw:` and digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Digits only, as OSDI has them.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches("raw:").trim_start_matches('+')
    }
}

impl PhoneNumber {
    /// The digits without the country code, as people dial them at home.
    pub fn national(&self) -> &str {
        let digits = self.digits();
        let code = if self.0.starts_with('+') { country_code_digits(digits) } else { 0 };
        digits.get(code..).unwrap_or(digits)
    }
}

/// How many digits the country code has with which a number begins (ITU-T E.164, list of assigned codes): no code is the
/// beginning of another one.
fn country_code_digits(digits: &str) -> usize {
    match digits.as_bytes() {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0' | b'1' | b'2' | b'3' | b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        _ => 3,
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[phone]")
    }
}

/// Reads the numbering plans, which takes about 84 ms the first time: a server does it before it listens.
pub fn warm_phone_metadata() {
    let _ = PhoneNumber::parse("+12135550142", None);
}

/// What an e-mail address may be used for (OSDI `email_addresses[].status`), from the least to the most restrictive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EmailStatus {
    /// Mail may be sent.
    #[serde(rename = "subscribed")]
    Subscribed,
    /// Mail comes back.
    #[serde(rename = "bouncing")]
    Bouncing,
    /// She asked for none.
    #[serde(rename = "unsubscribed")]
    Unsubscribed,
    /// She called it spam.
    #[serde(rename = "spam complaint")]
    SpamComplaint,
}

impl EmailStatus {
    /// The word in a register: OSDI's, with a hyphen for the space.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Subscribed => "subscribed",
            Self::Bouncing => "bouncing",
            Self::Unsubscribed => "unsubscribed",
            Self::SpamComplaint => "spam-complaint",
        }
    }

    /// The status of a word; OSDI's own spelling is read too.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Subscribed, Self::Bouncing, Self::Unsubscribed, Self::SpamComplaint];
        all.into_iter().find(|status| status.word() == word.replace(' ', "-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_addresses_stay_as_they_are_for_ever() {
        let cases = [
            (" Mary.Brown@Example.ORG ", "mary.brown@example.org"),
            ("o'neil+list@sub.example.co.uk", "o'neil+list@sub.example.co.uk"),
            ("josé@bücher.example", "josé@xn--bcher-kva.example"),
            ("a@münchen-ost.de", "a@xn--mnchen-ost-9db.de"),
        ];
        for (typed, stored) in cases {
            assert_eq!(typed.parse::<EmailAddress>().unwrap().as_str(), stored, "{typed}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.org", "a".repeat(250));
        for wrong in
            ["", "mary", "@example.org", "mary@", "mary@localhost", "a b@example.org", "a@b..org", "a/b@c.org", &long]
        {
            assert_eq!(wrong.parse::<EmailAddress>(), Err(ContactError::Email), "{wrong}");
        }
    }

    #[test]
    fn golden_numbers_stay_as_they_are_for_ever() {
        let cases = [
            ("(213) 555-0142", Some("US"), "+12135550142"),
            ("+44 20 7946 0018", Some("US"), "+442079460018"),
            ("213 555 0142", None, "raw:2135550142"),
            ("555 0142", Some("US"), "raw:5550142"),
        ];
        for (typed, country, stored) in cases {
            assert_eq!(PhoneNumber::parse(typed, country).unwrap().as_str(), stored, "{typed}");
        }
        assert_eq!(PhoneNumber::parse("none", Some("US")), Err(ContactError::Phone));
    }

    #[test]
    fn a_number_is_known_without_its_country_code_too() {
        let cases = [
            ("+12135550142", "2135550142"),
            ("+442079460018", "2079460018"),
            ("+79161234567", "9161234567"),
            ("+4930901820", "30901820"),
            ("+35312345678", "12345678"),
            ("+8801712345678", "1712345678"),
            ("raw:2135550142", "2135550142"),
        ];
        for (stored, national) in cases {
            assert_eq!(PhoneNumber::stored(stored).national(), national, "{stored}");
        }
    }

    #[test]
    fn a_status_reads_both_spellings() {
        assert_eq!(EmailStatus::from_word("spam complaint"), Some(EmailStatus::SpamComplaint));
        assert_eq!(EmailStatus::from_word("spam-complaint"), Some(EmailStatus::SpamComplaint));
    }
}
