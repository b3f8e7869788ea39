//! Printing: results on stdout, notes and progress on stderr.

use std::io::Write as _;

use serde_json::Value;

/// A text without what moves the cursor, colours or renames a terminal: names and reasons come from other nodes, and a
/// statement from whoever made an invitation.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() && !"\n\t".contains(c) { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}

/// How a command prints its result.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    json: bool,
}

impl Out {
    /// As asked for.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a result: the JSON if that was asked for, else the words.
    pub fn result(self, json: &Value, words: impl FnOnce() -> String) {
        Self::line(&if self.json { json.to_string() } else { plain(&words()) });
    }

    /// Prints one line to stdout. Who reads it may have gone away: that is no failure of the command.
    pub fn line(line: &str) {
        let mut stdout = anstream::stdout().lock();
        let _ = writeln!(stdout, "{}", line.trim_end_matches('\n'));
        let _ = stdout.flush();
    }

    /// Prints one line to stderr.
    pub fn note(line: &str) {
        let _ = writeln!(anstream::stderr().lock(), "{}", plain(line));
    }

    /// Shows progress, when a person watches.
    pub fn progress(line: &str) {
        if crate::globals::person_watches() {
            let mut stderr = anstream::stderr().lock();
            let _ = write!(stderr, "\r{line}\u{1b}[K");
            let _ = stderr.flush();
        }
    }

    /// Ends a line of progress.
    pub fn progress_done() {
        if crate::globals::person_watches() {
            Self::note("");
        }
    }

    /// Whether JSON was asked for.
    pub const fn is_json(self) -> bool {
        self.json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_speak_to_the_terminal() {
        assert_eq!(
            plain("Mary\u{1b}]0;x\u{7}\u{9b}2J\r\tBrown\n"),
            "Mary\u{fffd}]0;x\u{fffd}\u{fffd}2J\u{fffd}\tBrown\n"
        );
        assert_eq!(plain("Zo\u{eb} \u{2028}"), "Zo\u{eb} \u{2028}");
    }
}
