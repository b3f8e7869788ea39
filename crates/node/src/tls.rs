//! TLS between two nodes: 1.3 only, and what either end makes of the other's certificate.
//!
//! **Invariants:** a child talks to whoever holds a key that an authority of its pins has signed for the one name of a hub,
//! wherever that is; a hub takes any certificate that its own authority has signed, also one that has ended, for what that
//! one may still do is asked at each call. A certificate says whose key it is and until when, and nothing else.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use model::{Digest, NodeId, Timestamp};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use sha2::{Digest as _, Sha256};

use crate::NodeError;
use crate::keys::NodeKey;

/// The name in every hub's certificate. Which hub it is, the pin says; host names and addresses come and go.
pub(crate) const HUB_NAME: &str = "hub.chapterhouse.internal";
/// What both ends speak inside.
const ALPN: &[u8] = b"h2";
/// What is spoken with browsers.
const HTTP_ALPN: &[u8] = b"http/1.1";
/// What a child is told that met somebody else.
const NOT_THE_HUB: &str = "whoever answers there is not the hub that this node was invited to: its key is another one";

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// What a certificate says that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The SHA-256 of the key that it names.
    pub(crate) node: NodeId,
    /// When it begins.
    pub(crate) begins: Timestamp,
    /// When it ends.
    pub(crate) expires: Timestamp,
}

impl Shown {
    /// The moment nearest to `now` at which the certificate is good.
    fn within(&self, now: UnixTime) -> UnixTime {
        let seconds = |at: Timestamp| u64::try_from(at.as_millis() / 1000).unwrap_or(0);
        let nearest = now.as_secs().max(seconds(self.begins)).min(seconds(self.expires));
        UnixTime::since_unix_epoch(Duration::from_secs(nearest))
    }
}

/// Reads a certificate. Nothing in it is true before its signature was checked.
pub(crate) fn read_certificate(der: &[u8]) -> Option<Shown> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let at = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
    Some(Shown {
        node: NodeId(Sha256::digest(certificate.public_key().raw).into()),
        begins: at(certificate.validity().not_before.timestamp()),
        expires: at(certificate.validity().not_after.timestamp()),
    })
}

/// The name that a child asks for.
pub(crate) fn hub_name() -> Result<ServerName<'static>, NodeError> {
    ServerName::try_from(HUB_NAME).map_err(|error| NodeError::Crypto("name a hub", error.to_string()))
}

fn broken<E: std::fmt::Display>(step: &'static str) -> impl Fn(E) -> NodeError {
    move |error| NodeError::Crypto(step, error.to_string())
}

/// What a hub answers handshakes with: its certificate with its authority's, and whom it takes.
pub(crate) fn server(
    certificate: Vec<u8>,
    key: &NodeKey,
    authority: &CertificateDer<'static>,
) -> Result<Arc<ServerConfig>, NodeError> {
    let step = "prepare for handshakes";
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(broken(step))?;
    let known = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&PROVIDER));
    let known = known.allow_unauthenticated().build().map_err(broken(step))?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(broken(step))?
        .with_client_cert_verifier(Arc::new(AnyOfOurs(known)))
        .with_single_cert(vec![CertificateDer::from(certificate), authority.clone()], key.for_tls()?)
        .map_err(broken(step))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A link is opened once and stays: what a resumption would save is not worth a ticket that outlives a revocation.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// What browsers are answered with. They are known by their logins.
