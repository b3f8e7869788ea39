//! Spans of time as they are typed: 7d, 12h, 30m.

use crate::Failure;

/// The largest number before its unit: longer is a mistake.
const COUNT_MAX: i64 = 10_000;

/// A span of time, in ms: a number and `d`, `h` or `m`.
///
/// # Errors
/// When it is none.
pub fn life(text: &str) -> Result<i64, Failure> {
    let wrong = || Failure::refused(format!("{text:?} is not a span of time: write it as 7d, 12h or 30m"));
    let unit = match text.chars().last() {
        Some('d') => 24 * 3600 * 1000,
        Some('h') => 3600 * 1000,
        Some('m') => 60 * 1000,
        _ => return Err(wrong()),
    };
    let count: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    if (1..=COUNT_MAX).contains(&count) { Ok(count * unit) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_its_unit() {
        assert_eq!(life("7d").unwrap(), 7 * 24 * 3_600_000);
        assert_eq!(life("30m").unwrap(), 1_800_000);
        for wrong in ["", "7", "d", "0h", "-1d", "7w", "99999d"] {
            assert!(life(wrong).is_err(), "{wrong:?}");
        }
    }
}
