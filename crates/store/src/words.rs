//! The words by which someone is found.
//!
//! **Invariant:** a word is a word of the search index as it stands: lower case, without accents, letters and digits only.
//! So an edit takes exactly the words out that went, and puts in those that came; FTS5 would walk the whole list of
//! everybody who has a common word (`gmail`, `com`) to take it out.

use std::collections::BTreeSet;

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;
use model::Supporter;

/// The most words of a query: more narrow nothing down.
const QUERY_WORDS_MAX: usize = 16;
/// The longest word, in characters: more than a name has, and a bound for the index.
const WORD_CHARS_MAX: usize = 64;

/// The words of a text (Unicode NFKD without combining marks, in lower case).
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let pieces = text.split(|c: char| !c.is_alphanumeric() && is_base(c)).filter(|piece| !piece.is_empty());
    pieces.map(fold).filter(|word| !word.is_empty())
}

fn fold(piece: &str) -> String {
    if piece.is_ascii() {
        return piece.chars().take(WORD_CHARS_MAX).map(|c| c.to_ascii_lowercase()).collect();
    }
    let plain = DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(piece.chars());
    let lower = plain.flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric() && is_base(*c));
    lower.take(WORD_CHARS_MAX).collect()
}

/// Whether a character stands for itself, not on top of another one.
fn is_base(c: char) -> bool {
    c.is_ascii() || CanonicalCombiningClassMapBorrowed::new().get_u8(c) == 0
}

/// The words by which a supporter is found: names, e-mail addresses, numbers, tags, place.
pub(crate) fn words_of(supporter: &Supporter) -> BTreeSet<String> {
    let fields = ["given_name", "additional_name", "family_name"];
    let names = fields.map(|name| supporter.field(name));
    // Of joined records she is found by each one's name.
    let also = fields.iter().filter_map(|name| supporter.also.get(*name)).flatten().map(model::Personal::expose);
    let emails = supporter.emails.iter().map(|email| email.address.as_str());
    // With and without the country code: people type either.
    let phones = supporter.phones.iter().flat_map(|phone| [phone.number.digits(), phone.number.national()]);
    let tags = supporter.tags.iter().map(String::as_str);
    let places = supporter.addresses.iter().flat_map(|address| address.postal_code.iter().chain(&address.locality));
    let texts = names
        .into_iter()
        .chain(also)
        .chain(emails)
        .chain(phones)
        .chain(tags)
        .chain(places.map(model::Personal::expose));
    texts.flat_map(words).collect()
}

/// A query as FTS5 reads it: every word of it is the beginning of a word; `None` when there is none in it.
pub(crate) fn query(text: &str) -> Option<String> {
    let words: Vec<String> = words(text).take(QUERY_WORDS_MAX).map(|word| format!("\"{word}\"*")).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// A text as FTS5 reads it: every word of it is a whole word; `None` when there is none in it.
pub(crate) fn exactly(text: &str) -> Option<String> {
    let words: Vec<String> = words(text).take(QUERY_WORDS_MAX).map(|word| format!("\"{word}\"")).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_words_and_nothing_else() {
        assert_eq!(query("mary bro").as_deref(), Some("\"mary\"* \"bro\"*"));
        assert_eq!(query("\" OR 1 NEAR").as_deref(), Some("\"or\"* \"1\"* \"near\"*"));
        assert_eq!(query("Mary@Example.org").as_deref(), Some("\"mary\"* \"example\"* \"org\"*"));
        assert_eq!(query(" - \" "), None);
    }

    #[test]
    fn accents_case_and_forms_do_not_matter() {
        let folded = |text: &str| words(text).collect::<Vec<_>>().join(" ");
        assert_eq!(folded("José-María Müller"), "jose maria muller");
        assert_eq!(folded("Jose\u{301} ΆΛΦΑ ﬁne Ⅳ"), "jose αλφα fine iv");
        assert_eq!(folded("Nguyễn Thị Ánh"), "nguyen thi anh");
        assert_eq!(folded("李 小龙"), "李 小龙");
    }
}
