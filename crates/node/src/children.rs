//! What children call, and the streams that are open to them.
//!
//! **Invariants:** authority is the row: each call looks up the key that the handshake has proved, and nothing else that is
//! shown or said decides who calls. Of each link only its newest stream lives. What is still to be sent to a child that was
//! revoked, or whose chapter left, is not sent.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use store::{LinkId, LinkRow, LinkStanding};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Extensions, Request, Response, Status, Streaming};

use crate::authority::Authority;
use crate::driver::{Ended, blocking, drive, note_standing};
use crate::incoming::{Caller, Secured};
use crate::tls::Shown;
use crate::wire::enrolment::enrolment_server::EnrolmentServer;
use crate::wire::sync as wire;
use crate::wire::sync::sync_server::{Sync, SyncServer};
use crate::{Node, NodeError, dial, draw};

/// The most calls at once over one connection: an exchange, an enrolment, and room for what comes.
const STREAMS_MAX: u32 = 8;
/// How often a connection that says nothing is asked whether it lives, and how long it has to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long is waited between two looks who is let in no more, however much is written: a tenth of what is promised.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The longest message of whoever joins, in bytes: a request for a certificate has some hundreds. Anybody may send one.
const ENROLMENT_BYTES_MAX: usize = 16 * 1024;

/// What a node is told that is in no row.
const NOT_ENROLLED: &str = "this node is not enrolled here: it needs an invitation";

/// Serves children on connections that came through their handshakes.
pub(crate) async fn accept<S>(children: Children, incoming: ReceiverStream<std::io::Result<Secured<S>>>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let stop = children.stop.clone();
    let sync = SyncServer::new(children.clone()).max_decoding_message_size(dial::MESSAGE_BYTES_MAX);
    let builder = tonic::transport::Server::builder();
    let mut builder = builder
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE));
    let enrolment = EnrolmentServer::new(children).max_decoding_message_size(ENROLMENT_BYTES_MAX);
    let router = builder.add_service(sync).add_service(enrolment);
    if let Err(error) = router.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await {
        tracing::error!(%error, "the port for children failed");
    }
}