pub(crate) fn pages(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, NodeError> {
    let step = "prepare for handshakes";
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(broken(step))?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(broken(step))?;
    config.alpn_protocols = vec![HTTP_ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// What a child begins handshakes with: by what it knows its hub, and the certificate that it shows, if it has one.
pub(crate) fn client(pins: &[Digest], me: Option<(&NodeKey, &[u8])>) -> Result<Arc<ClientConfig>, NodeError> {
    let step = "prepare for a handshake";
    let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(broken(step))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(pins.to_vec())));
    let mut config = match me {
        None => builder.with_no_client_auth(),
        Some((key, certificate)) => {
            let chain = vec![CertificateDer::from(certificate.to_vec())];
            builder.with_client_auth_cert(chain, key.for_tls()?).map_err(broken(step))?
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    // The name is every hub's: it tells who listens on the line nothing that would help the hub.
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// What this end itself has against the other, if that is why a handshake failed.
pub(crate) fn objection(error: &io::Error) -> Option<String> {
    let met = error.get_ref()?.downcast_ref::<Error>()?;
    if let Error::General(words) = met { Some(words.clone()) } else { None }
}

fn not_1_2() -> Error {
    Error::General("only TLS 1.3 is spoken between nodes".to_owned())
}

/// Takes a hub by the key of its authority.
#[derive(Debug)]
struct Pinned(Vec<Digest>);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let not_the_hub = || Error::General(NOT_THE_HUB.to_owned());
        let pinned = |shown: Shown| self.0.contains(&Digest(shown.node.0));
        let authority = intermediates.iter().find(|shown| read_certificate(shown).is_some_and(pinned));
        let mut roots = RootCertStore::empty();
        roots.add(authority.ok_or_else(not_the_hub)?.clone())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&PROVIDER));
        let verifier = verifier.build().map_err(|error| Error::General(error.to_string()))?;
        let good = |at| verifier.verify_server_cert(end_entity, &[], server_name, ocsp_response, at);
        if let Ok(verified) = good(now) {
            return Ok(verified);
        }
        let shown = read_certificate(end_entity).ok_or_else(not_the_hub)?;
        good(shown.within(now)).map_err(|_| not_the_hub())?;
        let clock = Timestamp::from_millis(i64::try_from(now.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000));
        Err(Error::General(format!(
            "this machine's clock says {}, but the hub's certificate is good from {} to {}: set the clock. If the clock is \
             right, the hub has to be started again",
            clock.for_people(),
            shown.begins.for_people(),
            shown.expires.for_people()
        )))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(not_1_2())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

/// Takes whoever shows a certificate of this hub's authority, and whoever shows none.
#[derive(Debug)]
struct AnyOfOurs(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AnyOfOurs {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A child has one certificate: it needs no hint which to show.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let shown = read_certificate(end_entity).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        self.0.verify_client_cert(end_entity, intermediates, shown.within(now))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(not_1_2())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{Authority, CERTIFICATE_LIFE_MS};

    const NOW: Timestamp = Timestamp::from_millis(1_795_359_311_000);

    /// What a child with these pins makes of a hub's certificate at some moment.
    fn met(pins: &[Digest], leaf: &[u8], authority: &Authority, at: Timestamp) -> Result<(), String> {
        let now = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(at.as_millis()).unwrap()));
        let chain = [authority.certificate().clone()];
        let leaf = CertificateDer::from(leaf.to_vec());
        let verified = Pinned(pins.to_vec()).verify_server_cert(&leaf, &chain, &hub_name().unwrap(), &[], now);
        verified.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_hub_is_known_by_its_authority_alone_and_a_wrong_clock_is_said() {
        let (ours, other) = (Authority::make(NOW).unwrap(), Authority::make(NOW).unwrap());
        let (key, pin) = (NodeKey::draw().unwrap(), ours.pin().unwrap());
        let leaf = ours.certify_hub(&key, NOW).unwrap().certificate;
        met(&[Digest([7; 32]), pin], &leaf, &ours, NOW).unwrap();
        let stranger = met(&[pin], &other.certify_hub(&key, NOW).unwrap().certificate, &other, NOW).unwrap_err();
        assert!(stranger.contains("not the hub"), "{stranger}");
        // It shows the right authority, which never signed for it.
        let forged = met(&[pin], &other.certify_hub(&key, NOW).unwrap().certificate, &ours, NOW).unwrap_err();
        assert!(forged.contains("not the hub"), "{forged}");
        // A child's certificate of the right authority is not a hub's.
        let child = ours.certify_now(&key.request().unwrap(), NOW).unwrap().certificate;
        assert!(met(&[pin], &child, &ours, NOW).is_err());
        for wrong in [NOW.plus_millis(2 * CERTIFICATE_LIFE_MS), NOW.plus_millis(-CERTIFICATE_LIFE_MS)] {
            let words = met(&[pin], &leaf, &ours, wrong).unwrap_err();
            assert!(words.contains("clock"), "{words}");
        }
    }

    #[test]
    fn a_hub_takes_what_its_authority_signed_whenever_that_ended() {
        let (ours, other) = (Authority::make(NOW).unwrap(), Authority::make(NOW).unwrap());
        let key = NodeKey::draw().unwrap();
        let request = key.request().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(ours.certificate().clone()).unwrap();
        let known = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&PROVIDER));
        let taken = AnyOfOurs(known.allow_unauthenticated().build().unwrap());
        let now = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(NOW.as_millis()).unwrap()));
        let takes = |issued: Vec<u8>| taken.verify_client_cert(&CertificateDer::from(issued), &[], now).is_ok();
        let ended = ours.certify(&request, NOW.plus_millis(-2 * CERTIFICATE_LIFE_MS), NOW.plus_millis(-1000)).unwrap();
        assert!(takes(ended.certificate) && takes(ours.certify_now(&request, NOW).unwrap().certificate));
        assert!(!takes(other.certify_now(&request, NOW).unwrap().certificate), "of another authority");
        assert!(!takes(ours.certify_hub(&key, NOW).unwrap().certificate), "a hub's is not a child's");
    }
}
