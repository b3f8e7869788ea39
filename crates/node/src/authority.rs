//! A hub's authority: the key that signs the certificates of the hub and of its children's nodes.
//!
//! **Invariants:** its private key is on disk only encrypted, under a key file that may stand on another disk; a certificate
//! names a key and a time, and nothing else in it is ever believed: who may come in is a row of the database.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Digest, NodeId, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use serde::{Deserialize, Serialize};
use store::private_directory;

use crate::files::{failed, write_private};
use crate::keys::{KEY_FILE, NodeKey, broken, node_of};
use crate::seal::{CantOpen, Passphrase, Purpose, open, seal};
use crate::tls::{HUB_NAME, read_certificate};
use crate::{NodeError, draw};

/// The authority's certificate, which everybody may read. Written last: where it is, the authority is whole.
const CERTIFICATE_FILE: &str = "ca.pem";
/// Its private key, encrypted.
const SEALED_FILE: &str = "ca.key.sealed";
/// What opens it, if no other place is named.
const UNLOCK_FILE: &str = "ca.unlock";

/// How long a certificate is good, in ms: 90 days. A node that is switched on once a month never notices.
pub(crate) const CERTIFICATE_LIFE_MS: i64 = 90 * DAY_MS;
/// How long the authority is good, in ms: twenty years. Its successor is a matter of new invitations.
const AUTHORITY_LIFE_MS: i64 = 20 * 365 * DAY_MS;
/// By how much a certificate begins before it is made, in ms: a day, for clocks that are behind.
pub(crate) const BACKDATED_MS: i64 = DAY_MS;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// A certificate that was issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Whose key it names.
    pub node: NodeId,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Its serial number.
    pub serial: Vec<u8>,
    /// When it ends.
    pub expires: Timestamp,
}

/// A hub's authority, with its private key.
pub struct Authority {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority(..)")
    }
}

/// Where the key file of a directory's authority is, if no other place is named.
pub fn unlock_file(directory: &Path) -> PathBuf {
    directory.join(UNLOCK_FILE)
}

