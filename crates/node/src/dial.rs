//! Dialling the parent: our own connector, so that TLS and simulation fit in.

use std::time::Duration;

use engine::{FRAME_BYTES_MAX, LinkState};
use hyper_util::rt::TokioIo;
use store::{LinkRow, LinkStanding};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::backoff::Backoff;
use crate::connect::Connector;
use crate::driver::{Ended, blocking, drive, note_standing, status_ended};
use crate::wire::enrolment::enrolment_client::EnrolmentClient;
use crate::wire::sync::sync_client::SyncClient;
use crate::{Node, NodeError};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// Frames that wait for the stream: more than the window holds batches and acks.
pub(crate) const FRAMES_WAITING: usize = 256;
/// Frames that came and wait for the driver.
const FRAMES_HEARD: usize = 4;
/// A message is a frame with its envelope.
pub(crate) const MESSAGE_BYTES_MAX: usize = FRAME_BYTES_MAX + 64 * 1024;

/// The system's TCP.
pub(crate) fn tcp() -> Connector {
    Connector::new(|address: String| async move {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(stream)
    })
}

async fn channel(address: &str, connector: &Connector) -> Result<Channel, NodeError> {
    let unreachable = |error: &dyn std::fmt::Display| NodeError::Unreachable(address.to_owned(), error.to_string());
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| unreachable(&error))?;
    let connector = connector.clone();
    let connector = tower::service_fn(move |uri: Uri| {
        let connecting = connector.connect(uri.authority().map(ToString::to_string).unwrap_or_default());
        async move { connecting.await.map(TokioIo::new) }
    });
    let endpoint = endpoint.connect_timeout(CONNECT);
    match tokio::time::timeout(CONNECT, endpoint.connect_with_connector(connector)).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(_)) => Err(unreachable(&"nobody answers there")),
        Err(_) => Err(unreachable(&"no answer in time")),
    }
}

pub(crate) async fn enrolment(address: &str, connector: &Connector) -> Result<EnrolmentClient<Channel>, NodeError> {
    Ok(EnrolmentClient::new(channel(address, connector).await?))
}

/// Opens the stream to the parent and drives it until it ends.
pub(crate) async fn exchange(
    node: &Node,
    link: &LinkRow,
    state: &watch::Sender<Option<LinkState>>,
    stop: CancellationToken,
) -> Ended {
    let address = link.address.clone().unwrap_or_default();
    let dialled = tokio::select! {
        () = stop.cancelled() => return Ended::Stopped,
        dialled = channel(&address, node.connector()) => dialled,
    };
    let channel = match dialled {
        Ok(channel) => channel,
        Err(error) => return Ended::Broken(error.to_string()),
    };
    let mut client = SyncClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let (outgoing, frames) = mpsc::channel(FRAMES_WAITING);
    let mut request = tonic::Request::new(ReceiverStream::new(frames));
    let token: String = link.token.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
    match format!("Bearer {token}").parse() {
        Ok(value) => drop(request.metadata_mut().insert("authorization", value)),
        Err(_) => return Ended::Refused("the link's token can't be read".to_owned()),
    }
    let (heard, incoming) = mpsc::channel(FRAMES_HEARD);
    // The hello goes with the call, not after its answer: one round trip less.
    let call = async {
        let mut frames = match tokio::time::timeout(CONNECT, client.exchange(request)).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return status_ended(&status),
            Err(_) => return Ended::Broken("no answer in time".to_owned()),
        };
        note_standing(node, link, LinkStanding::Connected, "");
        while let Some(frame) = frames.next().await {
            if heard.send(frame).await.is_err() {
                break;
            }
        }
        drop(heard);
        std::future::pending().await
    };
    tokio::select! {
        ended = drive(node, link, ReceiverStream::new(incoming), outgoing, state, stop.clone()) => ended,
        ended = call => ended,
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
