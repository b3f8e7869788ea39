//! The way in for children: every connection goes through a handshake before anything else hears of it.
//!
//! **Invariants:** a handshake that fails or takes too long ends its own connection and nobody else's; how many are under way
//! is bounded, and how many connections there are of one key and of callers that show no certificate, and how long such a one
//! lasts. What a call says of its caller is what the handshake has proved.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use model::NodeId;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::tls::{Shown, read_certificate};

/// The most handshakes under way at once. Each costs a millisecond of a core; more wait in the system's queue.
const HANDSHAKES_MAX: usize = 256;
/// How long a handshake may take: a slow line needs two round trips and 3 KB.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The most connections without a certificate at once. Only joining needs one, for a moment.
const STRANGERS_MAX: usize = 128;
/// How long such a connection lasts: a joining node asks, and comes again once a person has answered.
const STRANGER: Duration = Duration::from_secs(30);
/// The most connections of one key at once. A node needs one, and one more to renew; those of before, whose line has gone
/// without a word, last until they are asked whether they live. Each is one of the files that this process may open.
const OF_A_KEY_MAX: usize = 32;
/// How long is waited when the system gives no more connections (too many open files).
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// What handshakes are answered with: renewed while the hub serves.
pub(crate) type Answering = Arc<Mutex<Arc<ServerConfig>>>;

/// Who calls, as far as the handshake has proved it: whose key, and until when its certificate is good. None was shown:
/// whoever calls may ask to join, and nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(pub(crate) Option<Shown>);

/// How many connections there are.
#[derive(Clone)]
struct Places {
    strangers: Arc<Semaphore>,
    keys: Arc<Mutex<BTreeMap<NodeId, usize>>>,
}

impl Places {
    fn new() -> Self {
        Self { strangers: Arc::new(Semaphore::new(STRANGERS_MAX)), keys: Arc::default() }
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<NodeId, usize>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: the key has too many connections already.
    fn of_key(&self, node: NodeId) -> Option<KeyPlace> {
        let mut keys = self.keys();
        let count = keys.entry(node).or_default();
        if *count >= OF_A_KEY_MAX {
            return None;
        }
        *count += 1;
        Some(KeyPlace { places: self.clone(), node })
    }
}

/// The place of a connection among those of its key.
struct KeyPlace {
    places: Places,
    node: NodeId,
}

impl Drop for KeyPlace {
    fn drop(&mut self) {
        let mut keys = self.places.keys();
        if let Some(count) = keys.get_mut(&self.node) {
            *count -= 1;
            if *count == 0 {
                keys.remove(&self.node);
            }
        }
    }
}

/// A connection after its handshake.
pub(crate) struct Secured<S> {
    stream: TlsStream<S>,
    caller: Caller,
    /// Of a stranger: its end, and its place among the strangers.
    stranger: Option<(Pin<Box<Sleep>>, OwnedSemaphorePermit)>,
    /// Of anybody else.
    _place: Option<KeyPlace>,
}

impl<S> Secured<S> {
    /// `None`: there are too many strangers, or connections of this key, already.
    fn new(stream: TlsStream<S>, places: &Places) -> Option<Self> {
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| read_certificate(chain.first()?));
        let (stranger, place) = match shown {
            Some(shown) => (None, Some(places.of_key(shown.node)?)),
            None => {
                let place = Arc::clone(&places.strangers).try_acquire_owned().ok()?;
                (Some((Box::pin(tokio::time::sleep(STRANGER)), place)), None)
            }
        };
        Some(Self { stream, caller: Caller(shown), stranger, _place: place })
    }
}

impl<S> Connected for Secured<S> {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some((end, _)) = &mut self.stranger
            && end.as_mut().poll(cx).is_ready()
        {
            // As if it had hung up.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Connections that came through their handshakes, in the order in which they did.
pub(crate) fn secured<I, S>(
    incoming: I,
    answering: Answering,
    stop: CancellationToken,
) -> ReceiverStream<io::Result<Secured<S>>>
where
    I: Stream<Item = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (ready, secured) = mpsc::channel(1);
    tokio::spawn(async move {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let places = Places::new();
        let mut incoming = std::pin::pin!(incoming);
        while let Ok(place) = Arc::clone(&handshakes).acquire_owned().await {
            let next = tokio::select! {
                () = stop.cancelled() => return,
                next = incoming.next() => next,
            };
            let socket = match next {
                None => return,
                Some(Ok(socket)) => socket,
                Some(Err(error)) => {
                    tracing::warn!(%error, "a connection of a child could not be taken");
                    tokio::time::sleep(AFTER_FAILURE).await;
                    continue;
                }
            };
            let config = Arc::clone(&answering.lock().unwrap_or_else(PoisonError::into_inner));
            let (ready, places) = (ready.clone(), places.clone());
            tokio::spawn(async move {
                let _place = place;
                match tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(socket)).await {
                    Ok(Ok(stream)) => match Secured::new(stream, &places) {
                        Some(secured) => drop(ready.send(Ok(secured)).await),
                        None => tracing::warn!("too many connections of one key or of strangers: one was closed"),
                    },
                    Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
                    Err(_) => tracing::debug!("a handshake took too long"),
                }
            });
        }
    });
    ReceiverStream::new(secured)
}
