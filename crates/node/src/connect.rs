//! How a node connects to another: by the system's TCP, unless a simulated network takes its place.
//!
//! **Invariant:** whoever dials does not know which it is. Knows nothing of TLS, gRPC or of links.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that go both ways: only a name for what a box can hold.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A connection that is being opened.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Socket>>> + Send>>;

/// Which way bytes go that somebody watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// To the other node.
    Out,
    /// To this node.
    In,
}

/// Is told what is said inside of a connection.
pub type Watch = Box<dyn FnMut(Went, &[u8]) + Send>;
/// Makes one for each connection.
type Watcher = Arc<dyn Fn() -> Watch + Send + Sync>;

/// Opens connections to addresses.
#[derive(Clone)]
pub struct Connector {
    open: Arc<dyn Fn(String) -> Connecting + Send + Sync>,
    watcher: Option<Watcher>,
}

impl Connector {
    /// Connects by a function that is given `host:port`.
    pub fn new<C, S>(connect: impl Fn(String) -> C + Send + Sync + 'static) -> Self
    where
        C: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let open = move |address: String| -> Connecting {
            let connecting = connect(address);
            Box::pin(async move { connecting.await.map(|socket| Box::new(socket) as Box<dyn Socket>) })
        };
        Self { open: Arc::new(open), watcher: None }
    }

    /// The system's TCP.
    pub fn tcp() -> Self {
        Self::new(|address: String| async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        })
    }

    /// With somebody for each connection, from its handshake on, who is told every byte that is said inside of it,
    /// unencrypted, as it is said and heard. For whoever counts them.
    #[must_use]
    pub fn watched_by(self, watcher: impl Fn() -> Watch + Send + Sync + 'static) -> Self {
        Self { watcher: Some(Arc::new(watcher)), ..self }
    }

    pub(crate) fn connect(&self, address: String) -> Connecting {
        (self.open)(address)
    }

    /// The inside of a connection of this connector.
    pub(crate) fn inside<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(&self, socket: S) -> Box<dyn Socket> {
        match &self.watcher {
            None => Box::new(socket),
            Some(watcher) => Box::new(Watched { socket, watch: watcher() }),
        }
    }
}

/// A connection that somebody watches.
struct Watched<S> {
    socket: S,
    watch: Watch,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(cx, buf);
        if buf.filled().len() > before {
            (self.watch)(Went::In, &buf.filled()[before..]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = &polled {
            (self.watch)(Went::Out, &buf[..*count]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
