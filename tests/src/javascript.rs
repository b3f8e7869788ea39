//! Node.js and the packages of `tests/js`, as its lock file names them.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;

/// Where systems have the browser.
const BROWSERS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// The browser of this system.
///
/// # Errors
/// When there is none.
pub fn browser() -> Result<PathBuf> {
    let there = BROWSERS.iter().map(Path::new).find(|path| path.exists());
    Ok(there.context("Chromium is needed: apt-get install chromium")?.to_owned())
}

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

/// Runs a script that asks for things while it runs: it is given one line, and for each line `{"please": what}` that it prints
/// one more when that was done. Gives the last line that it printed.
///
/// # Errors
/// When it ends with a failure, or what it asks for can't be done.
pub fn attended(
    script: &str,
    argument: &Path,
    given: &Value,
    mut please: impl FnMut(&str) -> Result<()>,
) -> Result<Value> {
    let mut command = Command::new("node");
    command.arg(script).arg(argument).current_dir(installed()?);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (mut stdin, stdout) = (stdin.context("its standard input")?, stdout.context("its output")?);
    let mut stderr = child.stderr.take().context("what it says")?;
    // Read beside the rest, so that it never waits for a reader.
    let said = thread::spawn(move || {
        let mut said = String::new();
        stderr.read_to_string(&mut said).map(|_| said)
    });
    let mut last = Value::Null;
    let asked = (|| {
        writeln!(stdin, "{given}")?;
        for line in BufReader::new(stdout).lines() {
            last = serde_json::from_str(&line?)?;
            if let Some(wanted) = last["please"].as_str() {
                please(wanted)?;
                writeln!(stdin, "done")?;
            }
        }
        anyhow::Ok(())
    })();
    if asked.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    let said = said.join().map_err(|_| anyhow!("what it said was not read"))??;
    asked.with_context(|| format!("{script}: {said}"))?;
    ensure!(status.success(), "{script}: {said}");
    Ok(last)
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
