//! This node's key: P-256, in a file beside the database.
//!
//! **Invariants:** the key is on disk before there is a database, and never in one, so that a backup does not hold it. The
//! node's id is the SHA-256 of its public half.

use std::fs;
use std::path::Path;

use model::NodeId;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};

use crate::files::{failed, write_private};
use crate::{Node, NodeError};

/// The key's file in a node's directory: PEM, PKCS#8, mode 0600.
pub(crate) const KEY_FILE: &str = "node.key";

/// A step of cryptography that failed.
pub(crate) fn broken(step: &'static str) -> impl Fn(rcgen::Error) -> NodeError {
    move |error| NodeError::Crypto(step, error.to_string())
}

/// Whom a public key belongs to.
pub(crate) fn node_of(key: &impl PublicKeyData) -> NodeId {
    NodeId(Sha256::digest(key.subject_public_key_info()).into())
}

/// A node's key.
#[derive(Clone)]
pub struct NodeKey {
    pem: String,
    id: NodeId,
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeKey({})", self.id.short())
    }
}

impl NodeKey {
    /// A key that nobody has yet.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn draw() -> Result<Self, NodeError> {
        let pair = KeyPair::generate().map_err(broken("draw a key"))?;
        Ok(Self { pem: pair.serialize_pem(), id: node_of(&pair) })
    }

    /// Reads a key as text.
    pub(crate) fn from_pem(pem: String) -> Result<Self, NodeError> {
        let pair = KeyPair::from_pem(&pem).map_err(broken("read a key"))?;
        Ok(Self { id: node_of(&pair), pem })
    }

    /// The key in a directory, if there is one.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn open(directory: &Path) -> Result<Option<Self>, NodeError> {
        let path = directory.join(KEY_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let pem = fs::read_to_string(&path).map_err(failed("read", &path))?;
        let damaged = |_| NodeError::Damaged(format!("{} is no key: copy it again", path.display()));
        Self::from_pem(pem).map(Some).map_err(damaged)
    }

    /// The key in a directory, which is drawn if there is none.
    pub(crate) fn open_or_draw(directory: &Path) -> Result<Self, NodeError> {
        if let Some(key) = Self::open(directory)? {
            return Ok(key);
        }
        let key = Self::draw()?;
        key.keep(directory)?;
        Ok(key)
    }

    /// Writes it into a directory.
    pub(crate) fn keep(&self, directory: &Path) -> Result<(), NodeError> {
        write_private(&directory.join(KEY_FILE), self.pem.as_bytes())
    }

    /// Whose it is.
    pub const fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn pair(&self) -> Result<KeyPair, NodeError> {
        KeyPair::from_pem(&self.pem).map_err(broken("read a key"))
    }

    pub(crate) fn for_tls(&self) -> Result<PrivateKeyDer<'static>, NodeError> {
        Ok(PrivatePkcs8KeyDer::from(self.pair()?.serialize_der()).into())
    }

    /// Asks for a certificate (PKCS#10, DER), signed by this key. The names in it say nothing.
    ///
    /// # Errors
    /// When it can't be signed.
    pub fn request(&self) -> Result<Vec<u8>, NodeError> {
        let step = "ask for a certificate";
        let request = CertificateParams::default().serialize_request(&self.pair()?).map_err(broken(step))?;
        Ok(request.der().to_vec())
    }
}

impl Node {
    /// This node's key.
    ///
    /// # Errors
    /// When it is not in the directory, or is another node's.
    pub(crate) fn key(&self) -> Result<NodeKey, NodeError> {
        let key = NodeKey::open(self.directory())?;
        let key = key.ok_or_else(|| NodeError::NoKey(self.directory().join(KEY_FILE)))?;
        // The row, not what this process has read of it: another one may have joined anew.
        let id = self.read(|read| read.node())?.node_id;
        if key.id() == id { Ok(key) } else { Err(NodeError::OtherKey(self.directory().join(KEY_FILE))) }
    }

    /// Whether the key of this node's database is beside it.
    ///
    /// # Errors
    /// When it is not in the directory, or is another node's.
    pub fn has_its_key(&self) -> Result<(), NodeError> {
        self.key().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_drawn_once_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        assert!(NodeKey::open(directory.path()).unwrap().is_none());
        let drawn = NodeKey::open_or_draw(directory.path()).unwrap();
        let again = NodeKey::open_or_draw(directory.path()).unwrap();
        assert_eq!((again.id(), again.pem()), (drawn.id(), drawn.pem()));
        assert_ne!(NodeKey::draw().unwrap().id(), drawn.id());
        assert!(!format!("{drawn:?}").contains("PRIVATE"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(directory.path().join(KEY_FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(directory.path().join(KEY_FILE), "no key").unwrap();
        assert!(matches!(NodeKey::open(directory.path()), Err(NodeError::Damaged(_))));
    }
}
