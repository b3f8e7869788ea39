//! The built-in table of US postal codes.
//!
//! GeoNames' postal codes, CC BY 4.0; see `data/README.md`. Read once, when it is first asked.

use std::collections::HashMap;
use std::sync::OnceLock;

static PACKED: &[u8] = include_bytes!("../data/us-postal.tsv.zst");
/// The table unpacked has 2.0 MB; more than this is a file that was put there by mistake.
const UNPACKED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What is known of a postal code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// The code, five digits.
    pub code: &'static str,
    /// The state (ISO 3166-2 without `US-`); empty for military post offices.
    pub region: &'static str,
    /// The county's FIPS code with its state's, five digits; empty where there is none.
    pub county: &'static str,
    /// The county's name.
    pub county_name: &'static str,
    /// The place's name.
    pub place: &'static str,
    /// Degrees north, WGS 84.
    pub latitude: f64,
    /// Degrees east, WGS 84.
    pub longitude: f64,
}

impl Entry {
    /// Whether it is a military post office (APO, FPO, DPO), which is nowhere on a map of chapters.
    pub fn is_military(&self) -> bool {
        self.region.is_empty()
    }
}

/// The built-in table.
#[derive(Debug)]
pub struct Gazetteer {
    version: &'static str,
    entries: Vec<Entry>,
    by_code: HashMap<&'static str, usize>,
}

impl Gazetteer {
    /// The table of US postal codes, read on first use.
    ///
    /// # Panics
    /// When the file that is built in is not such a table: a mistake of whoever made the binary.
    pub fn us() -> &'static Self {
        static TABLE: OnceLock<Gazetteer> = OnceLock::new();
        TABLE.get_or_init(|| {
            let unpacked = zstd::bulk::decompress(PACKED, UNPACKED_BYTES_MAX).expect("the built-in table unpacks");
            let text: &'static str = String::from_utf8(unpacked).expect("the built-in table is text").leak();
            Self::read(text).expect("the built-in table has its columns")
        })
    }

    fn read(text: &'static str) -> Option<Self> {
        let mut lines = text.lines();
        let version = lines.next()?;
        let entries: Vec<Entry> = lines.map(entry).collect::<Option<_>>()?;
        let by_code = entries.iter().enumerate().map(|(at, entry)| (entry.code, at)).collect();
        Some(Self { version, entries, by_code })
    }

    /// Its version, which explanations name.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// What is known of a code of five digits.
    pub fn get(&self, code: &str) -> Option<&Entry> {
        self.by_code.get(code).map(|at| &self.entries[*at])
    }

    /// Every entry, by code.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Codes that someone may have meant: those that begin with the same digits, at most three.
    pub fn meant_by(&self, typed: &str) -> Vec<&'static str> {
        let digits: String = typed.chars().filter(char::is_ascii_digit).take(5).collect();
        for length in (2..=digits.len().min(4)).rev() {
            let start = self.entries.partition_point(|entry| entry.code < &digits[..length]);
            let near = self.entries[start..].iter().take_while(|entry| entry.code.starts_with(&digits[..length]));
            let near: Vec<&'static str> = near.take(3).map(|entry| entry.code).collect();
            if !near.is_empty() {
                return near;
            }
        }
        Vec::new()
    }

    /// A county's name by its FIPS code.
    pub fn county_name(&self, county: &str) -> Option<&'static str> {
        self.entries.iter().find(|entry| entry.county == county).map(|entry| entry.county_name)
    }
}

fn entry(line: &'static str) -> Option<Entry> {
    let mut columns = line.split('\t');
    let (code, region, county, county_name) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
    let (place, latitude, longitude) = (columns.next()?, columns.next()?.parse().ok()?, columns.next()?.parse().ok()?);
    let county = match state_fips(region) {
        Some(state) if !county.is_empty() => format!("{state}{county}").leak(),
        _ => "",
    };
    Some(Entry { code, region, county, county_name, place, latitude, longitude })
}

