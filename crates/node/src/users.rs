//! Logins and tokens: making, changing and removing them; and what somebody does to her own.
//!
//! **Invariant:** whoever changes her password or her second factor says her password first; a new password ends every
//! other session of hers.

use std::net::IpAddr;

use model::{AuditKind, Digest, DocId, Login, Role};
use store::{NewAudit, NodeKind, StoreError, Token, Tx};

use crate::logins::{drawn_secret, kept_of, use_up};
use crate::password::Password;
use crate::second::{self, SecondOffer};
use crate::{Node, NodeError, Priority, SignInError, Who, draw};

/// How long a token is good unless told otherwise, in ms: 90 days.
pub const TOKEN_LIFE_MS: i64 = 90 * 24 * 3600 * 1000;
/// What a token begins with: scanners for secrets know it.
const TOKEN_PREFIX: &str = "chapterhouse-token-1.";
/// What stands before a token's name where a login's would.
const TOKEN_BY: &str = "token-";

/// What becomes of a second factor when somebody gets another password from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// It is asked for as before.
    Stays,
    /// It goes: the telephone and the recovery codes are lost.
    Goes,
}

/// Refuses what would stand for a token's name.
pub(crate) fn may_be_a_login(login: &Login) -> Result<(), NodeError> {
    if login.as_str().starts_with(TOKEN_BY) {
        return Err(NodeError::Refused(format!("a login can't begin with {TOKEN_BY}: that is how tokens are named")));
    }
    Ok(())
}

/// Ends the tokens that a login has made and may not have made any more, each with a row that begins like `said`.
fn end_tokens(tx: &Tx<'_>, name: &str, said: &NewAudit) -> Result<Vec<String>, StoreError> {
    let ended = tx.end_tokens_of(name)?;
    ended.iter().try_for_each(|token| tx.audit(&said.clone().detail(format!("{token}, made by {name}"))))?;
    Ok(ended)
}

