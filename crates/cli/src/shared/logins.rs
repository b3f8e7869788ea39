//! Logins for the pages, and tokens for programs.
//!
//! **Invariant:** a password or a token is printed once, where it is drawn, and never read from an argument, which every
//! process on the machine can see.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use clap::Subcommand;
use model::Login;
use node::{Node, Password, Second, TOKEN_LIFE_MS};
use serde_json::{Value, json};
use web::ago;

use super::arguments::RoleWord;
use crate::{Failure, Out, life, table};

/// The longest line that is read for a password, in bytes.
const LINE_BYTES_MAX: u64 = 1_000;

/// Logins.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Add a login. Its password is the first line of standard input; without one it is drawn, and printed once
    #[command(
        after_help = "Roles at a hub: administrator, staff (sees people), viewer (sees totals only). At a chapter: administrator, organiser, reader, caller (sees only the people given to her).\n\nExamples:\n  user add ana --role organiser < /dev/null\n  printf %s \"$PASSWORD\" | user add ana --role organiser"
    )]
    Add {
        /// The name: a-z, 0-9, full stop, hyphen, underscore
        name: String,
        /// What it may do
        #[arg(long)]
        role: RoleWord,
    },
    /// List logins
    #[command(after_help = "Example:\n  user list")]
    List,
    /// Give a login another password, from standard input or drawn; its sessions end
    #[command(after_help = "Example:\n  user passwd ana < /dev/null")]
    Passwd {
        /// The name
        name: String,
        /// Take its second factor away, too: the telephone and the recovery codes are lost
        #[arg(long)]
        without_second_factor: bool,
    },
    /// Give a login another role; its sessions end, and tokens that it made and that may do more
    #[command(
        after_help = "The last administrator stays one: make somebody else one first.\n\nExample:\n  user role ana reader"
    )]
    Role {
        /// The name
        name: String,
        /// What it may do from now on
        role: RoleWord,
    },
    /// Remove a login: its sessions end at once, and the tokens that it made. What it did keeps its name
    #[command(after_help = "Example:\n  user remove ana")]
    Remove {
        /// The name
        name: String,
    },
}

/// Tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Add a token: prints it once, alone. Programs send it in the header OSDI-API-Token
    #[command(after_help = "Example:\n  token add website --role staff --expires 365d > token.txt")]
    Add {
        /// Its name: stands beside what is done with it, as token-NAME
        name: String,
        /// What it may do
        #[arg(long)]
        role: RoleWord,
        /// How long it is good: 90d, 12h [default: 90d]
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// List tokens, with when each was last used
    #[command(after_help = "Example:\n  token list")]
    List,
    /// Remove a token: it is not good any more
    #[command(after_help = "Example:\n  token remove website")]
    Remove {
        /// Its name
        name: String,
    },
}

pub(super) fn user(node: &Node, command: &User, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        User::Add { name, role } => {
            let (login, (password, drawn)) = (name.parse::<Login>()?, password()?);
            node.add_user(&login, role.0, &password, by)?;
            let words = format!("{login} may log in as {}", role.0.word());
            say(out, &login, json!({"role": role.0}), words, drawn.then_some(&password));
        }
        User::List => list_users(node, out)?,
        User::Passwd { name, without_second_factor } => {
            let (login, (password, drawn)) = (name.parse::<Login>()?, password()?);
            let second = if *without_second_factor { Second::Goes } else { Second::Stays };
            node.reset_password(&login, &password, second, by)?;
            let words = format!("{login} has another password, and is logged out everywhere");
            say(out, &login, json!({}), words, drawn.then_some(&password));
        }
        User::Role { name, role } => {
            let login: Login = name.parse()?;
            let ended = node.set_role(&login, role.0, by)?;
            let made = json!({"name": login, "role": role.0, "tokens_ended": ended});
            out.result(&made, || {
                let words = format!("{login} is {} from now on, and is logged out everywhere", role.0.word());
                format!("{words}{}", ended_words(&ended))
            });
        }
        User::Remove { name } => {
            let login: Login = name.parse()?;
            let ended = node.remove_user(&login, by)?;
            let made = json!({"name": login, "tokens_ended": ended});
            out.result(&made, || format!("{login} can't log in any more{}", ended_words(&ended)));
        }
    }
    Ok(())
}

