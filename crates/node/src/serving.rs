//! A node that serves: watcher, fold workers, link up, links down; and one exchange without serving.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use engine::LinkState;
use sha2::{Digest as _, Sha256};
use store::{InviteOutcome, LinkId, LinkStanding, NodeKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

use crate::driver::{Ended, blocking, drive, note_standing};
use crate::invite::Invite;
use crate::lock::ServeLock;
use crate::wire::enrolment::enrolment_server::{Enrolment, EnrolmentServer};
use crate::wire::enrolment::{EnrolReply, EnrolRequest, LookReply, LookRequest};
use crate::wire::sync as wire;
use crate::wire::sync::sync_server::{Sync, SyncServer};
use crate::{Node, NodeError, Priority, dial, draw, folding, house};

/// How often a serving node looks whether another process has written: well within the 300 ms that are promised.
const WATCH: Duration = Duration::from_millis(50);
/// How long one exchange may take before it is given up, when nothing moves.
const SYNC_PATIENCE: Duration = Duration::from_secs(60);
/// How often `sync` opens a link again that was ended for a fresh beginning: once for each end, and one more.
const EXCHANGES_MAX: usize = 3;
/// How long `sync` beside a server waits for that server's link.
const BESIDE_PATIENCE: Duration = Duration::from_secs(5);

/// The most calls at once over one connection: an exchange, an enrolment, and room for what comes.
const STREAMS_MAX: u32 = 8;
/// How often a connection that says nothing is asked whether it lives, and how long it has to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// A node that serves. Dropped, its threads and streams end.
#[derive(Debug)]
pub struct Serving {
    /// Where children dial, at a hub.
    pub grpc: Option<SocketAddr>,
    stop: CancellationToken,
    ended: Arc<AtomicBool>,
    tasks: TaskTracker,
    node: Node,
    _lock: ServeLock,
}

/// What one exchange came to.
#[derive(Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// Both ends have what the other had to say.
    InStep,
    /// The parent could not be reached; nothing is lost.
    Unreachable(String),
    /// The parent refused.
    Refused(String),
}

impl Serving {
    /// Begins to serve. A hub listens for children on `grpc`; a node with a parent dials it.
    ///
    /// # Errors
    /// When another process serves the directory, or the address can't be listened on.
    pub async fn start(node: &Node, grpc: Option<SocketAddr>) -> Result<Self, NodeError> {
        let mut serving = Self::begin(node).await?;
        if let Some(address) = grpc {
            let listener = TcpListener::bind(address).await.map_err(|e| NodeError::Listen(address.to_string(), e))?;
            let bound = listener.local_addr().map_err(|e| NodeError::Listen(address.to_string(), e))?;
            let noting = node.clone();
            blocking(move || noting.write(Priority::Interactive, move |tx| tx.set_address(&bound.to_string()))).await?;
            let incoming = TcpListenerStream::new(listener).map(|stream| {
                stream.inspect(|stream| {
                    // An answer of a few bytes must not wait for more.
                    let _ = stream.set_nodelay(true);
                })
            });
            serving.tasks.spawn(accept(node.clone(), incoming, serving.stop.clone()));
            serving.grpc = Some(bound);
        }
        Ok(serving)
    }

    /// Begins to serve as a hub to which children come in another way than over a port of this machine.
    ///
    /// # Errors
    /// When another process serves the directory.
    #[doc(hidden)]
    pub async fn start_on<I, S>(node: &Node, incoming: I) -> Result<Self, NodeError>
    where
        I: Stream<Item = std::io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Connected + Send + Unpin + 'static,
    {
        let serving = Self::begin(node).await?;
        serving.tasks.spawn(accept(node.clone(), incoming, serving.stop.clone()));
        Ok(serving)
    }

