//! The way in for children: every connection goes through a handshake before anything else hears of it.
//!
//! **Invariants:** a handshake that fails or takes too long ends its own connection and nobody else's; how many are under way
//! is bounded, in all and of one block of addresses, and how many connections there are of one key and of callers that show no
//! certificate, and how long such a one lasts. What a call says of its caller is what the handshake has proved.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
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

use crate::limits::block_of;
use crate::tls::{Shown, read_certificate};

/// The most handshakes under way at once. Each costs a millisecond of a core; more wait in the system's queue.
const HANDSHAKES_MAX: usize = 256;
/// The most of them of one block of addresses (IPv4 /24, IPv6 /56): whoever says nothing holds an eighth of the places, and not
/// all of them. A handshake over a slow line takes half a second, so that a block which is one house gets in at 64 a second.
const HANDSHAKES_OF_A_BLOCK_MAX: usize = 32;
/// How long a handshake may take: a slow line needs two round trips and 3 KB. Longer than a child waits for it, who says then
/// that there was no answer, and not that a connection was cut.
const HANDSHAKE: Duration = Duration::from_secs(12);
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

/// How many there are of each. Clones share the counts.
#[derive(Clone)]
struct Shares<K> {
    taken: Arc<Mutex<BTreeMap<K, usize>>>,
    most: usize,
}

impl<K: Ord + Clone> Shares<K> {
    fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// `None`: there are too many of it already.
    fn take(&self, of: K) -> Option<Share<K>> {
        let mut taken = counted(&self.taken);
        let count = taken.entry(of.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share { taken: Arc::clone(&self.taken), of })
    }
}

/// One of those that are counted, for as long as this is kept.
struct Share<K: Ord> {
    taken: Arc<Mutex<BTreeMap<K, usize>>>,
    of: K,
}

impl<K: Ord> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = counted(&self.taken);
        if let Some(count) = taken.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

fn counted<K>(counts: &Mutex<BTreeMap<K, usize>>) -> MutexGuard<'_, BTreeMap<K, usize>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many connections there are.
#[derive(Clone)]
struct Places {
    strangers: Arc<Semaphore>,
    keys: Shares<NodeId>,
}

impl Places {
    fn new() -> Self {
        Self { strangers: Arc::new(Semaphore::new(STRANGERS_MAX)), keys: Shares::new(OF_A_KEY_MAX) }
    }
}

/// A connection after its handshake.
pub(crate) struct Secured<S> {
    stream: TlsStream<S>,
    caller: Caller,
    /// Of a stranger: its end, and its place among the strangers.
    stranger: Option<(Pin<Box<Sleep>>, OwnedSemaphorePermit)>,
    /// Of anybody else.
    _place: Option<Share<NodeId>>,
}

