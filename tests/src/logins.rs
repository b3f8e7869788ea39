//! Logging in as a person does: a login made by command, a form over HTTP, a cookie that is kept.

use anyhow::{Context as _, Result, ensure};

use crate::harness::Node;
use crate::http::{self, Answer};

/// What a form is sent as.
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Somebody who has logged in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Her name.
    pub name: String,
    /// Her password, as it was drawn.
    pub password: String,
    /// What her browser holds: the name and the value.
    pub cookie: String,
}

impl Login {
    /// Makes a login at a node that serves, and logs in.
    ///
    /// # Errors
    /// When either is refused.
    pub fn new(node: &Node, name: &str, role: &str) -> Result<Self> {
        let password = add(node, name, role)?;
        let cookie = enter(node.http(), name, &password, "")?;
        Ok(Self { name: name.to_owned(), password, cookie })
    }

    /// GET.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn get(&self, address: &str, path: &str) -> Result<Answer> {
        http::send(address, "GET", path, &[("Cookie", &self.cookie)], &[])
    }

    /// POST of a form.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn post(&self, address: &str, path: &str, form: &str) -> Result<Answer> {
        http::send(address, "POST", path, &[("Cookie", &self.cookie), FORM], form.as_bytes())
    }
}

/// Makes a login by command; gives the password that was drawn.
///
/// # Errors
/// When it is refused.
pub fn add(node: &Node, name: &str, role: &str) -> Result<String> {
    let made = node.json(&["user", "add", name, "--role", role])?;
    Ok(made["password"].as_str().context("a password that was drawn")?.to_owned())
}

/// Posts the login form.
///
/// # Errors
/// When nobody answers.
pub fn knock(address: &str, name: &str, password: &str, code: &str) -> Result<Answer> {
    let form = format!("name={name}&password={password}&code={}&next=%2F", code.replace(' ', "+"));
    http::send(address, "POST", "/login", &[FORM], form.as_bytes())
}

/// Logs in; gives the cookie.
///
/// # Errors
/// When she is not let in.
pub fn enter(address: &str, name: &str, password: &str, code: &str) -> Result<String> {
    let answer = knock(address, name, password, code)?;
    ensure!(answer.status == 303, "{name} was not let in: {answer:?}");
    cookie(&answer).context("a cookie")
}

/// The cookie that an answer gives: its name and value.
pub fn cookie(answer: &Answer) -> Option<String> {
    Some(answer.header("set-cookie")?.split(';').next()?.to_owned())
}