impl Authority {
    /// Makes one that is kept nowhere.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn make(now: Timestamp) -> Result<Self, NodeError> {
        let step = "make an authority";
        let pair = KeyPair::generate().map_err(broken(step))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&format!("Chapterhouse authority {}", node_of(&pair).short()));
        good_between(&mut params, now.plus_millis(-BACKDATED_MS), now.plus_millis(AUTHORITY_LIFE_MS));
        params.serial_number = Some(draw::serial().to_vec().into());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&pair).map_err(broken(step))?;
        let certificate_pem = certificate.pem();
        Ok(Self { certificate: certificate.der().clone(), certificate_pem, key_pem: pair.serialize_pem() })
    }

    /// The authority of a directory, which is made if there is none.
    pub(crate) fn open_or_make(directory: &Path, unlock: &Path) -> Result<Self, NodeError> {
        if directory.join(CERTIFICATE_FILE).exists() {
            return Self::open(directory, unlock);
        }
        let made = Self::make(draw::now())?;
        made.keep(directory, unlock)?;
        Ok(made)
    }

    /// Opens the authority of a directory by its key file.
    ///
    /// # Errors
    /// When one of its files is not there, or the key file is another one's.
    pub fn open(directory: &Path, unlock: &Path) -> Result<Self, NodeError> {
        let not_there = |path: &Path| NodeError::NoAuthority(path.to_owned());
        let certificate_pem = certificate_in(directory)?;
        let path = directory.join(SEALED_FILE);
        let sealed = read_if_there(&path)?.ok_or_else(|| not_there(&path))?;
        let secret = read_unlock(unlock)?.ok_or_else(|| not_there(unlock))?;
        let key_pem = opened(Purpose::AtRest, &secret, &sealed, &path)?;
        Self::from_parts(certificate_pem, key_pem)
    }

    /// From both halves as text, which have to belong together.
    fn from_parts(certificate_pem: String, key_pem: String) -> Result<Self, NodeError> {
        let certificate = read_pem(&certificate_pem)?;
        let made = Self { certificate, certificate_pem, key_pem };
        let together = pin_of(&made.certificate)? == made.pin()?;
        let apart =
            || NodeError::Damaged(format!("{SEALED_FILE} is not the key of {CERTIFICATE_FILE}: copy both again"));
        together.then_some(made).ok_or_else(apart)
    }

    /// Writes it into a directory, encrypted. A key file that is there is used as it is.
    fn keep(&self, directory: &Path, unlock: &Path) -> Result<(), NodeError> {
        let secret = match read_unlock(unlock)? {
            Some(secret) => secret,
            None => {
                let drawn = draw::unlock();
                write_private(unlock, format!("{}\n", Digest(drawn)).as_bytes())?;
                drawn
            }
        };
        let path = directory.join(SEALED_FILE);
        let sealed = seal(Purpose::AtRest, &secret, &draw::salt(), self.key_pem.as_bytes());
        write_private(&path, &sealed.map_err(failed("write", &path))?)?;
        write_private(&directory.join(CERTIFICATE_FILE), self.certificate_pem.as_bytes())
    }

    /// Its certificate.
    pub(crate) const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// By what children know it: the SHA-256 of its public key.
    ///
    /// # Errors
    /// When its key can't be read.
    pub fn pin(&self) -> Result<Digest, NodeError> {
        Ok(Digest(node_of(&self.pair()?).0))
    }

    fn pair(&self) -> Result<KeyPair, NodeError> {
        KeyPair::from_pem(&self.key_pem).map_err(broken("read the authority's key"))
    }

    /// Issues the hub's own certificate, which goes by the one name that children ask for.
    pub(crate) fn certify_hub(&self, key: &NodeKey, now: Timestamp) -> Result<Issued, NodeError> {
        let until = now.plus_millis(CERTIFICATE_LIFE_MS);
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        self.issue(&key.pair()?, (vec![HUB_NAME.to_owned()], usage), now.plus_millis(-BACKDATED_MS), until)
    }

    /// Issues a child's certificate for the key of a request, from now on.
    pub(crate) fn certify_now(&self, request: &[u8], now: Timestamp) -> Result<Issued, NodeError> {
        self.certify(request, now.plus_millis(-BACKDATED_MS), now.plus_millis(CERTIFICATE_LIFE_MS))
    }

    /// Issues a child's certificate for the key that a request (PKCS#10, DER) is signed by. What else it says is left out.
    ///
    /// # Errors
    /// When it is no request, or not signed by its own key.
    pub fn certify(&self, request: &[u8], from: Timestamp, until: Timestamp) -> Result<Issued, NodeError> {
        let unfit = || NodeError::Refused("this is no request for a certificate of a key of the right kind".to_owned());
        let request = CertificateSigningRequestDer::from(request);
        let read = CertificateSigningRequestParams::from_der(&request).map_err(|_| unfit())?;
        if PublicKeyData::algorithm(&read.public_key) != &PKCS_ECDSA_P256_SHA256 {
            return Err(unfit());
        }
        self.issue(&read.public_key, (Vec::new(), ExtendedKeyUsagePurpose::ClientAuth), from, until)
    }

    fn issue(
        &self,
        key: &impl PublicKeyData,
        (names, usage): (Vec<String>, ExtendedKeyUsagePurpose),
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Issued, NodeError> {
        let step = "issue a certificate";
        let (node, serial) = (node_of(key), draw::serial().to_vec());
        let mut params = CertificateParams::new(names).map_err(broken(step))?;
        params.distinguished_name = named(&format!("Chapterhouse node {}", node.short()));
        good_between(&mut params, from, until);
        params.serial_number = Some(serial.clone().into());
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let issuer = Issuer::from_ca_cert_der(&self.certificate, self.pair()?).map_err(broken(step))?;
        let certificate = params.signed_by(key, &issuer).map_err(broken(step))?;
        let expires = Timestamp::from_millis(until.as_millis() / 1000 * 1000);
        Ok(Issued { node, certificate: certificate.der().to_vec(), serial, expires })
    }
}

/// By what children know the authority of a directory. Its private key is not needed for that.
pub(crate) fn pin_in(directory: &Path) -> Result<Digest, NodeError> {
    pin_of(&read_pem(&certificate_in(directory)?)?)
}

fn pin_of(certificate: &CertificateDer<'_>) -> Result<Digest, NodeError> {
    read_certificate(certificate).map(|shown| Digest(shown.node.0)).ok_or_else(no_certificate)
}

fn no_certificate() -> NodeError {
    NodeError::Damaged(format!("{CERTIFICATE_FILE} is no certificate: copy it again"))
}

