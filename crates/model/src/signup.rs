//! A sign-up, parsed from OSDI's JSON, from a form or from a row of a file.
//!
//! **Invariant:** a [`SignUp`] is within every limit and normalised; what could not be read is a [`FieldErrors`] that
//! names the field and what to do. A postal code is not judged here: a sign-up with an odd one waits, it is not lost.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::{PostalAddress, normalise_country, normalise_region};
use crate::{Channel, ConsentState, EmailAddress, EmailStatus, Personal, PhoneNumber};

/// The largest body of a sign-up, in bytes: ten times what a long form fills.
pub const SIGN_UP_BODY_BYTES_MAX: usize = 64 * 1024;
/// The longest single value, in bytes: a name, a line, a custom field.
const VALUE_BYTES_MAX: usize = 1000;
/// The most entries of one kind (addresses, numbers, custom fields, tags): a person has a few.
const ENTRIES_MAX: usize = 50;

/// One thing that is wrong with a sign-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field.
    pub field: String,
    /// What is wrong and what to do, in one sentence.
    pub message: String,
}

/// Everything that is wrong with a sign-up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldErrors(pub Vec<FieldError>);

impl FieldErrors {
    /// The message for a field.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// Adds one.
    pub fn add(&mut self, field: &str, message: impl fmt::Display) {
        self.0.push(FieldError { field: field.to_owned(), message: message.to_string() });
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{}: {}", if i == 0 { "" } else { "; " }, error.field, error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldErrors {}

/// A consent that came with a sign-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostedConsent {
    /// The channel.
    pub channel: Channel,
    /// What was said.
    pub state: ConsentState,
}

/// Someone who signs up, as she was posted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignUp {
    /// Text fields (`given_name`, `family_name`, `source`, ...), none empty.
    pub fields: BTreeMap<String, Personal>,
    /// E-mail addresses; the first is the primary one.
    pub emails: Vec<EmailAddress>,
    /// Telephone numbers; the first is the primary one.
    pub phones: Vec<PhoneNumber>,
    /// Postal addresses; the first one places her.
    pub addresses: Vec<PostalAddress>,
    /// Custom fields.
    pub custom: BTreeMap<String, Personal>,
    /// Tags.
    pub tags: Vec<String>,
    /// What was agreed to, for the network as sender.
    pub consents: Vec<PostedConsent>,
    /// Her own choice of a chapter, by slug.
    pub chapter: Option<String>,
}

impl SignUp {
    /// A tag as it is kept; empty where there are no letters or digits in it.
    pub fn tag(text: &str) -> String {
        slugged(text)
    }

    /// Reads OSDI's `person_signup_helper`. `country` is taken for telephone numbers where no address names one.
    ///
    /// # Errors
    /// Each field that can't be read; `body` when it is no JSON object with a `person`.
    pub fn from_osdi(body: &[u8], country: &str) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        if body.len() > SIGN_UP_BODY_BYTES_MAX {
            errors.add(
                "body",
                format_args!("a sign-up has at most {SIGN_UP_BODY_BYTES_MAX} bytes, this one has {}", body.len()),
            );
            return Err(errors);
        }
        let value: Value = match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(error) => {
                errors.add("body", format_args!("this is not JSON: {error}"));
                return Err(errors);
            }
        };
        let Some(person) = value.get("person").filter(|person| person.is_object()) else {
            errors.add("person", "a sign-up is a JSON object with a person in it");
            return Err(errors);
        };
        let mut draft = Draft { country: country.to_owned(), errors, ..Draft::default() };
        draft.osdi_person(person);
        for tag in draft.list(&value, "add_tags") {
            draft.tag("add_tags", tag.as_str().unwrap_or_default());
        }
        draft.finish()
    }

    /// Reads a row of a file or the fields of a form: OSDI's names, `email`, `phone`; others become custom fields.
    ///
    /// # Errors
    /// Each field that can't be read.
    pub fn from_fields<'a>(
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        country: &str,
    ) -> Result<Self, FieldErrors> {
        let mut draft = Draft { country: country.to_owned(), ..Draft::default() };
        let mut address = PostalAddress::default();
        let mut phones = Vec::new();
        for (name, value) in fields {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match name {
                "email" => draft.email("email", value),
                "phone" => phones.push(value.to_owned()),
                "postal_code" => address.postal_code = draft.text(name, value),
                "locality" | "city" => address.locality = draft.text(name, value),
                "region" | "state" => address.region = draft.text(name, value),
                "country" => address.country = draft.country(value),
                "address" | "address_line" => address.address_lines.extend(draft.text(name, value)),
                "tags" => value.split([',', ';']).for_each(|tag| draft.tag("tags", tag)),
                "chapter" => draft.made.chapter = Some(value.to_owned()),
                "consent_email" | "consent_sms" | "consent_phone" | "consent_post" => draft.consent(&name[8..]),
                _ if crate::TEXT_FIELDS.contains(&name) => draft.field(name, value),
                _ => draft.custom(name, value),
            }
        }
        draft.address(address);
        for phone in phones {
            draft.phone("phone", &phone);
        }
        draft.finish()
    }

    /// The first address, or an empty one.
    pub fn place(&self) -> PostalAddress {
        self.addresses.first().cloned().unwrap_or_default()
    }
}

