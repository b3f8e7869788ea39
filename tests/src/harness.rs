//! Runs the real programs in directories of their own.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::http::Answer;
use crate::logins::Login;

/// How long something may take that has to happen.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// What commands said to stderr, in a node's directory.
const COMMANDS_LOG: &str = "commands.log";
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What a command came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Outcome {
    /// What it printed as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("not JSON: {:?}; said {:?}", self.stdout, self.stderr))
    }
}

/// The built program beside this one.
///
/// # Errors
/// When it is not built.
pub fn program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let found = here.ancestors().skip(1).take(3).map(|directory| directory.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: cargo build --workspace"))
}

/// A node: its program and its directory.
#[derive(Debug)]
pub struct Node {
    program: &'static str,
    /// Its directory.
    pub data: PathBuf,
    serving: Option<Serving>,
    /// Whether each command is printed, for a person who looks on.
    pub tell: bool,
    /// Whether it logs whatever it can, and what commands say to stderr is kept beside its log.
    pub logs_everything: bool,
    ports: (u16, u16),
    login: OnceLock<Login>,
}

#[derive(Debug)]
struct Serving {
    child: Child,
    http: String,
    grpc: Option<String>,
    said: Value,
}

impl Node {
    /// A hub in a directory.
    pub fn hub(data: &Path) -> Self {
        Self::new("hub-node", data)
    }

    /// A chapter in a directory.
    pub fn chapter(data: &Path) -> Self {
        Self::new("chapter-node", data)
    }

    fn new(program: &'static str, data: &Path) -> Self {
        Self {
            program,
            data: data.to_owned(),
            serving: None,
            tell: false,
            logs_everything: false,
            ports: (0, 0),
            login: OnceLock::new(),
        }
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When the program can't be run.
    pub fn try_run(&self, arguments: &[&str]) -> Result<Outcome> {
        self.try_run_with(arguments, "")
    }

    /// The same, with something to read on its standard input.
    ///
    /// # Errors
    /// When the program can't be run.
    pub fn try_run_with(&self, arguments: &[&str], stdin: &str) -> Result<Outcome> {
        if self.tell {
            let shown: Vec<String> =
                arguments.iter().map(|a| if a.contains(' ') { format!("{a:?}") } else { (*a).to_owned() }).collect();
            say(&format!("$ {} --data {} {}", self.program, self.data.display(), shown.join(" ")));
        }
        let mut command = Command::new(program(self.program)?);
        command.arg("--data").arg(&self.data).args(arguments);
        if self.logs_everything {
            command.env("RUST_LOG", "trace");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("running {}", self.program))?;
        // What does not read its input may have closed it already.
        let _ = child.stdin.take().context("its standard input")?.write_all(stdin.as_bytes());
        let output = child.wait_with_output().with_context(|| format!("running {}", self.program))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let outcome = Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        if self.logs_everything && self.data.is_dir() {
            let mut log = OpenOptions::new().create(true).append(true).open(self.data.join(COMMANDS_LOG))?;
            log.write_all(&output.stderr)?;
        }
        Ok(outcome)
    }

    /// Runs a command that has to succeed; gives what it printed.
    ///
    /// # Errors
    /// When it does not.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let outcome = self.try_run(arguments)?;
        ensure!(outcome.code == 0, "{} {arguments:?} ended with {}: {}", self.program, outcome.code, outcome.stderr);
        Ok(outcome.stdout)
    }