/// Which tokens ended with what was done to a login.
fn ended_words(tokens: &[String]) -> String {
    if tokens.is_empty() { String::new() } else { format!(". Tokens that it made have ended: {}", tokens.join(", ")) }
}

/// The password of standard input; or one that is drawn, if nobody gives one there.
fn password() -> Result<(Password, bool), Failure> {
    let stdin = std::io::stdin();
    let mut line = String::new();
    if !stdin.is_terminal() {
        let mut given = stdin.lock().take(LINE_BYTES_MAX);
        given
            .read_line(&mut line)
            .map_err(|error| Failure::failed(format!("could not read the password from standard input: {error}")))?;
    }
    if line.trim().is_empty() { Ok((Password::draw(), true)) } else { Ok((line.parse()?, false)) }
}

/// What was done to a login, with its password if that was drawn here.
fn say(out: Out, login: &Login, mut made: Value, words: String, drawn: Option<&Password>) {
    if let Some(object) = made.as_object_mut() {
        object.insert("name".to_owned(), json!(login));
        if let Some(drawn) = drawn {
            object.insert("password".to_owned(), json!(drawn.expose()));
        }
    }
    out.result(&made, || match drawn {
        Some(drawn) => format!("{words}. The password, shown this once: {}", drawn.expose()),
        None => words,
    });
}

fn list_users(node: &Node, out: Out) -> Result<(), Failure> {
    let (users, now) = (node.read(|read| read.users())?, node.now());
    let one = |user: &store::User| {
        json!({
            "name": user.name, "role": user.role, "second_factor": user.totp.is_some(), "sessions": user.sessions.0,
            "last_seen": user.sessions.1, "person": user.supporter, "created_at": user.created,
        })
    };
    out.result(&json!({"users": users.iter().map(one).collect::<Vec<_>>()}), || {
        let row = |user: &store::User| {
            let second = if user.totp.is_some() { "yes" } else { "no" };
            vec![user.name.clone(), user.role.word().to_owned(), second.to_owned(), ago(user.sessions.1, now)]
        };
        let rows: Vec<Vec<String>> = users.iter().map(row).collect();
        if rows.is_empty() {
            "nobody can log in yet: add somebody with `user add NAME --role administrator`".to_owned()
        } else {
            table(&["name", "role", "second factor", "last seen"], &rows)
        }
    });
    Ok(())
}

pub(super) fn token(node: &Node, command: &Token, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        Token::Add { name, role, expires } => {
            let life_ms = expires.as_deref().map_or(Ok(TOKEN_LIFE_MS), life)?;
            let (text, token) = node.add_token(&name.parse()?, role.0, life_ms, by)?;
            let made = json!({"name": token.name, "role": token.role, "expires": token.expires, "token": text});
            out.result(&made, || text);
        }
        Token::List => list_tokens(node, out)?,
        Token::Remove { name } => {
            let name: Login = name.parse()?;
            node.remove_token(&name, by)?;
            out.result(&json!({"name": name}), || format!("the token {name} is not good any more"));
        }
    }
    Ok(())
}

fn list_tokens(node: &Node, out: Out) -> Result<(), Failure> {
    let (tokens, now) = (node.read(|read| read.tokens())?, node.now());
    let one = |token: &store::Token| {
        json!({
            "name": token.name, "role": token.role, "created_at": token.created, "expires": token.expires,
            "last_used": token.used, "made_by": token.made_by,
        })
    };
    out.result(&json!({"tokens": tokens.iter().map(one).collect::<Vec<_>>()}), || {
        let row = |token: &store::Token| {
            let until = if token.expires > now { token.expires.for_people() } else { "over".to_owned() };
            let role = token.role.word().to_owned();
            vec![token.name.clone(), role, until, ago(token.used, now), token.made_by.clone()]
        };
        let rows: Vec<Vec<String>> = tokens.iter().map(row).collect();
        if rows.is_empty() {
            "no tokens".to_owned()
        } else {
            table(&["name", "role", "good until", "last used", "made by"], &rows)
        }
    });
    Ok(())
}