impl Node {
    /// The roles that there are at this node.
    pub fn roles(&self) -> &'static [Role] {
        match self.kind() {
            NodeKind::Hub => &Role::AT_HUB,
            NodeKind::Chapter => &Role::AT_CHAPTER,
        }
    }

    fn known_role(&self, role: Role) -> Result<(), NodeError> {
        if self.roles().contains(&role) {
            return Ok(());
        }
        let names: Vec<&str> = self.roles().iter().map(|role| role.word()).collect();
        let kind = self.kind().word();
        Err(NodeError::Refused(format!("a {kind} has no role {}: its roles are {}", role.word(), names.join(", "))))
    }

    /// Adds a login. Blocks.
    ///
    /// # Errors
    /// When the name is taken, or there is no such role here.
    pub fn add_user(&self, login: &Login, role: Role, password: &Password, by: &str) -> Result<(), NodeError> {
        may_be_a_login(login)?;
        self.known_role(role)?;
        let (name, hash, at) = (login.to_string(), password.hash()?, draw::now());
        let said = self.audit_by(AuditKind::UserAdded, by).detail(format!("{name} as {}", role.word()));
        self.write(Priority::Interactive, move |tx| {
            tx.add_user(&name, role, &hash, at)?;
            tx.audit(&said)
        })
    }

    /// Gives a login another password, ends its sessions, and may take its second factor away. Blocks.
    ///
    /// # Errors
    /// When there is no such login.
    pub fn reset_password(
        &self,
        login: &Login,
        password: &Password,
        second: Second,
        by: &str,
    ) -> Result<(), NodeError> {
        let (name, hash, at) = (login.to_string(), password.hash()?, draw::now());
        let [changed, gone] = [AuditKind::PasswordChanged, AuditKind::SecondFactorChanged]
            .map(|what| self.audit_by(what, by).detail(name.as_str()));
        self.write(Priority::Interactive, move |tx| {
            tx.set_password(&name, &hash, at)?;
            tx.end_sessions(&name, None)?;
            tx.audit(&changed)?;
            if second == Second::Stays {
                return Ok(());
            }
            tx.set_second(&name, None, &[])?;
            tx.audit(&gone)
        })
    }

    /// Gives a login another role: its sessions end, and tokens that it has made and that may do more. Gives the names of
    /// those. Blocks.
    ///
    /// # Errors
    /// When there is no such login, no such role here, or nobody would be left who is an administrator.
    pub fn set_role(&self, login: &Login, role: Role, by: &str) -> Result<Vec<String>, NodeError> {
        self.known_role(role)?;
        let name = login.to_string();
        let [said, ended] = [AuditKind::RoleChanged, AuditKind::TokenEnded].map(|what| self.audit_by(what, by));
        self.write(Priority::Interactive, move |tx| {
            let was = tx.set_role(&name, role)?;
            tx.audit(&said.detail(format!("{name} from {} to {}", was.word(), role.word())))?;
            end_tokens(tx, &name, &ended)
        })
    }

    /// Removes a login: its sessions end at once, and the tokens that it has made. Gives the names of those. Blocks.
    ///
    /// # Errors
    /// When there is no such login.
    pub fn remove_user(&self, login: &Login, by: &str) -> Result<Vec<String>, NodeError> {
        let (name, at) = (login.to_string(), draw::now());
        let [said, ended] = [AuditKind::UserRemoved, AuditKind::TokenEnded].map(|what| self.audit_by(what, by));
        self.write(Priority::Interactive, move |tx| {
            tx.remove_user(&name, at)?;
            tx.audit(&said.detail(name.as_str()))?;
            end_tokens(tx, &name, &ended)
        })
    }

    /// Adds a token; gives its text, which is kept nowhere. Blocks.
    ///
    /// # Errors
    /// When the name is taken, or there is no such role here.
    pub fn add_token(&self, name: &Login, role: Role, life_ms: i64, by: &str) -> Result<(String, Token), NodeError> {
        self.known_role(role)?;
        let text = format!("{TOKEN_PREFIX}{}", drawn_secret().0);
        let (created, hash) = (draw::now(), crate::logins::hash_of(&text));
        let name = name.to_string();
        let said = self.audit_by(AuditKind::TokenMade, by).detail(format!("{name} as {}", role.word()));
        let (made_by, expires) = (by.to_owned(), created.plus_millis(life_ms));
        let token = Token { name, role, made_by, created, expires, used: None };
        let kept = token.clone();
        self.write(Priority::Interactive, move |tx| {
            tx.add_token(&hash, &kept)?;
            tx.audit(&said)
        })?;
        Ok((text, token))
    }

    /// Removes a token: it is not good any more. Blocks.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn remove_token(&self, name: &Login, by: &str) -> Result<(), NodeError> {
        let name = name.to_string();
        let said = self.audit_by(AuditKind::TokenEnded, by).detail(name.as_str());
        self.write(Priority::Interactive, move |tx| {
            tx.remove_token(&name)?;
            tx.audit(&said)
        })
    }

    /// Changes somebody's own password; every other session of hers ends.
    ///
    /// # Errors
    /// When the old one is not right.
    pub async fn change_password(
        &self,
        who: Who,
        old: String,
        new: Password,
        address: Option<IpAddr>,
    ) -> Result<(), SignInError> {
        self.hashing(move |node| {
            node.confirm(&who.by, &old, None, address)?;
            let (hash, at, said) = (new.hash()?, draw::now(), node.audit_by(AuditKind::PasswordChanged, &who.by));
            Ok(node.write(Priority::Interactive, move |tx| {
                tx.set_password(&who.by, &hash, at)?;
                tx.end_sessions(&who.by, who.session.as_ref())?;
                tx.audit(&said)
            })?)
        })
        .await
    }

    /// A second factor that somebody could set up.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn offer_second(&self, who: &Who) -> Result<SecondOffer, NodeError> {
        second::offer(&self.row().name, &who.by)
    }

    /// Sets somebody's second factor up, with the secret of an offer and a code of it; gives ten recovery codes, which are
    /// shown once.
    ///
    /// # Errors
    /// When the password or the code is not right, or there is one already: that has to be taken away first.
    pub async fn set_second(
        &self,
        who: Who,
        password: String,
        (secret, code): (String, String),
        address: Option<IpAddr>,
    ) -> Result<Vec<String>, SignInError> {
        self.hashing(move |node| {
            let wrong = || NodeError::Refused("the code is not one of this secret: type the newest one".to_owned());
            let secret = second::read_secret(&secret).ok_or_else(wrong)?;
            let typed: String = code.chars().filter(|c| !c.is_whitespace()).collect();
            let step = second::step_of(secret, &typed, draw::now()).ok_or_else(wrong)?;
            let (user, _) = node.confirm(&who.by, &password, None, address)?;
            if user.totp.is_some() {
                let words = "a second factor is set up already: take it away first";
                return Err(NodeError::Refused(words.to_owned()).into());
            }
            let (codes, hashes) = second::recovery_codes();
            let said = node.audit_by(AuditKind::SecondFactorChanged, &who.by).detail("on");
            node.write(Priority::Interactive, move |tx| {
                tx.set_second(&who.by, Some(&secret), &hashes)?;
                tx.use_step(&who.by, step)?;
                tx.audit(&said)
            })?;
            Ok(codes)
        })
        .await
    }

    /// Takes somebody's own second factor away, with a code of it: whoever has her password and her open laptop alone does not.
    ///
    /// # Errors
    /// When the password or the code is not right.
    pub async fn drop_second(
        &self,
        who: Who,
        (password, code): (String, String),
        address: Option<IpAddr>,
    ) -> Result<(), SignInError> {
        self.hashing(move |node| {
            let (user, code) = node.confirm(&who.by, &password, Some(&code), address)?;
            let said = node.audit_by(AuditKind::SecondFactorChanged, &who.by).detail("off");
            let gone = node.write(Priority::Interactive, move |tx| {
                if !use_up(tx, &who.by, code)? {
                    return Ok(false);
                }
                tx.set_second(&who.by, None, &[])?;
                tx.audit(&said)?;
                Ok(true)
            })?;
            if gone {
                Ok(())
            } else {
                node.failed(&user.name, Some(kept_of(&user)), address);
                Err(SignInError::Wrong)
            }
        })
        .await
    }

    /// Ends one of somebody's own sessions. Blocks.
    ///
    /// # Errors
    /// When it is not hers, or has ended.
    pub fn end_own_session(&self, who: &Who, session: Digest) -> Result<(), NodeError> {
        let hers = self.read(|read| read.sessions(&who.by))?;
        if !hers.iter().any(|each| each.hash == session) {
            return Err(NodeError::Refused("this session has ended already".to_owned()));
        }
        self.end_session(session, self.audit_by(AuditKind::SessionEnded, &who.by))
    }

    /// Ties somebody's login to her own record, or to none. Blocks.
    ///
    /// # Errors
    /// When the person is not here.
    pub fn tie_login(&self, who: &Who, person: Option<DocId>) -> Result<(), NodeError> {
        let (name, said) = (who.by.clone(), self.audit_by(AuditKind::LoginTied, &who.by));
        let said = match person {
            Some(person) => said.about(person),
            None => said.detail("to nobody"),
        };
        self.write(Priority::Interactive, move |tx| {
            tx.tie_user(&name, person)?;
            tx.audit(&said)
        })
    }
}