/// States and what counts as one, with their FIPS codes (ANSI INCITS 38).
const STATES: [(&str, &str, &str); 56] = [
    ("AL", "01", "Alabama"),
    ("AK", "02", "Alaska"),
    ("AZ", "04", "Arizona"),
    ("AR", "05", "Arkansas"),
    ("CA", "06", "California"),
    ("CO", "08", "Colorado"),
    ("CT", "09", "Connecticut"),
    ("DE", "10", "Delaware"),
    ("DC", "11", "District of Columbia"),
    ("FL", "12", "Florida"),
    ("GA", "13", "Georgia"),
    ("HI", "15", "Hawaii"),
    ("ID", "16", "Idaho"),
    ("IL", "17", "Illinois"),
    ("IN", "18", "Indiana"),
    ("IA", "19", "Iowa"),
    ("KS", "20", "Kansas"),
    ("KY", "21", "Kentucky"),
    ("LA", "22", "Louisiana"),
    ("ME", "23", "Maine"),
    ("MD", "24", "Maryland"),
    ("MA", "25", "Massachusetts"),
    ("MI", "26", "Michigan"),
    ("MN", "27", "Minnesota"),
    ("MS", "28", "Mississippi"),
    ("MO", "29", "Missouri"),
    ("MT", "30", "Montana"),
    ("NE", "31", "Nebraska"),
    ("NV", "32", "Nevada"),
    ("NH", "33", "New Hampshire"),
    ("NJ", "34", "New Jersey"),
    ("NM", "35", "New Mexico"),
    ("NY", "36", "New York"),
    ("NC", "37", "North Carolina"),
    ("ND", "38", "North Dakota"),
    ("OH", "39", "Ohio"),
    ("OK", "40", "Oklahoma"),
    ("OR", "41", "Oregon"),
    ("PA", "42", "Pennsylvania"),
    ("RI", "44", "Rhode Island"),
    ("SC", "45", "South Carolina"),
    ("SD", "46", "South Dakota"),
    ("TN", "47", "Tennessee"),
    ("TX", "48", "Texas"),
    ("UT", "49", "Utah"),
    ("VT", "50", "Vermont"),
    ("VA", "51", "Virginia"),
    ("WA", "53", "Washington"),
    ("WV", "54", "West Virginia"),
    ("WI", "55", "Wisconsin"),
    ("WY", "56", "Wyoming"),
    ("AS", "60", "American Samoa"),
    ("GU", "66", "Guam"),
    ("MH", "68", "Marshall Islands"),
    ("PR", "72", "Puerto Rico"),
    ("VI", "78", "Virgin Islands"),
];

fn state_fips(code: &str) -> Option<&'static str> {
    STATES.iter().find(|(state, ..)| *state == code).map(|(_, fips, _)| *fips)
}

/// A US state's name by its code.
pub(crate) fn state_name(code: &str) -> Option<&'static str> {
    STATES.iter().find(|(state, ..)| *state == code).map(|(.., name)| *name)
}

/// A US state's code by its code or name, in any case.
pub(crate) fn state_code(text: &str) -> Option<&'static str> {
    let same =
        |(code, _, name): &&(&str, &str, &str)| code.eq_ignore_ascii_case(text) || name.eq_ignore_ascii_case(text);
    STATES.iter().find(same).map(|(code, ..)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_sorted() {
        let us = Gazetteer::us();
        assert_eq!(us.entries().len(), 41_488);
        assert!(us.entries().windows(2).all(|pair| pair[0].code < pair[1].code));
        let la = us.get("90012").unwrap();
        assert_eq!((la.region, la.county, la.place), ("CA", "06037", "Los Angeles"));
        assert!(us.get("09001").unwrap().is_military());
        let uncounted = us.entries().iter().filter(|entry| !entry.is_military() && entry.county.len() != 5).count();
        assert_eq!(uncounted, 0, "every civil code has a county");
    }

    #[test]
    fn a_wrong_code_brings_codes_that_were_meant() {
        assert_eq!(Gazetteer::us().meant_by("9001").len(), 3);
        assert!(Gazetteer::us().meant_by("9001").iter().all(|code| code.starts_with("9001")));
        assert!(Gazetteer::us().meant_by("x").is_empty());
    }
}
