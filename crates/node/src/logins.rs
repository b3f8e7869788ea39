//! Logging in: a password, a second factor, a session; tokens of programs; and the first login of all.
//!
//! **Invariants:** whether a name is known shows neither in an answer nor in the work that it costs; two passwords are
//! hashed at once at most; what a browser or a program holds is kept as its hash only; the link for the first login is in
//! memory alone, and good once.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{AuditKind, Digest, Login, Role, Timestamp};
use sha2::{Digest as _, Sha256};
use store::{NewAudit, Session, StoreError, Token, Tx, User};
use tokio::sync::Semaphore;

use crate::audit::login_failed;
use crate::password::{Password, fits};
use crate::second::{Code, code_of};
use crate::slowing::{Failures, Key, Slowing};
use crate::{Node, NodeError, Priority, draw};

/// How long a session lives that nobody uses, in ms: a working day. Somebody who left her laptop open is out by the next.
pub const SESSION_IDLE_MS: i64 = 12 * 3600 * 1000;
/// How long a session lives at the most, in ms.
pub const SESSION_LIFE_MS: i64 = 30 * 24 * 3600 * 1000;
/// How exactly it is kept when a session or a token was last seen, in ms: reading a page is no write each time.
const SEEN_EVERY_MS: i64 = 60 * 1000;
/// How many passwords are hashed at once: each takes 19 MiB and a core.
const HASHES_AT_ONCE: usize = 2;
/// The longest name that is looked for or counted, in characters: no login is longer.
const NAME_CHARS_MAX: usize = 64;
/// How much is kept of what a browser calls itself, in characters.
const AGENT_CHARS_MAX: usize = 80;

/// What a process knows about logging in.
#[derive(Debug)]
pub(crate) struct Logins {
    hashing: Arc<Semaphore>,
    slowing: Slowing,
    /// What is in the link for the first login.
    set_up: Mutex<Option<OneTimeLink>>,
}

impl Default for Logins {
    fn default() -> Self {
        let hashing = Arc::new(Semaphore::new(HASHES_AT_ONCE));
        Self { hashing, slowing: Slowing::default(), set_up: Mutex::default() }
    }
}

impl Logins {
    fn set_up(&self) -> MutexGuard<'_, Option<OneTimeLink>> {
        self.set_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// It is not said what.
    #[error("the name, the password or the code is not right")]
    Wrong,
    /// It failed too often: so many seconds have to pass.
    #[error("that failed too often: wait {}, then try again", in_words(.0))]
    Wait(u64),
    /// Something else.
    #[error(transparent)]
    Node(#[from] NodeError),
}

fn in_words(seconds: &u64) -> String {
    match *seconds {
        1 => "1 second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// Somebody who wants to log in.
pub struct Knock {
    /// The name that she typed.
    pub name: String,
    /// The password.
    pub password: String,
    /// A code of the second factor, or a recovery code; empty for who has neither.
    pub code: String,
    /// From where.
    pub address: Option<IpAddr>,
    /// What her browser calls itself.
    pub agent: String,
    /// What her browser held before: that session ends.
    pub before: Option<String>,
}

impl std::fmt::Debug for Knock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Knock({})", self.name)
    }
}

/// A session that began.
#[derive(Clone)]
pub struct SignedIn {
    /// What her browser is to hold: 64 hexadecimal digits.
    pub id: String,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignedIn(..)")
    }
}

/// Who asks for something.
#[derive(Clone, Debug)]
pub struct Who {
    /// In whose name: a login, or `token-` and a token's name.
    pub by: String,
    /// What she may do.
    pub role: Role,
    /// Her session; a program that shows a token has none.
    pub session: Option<Digest>,
    /// Whether her login has a second factor.
    pub second: bool,
}

/// By whom a session is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Showing {
    /// She asks for something.
    Herself,
    /// A page that she left open asks whether something has moved: that is no use of hers, which would keep it alive.
    HerPage,
}

pub(crate) fn hash_of(held: &str) -> Digest {
    Digest(Sha256::digest(held.as_bytes()).into())
}

/// Something that nobody guesses: 256 random bits in hexadecimal digits.
pub(crate) fn drawn_secret() -> (String, Digest) {
    let text: String = draw::token().iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = hash_of(&text);
    (text, hash)
}

/// What stands in a link that this process has shown, and that nobody else has. In memory alone.
#[derive(Debug)]
pub struct OneTimeLink(Digest);

impl OneTimeLink {
    /// Draws one; gives what the link holds, too.
    pub fn draw() -> (String, Self) {
        let (held, hash) = drawn_secret();
        (held, Self(hash))
    }

    /// Whether this is what the link holds.
    pub fn holds(&self, held: &str) -> bool {
        self.0 == hash_of(held)
    }
}

/// A name as it is looked for: what can't be a login is nobody's, and counted like any other.
fn looked_for(typed: &str) -> String {
    let typed = typed.trim().to_ascii_lowercase();
    typed.chars().take(NAME_CHARS_MAX).collect()
}

