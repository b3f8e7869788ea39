//! Dialling the parent: our own connector, so that TLS and simulation fit in.
//!
//! **Invariant:** nothing is said to whoever answers before it has shown a key that an authority of the link's pins signed.

use std::io;
use std::time::Duration;

use engine::{FRAME_BYTES_MAX, LinkState};
use hyper_util::rt::TokioIo;
use model::{Digest, NodeId};
use store::{LinkRow, LinkStanding, ParentAt};
use tokio::sync::{Notify, mpsc, watch};
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::backoff::Backoff;
use crate::connect::Connector;
use crate::driver::{Ended, blocking, drive, note_standing, status_ended};
use crate::keys::NodeKey;
use crate::tls;
use crate::wire::sync::sync_client::SyncClient;
use crate::{ErrorKind, Node, NodeError, renew};

/// How long is waited for the last word of a parent whose line has gone, and for what it asks for, as a new certificate.
const LAST_WORD: Duration = Duration::from_secs(3);
/// How long a connection may take to open, its handshake included.
const CONNECT: Duration = Duration::from_secs(10);
/// Frames that wait for the stream: more than the window holds batches and acks.
pub(crate) const FRAMES_WAITING: usize = 256;
/// Frames that came and wait for the driver.
const FRAMES_HEARD: usize = 4;
/// A message is a frame with its envelope.
pub(crate) const MESSAGE_BYTES_MAX: usize = FRAME_BYTES_MAX + 64 * 1024;

/// What this node shows to its parent.
pub(crate) type Me<'a> = Option<(&'a NodeKey, &'a [u8])>;

/// A hub that was reached, and is whom it has to be.
pub(crate) struct Dialled {
    pub(crate) channel: Channel,
    /// The SHA-256 of its key.
    pub(crate) hub: NodeId,
    /// Where it was.
    pub(crate) address: String,
}

/// Dials one address after the other, until whoever answers has shown a key that an authority of the pins signed.
pub(crate) async fn dial(at: &ParentAt, me: Me<'_>, connector: &Connector) -> Result<Dialled, NodeError> {
    let mut failed = None;
    for address in &at.addresses {
        // Where it is, the connector knows; this stands in the heads of calls.
        let endpoint = Endpoint::from_static("http://hub.chapterhouse.internal");
        match dial_one(endpoint, address, (&at.pins, me), connector).await {
            Ok(dialled) => return Ok(dialled),
            // That somebody else answers is worth more than that nobody does.
            Err(error) if failed.is_none() || error.kind() == ErrorKind::Refused => failed = Some(error),
            Err(_) => {}
        }
    }
    Err(failed.unwrap_or_else(|| NodeError::Refused("this node knows no address of its parent".to_owned())))
}

async fn dial_one(
    endpoint: Endpoint,
    address: &str,
    (pins, me): (&[Digest], Me<'_>),
    connector: &Connector,
) -> Result<Dialled, NodeError> {
    let unreachable = |words: &str| NodeError::Unreachable(address.to_owned(), words.to_owned());
    let (secure, name) = (TlsConnector::from(tls::client(pins, me)?), tls::hub_name()?);
    let opening = async {
        let socket = connector.connect(address.to_owned()).await.map_err(|_| unreachable("nobody answers there"))?;
        let shaken = secure.connect(name, socket).await;
        shaken.map_err(|error| match tls::objection(&error) {
            Some(words) => NodeError::Refused(format!("{address}: {words}")),
            None => unreachable("the connection could not be made safe"),
        })
    };
    let late = |_| unreachable("no answer in time");
    let stream = tokio::time::timeout(CONNECT, opening).await.map_err(late)??;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| tls::read_certificate(chain.first()?));
    let hub = shown.ok_or_else(|| unreachable("the connection could not be made safe"))?.node;
    let mut once = Some(connector.inside(stream));
    let connector = tower::service_fn(move |_: Uri| {
        let socket = once.take().ok_or_else(|| io::Error::other("the connection is over"));
        async move { socket.map(TokioIo::new) }
    });
    let channel = endpoint.connect_with_connector(connector).await;
    let channel = channel.map_err(|_| unreachable("the connection broke off"))?;
    Ok(Dialled { channel, hub, address: address.to_owned() })
}

/// A channel to a hub as a node opens it, for peers that speak for themselves.
///
/// # Errors
/// When nobody answers there, or somebody else.
#[doc(hidden)]
pub async fn channel_to(
    endpoint: Endpoint,
    address: &str,
    pins: &[Digest],
    me: Option<(&NodeKey, &[u8])>,
) -> Result<(Channel, NodeId), NodeError> {
    let dialled = dial_one(endpoint, address, (pins, me), &Connector::tcp()).await?;
    Ok((dialled.channel, dialled.hub))
}

