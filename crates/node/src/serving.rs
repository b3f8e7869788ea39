//! A node that serves: watcher, fold workers, link up, links down; and one exchange without serving.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::LinkState;
use store::{LinkStanding, NodeKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address::reached_at;
use crate::authority::Authority;
use crate::children::{Children, accept, cut_revoked};
use crate::driver::{Ended, blocking, note_standing};
use crate::incoming::{Answering, Knocking, secured};
use crate::keys::NodeKey;
use crate::lock::ServeLock;
use crate::renew::{LOOK, RENEWED_AT_MS};
use crate::{Node, NodeError, Priority, dial, draw, folding, house, tls};

/// How often a serving node looks whether another process has written: well within the 300 ms that are promised.
const WATCH: Duration = Duration::from_millis(50);
/// How long one exchange may take before it is given up, when nothing moves.
const SYNC_PATIENCE: Duration = Duration::from_secs(60);
/// How often `sync` opens a link again that was ended for a fresh beginning: once for each end, and one more.
const EXCHANGES_MAX: usize = 3;
/// How long `sync` beside a server waits for that server's link.
const BESIDE_PATIENCE: Duration = Duration::from_secs(5);

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

/// What a hub answers handshakes with, and the means to make it anew.
struct Front {
    authority: Arc<Authority>,
    key: NodeKey,
    /// When its certificate ends, Unix ms.
    expires_ms: i64,
    answering: Answering,
}

impl Front {
    /// Opens the authority and the key of a hub, and issues the certificate that it serves with. Blocks.
    fn open(node: &Node) -> Result<Self, NodeError> {
        let (key, authority) = (node.key()?, Authority::open(node.directory(), node.unlock_file())?);
        let issued = authority.certify_hub(&key, draw::now())?;
        let config = tls::server(issued.certificate, &key, authority.certificate())?;
        let expires_ms = issued.expires.as_millis();
        Ok(Self { authority: Arc::new(authority), key, expires_ms, answering: Arc::new(Mutex::new(config)) })
    }

    /// Issues another certificate whenever that is due. What is open stays as it is.
    async fn keep_fresh(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = draw::now();
            if self.expires_ms.saturating_sub(now.as_millis()) > RENEWED_AT_MS {
                continue;
            }
            let renewed = self.authority.certify_hub(&self.key, now).and_then(|issued| {
                let config = tls::server(issued.certificate, &self.key, self.authority.certificate())?;
                Ok((config, issued.expires.as_millis()))
            });
            match renewed {
                Ok((config, expires_ms)) => {
                    *self.answering.lock().unwrap_or_else(PoisonError::into_inner) = config;
                    self.expires_ms = expires_ms;
                }
                Err(error) => tracing::error!(%error, "the hub's certificate could not be renewed; it is tried again"),
            }
        }
    }
}

impl Serving {
    /// Begins to serve. A hub listens for children on `grpc`, and says in invitations that it is reached at these
    /// addresses: where it listens, if none are named. A node with a parent dials it.
    ///
    /// # Errors
    /// When another process serves the directory, the address can't be listened on, or a hub's keys are not there.
    pub async fn start(node: &Node, grpc: Option<SocketAddr>, named: Vec<String>) -> Result<Self, NodeError> {
        let mut serving = Self::begin(node).await?;
        if let Some(address) = grpc {
            let listener = TcpListener::bind(address).await.map_err(|e| NodeError::Listen(address.to_string(), e))?;
            let bound = listener.local_addr().map_err(|e| NodeError::Listen(address.to_string(), e))?;
            let reached = if named.is_empty() { reached_at(bound) } else { named };
            let noting = node.clone();
            blocking(move || noting.write(Priority::Interactive, move |tx| tx.set_addresses(&reached))).await?;
            let incoming = TcpListenerStream::new(listener).map(|stream| {
                stream.map(|stream| {
                    // An answer of a few bytes must not wait for more.
                    let _ = stream.set_nodelay(true);
                    let from = stream.peer_addr().ok().map(|peer| peer.ip());
                    (stream, from)
                })
            });
            serving.take_children(incoming).await?;
            serving.grpc = Some(bound);
        }
        Ok(serving)
    }

    /// Begins to serve as a hub to which children come in another way than over a port of this machine.
    ///
    /// # Errors
    /// When another process serves the directory, or the hub's keys are not there.
    #[doc(hidden)]
    pub async fn start_on<I, S>(node: &Node, incoming: I) -> Result<Self, NodeError>
    where
        I: Stream<Item = std::io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let serving = Self::begin(node).await?;
        serving.take_children(incoming.map(|stream| stream.map(|stream| (stream, None)))).await?;
        Ok(serving)
    }

    async fn take_children<I, S>(&self, incoming: I) -> Result<(), NodeError>
    where
        I: Stream<Item = std::io::Result<Knocking<S>>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let opening = self.node.clone();
        let front = blocking(move || Front::open(&opening)).await?;
        let (node, stop) = (self.node.clone(), self.stop.clone());
        let children = Children::new(node, Arc::clone(&front.authority), stop.clone());
        let incoming = secured(incoming, Arc::clone(&front.answering), stop.clone());
        self.tasks.spawn(cut_revoked(children.clone()));
        self.tasks.spawn(accept(children, incoming));
        self.tasks.spawn(front.keep_fresh(stop));
        Ok(())
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

impl Node {
    /// One full exchange with the parent. Beside a server it waits for that server's link.
    ///
    /// # Errors
    /// When this node has no parent, or its database fails.
    pub async fn sync(&self) -> Result<SyncOutcome, NodeError> {
        let reading = self.clone();
        let link = blocking(move || reading.read(|read| read.parent())?.ok_or_else(|| reading.no_parent())).await?;
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
                Ended::Refused(words) => {
                    note_standing(self, &link, LinkStanding::Refused, &words);
                    SyncOutcome::Refused(words)
                }
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
