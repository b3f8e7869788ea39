//! How a node connects to another: by the system's TCP, unless a simulated network takes its place.
//!
//! **Invariant:** whoever dials does not know which it is. Knows nothing of gRPC or of links.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes that go both ways: only a name for what a box can hold.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A connection that is being opened.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Socket>>> + Send>>;

/// Opens connections to addresses.
#[derive(Clone)]
pub struct Connector(Arc<dyn Fn(String) -> Connecting + Send + Sync>);

impl Connector {
    /// Connects by a function that is given `host:port`.
    pub fn new<C, S>(connect: impl Fn(String) -> C + Send + Sync + 'static) -> Self
    where
        C: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self(Arc::new(move |address: String| -> Connecting {
            let connecting = connect(address);
            Box::pin(async move { connecting.await.map(|socket| Box::new(socket) as Box<dyn Socket>) })
        }))
    }

    pub(crate) fn connect(&self, address: String) -> Connecting {
        (self.0)(address)
    }
}
