//! TLS for pages that the local network may open: with a certificate of the node's own making.
//!
//! **Invariants:** its key is another one than the node's, which proves to the network who the node is. No authority that a
//! browser knows has signed it: a person compares its fingerprint, which is the same until it is renewed.

use std::io;
use std::path::Path;
use std::time::Duration;

use model::{Digest, Timestamp};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::authority::{BACKDATED_MS, good_between, named};
use crate::files::{failed, write_private};
use crate::keys::broken;
use crate::tls::{self, read_certificate};
use crate::{NodeError, draw};

/// Key and certificate, beside the database: PEM, mode 0600.
const PAGES_FILE: &str = "pages.pem";
/// The name in it. Addresses of a laptop come and go, and a person compares the fingerprint.
const NAME: &str = "pages.chapterhouse.internal";
/// How long a certificate is good, in ms: two years, for some telephones take none that is good for longer than 825 days.
const LIFE_MS: i64 = 2 * 365 * DAY_MS;
/// With how much of that left a start makes another one, in ms.
const RENEWED_AT_MS: i64 = 30 * DAY_MS;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// How long a handshake may take: a slow telephone needs two round trips.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What pages are served with over TLS.
#[derive(Clone)]
pub struct PagesTls {
    acceptor: TlsAcceptor,
    fingerprint: Digest,
}

impl std::fmt::Debug for PagesTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PagesTls({})", self.fingerprint())
    }
}

impl PagesTls {
    /// With the certificate of a directory. One is made if there is none, or it ends soon.
    ///
    /// # Errors
    /// When it can't be read or written.
    pub fn open_or_make(directory: &Path) -> Result<Self, NodeError> {
        let (path, now) = (directory.join(PAGES_FILE), draw::now());
        if path.exists() {
            let pem = std::fs::read(&path).map_err(failed("read", &path))?;
            let damaged =
                || NodeError::Damaged(format!("{} is no certificate with its key: delete it", path.display()));
            let (made, expires) = Self::read(&pem)?.ok_or_else(damaged)?;
            if expires.since(now) > RENEWED_AT_MS {
                return Ok(made);
            }
        }
        let pem = make(now)?;
        write_private(&path, pem.as_bytes())?;
        let unread = || NodeError::Crypto("make a certificate for the pages", "it can't be read again".to_owned());
        Ok(Self::read(pem.as_bytes())?.ok_or_else(unread)?.0)
    }

    /// Reads a key and its certificate; with when that ends.
    fn read(pem: &[u8]) -> Result<Option<(Self, Timestamp)>, NodeError> {
        let (Ok(certificate), Ok(key)) = (CertificateDer::from_pem_slice(pem), PrivateKeyDer::from_pem_slice(pem))
        else {
            return Ok(None);
        };
        let Some(shown) = read_certificate(&certificate) else { return Ok(None) };
        let fingerprint = Digest(Sha256::digest(&certificate).into());
        let acceptor = TlsAcceptor::from(tls::pages(certificate, key)?);
        Ok(Some((Self { acceptor, fingerprint }, shown.expires)))
    }

    /// The SHA-256 of the certificate, as browsers show it: pairs of digits with colons between.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.0.map(|byte| format!("{byte:02X}")).join(":")
    }

    /// Goes through a handshake.
    ///
    /// # Errors
    /// When it fails, or takes too long.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, socket: S) -> io::Result<TlsStream<S>> {
        let shaken = tokio::time::timeout(HANDSHAKE, self.acceptor.accept(socket)).await;
        shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// A key and a certificate of it, as text.
fn make(now: Timestamp) -> Result<String, NodeError> {
    let step = "make a certificate for the pages";
    let pair = KeyPair::generate().map_err(broken(step))?;
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).map_err(broken(step))?;
    params.distinguished_name = named("Chapterhouse pages");
    good_between(&mut params, now.plus_millis(-BACKDATED_MS), now.plus_millis(LIFE_MS));
    params.serial_number = Some(draw::serial().to_vec().into());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&pair).map_err(broken(step))?;
    Ok(format!("{}{}", pair.serialize_pem(), certificate.pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let made = PagesTls::open_or_make(directory.path()).unwrap();
        assert_eq!(PagesTls::open_or_make(directory.path()).unwrap().fingerprint(), made.fingerprint());
        assert_eq!(made.fingerprint().len(), 32 * 3 - 1);
        let path = directory.path().join(PAGES_FILE);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        // One that ends soon makes room for another.
        let old = make(draw::now().plus_millis(RENEWED_AT_MS - LIFE_MS - DAY_MS)).unwrap();
        std::fs::write(&path, &old).unwrap();
        let renewed = PagesTls::open_or_make(directory.path()).unwrap().fingerprint();
        assert_ne!(renewed, PagesTls::read(old.as_bytes()).unwrap().unwrap().0.fingerprint());
        assert_eq!(PagesTls::open_or_make(directory.path()).unwrap().fingerprint(), renewed);
        std::fs::write(&path, "no certificate").unwrap();
        assert!(matches!(PagesTls::open_or_make(directory.path()), Err(NodeError::Damaged(_))));
    }
}