/// Opens the stream to the parent and drives it until it ends.
pub(crate) async fn exchange(
    node: &Node,
    link: &LinkRow,
    state: &watch::Sender<Option<LinkState>>,
    stop: CancellationToken,
) -> Ended {
    let dialling = async {
        renew::before_an_exchange(node, link).await?;
        let (key, certificate) = renew::shown(node, link.id).await?;
        dial(&link.parent, Some((&key, certificate.as_slice())), node.connector()).await
    };
    let dialled = tokio::select! {
        () = stop.cancelled() => return Ended::Stopped,
        dialled = dialling => dialled,
    };
    let channel = match dialled {
        Ok(dialled) => dialled.channel,
        Err(error) => return Ended::from(error),
    };
    let mut client = SyncClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let (outgoing, frames) = mpsc::channel(FRAMES_WAITING);
    let request = tonic::Request::new(ReceiverStream::new(frames));
    let (heard, incoming) = mpsc::channel(FRAMES_HEARD);
    let over = Notify::new();
    // The hello goes with the call, not after its answer: one round trip less.
    let call = async {
        let mut frames = match tokio::time::timeout(CONNECT, client.exchange(request)).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return renew::unless_ended(node, link, &status).await,
            Err(_) => return Ended::Broken("no answer in time".to_owned()),
        };
        note_standing(node, link, LinkStanding::Connected, "");
        while let Some(frame) = frames.next().await {
            let word = frame.as_ref().err().map(status_ended);
            if heard.send(frame).await.is_err() {
                if let Some(word) = word {
                    return word;
                }
                break;
            }
        }
        drop(heard);
        over.notify_one();
        std::future::pending().await
    };
    tokio::pin!(call);
    let ended = tokio::select! {
        ended = drive(node, link, ReceiverStream::new(incoming), outgoing, state, stop.clone()) => ended,
        ended = &mut call => return ended,
        never = renew::keep_fresh(node) => match never {},
    };
    // A line that goes may go before the parent's last word on it is heard.
    let Ended::Broken(_) = ended else { return ended };
    tokio::select! {
        word = call => word,
        () = over.notified() => ended,
        () = tokio::time::sleep(LAST_WORD) => ended,
    }
}

/// Keeps the link to the parent until told to stop.
pub(crate) async fn keep(node: Node, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let (state, _) = watch::channel(None);
    while !stop.is_cancelled() {
        let reading = node.clone();
        let link = match blocking(move || reading.read(|read| read.parent())).await {
            Ok(Some(link)) => link,
            Ok(None) => {
                // A hub may join another one while it serves.
                let mut changes = node.changes();
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = changes.changed() => continue,
                }
            }
            Err(error) => {
                tracing::error!(%error, "the link to the parent can't be read");
                tokio::time::sleep(backoff.next(rand::random())).await;
                continue;
            }
        };
        state.send_replace(None);
        let reading = node.clone();
        let wanted = blocking(move || reading.read(|read| read.exchanges_wanted())).await.unwrap_or(0);
        let ended = tokio::select! {
            ended = exchange(&node, &link, &state, stop.clone()) => ended,
            () = asked_again(&node, wanted) => {
                backoff.reset();
                continue;
            }
        };
        if *state.borrow() == Some(LinkState::InStep) {
            backoff.reset();
        }
        let (standing, words) = match ended {
            Ended::Stopped => (LinkStanding::Offline, String::new()),
            Ended::Broken(words) | Ended::Garbled(words) | Ended::Anew(words) => (LinkStanding::Offline, words),
            Ended::Refused(words) => (LinkStanding::Refused, words),
            Ended::Failed(error) => (LinkStanding::Offline, error.to_string()),
        };
        note_standing(&node, &link, standing, &words);
        let wait = backoff.next(rand::random());
        tracing::info!(
            reason = words,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "the link to the parent is down"
        );
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = asked_again(&node, wanted) => {}
        }
    }
}

/// Waits until another exchange at once is asked for.
async fn asked_again(node: &Node, wanted: u64) {
    let mut changes = node.changes();
    loop {
        let reading = node.clone();
        match blocking(move || reading.read(|read| read.exchanges_wanted())).await {
            Ok(now) if now != wanted => return,
            Ok(_) | Err(_) => {}
        }
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
