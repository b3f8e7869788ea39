//! What every command of both programs has: where the data is, how to print, who works.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser};
use node::Node;
use store::NodeKind;

use crate::{Failure, Out};

/// Which program this is.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// The environment variable that names its directory.
    pub data_variable: &'static str,
    /// The directory under the home directory that it uses if nothing else is named.
    pub data_default: &'static str,
    /// Which kind of node it is.
    pub kind: NodeKind,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
pub struct Globals {
    /// The node's directory. Without it: the environment (HUB_DATA, CHAPTER_DATA), then a directory in your home
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print JSON, for scripts
    #[arg(long, global = true)]
    pub json: bool,
    /// In whose name: stands beside what you do in people's history
    #[arg(long, global = true, value_name = "NAME", env = "CHAPTERHOUSE_BY")]
    pub by: Option<String>,
}

impl Globals {
    /// The node's directory.
    ///
    /// # Errors
    /// When the node that was in it has retired.
    pub fn directory(&self, program: Program) -> Result<PathBuf, Failure> {
        let directory = self.place(program);
        node::refuse_retired(&directory)?;
        Ok(directory)
    }

    /// The node's directory, also of one that has retired.
    pub(crate) fn place(&self, program: Program) -> PathBuf {
        let named = self.data.clone().or_else(|| std::env::var_os(program.data_variable).map(PathBuf::from));
        named.unwrap_or_else(|| {
            let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
            home.join(".chapterhouse").join(program.data_default)
        })
    }

    /// Opens the node.
    ///
    /// # Errors
    /// When there is none, it has retired, or it can't be opened.
    pub fn open(&self, program: Program) -> Result<Node, Failure> {
        Ok(Node::open(&self.directory(program)?, program.kind)?)
    }

    /// In whose name.
    ///
    /// # Errors
    /// When a name was given that can't stand in a history.
    pub fn by(&self) -> Result<String, Failure> {
        let by = self.by.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "organiser".to_owned());
        let plain = !by.trim().is_empty() && by.len() <= 50 && !by.chars().any(char::is_control);
        if plain {
            Ok(by.trim().to_owned())
        } else {
            Err(Failure::refused("--by is a short name, of at most 50 bytes"))
        }
    }
}

/// Parses the arguments, runs the program, prints a failure and gives the exit code.
pub fn run<A: Parser + CommandFactory>(
    json: impl Fn(&A) -> bool,
    work: impl FnOnce(A) -> Result<(), Failure>,
) -> ExitCode {
    quiet_panics();
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let usage = error.use_stderr();
            if usage && std::env::args().any(|argument| argument == "--json") {
                let words = error.to_string();
                let words = words.lines().next().unwrap_or_default().trim_start_matches("error: ");
                Out::note(&Failure::usage(words).json().to_string());
                return ExitCode::from(2);
            }
            // Printing to a closed terminal can't be mended here.
            let _ = error.print();
            return if usage { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let as_json = json(&arguments);
    match work(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let words = if as_json { failure.json().to_string() } else { format!("error: {}", failure.words()) };
            Out::note(&words);
            ExitCode::from(failure.exit())
        }
    }
}

/// A panic says where, never what: what it holds may be about a person.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        Out::note(&format!("internal error{place}"));
    }));
}

/// Whether a person looks at stderr.
pub(crate) fn person_watches() -> bool {
    std::io::stderr().is_terminal()
}