/// A new session of a login, and what the browser is to hold for it.
fn begun(name: &str, role: Role, agent: &str) -> (SignedIn, Session) {
    let (id, hash) = drawn_secret();
    let now = draw::now();
    let agent = agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect();
    let ends = now.plus_millis(SESSION_LIFE_MS);
    (
        SignedIn { id },
        Session { hash, name: name.to_owned(), role, second: false, created: now, seen: now, ends, agent },
    )
}

/// What a login's row says of failures.
pub(crate) fn kept_of(user: &User) -> Failures {
    Failures { count: user.failures.0, last: user.failures.1 }
}

/// Uses a code up; says whether it was still good.
pub(crate) fn use_up(tx: &Tx<'_>, name: &str, code: Code) -> Result<bool, StoreError> {
    match code {
        Code::Unneeded => Ok(true),
        Code::Step(step) => tx.use_step(name, step),
        Code::Recovery(hash) => tx.use_recovery(name, &hash),
    }
}

fn is_over(session: &Session, now: Timestamp) -> bool {
    now > session.ends || now.since(session.seen) > SESSION_IDLE_MS
}

impl Node {
    /// Runs work that hashes a password, when it is its turn.
    pub(crate) async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, SignInError> + Send + 'static,
    ) -> Result<T, SignInError> {
        let waiting = Arc::clone(&self.0.logins.hashing).acquire_owned();
        let turn = waiting.await.map_err(|_| NodeError::ShuttingDown)?;
        let node = self.clone();
        let working = tokio::task::spawn_blocking(move || {
            let made = work(&node);
            drop(turn);
            made
        });
        working.await.map_err(|_| NodeError::ShuttingDown)?
    }

    /// Whether it is she: her password, and a code where one is asked for, which is good but not used up yet. Each failure
    /// slows the next try down.
    pub(crate) fn confirm(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
        address: Option<IpAddr>,
    ) -> Result<(User, Code), SignInError> {
        let now = draw::now();
        let found = self.read(|read| read.user(name))?;
        let kept = found.as_ref().map(kept_of);
        let slowing = &self.0.logins.slowing;
        let elsewhere = address.map_or(0, |address| slowing.wait(&Key::address(address), Failures::default(), now));
        let wait = slowing.wait(&Key::Name(name.to_owned()), kept.unwrap_or_default(), now).max(elsewhere);
        if wait > 0 {
            return Err(SignInError::Wait(u64::try_from(wait).unwrap_or(0).div_ceil(1000)));
        }
        let right = fits(password, found.as_ref().map(|user| user.password.as_str()))?;
        let of = |user: &User| code.map_or(Some(Code::Unneeded), |typed| code_of(user, typed, now));
        let code = found.as_ref().and_then(of);
        if let (true, Some(user), Some(code)) = (right, found, code) {
            return Ok((user, code));
        }
        self.failed(name, kept, address);
        Err(SignInError::Wrong)
    }

    /// Counts a failure. Not waited for, and written for a name that nobody has, too: neither takes longer than the other.
    pub(crate) fn failed(&self, name: &str, kept: Option<Failures>, address: Option<IpAddr>) {
        let (slowing, now) = (&self.0.logins.slowing, draw::now());
        let (source, said) = login_failed(kept.map(|_| name), now);
        let count = slowing.failed(Key::Name(name.to_owned()), kept.unwrap_or_default(), now);
        if let Some(address) = address {
            slowing.failed(Key::address(address), Failures::default(), now);
        }
        let name = name.to_owned();
        drop(self.write_later(move |tx| {
            tx.note_failures(&name, count, now)?;
            tx.audit_bounded(&source, &said)
        }));
    }

    /// Lets somebody in, or says no and nothing else.
    ///
    /// # Errors
    /// [`SignInError::Wrong`], whatever is wrong; or how long she has to wait.
    pub async fn sign_in(&self, knock: Knock) -> Result<SignedIn, SignInError> {
        self.hashing(move |node| node.let_in(&knock)).await
    }

    fn let_in(&self, knock: &Knock) -> Result<SignedIn, SignInError> {
        let name = looked_for(&knock.name);
        let (user, code) = self.confirm(&name, &knock.password, Some(&knock.code), knock.address)?;
        let (signed_in, session) = begun(&name, user.role, &knock.agent);
        let before = knock.before.as_deref().map(hash_of);
        let (login, kept) = (name.clone(), kept_of(&user));
        let [logged_in, recovered] =
            [AuditKind::LoggedIn, AuditKind::SecondFactorChanged].map(|what| self.audit_by(what, &name));
        let entered = self.write(Priority::Interactive, move |tx| {
            // Somebody may have given her another password, or removed her, while this one was hashed.
            let stands = tx.user(&name)?.is_some_and(|known| known.password == user.password);
            if !stands || !use_up(tx, &name, code)? {
                return Ok(false);
            }
            if matches!(code, Code::Recovery(_)) {
                tx.audit(&recovered.detail("a recovery code was used"))?;
            }
            let now = session.created;
            tx.note_failures(&name, 0, now)?;
            tx.forget_old_sessions(now, now.plus_millis(-SESSION_IDLE_MS))?;
            before.map_or(Ok(()), |before| tx.end_session(&before))?;
            tx.add_session(&session)?;
            tx.audit(&logged_in)?;
            Ok(true)
        })?;
        if entered {
            let address = knock.address.map(Key::address);
            self.0.logins.slowing.got_in(&Key::Name(login), address.as_ref());
            Ok(signed_in)
        } else {
            // A code that was used is as a wrong one: who has seen it typed must not begin anew by it.
            self.failed(&login, Some(kept), knock.address);
            Err(SignInError::Wrong)
        }
    }

    /// Whose session this is, if it is one that has not ended. Blocks.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn who_holds(&self, id: &str, showing: Showing) -> Result<Option<Who>, NodeError> {
        let (hash, now) = (hash_of(id), draw::now());
        let found = self.read(|read| read.session(&hash))?;
        let Some(session) = found.filter(|session| !is_over(session, now)) else { return Ok(None) };
        if showing == Showing::Herself && now.since(session.seen) >= SEEN_EVERY_MS {
            // Nobody waits for it: at worst the session ends a minute early.
            drop(self.write_later(move |tx| tx.touch_session(&hash, now)));
        }
        Ok(Some(Who { by: session.name, role: session.role, session: Some(hash), second: session.second }))
    }

    /// In whose name a program shows this token, if it is good. Blocks.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn who_shows(&self, token: &str) -> Result<Option<Who>, NodeError> {
        let (hash, now) = (hash_of(token.trim()), draw::now());
        let found: Option<Token> = self.read(|read| read.token(&hash))?;
        let Some(token) = found.filter(|token| now < token.expires) else { return Ok(None) };
        if token.used.is_none_or(|used| now.since(used) >= SEEN_EVERY_MS) {
            drop(self.write_later(move |tx| tx.touch_token(&hash, now)));
        }
        Ok(Some(Who { by: format!("token-{}", token.name), role: token.role, session: None, second: false }))
    }

    /// Ends the session in which somebody asks. Blocks.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn sign_out(&self, who: &Who) -> Result<(), NodeError> {
        let Some(session) = who.session else { return Ok(()) };
        self.end_session(session, self.audit_by(AuditKind::LoggedOut, &who.by))
    }

    /// Ends a session, with what is said of it. Blocks.
    pub(crate) fn end_session(&self, session: Digest, said: NewAudit) -> Result<(), NodeError> {
        self.write(Priority::Interactive, move |tx| {
            tx.end_session(&session)?;
            tx.audit(&said)
        })
    }

    /// Draws what is in the link for the first login, while nobody can log in; one drawn before is not good any more.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn offer_set_up(&self) -> Result<Option<String>, NodeError> {
        if self.read(|read| read.has_users())? {
            return Ok(None);
        }
        let (held, link) = OneTimeLink::draw();
        *self.0.logins.set_up() = Some(link);
        Ok(Some(held))
    }

    /// Whether a link for the first login is good.
    pub fn may_set_up(&self, held: &str) -> bool {
        self.0.logins.set_up().as_ref().is_some_and(|link| link.holds(held))
    }

    /// Makes the first login, an administrator, and lets her in.
    ///
    /// # Errors
    /// When the link is not good, or somebody can log in already.
    pub async fn set_up(
        &self,
        held: String,
        login: Login,
        password: Password,
        agent: String,
    ) -> Result<SignedIn, SignInError> {
        self.hashing(move |node| {
            crate::users::may_be_a_login(&login)?;
            if !node.may_set_up(&held) {
                let words = "this link was used already, or is not the one that the terminal shows";
                return Err(NodeError::Refused(words.to_owned()).into());
            }
            let (name, role, hash) = (login.to_string(), Role::Administrator, password.hash()?);
            let (signed_in, session) = begun(&name, role, &agent);
            let added = node.audit_by(AuditKind::UserAdded, &name).detail(format!("{name} as {}", role.word()));
            let logged_in = node.audit_by(AuditKind::LoggedIn, &name);
            node.write(Priority::Interactive, move |tx| {
                if tx.has_users()? {
                    return Err(StoreError::Refused("somebody can log in already: ask her".to_owned()));
                }
                tx.add_user(&name, role, &hash, session.created)?;
                tx.add_session(&session)?;
                tx.audit(&added)?;
                tx.audit(&logged_in)
            })?;
            *node.0.logins.set_up() = None;
            Ok(signed_in)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_to_wait_is_said_as_people_say_it() {
        assert_eq!(SignInError::Wait(1).to_string(), "that failed too often: wait 1 second, then try again");
        assert!(SignInError::Wait(40).to_string().contains("wait 40 seconds"));
        assert!(SignInError::Wait(601).to_string().contains("wait 11 minutes"));
    }

    #[test]
    fn what_is_typed_for_a_name_is_short_and_small() {
        assert_eq!(looked_for(" Lee "), "lee");
        assert_eq!(looked_for(&"x".repeat(1000)).len(), NAME_CHARS_MAX);
    }
}