impl<S> Secured<S> {
    /// `None`: there are too many strangers, or connections of this key, already.
    fn new(stream: TlsStream<S>, places: &Places) -> Option<Self> {
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| read_certificate(chain.first()?));
        let (stranger, place) = match shown {
            Some(shown) => (None, Some(places.keys.take(shown.node)?)),
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

/// A connection that somebody has opened, and from where; nowhere: not over a network.
pub(crate) type Knocking<S> = (S, Option<IpAddr>);

/// The block of addresses among which a caller is counted. Those of this machine are none: they are its own programs, or a
/// proxy that speaks for everybody and has to bound them itself.
fn counted_in(from: Option<IpAddr>) -> Option<Vec<u8>> {
    from.map(|address| address.to_canonical()).filter(|address| !address.is_loopback()).map(block_of)
}

/// Connections that came through their handshakes, in the order in which they did.
pub(crate) fn secured<I, S>(
    incoming: I,
    answering: Answering,
    stop: CancellationToken,
) -> ReceiverStream<io::Result<Secured<S>>>
where
    I: Stream<Item = io::Result<Knocking<S>>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (ready, secured) = mpsc::channel(1);
    tokio::spawn(async move {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let (places, blocks) = (Places::new(), Shares::new(HANDSHAKES_OF_A_BLOCK_MAX));
        let mut incoming = std::pin::pin!(incoming);
        while let Ok(place) = Arc::clone(&handshakes).acquire_owned().await {
            let next = tokio::select! {
                () = stop.cancelled() => return,
                next = incoming.next() => next,
            };
            let (socket, from) = match next {
                None => return,
                Some(Ok(knocking)) => knocking,
                Some(Err(error)) => {
                    tracing::warn!(%error, "a connection of a child could not be taken");
                    tokio::time::sleep(AFTER_FAILURE).await;
                    continue;
                }
            };
            let block = match counted_in(from) {
                None => None,
                Some(block) => match blocks.take(block) {
                    Some(share) => Some(share),
                    None => {
                        tracing::debug!("too many handshakes of one block of addresses: one was closed");
                        continue;
                    }
                },
            };
            let config = Arc::clone(&answering.lock().unwrap_or_else(PoisonError::into_inner));
            let (ready, places) = (ready.clone(), places.clone());
            tokio::spawn(async move {
                let _places = (place, block);
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

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
    use tokio_rustls::TlsConnector;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;
    use crate::authority::Authority;
    use crate::keys::NodeKey;
    use crate::{draw, tls};

    /// What fits into a line before its other end reads, in bytes: a handshake.
    const LINE_BYTES: usize = 64 * 1024;

    struct Hub {
        knock: mpsc::UnboundedSender<io::Result<Knocking<DuplexStream>>>,
        authority: Authority,
        secured: ReceiverStream<io::Result<Secured<DuplexStream>>>,
    }

    impl Hub {
        fn new(now: Timestamp) -> Self {
            let (authority, key) = (Authority::make(now).unwrap(), NodeKey::draw().unwrap());
            let issued = authority.certify_hub(&key, now).unwrap();
            let config = tls::server(issued.certificate, &key, authority.certificate()).unwrap();
            let (knock, knocking) = mpsc::unbounded_channel();
            let incoming = UnboundedReceiverStream::new(knocking);
            let secured = secured(incoming, Arc::new(Mutex::new(config)), CancellationToken::new());
            Self { knock, authority, secured }
        }

        /// Opens a connection from an address.
        fn open(&self, from: &str) -> DuplexStream {
            let (near, far) = duplex(LINE_BYTES);
            self.knock.send(Ok((far, Some(from.parse().unwrap())))).unwrap();
            near
        }

        /// Goes through a handshake from an address; says whether it was let.
        async fn greet(&mut self, from: &str) -> bool {
            let config = tls::client(&[self.authority.pin().unwrap()], None).unwrap();
            let line = self.open(from);
            let greeted = TlsConnector::from(config).connect(tls::hub_name().unwrap(), line).await;
            greeted.is_ok() && self.secured.next().await.unwrap().is_ok()
        }
    }

    #[tokio::test]
    async fn a_house_that_says_nothing_keeps_nobody_else_out() {
        let mut hub = Hub::new(draw::now());
        let silent: Vec<_> = (0..HANDSHAKES_OF_A_BLOCK_MAX).map(|nth| hub.open(&format!("192.0.2.{nth}"))).collect();
        let mut refused = hub.open("192.0.2.250");
        assert_eq!(refused.read(&mut [0; 1]).await.unwrap(), 0, "one too many is closed at once");
        assert!(hub.greet("198.51.100.7").await, "others come in");
        drop(silent);
        // Sooner than their time is over.
        let again = async { while !hub.greet("192.0.2.250").await {} };
        tokio::time::timeout(HANDSHAKE / 2, again).await.expect("who hangs up gives the place back");
    }

    #[tokio::test]
    async fn who_comes_over_a_proxy_of_this_machine_is_no_block() {
        let mut hub = Hub::new(draw::now());
        let silent: Vec<_> = (0..=HANDSHAKES_OF_A_BLOCK_MAX).map(|_| hub.open("127.0.0.1")).collect();
        assert!(hub.greet("127.0.0.1").await);
        drop(silent);
    }
}
