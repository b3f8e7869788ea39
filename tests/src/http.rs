//! A small HTTP/1.1 client for tests: one request, one connection.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A header of the answer, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body).with_context(|| format!("status {} with {:?}", self.status, self.body))
    }
}

/// Sends a request with headers and a body.
///
/// # Errors
/// When nobody answers.
pub fn send(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    let mut stream = ask(address, method, path, headers, body)?;
    let mut raw = Vec::new();
    let read = stream.read_to_end(&mut raw);
    if raw.is_empty() {
        read.context("reading the answer")?;
    }
    let text = String::from_utf8_lossy(&raw);
    let (head, body) = text.split_once("\r\n\r\n").context("an answer has a head")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Ok(Answer { status: status(head)?, head: head.to_owned(), body })
}

/// Sends a request and reads the head of the answer only, which may go on for ever.
///
/// # Errors
/// When nobody answers.
pub fn head(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    let mut lines = BufReader::new(ask(address, method, path, headers, body)?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        anyhow::ensure!(lines.read_line(&mut head)? > 0, "the answer ended in its head: {head:?}");
    }
    Ok(Answer { status: status(&head)?, head: head.trim_end().to_owned(), body: String::new() })
}

fn status(head: &str) -> Result<u16> {
    head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("an answer has a status")
}

fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("dialling {address}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    // A server may answer before it has read a body that is too large, and close.
    let _ = stream.write_all(body);
    Ok(stream)
}

fn unchunk(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        if size == 0 || after.len() < size {
            break;
        }
        whole.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    whole
}

/// GET.
///
/// # Errors
/// When nobody answers.
pub fn get(address: &str, path: &str) -> Result<Answer> {
    send(address, "GET", path, &[], &[])
}

/// POST of JSON.
///
/// # Errors
/// When nobody answers.
pub fn post_json(address: &str, path: &str, body: &str) -> Result<Answer> {
    send(address, "POST", path, &[("Content-Type", "application/json")], body.as_bytes())
}

/// POST of a form.
///
/// # Errors
/// When nobody answers.
pub fn post_form(address: &str, path: &str, body: &str) -> Result<Answer> {
    send(address, "POST", path, &[("Content-Type", "application/x-www-form-urlencoded")], body.as_bytes())
}
