//! Times as people say them.

use model::Timestamp;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long ago: `12 s ago`, `2 h ago`, `3 days ago`; `never` for nothing.
pub fn ago(then: Option<Timestamp>, now: Timestamp) -> String {
    then.map_or_else(|| "never".to_owned(), |then| format!("{} ago", since(then, now)))
}

/// How long: `12 s`, `5 min`, `2 h`, `3 days`.
pub fn since(then: Timestamp, now: Timestamp) -> String {
    let ms = now.since(then).max(0);
    match ms {
        ..MINUTE => format!("{} s", ms / 1000),
        MINUTE..HOUR => format!("{} min", ms / MINUTE),
        HOUR..DAY => format!("{} h", ms / HOUR),
        _ if ms / DAY == 1 => "1 day".to_owned(),
        _ => format!("{} days", ms / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        let now = Timestamp::from_millis(10 * DAY);
        let said = |ms: i64| ago(Some(now.plus_millis(-ms)), now);
        assert_eq!(said(12_000), "12 s ago");
        assert_eq!(said(5 * MINUTE), "5 min ago");
        assert_eq!(said(2 * HOUR), "2 h ago");
        assert_eq!(said(DAY), "1 day ago");
        assert_eq!(said(3 * DAY), "3 days ago");
        assert_eq!(ago(None, now), "never");
    }
}