    /// Everything but the way in for children.
    async fn begin(node: &Node) -> Result<Self, NodeError> {
        let lock = node.take_lock()?;
        let preparing = node.clone();
        blocking(move || preparing.write(Priority::Interactive, |tx| tx.all_offline())).await?;
        let (stop, ended, tasks) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)), TaskTracker::new());
        let serving = Self { grpc: None, stop, ended, tasks, node: node.clone(), _lock: lock };
        start_watcher(node, &serving.ended)?;
        start_folding(node, &serving.ended);
        serving.tasks.spawn(dial::keep(node.clone(), serving.stop.clone()));
        serving.tasks.spawn(house::keep_house(node.clone(), serving.stop.clone()));
        Ok(serving)
    }

    /// Ends links and threads; everything that was acknowledged is on disk already.
    pub async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
        self.ended.store(true, Ordering::Relaxed);
        // Who waits for a change looks again, and sees that it is over.
        self.node.notice();
    }
}

/// Notices what other processes write, within [`WATCH`].
fn start_watcher(node: &Node, ended: &Arc<AtomicBool>) -> Result<(), NodeError> {
    let (node, ended, reader) = (node.clone(), Arc::clone(ended), node.reader()?);
    let watch = move || {
        let mut last = reader.version().unwrap_or(0);
        while !ended.load(Ordering::Relaxed) {
            std::thread::sleep(WATCH);
            match reader.version() {
                Ok(now) if now != last => {
                    last = now;
                    node.notice();
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "the database can't be watched"),
            }
        }
    };
    let spawned = std::thread::Builder::new().name("watcher".to_owned()).spawn(watch);
    spawned.map(drop).map_err(|error| NodeError::File("start", "the watcher".to_owned(), error))
}

fn start_folding(node: &Node, ended: &Arc<AtomicBool>) {
    let (wake, woken) = std::sync::mpsc::channel();
    let (folding_node, folding_ended) = (node.clone(), Arc::clone(ended));
    std::thread::spawn(move || folding::fold_loop(&folding_node, &folding_ended, &woken));
    let mut changes = node.changes();
    tokio::spawn(async move { while changes.changed().await.is_ok() && wake.send(()).is_ok() {} });
}

async fn accept<I, S>(node: Node, incoming: I, stop: CancellationToken)
where
    I: Stream<Item = std::io::Result<S>>,
    S: AsyncRead + AsyncWrite + Connected + Send + Unpin + 'static,
{
    let service = Children { node, stop: stop.clone(), newest: Arc::default() };
    let sync = SyncServer::new(service.clone()).max_decoding_message_size(dial::MESSAGE_BYTES_MAX);
    let builder = tonic::transport::Server::builder();
    let mut builder = builder
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE));
    let router = builder.add_service(sync).add_service(EnrolmentServer::new(service));
    if let Err(error) = router.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await {
        tracing::error!(%error, "the port for children failed");
    }
}

/// What children call.
#[derive(Clone)]
struct Children {
    node: Node,
    stop: CancellationToken,
    /// Of each link its newest stream: an older one ends, and only the newest says where the link stands.
    newest: Arc<Mutex<BTreeMap<LinkId, NewestStream>>>,
}

/// The newest stream of a link.
#[derive(Default)]
struct NewestStream {
    number: u64,
    stop: CancellationToken,
}

/// The frames that go to a child. What is left of them goes when the link has ended: a peer that reads nothing would keep
/// them for as long as its connection lives.
struct ToChild(Arc<Mutex<Option<mpsc::Receiver<wire::Frame>>>>);

impl Stream for ToChild {
    type Item = Result<wire::Frame, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        frames.as_mut().map_or(Poll::Ready(None), |frames| frames.poll_recv(context).map(|frame| frame.map(Ok)))
    }
}

fn internal(error: &NodeError) -> Status {
    tracing::error!(%error, "a call of a child failed");
    Status::internal("the hub failed to answer: try again")
}

impl Children {
    fn streams(&self) -> MutexGuard<'_, BTreeMap<LinkId, NewestStream>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The child whose token the call shows: authority is the row.
    async fn who(&self, request: &tonic::metadata::MetadataMap) -> Result<store::LinkRow, Status> {
        let refused = || Status::unauthenticated("this node is not enrolled here (any more): it needs an invitation");
        let shown = request.get("authorization").and_then(|value| value.to_str().ok());
        let token =
            shown.and_then(|shown| shown.strip_prefix("Bearer ")).and_then(|hex| hex.parse::<model::Digest>().ok());
        let hash: [u8; 32] = Sha256::digest(token.ok_or_else(refused)?.0).into();
        let node = self.node.clone();
        let found = blocking(move || node.read(|read| read.child_by_token(&hash))).await;
        found.map_err(|error| internal(&error))?.ok_or_else(refused)
    }
}