/// A sign-up while it is read.
#[derive(Default)]
struct Draft {
    made: SignUp,
    errors: FieldErrors,
    country: String,
}

impl Draft {
    /// The items of a JSON array, at most one more than the limit so that the limit is noticed; anything else is said.
    fn list<'a>(&mut self, value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let items = match value.get(name) {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(items)) => items.as_slice(),
            Some(_) => {
                self.errors.add(name, "this has to be a list");
                &[][..]
            }
        };
        items.iter().take(ENTRIES_MAX + 1)
    }

    fn osdi_person(&mut self, person: &Value) {
        for name in crate::TEXT_FIELDS {
            match person.get(name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => self.field(name, text),
                Some(Value::Number(number)) => self.field(name, &number.to_string()),
                Some(_) => self.errors.add(name, "this has to be a text"),
            }
        }
        for each in self.list(person, "postal_addresses") {
            self.osdi_address(each);
        }
        for each in self.list(person, "email_addresses") {
            self.email("email_addresses", each.get("address").and_then(Value::as_str).unwrap_or_default());
            match each.get("status").and_then(Value::as_str).and_then(EmailStatus::from_word) {
                Some(EmailStatus::Subscribed) => self.consent("email"),
                Some(EmailStatus::Unsubscribed | EmailStatus::SpamComplaint) => {
                    self.said(Channel::Email, ConsentState::Withdrawn)
                }
                Some(EmailStatus::Bouncing) | None => {}
            }
        }
        for each in self.list(person, "phone_numbers") {
            let number = match each.get("number") {
                Some(Value::Number(number)) => number.to_string(),
                other => other.and_then(Value::as_str).unwrap_or_default().to_owned(),
            };
            self.phone("phone_numbers", &number);
        }
        let custom = person.get("custom_fields").filter(|custom| !custom.is_null());
        if custom.is_some_and(|custom| !custom.is_object()) {
            self.errors.add("custom_fields", "this has to be an object");
        }
        for (name, value) in custom.and_then(Value::as_object).into_iter().flatten() {
            match value {
                Value::Null => {}
                Value::String(text) => self.custom(name, text),
                Value::Bool(_) | Value::Number(_) => self.custom(name, &value.to_string()),
                Value::Array(_) | Value::Object(_) => self.errors.add(name, "a custom field is one text or number"),
            }
        }
        for each in self.list(person, "chapterhouse:consents") {
            let state = each.get("state").and_then(Value::as_str).and_then(ConsentState::from_word);
            match (each.get("channel").and_then(Value::as_str).and_then(Channel::from_word), state) {
                (Some(channel), Some(state)) => self.said(channel, state),
                _ => self.errors.add(
                    "chapterhouse:consents",
                    "a consent has a channel (email, sms, phone, post) and a state (granted, withdrawn)",
                ),
            }
        }
        self.made.chapter = person.get("chapterhouse:chapter").and_then(Value::as_str).map(str::to_owned);
    }

    fn osdi_address(&mut self, each: &Value) {
        let mut address = PostalAddress::default();
        let mut read = |name: &str| {
            let text = match each.get(name) {
                Some(Value::Number(number)) => Some(number.to_string()),
                other => other.and_then(Value::as_str).map(str::to_owned),
            };
            text.and_then(|text| self.text(name, &text))
        };
        address.postal_code = read("postal_code");
        address.locality = read("locality");
        address.region = read("region");
        let country = read("country");
        address.country = country.and_then(|country| self.country(country.expose()));
        for line in self.list(each, "address_lines") {
            let line = line.as_str().unwrap_or_default().to_owned();
            address.address_lines.extend(self.text("address_lines", &line));
        }
        self.address(address);
    }

    fn text(&mut self, name: &str, value: &str) -> Option<Personal> {
        let value = value.trim();
        if value.len() > VALUE_BYTES_MAX {
            self.errors
                .add(name, format_args!("this is too long: at most {VALUE_BYTES_MAX} bytes, it has {}", value.len()));
            return None;
        }
        if value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            self.errors.add(name, "this has characters that can't be shown");
            return None;
        }
        (!value.is_empty()).then(|| Personal::new(value))
    }

    fn field(&mut self, name: &str, value: &str) {
        if let Some(text) = self.text(name, value) {
            self.made.fields.insert(name.to_owned(), text);
        }
    }

    fn custom(&mut self, name: &str, value: &str) {
        let key = slugged(name);
        if key.is_empty() {
            self.errors.add(name, "a custom field needs a name of letters or digits");
        } else if let Some(text) = self.text(name, value) {
            self.made.custom.insert(key, text);
        }
    }

    fn tag(&mut self, field: &str, tag: &str) {
        let slug = slugged(tag);
        if slug.is_empty() {
            self.errors.add(field, "a tag needs letters or digits");
        } else if !self.made.tags.contains(&slug) {
            self.made.tags.push(slug);
        }
    }

    fn email(&mut self, field: &str, value: &str) {
        match value.parse::<EmailAddress>() {
            Ok(email) if !self.made.emails.contains(&email) => self.made.emails.push(email),
            Ok(_) => {}
            Err(error) => self.errors.add(field, error),
        }
    }

    fn phone(&mut self, field: &str, value: &str) {
        let named = self.made.addresses.iter().find_map(|address| address.country.clone());
        let country = named.unwrap_or_else(|| self.country.clone());
        match PhoneNumber::parse(value, Some(&country)) {
            Ok(phone) if !self.made.phones.contains(&phone) => self.made.phones.push(phone),
            Ok(_) => {}
            Err(error) => self.errors.add(field, error),
        }
    }

    fn country(&mut self, value: &str) -> Option<String> {
        let country = normalise_country(value);
        if country.is_none() {
            self.errors.add("country", "a country is its code of two letters (ISO 3166-1), like US");
        }
        country
    }

    fn address(&mut self, mut address: PostalAddress) {
        let country = address.country.as_deref();
        address.region = address.region.map(|region| normalise_region(region.expose(), country).into());
        if !address.is_empty() {
            self.made.addresses.push(address);
        }
    }

    fn consent(&mut self, channel: &str) {
        if let Some(channel) = Channel::from_word(channel) {
            self.said(channel, ConsentState::Granted);
        }
    }

    /// A withdrawal beside a grant stands: the stricter of what was posted.
    fn said(&mut self, channel: Channel, state: ConsentState) {
        match self.made.consents.iter_mut().find(|said| said.channel == channel) {
            Some(said) => said.state = said.state.max(state),
            None => self.made.consents.push(PostedConsent { channel, state }),
        }
    }

    fn finish(mut self) -> Result<SignUp, FieldErrors> {
        let made = &self.made;
        let most = [made.emails.len(), made.phones.len(), made.addresses.len(), made.custom.len(), made.tags.len()];
        if most.into_iter().any(|count| count > ENTRIES_MAX) {
            self.errors
                .add("person", format_args!("at most {ENTRIES_MAX} addresses, numbers, fields or tags of a kind"));
        }
        if made.emails.is_empty() && made.phones.is_empty() && self.errors.0.is_empty() {
            self.errors.add("email", "give an e-mail address or a telephone number, so that the chapter can answer");
        }
        if self.errors.0.is_empty() { Ok(self.made) } else { Err(self.errors) }
    }
}

