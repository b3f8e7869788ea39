//! The second factor: codes that change every 30 s (TOTP, RFC 6238), and recovery codes for when the telephone is gone.
//!
//! **Invariant:** a code is compared in constant time; which step it was of is said, so that it is not taken twice.

use model::{Digest, Timestamp};
use sha2::{Digest as _, Sha256};
use store::{TOTP_SECRET_BYTES, User};
use totp_rs::{Builder, Secret, Totp, TotpError};

use crate::{NodeError, draw};

/// How many recovery codes there are: enough for years of lost telephones.
const RECOVERY_CODES: usize = 10;

/// A second factor that could be set up.
#[derive(Clone)]
pub struct SecondOffer {
    /// The secret in base 32, to be typed into an app.
    pub secret: String,
    /// The same as an `otpauth` address, for a QR code.
    pub url: String,
}

impl std::fmt::Debug for SecondOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecondOffer(..)")
    }
}

/// What let somebody in beside her password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Nothing is asked of her.
    Unneeded,
    /// The code of this step.
    Step(u64),
    /// The recovery code with this hash.
    Recovery(Digest),
}

fn totp(secret: [u8; TOTP_SECRET_BYTES]) -> Totp {
    Builder::new().with_secret(secret).build_noncompliant()
}

/// A new secret for a login, with the network's or the chapter's name.
pub(crate) fn offer(node: &str, login: &str) -> Result<SecondOffer, NodeError> {
    let secret = Secret::from(draw::totp_secret());
    let shown = secret.to_base32();
    // A colon parts name and login in the address.
    let builder = Builder::new().with_secret(secret).with_issuer(Some(node.replace(':', " ")));
    let url = builder.with_account_name(login).build().and_then(|totp| totp.to_url());
    let failed = |error: TotpError| NodeError::Refused(format!("the second factor could not be made: {error}"));
    Ok(SecondOffer { secret: shown, url: url.map_err(failed)? })
}

/// The secret that a page showed, as it comes back.
pub(crate) fn read_secret(text: &str) -> Option<[u8; TOTP_SECRET_BYTES]> {
    Secret::try_from_base32(text).ok()?.as_bytes().try_into().ok()
}

/// The step whose code was typed: this one, the one before or the next, as clocks differ.
pub(crate) fn step_of(secret: [u8; TOTP_SECRET_BYTES], typed: &str, now: Timestamp) -> Option<u64> {
    totp(secret).check(typed, u64::try_from(now.as_seconds()).unwrap_or(0))
}

/// What a typed code is to a login; `None`: it is not good.
pub(crate) fn code_of(user: &User, typed: &str, now: Timestamp) -> Option<Code> {
    let Some(secret) = user.totp else { return Some(Code::Unneeded) };
    let plain: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    if plain.len() == 6 && plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return step_of(secret, &plain, now).map(Code::Step);
    }
    let hash = recovery_hash(&plain);
    user.recovery.contains(&hash).then_some(Code::Recovery(hash))
}

/// Recovery codes to be shown once, and their hashes.
pub(crate) fn recovery_codes() -> (Vec<String>, Vec<Digest>) {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| draw::short_secret()).collect();
    let hashes = codes.iter().map(|code| recovery_hash(code)).collect();
    (codes, hashes)
}

/// A code has 80 random bits: nobody tries them all, however fast its hash is made. As people type it: small letters, no
/// hyphens, O for 0, I or L for 1.
fn recovery_hash(typed: &str) -> Digest {
    let plain = |c: char| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let plain: String = typed.chars().filter(char::is_ascii_alphanumeric).map(plain).collect();
    Digest(Sha256::digest(plain.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use model::Role;

    use super::*;

    fn user(secret: Option<[u8; TOTP_SECRET_BYTES]>, recovery: Vec<Digest>) -> User {
        let then = Timestamp::from_millis(0);
        User {
            name: "lee".to_owned(),
            role: Role::Staff,
            password: String::new(),
            totp: secret,
            recovery,
            supporter: None,
            failures: (0, then),
            created: then,
            sessions: (0, None),
        }
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B: the last six of eight digits for SHA-1, with its secret.
        let secret = *b"12345678901234567890";
        let lee = user(Some(secret), Vec::new());
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            let now = Timestamp::from_millis(seconds * 1000);
            let step = u64::try_from(seconds / 30).unwrap();
            assert_eq!(code_of(&lee, code, now), Some(Code::Step(step)));
            let spaced = format!("{} {}", &code[..3], &code[3..]);
            assert_eq!(code_of(&lee, &spaced, now.plus_millis(30_000)), Some(Code::Step(step)), "a clock behind");
            assert_eq!(code_of(&lee, code, now.plus_millis(90_000)), None);
        }
        assert_eq!(code_of(&user(None, Vec::new()), "", Timestamp::from_millis(0)), Some(Code::Unneeded));
    }

    #[test]
    fn a_recovery_code_is_known_however_it_is_typed() {
        let (codes, hashes) = recovery_codes();
        let lee = user(Some([7; TOTP_SECRET_BYTES]), hashes.clone());
        let typed = codes[3].to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(code_of(&lee, &typed, Timestamp::from_millis(0)), Some(Code::Recovery(hashes[3])));
        assert_eq!(code_of(&lee, "", Timestamp::from_millis(0)), None);
        assert_eq!(code_of(&lee, "AAAA-AAAA-AAAA-AAAA", Timestamp::from_millis(0)), None);
    }

    #[test]
    fn an_offer_comes_back_as_it_was_made() {
        let offer = offer("Tenants: United", "lee").unwrap();
        assert!(read_secret(&offer.secret).is_some() && offer.url.contains(&offer.secret), "{}", offer.url);
        assert!(offer.url.starts_with("otpauth://totp/Tenants%20%20United:lee?"), "{}", offer.url);
        assert_eq!(read_secret("short"), None);
    }
}