#[tonic::async_trait]
impl Sync for Children {
    type ExchangeStream = ToChild;

    async fn exchange(
        &self,
        request: Request<Streaming<wire::Frame>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let link = self.who(request.metadata()).await?;
        let (outgoing, frames) = mpsc::channel(dial::FRAMES_WAITING);
        let (node, incoming) = (self.node.clone(), request.into_inner());
        let (number, stop) = {
            let mut streams = self.streams();
            let newest = streams.entry(link.id).or_default();
            newest.stop.cancel();
            newest.number += 1;
            newest.stop = self.stop.child_token();
            (newest.number, newest.stop.clone())
        };
        let frames = Arc::new(Mutex::new(Some(frames)));
        let left = Arc::clone(&frames);
        let children = self.clone();
        tokio::spawn(async move {
            let (state, _) = watch::channel(None);
            note_standing(&node, &link, LinkStanding::Connected, "");
            let ended = drive(&node, &link, incoming, outgoing, &state, stop).await;
            let said_why = matches!(ended, Ended::Refused(_) | Ended::Anew(_) | Ended::Garbled(_));
            let words = match ended {
                Ended::Stopped => String::new(),
                Ended::Broken(words) | Ended::Garbled(words) | Ended::Anew(words) | Ended::Refused(words) => words,
                Ended::Failed(error) => error.to_string(),
            };
            if !said_why {
                left.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
            tracing::info!(child = link.peer.short(), reason = words, "a child's link ended");
            if children.streams().get(&link.id).is_some_and(|newest| newest.number == number) {
                note_standing(&node, &link, LinkStanding::Offline, &words);
            }
        });
        Ok(Response::new(ToChild(frames)))
    }
}

#[tonic::async_trait]
impl Enrolment for Children {
    async fn look(&self, request: Request<LookRequest>) -> Result<Response<LookReply>, Status> {
        let hash = Invite::secret_hash(&request.into_inner().secret);
        let node = self.node.clone();
        let found =
            blocking(move || node.read(|read| Ok((read.invited(&hash)?, read.settings()?.statement().to_owned()))));
        let (invited, statement) = found.await.map_err(|error| internal(&error))?;
        let Some(chapter) = invited else { return Err(Status::permission_denied(UNKNOWN_INVITE)) };
        let network = self.node.row().name.clone();
        Ok(Response::new(LookReply { network, chapter: chapter.name, slug: chapter.slug.to_string(), statement }))
    }

    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolReply>, Status> {
        let EnrolRequest { secret, node: peer, token_hash } = request.into_inner();
        let peer =
            model::NodeId::from_slice(&peer).ok_or_else(|| Status::invalid_argument("a node id has 32 bytes"))?;
        let token: [u8; 32] =
            token_hash.as_slice().try_into().map_err(|_| Status::invalid_argument("a token's hash has 32 bytes"))?;
        let (hash, at, node) = (Invite::secret_hash(&secret), draw::now(), self.node.clone());
        let enrolled = blocking(move || {
            node.write(Priority::Interactive, move |tx| {
                let outcome = tx.enrol(&hash, peer, &token, at)?;
                let chapter = match outcome {
                    InviteOutcome::Enrolled(scope) => tx.chapters()?.into_iter().find(|chapter| chapter.scope == scope),
                    InviteOutcome::Unknown | InviteOutcome::Expired | InviteOutcome::Used => None,
                };
                Ok((outcome, chapter))
            })
        });
        let (outcome, chapter) = enrolled.await.map_err(|error| internal(&error))?;
        let refuse = |words: &str| Err(Status::permission_denied(words));
        let chapter = match (outcome, chapter) {
            (InviteOutcome::Enrolled(_), Some(chapter)) => chapter,
            (InviteOutcome::Used, _) => return refuse("this invitation was used by another node: ask for a new one"),
            (InviteOutcome::Expired, _) => return refuse("this invitation has expired: ask for a new one"),
            (InviteOutcome::Unknown | InviteOutcome::Enrolled(_), _) => return refuse(UNKNOWN_INVITE),
        };
        let row = self.node.row();
        Ok(Response::new(EnrolReply {
            network: row.name.clone(),
            chapter: chapter.name,
            slug: chapter.slug.to_string(),
            scope: chapter.scope.as_bytes().to_vec(),
            hub: row.node_id.0.to_vec(),
            country: row.country.clone(),
        }))
    }
}

/// What an unknown invitation is answered.
const UNKNOWN_INVITE: &str = "the network does not know this invitation: ask for a new one";

impl Node {
    /// One full exchange with the parent. Beside a server it waits for that server's link.
    ///
    /// # Errors
    /// When this node has no parent, or its database fails.
    pub async fn sync(&self) -> Result<SyncOutcome, NodeError> {
        let reading = self.clone();
        let link = blocking(move || reading.read(|read| read.parent())).await?;
        let no_parent = || NodeError::Refused("this node has no parent to exchange with".to_owned());
        let link = link.ok_or_else(no_parent)?;
        if self.is_served() {
            return self.sync_beside_server().await;
        }
        let _lock = self.take_lock()?;
        let ended = Arc::new(AtomicBool::new(false));
        start_folding(self, &ended);
        let (stop, (state, mut states)) = (CancellationToken::new(), watch::channel(None));
        let in_step = async {
            let reached = states.wait_for(|state| *state == Some(LinkState::InStep));
            tokio::time::timeout(SYNC_PATIENCE, reached).await.is_ok_and(|reached| reached.is_ok())
        };
        // A database that was rolled back is found out by the first exchange, and made good by the next.
        let exchanged = async {
            let mut ended = Ended::Stopped;
            for _ in 0..EXCHANGES_MAX {
                ended = dial::exchange(self, &link, &state, stop.clone()).await;
                if !matches!(ended, Ended::Anew(_)) {
                    break;
                }
            }
            ended
        };
        let outcome = tokio::select! {
            done = in_step => if done { SyncOutcome::InStep } else { SyncOutcome::Unreachable("it took too long".to_owned()) },
            broken = exchanged => match broken {
                Ended::Refused(words) => SyncOutcome::Refused(words),
                Ended::Broken(words) | Ended::Garbled(words) | Ended::Anew(words) => SyncOutcome::Unreachable(words),
                Ended::Failed(error) => return Err(error),
                Ended::Stopped => SyncOutcome::Unreachable("it was stopped".to_owned()),
            },
        };
        stop.cancel();
        ended.store(true, Ordering::Relaxed);
        let settling = self.clone();
        blocking(move || {
            folding::fold_all(&settling)?;
            settling.write(Priority::Interactive, |tx| tx.all_offline())
        })
        .await?;
        self.notice();
        Ok(outcome)
    }

