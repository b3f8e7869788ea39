//! Passwords: chosen or drawn, kept as Argon2id.
//!
//! **Invariant:** a name that nobody has costs the same work as a wrong password. A password never prints itself.

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::Error as HashError;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use store::StoreError;

use crate::{NodeError, draw};

/// The fewest characters of a password (NIST SP 800-63B, 3.1.1.2, for those that somebody chooses herself).
const CHARS_MIN: usize = 8;
/// The most bytes: more than anybody types.
const BYTES_MAX: usize = 200;
/// A hash in the form of all others (19 MiB, two passes, one lane) that belongs to no password.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Y2hhcHRlcmhvdXNlOiBubw$bm9ib2R5IGhhcyB0aGlzIHBhc3N3b3JkLCBldmVyLiE";

/// A password that may be set. Spaces around it do not count.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Draws one: 80 random bits in sixteen letters and digits.
    pub fn draw() -> Self {
        Self(draw::short_secret())
    }

    /// The text, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Argon2id as a PHC string. Takes some 20 ms and 19 MiB.
    pub(crate) fn hash(&self) -> Result<String, NodeError> {
        let hashed = Argon2::default().hash_password_with_salt(self.0.as_bytes(), &draw::salt());
        let failed = |error: HashError| NodeError::Refused(format!("the password could not be hashed: {error}"));
        Ok(hashed.map_err(failed)?.to_string())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl FromStr for Password {
    type Err = NodeError;

    fn from_str(text: &str) -> Result<Self, NodeError> {
        let text = text.trim();
        if text.chars().count() < CHARS_MIN || text.len() > BYTES_MAX {
            let words = format!("a password has at least {CHARS_MIN} characters, and at most {BYTES_MAX} bytes");
            return Err(NodeError::Refused(words));
        }
        if text.chars().any(char::is_control) {
            return Err(NodeError::Refused("a password is one line of text".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether a typed password is the one that a hash is of; with no hash the same work, and no.
pub(crate) fn fits(typed: &str, hash: Option<&str>) -> Result<bool, NodeError> {
    match Argon2::default().verify_password(typed.trim().as_bytes(), hash.unwrap_or(NOBODYS)) {
        Ok(()) => Ok(hash.is_some()),
        Err(HashError::PasswordInvalid) => Ok(false),
        Err(_) => Err(StoreError::Corrupt("user").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only_and_nobodys_fits_none() {
        let password: Password = " correct horse ".parse().unwrap();
        let hash = password.hash().unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(&hash[..31], &NOBODYS[..31], "nobody's costs what everybody's costs");
        assert_ne!(password.hash().unwrap(), hash, "each has a salt of its own");
        assert!(fits("correct horse", Some(&hash)).unwrap());
        assert!(!fits("correct house", Some(&hash)).unwrap());
        assert!(!fits("correct horse", None).unwrap());
        assert!(fits("x", Some("nonsense")).is_err());
    }

    #[test]
    fn short_and_unreadable_passwords_are_refused_and_drawn_ones_fit() {
        for wrong in ["", "seven77", "two\nlines of text", &"x".repeat(201)] {
            assert!(wrong.parse::<Password>().is_err(), "{wrong:?}");
        }
        let drawn = Password::draw();
        assert!(drawn.expose().parse::<Password>().is_ok() && drawn.expose().len() == 19);
        assert_eq!(format!("{drawn:?}"), "Password(..)");
    }
}
