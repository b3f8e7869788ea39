//! Serving pages over HTTP/1.1, and over TLS where the network may open them: who connects and says nothing, or says too
//! much, costs little.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use node::PagesTls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::util::MapRequest;

/// The most connections at once: a browser opens six, an open page keeps one. Further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a connection may take to say what it wants, and may be kept without wanting anything.
const HEAD_TIME_MAX: Duration = Duration::from_secs(20);
/// The longest head of a request, in bytes: cookies of a whole site fit.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long is waited when the system has no room for another connection.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves pages on a listener, for ever.
pub async fn serve_pages(listener: &TcpListener, router: Router, tls: Option<PagesTls>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Closed by nobody, so it never fails.
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let serving = connection(stream, peer, router.clone(), tls.clone());
                tokio::spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

fn is_the_peers(error: &io::Error) -> bool {
    [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset].contains(&error.kind())
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, tls: Option<PagesTls>) {
    // An answer of a few bytes must not wait for more.
    let _ = stream.set_nodelay(true);
    match tls {
        None => speak(stream, peer, router).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => speak(stream, peer, router).await,
            Err(error) => tracing::debug!(%error, "a handshake for the pages failed"),
        },
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, peer: SocketAddr, router: Router) {
    let pages = MapRequest::new(router, move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_header_size(HEAD_BYTES_MAX);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages)).await {
        tracing::debug!(%error, "a connection ended before its time");
    }
}