    /// Asks the server for an exchange and waits until the parent was heard after that.
    async fn sync_beside_server(&self) -> Result<SyncOutcome, NodeError> {
        let (began, asked_at) = (tokio::time::Instant::now(), draw::now());
        let asking = self.clone();
        blocking(move || asking.write(Priority::Interactive, |tx| tx.want_exchange())).await?;
        loop {
            let reading = self.clone();
            let Some(link) = blocking(move || reading.read(|read| read.parent())).await? else {
                return Ok(SyncOutcome::Unreachable("there is no parent".to_owned()));
            };
            let heard = link.last_exchange.is_some_and(|at| at >= asked_at);
            if heard && link.standing == LinkStanding::Connected && link.pending == 0 {
                return Ok(SyncOutcome::InStep);
            }
            if began.elapsed() > BESIDE_PATIENCE {
                let words = if link.detail.is_empty() { "no answer in time".to_owned() } else { link.detail };
                let refused = link.standing == LinkStanding::Refused;
                return Ok(if refused { SyncOutcome::Refused(words) } else { SyncOutcome::Unreachable(words) });
            }
            tokio::time::sleep(WATCH).await;
        }
    }

    /// Whether this node has children.
    pub fn is_hub(&self) -> bool {
        self.kind() == NodeKind::Hub
    }
}