/// Lower case, letters and digits, runs of anything else as one hyphen; at most 60 bytes.
fn slugged(text: &str) -> String {
    let mut slug = String::new();
    for c in text.trim().to_lowercase().chars() {
        let c = if c.is_alphanumeric() || c == '_' { c } else { '-' };
        if (c != '-' || !slug.ends_with('-')) && slug.len() + c.len_utf8() <= 60 {
            slug.push(c);
        }
    }
    slug.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARY: &str = r#"{"person":{"given_name":" Mary ","family_name":"Brown",
        "email_addresses":[{"address":"Mary@Example.org","status":"subscribed"}],
        "phone_numbers":[{"number":"(213) 555-0142"}],
        "postal_addresses":[{"postal_code":90012,"region":"us-ca","country":"us"}],
        "custom_fields":{"T-shirt size":"M","age":41}},"add_tags":["Clinic Now"]}"#;

    #[test]
    fn osdi_is_read_and_normalised_once() {
        let mary = SignUp::from_osdi(MARY.as_bytes(), "US").unwrap();
        assert_eq!(mary.fields["given_name"].expose(), "Mary");
        assert_eq!(mary.emails[0].as_str(), "mary@example.org");
        assert_eq!(mary.phones[0].as_str(), "+12135550142");
        let place = mary.place();
        assert_eq!(place.postal_code.unwrap().expose(), "90012");
        assert_eq!(place.region.unwrap().expose(), "CA");
        assert_eq!(mary.custom["t-shirt-size"].expose(), "M");
        assert_eq!(mary.tags, ["clinic-now"]);
        assert_eq!(mary.consents, [PostedConsent { channel: Channel::Email, state: ConsentState::Granted }]);
    }

    #[test]
    fn what_is_wrong_is_said_by_field() {
        let errors = |body: &str| SignUp::from_osdi(body.as_bytes(), "US").unwrap_err();
        assert!(errors("{").of("body").is_some());
        assert!(errors("[]").of("person").is_some());
        assert!(errors(r#"{"person":{}}"#).of("email").is_some());
        assert!(errors(r#"{"person":{"email_addresses":[{"address":"mary"}]}}"#).of("email_addresses").is_some());
        assert!(
            errors(r#"{"person":{"given_name":["a"],"email_addresses":[{"address":"a@b.org"}]}}"#)
                .of("given_name")
                .is_some()
        );
        let long = format!(
            r#"{{"person":{{"given_name":"{}","email_addresses":[{{"address":"a@b.org"}}]}}}}"#,
            "a".repeat(1001)
        );
        assert!(errors(&long).of("given_name").is_some());
        assert!(errors(&" ".repeat(SIGN_UP_BODY_BYTES_MAX + 1)).of("body").is_some());
    }

    #[test]
    fn a_row_is_read_like_a_form() {
        let row = [
            ("given_name", "Mary"),
            ("email", "mary@example.org"),
            ("postal_code", "90012"),
            ("Favourite Song", "Bread and Roses"),
        ];
        let mary = SignUp::from_fields(row, "US").unwrap();
        assert_eq!(mary.custom["favourite-song"].expose(), "Bread and Roses");
        assert_eq!(mary.addresses.len(), 1);
        assert!(
            SignUp::from_fields([("email", "mary@example.org"), ("country", "USA")], "US")
                .unwrap_err()
                .of("country")
                .is_some()
        );
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in any::<Vec<u8>>()) {
            let _ = SignUp::from_osdi(&body, "US");
        }

        #[test]
        fn no_text_makes_it_panic(name in ".{0,40}", value in ".{0,40}") {
            let _ = SignUp::from_fields([(name.as_str(), value.as_str()), ("email", "a@b.org")], "US");
            prop_assert!(slugged(&name).len() <= 60);
        }
    }
}
