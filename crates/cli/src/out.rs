//! Printing: results on stdout, notes and progress on stderr.

use std::io::Write as _;

use serde_json::Value;

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
        Self::line(&if self.json { json.to_string() } else { words() });
    }

    /// Prints one line to stdout. Who reads it may have gone away: that is no failure of the command.
    pub fn line(line: &str) {
        let mut stdout = anstream::stdout().lock();
        let _ = writeln!(stdout, "{}", line.trim_end_matches('\n'));
        let _ = stdout.flush();
    }

    /// Prints one line to stderr.
    pub fn note(line: &str) {
        let _ = writeln!(anstream::stderr().lock(), "{line}");
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
