//! Serving in the foreground, until a signal.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use node::{Node, Serving, listen_address, loopback_only};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use web::serve_pages;

use crate::{Failure, Out, runtime};

/// The numbering plans take 80 ms to read, which the links may use better while the node starts.
const WARM_AFTER: Duration = Duration::from_secs(2);
/// How long open pages may take to end after a signal: they are live streams that never end by themselves.
const GRACE: Duration = Duration::from_secs(2);

/// Our crates, as they stand before what is logged.
const OURS: [&str; 10] =
    ["model", "record", "atlas", "engine", "store", "node", "web", "cli", "hub_node", "chapter_node"];

/// What to serve.
pub struct ServePlan {
    /// Where pages are served.
    pub http: String,
    /// Where children are accepted, at a hub.
    pub grpc: Option<String>,
    /// Where others reach that, as invitations name it; empty: where it listens.
    pub addresses: Vec<String>,
    /// The pages.
    pub router: Router,
    /// What the program does beside serving, until it ends.
    pub beside: Option<Beside>,
    /// What is done with the pages' address once they are served, beside printing it.
    pub once_open: Option<fn(&str)>,
}

/// What a program does beside serving.
pub type Beside = Pin<Box<dyn Future<Output = ()> + Send>>;

impl std::fmt::Debug for ServePlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServePlan({}, {:?})", self.http, self.grpc)
    }
}

/// Serves until SIGTERM or SIGINT. The first line on stdout says where.
///
/// # Errors
/// When an address can't be listened on, or another process serves the node.
pub fn serve(node: &Node, plan: ServePlan) -> Result<(), Failure> {
    start_log();
    let http = loopback_only(&plan.http, "the pages")?;
    let grpc = plan.grpc.as_deref().map(|address| listen_address(address, "the port for children")).transpose()?;
    let runtime = runtime()?;
    if let Some(beside) = plan.beside {
        runtime.spawn(beside);
    }
    let outcome = runtime.block_on(run(node, http, (grpc, plan.addresses), plan.router, plan.once_open));
    runtime.shutdown_timeout(GRACE);
    outcome
}

/// Logs to stderr what `RUST_LOG` asks for. Only our crates say more than `info`, whatever it asks for: they log ids. Below
/// that libraries print what they carry (automerge every value that it writes, h2 the head of every call with its token,
/// hyper, tonic, rustls and tower what passes through them), and nobody's name may end in a log.
fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ceiling = filter_fn(|said| {
        let of = said.target().split("::").next().unwrap_or_default();
        OURS.contains(&of) || *said.level() <= LevelFilter::INFO
    });
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second subscriber in one process (a test) is no failure.
    let _ = tracing_subscriber::registry().with(filter).with(ceiling).with(log).try_init();
    tracing::debug!(ours = OURS.join(" "), "only these say more than info");
}

async fn run(
    node: &Node,
    http: SocketAddr,
    (grpc, addresses): (Option<SocketAddr>, Vec<String>),
    router: Router,
    once_open: Option<fn(&str)>,
) -> Result<(), Failure> {
    let failed = |what: &str, error: std::io::Error| Failure::failed(format!("could not {what}: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| failed("listen for signals", error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| failed("listen for signals", error))?;
    let listener = TcpListener::bind(http).await.map_err(|error| failed(&format!("listen on {http}"), error))?;
    let bound = listener.local_addr().map_err(|error| failed("read the address", error))?;
    let serving = Serving::start(node, grpc, addresses).await?;
    tokio::spawn(async {
        tokio::time::sleep(WARM_AFTER).await;
        tokio::task::spawn_blocking(model::warm_phone_metadata).await
    });
    let mut listening = json!({"http": bound.to_string()});
    if let (Some(object), Some(grpc)) = (listening.as_object_mut(), serving.grpc) {
        object.insert("grpc".to_owned(), json!(grpc.to_string()));
    }
    let mut said = json!({"listening": listening, "node": node.id().to_string(), "pid": std::process::id()});
    let set_up = node.offer_set_up()?.map(|held| format!("http://{bound}/setup?token={held}"));
    if let (Some(object), Some(link)) = (said.as_object_mut(), &set_up) {
        object.insert("setup".to_owned(), json!(link));
    }
    Out::line(&said.to_string());
    let address = format!("http://{bound}");
    Out::note(&format!("{} is open at {address}", node.row().name));
    if let Some(link) = &set_up {
        Out::note(&format!("nobody can log in yet. This link makes the first login, once: {link}"));
    }
    let pages = tokio::spawn(serve_pages(listener, router));
    if let Some(once_open) = once_open {
        once_open(set_up.as_ref().unwrap_or(&address));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    pages.abort();
    serving.end().await;
    Ok(())
}
