//! A certificate is renewed long before it ends, by itself; and one that has ended, when its node comes back.
//!
//! **Invariant:** a node that was away for any time needs no new invitation: a certificate that has ended may call Renew, and
//! nothing else. An open link does not notice.

use std::convert::Infallible;
use std::time::Duration;

use store::{LinkCertificate, LinkId, LinkRow};
use tonic::{Code, Status};

use crate::authority::CERTIFICATE_LIFE_MS;
use crate::dial::dial;
use crate::driver::{Ended, blocking, status_ended};
use crate::enrol::{answer, unreadable};
use crate::keys::NodeKey;
use crate::tls::read_certificate;
use crate::wire::enrolment::RenewRequest;
use crate::wire::enrolment::enrolment_client::EnrolmentClient;
use crate::{Node, NodeError, Priority, draw};

/// What is left of a certificate's life when it is renewed, in ms: a third, so that a hub may be away for a month.
pub(crate) const RENEWED_AT_MS: i64 = CERTIFICATE_LIFE_MS / 3;
/// How often a node looks at its clock for that. Machines sleep: a timer for weeks would be late.
pub(crate) const LOOK: Duration = Duration::from_secs(3600);

/// How long the link's certificate is good still, in ms; less than nothing: it has ended.
fn left_ms(link: &LinkRow) -> i64 {
    link.expires.map_or(0, |expires| expires.since(draw::now()))
}

/// The key and the certificate that this node shows on a link to its parent.
pub(crate) async fn shown(node: &Node, link: LinkId) -> Result<(NodeKey, Vec<u8>), NodeError> {
    let reading = node.clone();
    blocking(move || {
        let missing =
            || NodeError::Refused("this node has no certificate: join again, with a new invitation".to_owned());
        let certificate = reading.read(|read| read.link_certificate(link))?.ok_or_else(missing)?;
        Ok((reading.key()?, certificate))
    })
    .await
}

/// Renews the certificate if it is time. Only if it has ended already does a failure stand in the way.
pub(crate) async fn before_an_exchange(node: &Node, link: &LinkRow) -> Result<(), NodeError> {
    let left = left_ms(link);
    if left > RENEWED_AT_MS {
        return Ok(());
    }
    match renew(node, link).await {
        Err(error) if left > 0 => {
            tracing::warn!(%error, "the certificate could not be renewed yet; it is tried again");
            Ok(())
        }
        done => done,
    }
}

/// How a call ended. The parent may know better than this machine's clock that the certificate has ended: then it is renewed.
pub(crate) async fn unless_ended(node: &Node, link: &LinkRow, status: &Status) -> Ended {
    if status.code() != Code::Unauthenticated {
        return status_ended(status);
    }
    match renew(node, link).await {
        Ok(()) => Ended::Anew("the certificate had ended and was renewed".to_owned()),
        Err(error) => Ended::from(error),
    }
}

/// Renews the certificate whenever it is time, beside a link that is open. Never ends.
pub(crate) async fn keep_fresh(node: &Node) -> Infallible {
    loop {
        tokio::time::sleep(LOOK).await;
        let reading = node.clone();
        match blocking(move || reading.read(|read| read.parent())).await {
            Ok(Some(link)) => {
                if let Err(error) = before_an_exchange(node, &link).await {
                    tracing::warn!(%error, "the certificate has ended and could not be renewed; it is tried again");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the link to the parent can't be read"),
        }
    }
}

/// Asks for a new certificate of the same key, by the one that there is.
async fn renew(node: &Node, link: &LinkRow) -> Result<(), NodeError> {
    let (key, certificate) = shown(node, link.id).await?;
    let dialled = dial(&link.parent, Some((&key, certificate.as_slice())), node.connector()).await?;
    let mut client = EnrolmentClient::new(dialled.channel);
    let reply = answer(&dialled.address, client.renew(RenewRequest { request: key.request()? })).await?;
    let named = read_certificate(&reply.certificate).filter(|named| named.node == key.id());
    let (bytes, expires) = (reply.certificate, named.ok_or_else(unreadable)?.expires);
    let (id, writing) = (link.id, node.clone());
    let certificate = LinkCertificate { bytes, expires };
    blocking(move || writing.write(Priority::Interactive, move |tx| tx.renewed(id, &certificate))).await?;
    tracing::info!(until = %expires, "the certificate was renewed");
    Ok(())
}