/// Cuts the streams of children that are let in no more, by whichever process, as long as this hub serves.
pub(crate) async fn cut_revoked(children: Children) {
    let mut changes = children.node.changes();
    loop {
        tokio::select! {
            () = children.stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        let reading = children.node.clone();
        match blocking(move || reading.read(|read| read.shut_out())).await {
            Ok(shut_out) => children.cut(&shut_out).await,
            Err(error) => tracing::error!(%error, "it can't be read who is let in no more"),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What children call.
#[derive(Clone)]
pub(crate) struct Children {
    pub(crate) node: Node,
    pub(crate) authority: Arc<Authority>,
    stop: CancellationToken,
    /// Of each link its newest stream: an older one ends, and only the newest says where the link stands.
    newest: Arc<Mutex<BTreeMap<LinkId, NewestStream>>>,
}

/// The newest stream of a link.
#[derive(Default)]
struct NewestStream {
    number: u64,
    stop: CancellationToken,
    frames: Arc<Mutex<Outgoing>>,
}

/// The frames that go to a child. What is left of them goes when the link has ended: a peer that reads nothing would keep
/// them for as long as its connection lives.
#[derive(Default)]
struct Outgoing {
    frames: Option<mpsc::Receiver<wire::Frame>>,
    /// Said at the end, in place of whatever was to be sent.
    last: Option<Status>,
    /// Who waits for the next one.
    waker: Option<Waker>,
}

pub(crate) struct ToChild(Arc<Mutex<Outgoing>>);

fn lock(outgoing: &Mutex<Outgoing>) -> MutexGuard<'_, Outgoing> {
    outgoing.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream for ToChild {
    type Item = Result<wire::Frame, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut outgoing = lock(&self.0);
        if let Some(frames) = outgoing.frames.as_mut() {
            let polled = frames.poll_recv(context).map(|frame| frame.map(Ok));
            outgoing.waker = polled.is_pending().then(|| context.waker().clone());
            return polled;
        }
        Poll::Ready(outgoing.last.take().map(Err))
    }
}

pub(crate) fn internal(error: &NodeError) -> Status {
    tracing::error!(%error, "a call of a child failed");
    Status::internal("the hub failed to answer: try again")
}

/// What a node is told that is let in no more.
fn shut_out_words(link: &LinkRow) -> String {
    // When, and by whom a node was revoked.
    let detail = &link.detail;
    if link.standing == LinkStanding::Left {
        return format!(
            "this chapter left the network {detail}. Its people stay with it and it works on; nothing is exchanged any more. \
             Say `chapter-node leave` on this node, too; to come back it needs a new invitation"
        );
    }
    format!(
        "the network has shut this node out ({detail}). Its people stay with it and it works on; nothing is exchanged any \
         more. To come back it needs a new invitation of the network"
    )
}

impl Children {
    pub(crate) fn new(node: Node, authority: Arc<Authority>, stop: CancellationToken) -> Self {
        Self { node, authority, stop, newest: Arc::default() }
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<LinkId, NewestStream>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose link the call is on, whatever its certificate is worth still, also if it is let in no more.
    pub(crate) async fn known(&self, call: &Extensions) -> Result<(Shown, LinkRow), Status> {
        let refused = |caller, words| {
            self.node.refuses_caller(caller, words);
            Status::permission_denied(NOT_ENROLLED)
        };
        let shown = call.get::<Caller>().and_then(|caller| caller.0);
        let shown = shown.ok_or_else(|| refused(None, "called without a certificate"))?;
        let node = self.node.clone();
        let found = blocking(move || node.read(|read| read.child(shown.node))).await;
        let found = found.map_err(|error| internal(&error))?;
        let link = found.ok_or_else(|| refused(Some(shown.node), "called with a key that is in no row"))?;
        Ok((shown, link))
    }

    /// Whose link the call is on, whatever its certificate is worth still.
    pub(crate) async fn link_of(&self, call: &Extensions) -> Result<(Shown, LinkRow), Status> {
        let (shown, link) = self.known(call).await?;
        let why = match link.standing {
            LinkStanding::Revoked => "called with a key that was revoked",
            LinkStanding::Left => "called after its chapter left",
            LinkStanding::Connected | LinkStanding::Offline | LinkStanding::Refused => return Ok((shown, link)),
        };
        self.node.refuses_caller(Some(shown.node), why);
        Err(Status::permission_denied(shut_out_words(&link)))
    }

    /// Whose link the call is on, with a certificate that is good now.
    pub(crate) async fn who(&self, call: &Extensions) -> Result<LinkRow, Status> {
        let (shown, link) = self.link_of(call).await?;
        if shown.expires < draw::now() {
            self.node.refuses_caller(Some(shown.node), "called with a certificate that has ended");
            let ended = shown.expires.for_people();
            return Err(Status::unauthenticated(format!(
                "the certificate of this node ended on {ended}: renew it first"
            )));
        }
        Ok(link)
    }

    /// Ends the streams of these links in words.
    async fn cut(&self, shut_out: &[LinkId]) {
        let open: Vec<LinkId> = {
            let streams = self.streams();
            shut_out
                .iter()
                .copied()
                .filter(|link| streams.get(link).is_some_and(|it| !it.stop.is_cancelled()))
                .collect()
        };
        if open.is_empty() {
            return;
        }
        let node = self.node.clone();
        let links = match blocking(move || node.read(|read| read.links())).await {
            Ok(links) => links,
            Err(error) => {
                tracing::error!(%error, "it can't be read who is let in no more");
                Vec::new()
            }
        };
        for link in open {
            let words = links.iter().find(|row| row.id == link).map_or_else(|| NOT_ENROLLED.to_owned(), shut_out_words);
            if let Some(stream) = self.streams().get(&link) {
                let mut outgoing = lock(&stream.frames);
                outgoing.frames = None;
                outgoing.last = Some(Status::permission_denied(words));
                if let Some(waker) = outgoing.waker.take() {
                    waker.wake();
                }
                stream.stop.cancel();
            }
        }
    }
}

#[tonic::async_trait]
impl Sync for Children {
    type ExchangeStream = ToChild;

    async fn exchange(
        &self,
        request: Request<Streaming<wire::Frame>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let link = self.who(request.extensions()).await?;
        let (outgoing, frames) = mpsc::channel(dial::FRAMES_WAITING);
        let (node, incoming) = (self.node.clone(), request.into_inner());
        let frames = Arc::new(Mutex::new(Outgoing { frames: Some(frames), ..Outgoing::default() }));
        let (number, stop) = {
            let mut streams = self.streams();
            let newest = streams.entry(link.id).or_default();
            newest.stop.cancel();
            newest.number += 1;
            newest.stop = self.stop.child_token();
            newest.frames = Arc::clone(&frames);
            (newest.number, newest.stop.clone())
        };
        let left = Arc::clone(&frames);
        let children = self.clone();
        tokio::spawn(async move {
            let (state, _) = watch::channel(None);
            note_standing(&node, &link, LinkStanding::Connected, "");
            let ended = drive(&node, &link, incoming, outgoing, &state, stop.clone()).await;
            let said_why = matches!(ended, Ended::Refused(_) | Ended::Anew(_) | Ended::Garbled(_));
            let words = match ended {
                Ended::Stopped => String::new(),
                Ended::Broken(words) | Ended::Garbled(words) | Ended::Anew(words) | Ended::Refused(words) => words,
                Ended::Failed(error) => error.to_string(),
            };
            if !said_why {
                lock(&left).frames = None;
            }
            tracing::info!(child = link.peer.short(), reason = words, "a child's link ended");
            // Whoever was revoked in between has no open stream to be cut any more.
            stop.cancel();
            if children.streams().get(&link.id).is_some_and(|newest| newest.number == number) {
                note_standing(&node, &link, LinkStanding::Offline, &words);
            }
        });
        Ok(Response::new(ToChild(frames)))
    }
}