/// A name for people who look at a certificate.
pub(crate) fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// To the second, as certificates have it.
pub(crate) fn good_between(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let seconds = |at: Timestamp| Duration::from_secs(u64::try_from(at.as_millis() / 1000).unwrap_or(0));
    params.not_before = date_time_ymd(1970, 1, 1) + seconds(from);
    params.not_after = date_time_ymd(1970, 1, 1) + seconds(until);
}

fn read_pem(pem: &str) -> Result<CertificateDer<'static>, NodeError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| no_certificate())
}

fn certificate_in(directory: &Path) -> Result<String, NodeError> {
    let path = directory.join(CERTIFICATE_FILE);
    let bytes = read_if_there(&path)?.ok_or(NodeError::NoAuthority(path))?;
    String::from_utf8(bytes).map_err(|_| no_certificate())
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, NodeError> {
    if path.exists() { fs::read(path).map(Some).map_err(failed("read", path)) } else { Ok(None) }
}

/// The key file: 64 hexadecimal digits.
fn read_unlock(path: &Path) -> Result<Option<[u8; 32]>, NodeError> {
    let Some(bytes) = read_if_there(path)? else { return Ok(None) };
    let read = String::from_utf8(bytes).ok().and_then(|text| text.trim().parse::<Digest>().ok());
    let unfit = || NodeError::Refused(format!("{} is not the key file of a hub's authority", path.display()));
    Ok(Some(read.ok_or_else(unfit)?.0))
}

fn opened(purpose: Purpose, secret: &[u8], sealed: &[u8], path: &Path) -> Result<String, NodeError> {
    let shown = path.display();
    let at_rest = purpose == Purpose::AtRest;
    let plain = open(purpose, secret, sealed).map_err(|error| match error {
        CantOpen::NotSealed => NodeError::Refused(format!("{shown} is not what `hub-node` wrote")),
        CantOpen::Newer => {
            NodeError::Refused(format!("{shown} was made by a newer version: install that version here first"))
        }
        CantOpen::WrongPassphrase if at_rest => {
            NodeError::Refused(format!("the key file does not open {shown}: it is another hub's"))
        }
        CantOpen::WrongPassphrase => NodeError::Refused(format!("this passphrase does not open {shown}")),
        CantOpen::Cut => NodeError::Damaged(format!("{shown} was cut off or changed: copy it again")),
        CantOpen::Unreadable(error) => failed("read", path)(error),
    })?;
    String::from_utf8(plain).map_err(|_| NodeError::Damaged(format!("{shown} was cut off or changed: copy it again")))
}

/// What a hub needs beside a backup of its database, to be the same hub again.
#[derive(Serialize, Deserialize)]
struct Kept {
    certificate: String,
    key: String,
    node_key: String,
}

/// Writes the keys of a hub into a new file, which only the passphrase opens: the authority and the hub's own.
///
/// # Errors
/// When one of them can't be read, or the file is there already or can't be written.
pub fn back_up_keys(
    directory: &Path,
    unlock: &Path,
    file: &Path,
    passphrase: Option<Passphrase>,
) -> Result<Passphrase, NodeError> {
    if file.exists() {
        return Err(NodeError::Refused(format!("{} is there already: name another file", file.display())));
    }
    let authority = Authority::open(directory, unlock)?;
    let key = NodeKey::open(directory)?.ok_or_else(|| NodeError::NoKey(directory.join(KEY_FILE)))?;
    let kept = Kept { certificate: authority.certificate_pem, key: authority.key_pem, node_key: key.pem().to_owned() };
    let text = serde_json::to_vec(&kept).map_err(|error| NodeError::Refused(error.to_string()))?;
    let passphrase = passphrase.unwrap_or_else(draw::passphrase);
    let sealed = seal(Purpose::Backup, passphrase.bytes(), &draw::salt(), &text);
    write_private(file, &sealed.map_err(failed("write", file))?)?;
    Ok(passphrase)
}

/// Puts the keys of a hub back into its directory; gives by what children know its authority. Keys that are there stay.
///
/// # Errors
/// When the file can't be opened, or another authority or another hub's key is there: nothing was changed then.
pub fn put_back_keys(
    directory: &Path,
    unlock: &Path,
    file: &Path,
    passphrase: &Passphrase,
) -> Result<Digest, NodeError> {
    let sealed = fs::read(file).map_err(failed("read", file))?;
    let text = opened(Purpose::Backup, passphrase.bytes(), &sealed, file)?;
    let unreadable = |_| NodeError::Damaged(format!("{} holds no keys of a hub", file.display()));
    let kept: Kept = serde_json::from_str(&text).map_err(unreadable)?;
    let authority = Authority::from_parts(kept.certificate, kept.key)?;
    let (pin, key) = (authority.pin()?, NodeKey::from_pem(kept.node_key)?);
    let other = |what: &str| {
        let words = format!("{} holds another hub's {what}: name another directory", directory.display());
        NodeError::Refused(words)
    };
    if directory.join(CERTIFICATE_FILE).exists() && pin_in(directory)? != pin {
        return Err(other("authority"));
    }
    let there = NodeKey::open(directory)?;
    if there.as_ref().is_some_and(|there| there.id() != key.id()) {
        return Err(other("key"));
    }
    private_directory(directory)?;
    if there.is_none() {
        key.keep(directory)?;
    }
    authority.keep(directory, unlock)?;
    Ok(pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_359_311_123);

    #[test]
    fn a_certificate_names_the_key_that_asked_and_nothing_that_it_said() {
        let (authority, key) = (Authority::make(NOW).unwrap(), NodeKey::draw().unwrap());
        let issued = authority.certify_now(&key.request().unwrap(), NOW).unwrap();
        let shown = read_certificate(&issued.certificate).unwrap();
        assert_eq!((issued.node, shown.node), (key.id(), key.id()));
        assert_eq!(shown.expires, issued.expires);
        assert_eq!(issued.expires.since(NOW) / 1000, CERTIFICATE_LIFE_MS / 1000 - 1, "to the second");
        let again = authority.certify_now(&key.request().unwrap(), NOW).unwrap();
        assert_ne!(again.serial, issued.serial);
        let mut forged = key.request().unwrap();
        let last = forged.len() - 5;
        forged[last] ^= 1;
        assert!(authority.certify_now(&forged, NOW).is_err(), "it is signed by its own key");
        assert!(authority.certify_now(b"please", NOW).is_err());
    }

    #[test]
    fn the_private_key_is_encrypted_and_opens_by_its_key_file_alone() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let (path, unlock) = (directory.path(), elsewhere.path().join("key"));
        let made = Authority::open_or_make(path, &unlock).unwrap();
        let opened = Authority::open_or_make(path, &unlock).unwrap();
        assert_eq!(opened.pin().unwrap(), made.pin().unwrap());
        assert_eq!(pin_in(path).unwrap(), made.pin().unwrap());
        for entry in fs::read_dir(path).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(11).any(|window| window == b"PRIVATE KEY"));
        }
        fs::write(&unlock, format!("{}\n", Digest([7; 32]))).unwrap();
        assert!(matches!(Authority::open(path, &unlock), Err(NodeError::Refused(_))));
        fs::write(&unlock, "?").unwrap();
        assert!(matches!(Authority::open(path, &unlock), Err(NodeError::Refused(_))));
        fs::remove_file(&unlock).unwrap();
        assert!(matches!(Authority::open(path, &unlock), Err(NodeError::NoAuthority(_))));
    }

    #[test]
    fn keys_that_were_backed_up_make_the_same_hub_and_never_another_one() {
        let [old, new, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let file = old.path().join("keys.backup");
        let made = Authority::open_or_make(old.path(), &unlock_file(old.path())).unwrap();
        let key = NodeKey::open_or_draw(old.path()).unwrap();
        let passphrase = back_up_keys(old.path(), &unlock_file(old.path()), &file, None).unwrap();
        assert!(back_up_keys(old.path(), &unlock_file(old.path()), &file, None).is_err(), "never written over");
        let pin = put_back_keys(new.path(), &unlock_file(new.path()), &file, &passphrase).unwrap();
        let opened = Authority::open(new.path(), &unlock_file(new.path())).unwrap();
        assert_eq!((pin, opened.pin().unwrap()), (made.pin().unwrap(), pin));
        assert_eq!(NodeKey::open(new.path()).unwrap().unwrap().id(), key.id());
        put_back_keys(new.path(), &unlock_file(new.path()), &file, &passphrase).unwrap();
        NodeKey::open_or_draw(other.path()).unwrap();
        assert!(put_back_keys(other.path(), &unlock_file(other.path()), &file, &passphrase).is_err(), "another hub's");
        assert!(!other.path().join(CERTIFICATE_FILE).exists());
    }
}
