//! Node.js and the packages of `tests/js`, as its lock file names them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};

/// The folder of the JavaScript, with its packages.
///
/// # Errors
/// When npm is not there, or gets none.
pub fn installed() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("js");
    // Tests are processes of their own: one at a time, until it is let go with its file.
    let lock = File::open(folder.join("package.json"))?;
    lock.lock()?;
    let written = |file: &str| fs::metadata(folder.join(file)).and_then(|file| file.modified()).ok();
    // npm writes this file last: without it an installation broke off, and an older one is of another lock file.
    if written("node_modules/.package-lock.json") < written("package-lock.json") {
        let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        ran(Command::new("npm").args(arguments).current_dir(&folder), "")?;
    }
    Ok(folder)
}

/// Runs a script of that folder, with something to read on its standard input.
///
/// # Errors
/// When it ends with a failure.
pub fn run(script: &str, argument: &Path, stdin: &str) -> Result<Output> {
    ran(Command::new("node").arg(script).arg(argument).current_dir(installed()?), stdin)
}

fn ran(command: &mut Command, stdin: &str) -> Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn();
    let mut child = child.context("Node.js 18 or newer and npm are needed: apt-get install nodejs npm")?;
    child.stdin.take().context("its standard input")?.write_all(stdin.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output)
}