    /// Runs a command with `--json`; gives what it printed.
    ///
    /// # Errors
    /// When it does not succeed, or prints something else.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self.run(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&printed).with_context(|| format!("not JSON: {printed:?}"))
    }

    /// Starts serving, on the ports of the last time.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn serve(&mut self) -> Result<()> {
        self.serve_with(&[])
    }

    /// The same, with more arguments.
    ///
    /// # Errors
    /// As [`Node::serve`].
    pub fn serve_with(&mut self, more: &[&str]) -> Result<()> {
        let http = format!("127.0.0.1:{}", self.ports.0);
        let grpc = format!("127.0.0.1:{}", self.ports.1);
        let mut arguments = vec!["serve", "--http", &http];
        if self.program == "hub-node" {
            arguments.extend(["--grpc", &grpc]);
        }
        arguments.extend(more);
        if self.tell {
            say(&format!("$ {} --data {} {} &", self.program, self.data.display(), arguments.join(" ")));
        }
        let log = OpenOptions::new().create(true).append(true).open(self.data.join("serve.log"))?;
        let mut command = Command::new(program(self.program)?);
        command.arg("--data").arg(&self.data).args(&arguments);
        if self.logs_everything {
            command.env("RUST_LOG", "trace");
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the program's output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| {
            let log = std::fs::read_to_string(self.data.join("serve.log")).unwrap_or_default();
            format!("{} did not start: {line:?} {log}", self.program)
        })?;
        let address = |name: &str| said["listening"][name].as_str().map(str::to_owned);
        let port = |address: &Option<String>| {
            address.as_ref().and_then(|address| address.rsplit(':').next()?.parse().ok()).unwrap_or(0)
        };
        let (http, grpc) = (address("http"), address("grpc"));
        self.ports = (port(&http), port(&grpc));
        self.serving = Some(Serving { child, http: http.context("an http address")?, grpc, said });
        Ok(())
    }

    /// Where its pages are.
    ///
    /// # Panics
    /// When it does not serve.
    pub fn http(&self) -> &str {
        &self.serving.as_ref().expect("the node serves").http
    }

    /// Where children dial it.
    pub fn grpc(&self) -> Option<&str> {
        self.serving.as_ref()?.grpc.as_deref()
    }

    /// The link for the first login, if it has printed one.
    pub fn set_up(&self) -> Option<&str> {
        self.serving.as_ref()?.said["setup"].as_str()
    }

    /// The fingerprint of the certificate with which its pages are served, if they are.
    pub fn certificate(&self) -> Option<&str> {
        self.serving.as_ref()?.said["certificate"].as_str()
    }

    /// Somebody who works with people here, made and logged in when first asked for: staff of a hub, an organiser.
    ///
    /// # Errors
    /// When she is not let in.
    pub fn login(&self) -> Result<&Login> {
        if let Some(login) = self.login.get() {
            return Ok(login);
        }
        let role = if self.program == "hub-node" { "staff" } else { "organiser" };
        let made = Login::new(self, "ana", role)?;
        Ok(self.login.get_or_init(|| made))
    }

    /// A page as that somebody sees it.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.login()?.get(self.http(), path)
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.serving.as_ref().map(|serving| serving.child.id())
    }

    /// Kills it without a word, as a power cut would.
    ///
    /// # Errors
    /// When it can't be killed.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut serving) = self.serving.take() {
            serving.child.kill()?;
            serving.child.wait()?;
        }
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not end cleanly in time.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut serving) = self.serving.take() else { return Ok(()) };
        let pid = serving.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status()?;
        ensure!(told.success(), "the signal could not be sent");
        let ended = until("the program ends", || Ok(serving.child.try_wait()?));
        match ended {
            Ok(status) => {
                ensure!(status.success(), "{} ended with {status}", self.program);
                Ok(())
            }
            Err(error) => {
                serving.child.kill()?;
                Err(error)
            }
        }
    }

    /// What it wrote to its log while serving.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.join("serve.log")).unwrap_or_default()
    }

    /// Everything that it and its commands said to stderr, where everything is logged.
    pub fn said(&self) -> String {
        let commands = std::fs::read_to_string(self.data.join(COMMANDS_LOG)).unwrap_or_default();
        format!("{}{commands}", self.log())
    }

    /// Whether a text is in any file of its directory, the log left out.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn files_contain(&self, text: &str) -> Result<bool> {
        for entry in std::fs::read_dir(&self.data)? {
            let path = entry?.path();
            let mut bytes = Vec::new();
            std::fs::File::open(&path)?.read_to_end(&mut bytes)?;
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        let _ = self.kill();
    }
}

/// Looks again and again until there is something; an error names what was waited for.
///
/// # Errors
/// When it does not come in time.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look().with_context(|| format!("waiting until {what}"))? {
            return Ok(found);
        }
        if began.elapsed() > PATIENCE {
            bail!("waited {} s until {what}", PATIENCE.as_secs());
        }
        std::thread::park_timeout(LOOK);
    }
}

/// Says something to a person who looks on.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
