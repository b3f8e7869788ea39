//! Serving in the foreground, until a signal.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use node::{Node, PagesTls, Serving, listen_address, local_network_address, loopback_only};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use web::serve_pages;

use crate::browser::open_browser;
use crate::globals::person_watches;
use crate::invite::terminal_qr;
use crate::{Failure, Out, runtime};

/// The numbering plans take 80 ms to read, which the links may use better while the node starts.
const WARM_AFTER: Duration = Duration::from_secs(2);
/// How long open pages may take to end after a signal: they are live streams that never end by themselves.
const GRACE: Duration = Duration::from_secs(2);

/// Our crates, as they stand before what is logged.
const OURS: [&str; 10] =
    ["model", "record", "atlas", "engine", "store", "node", "web", "cli", "hub_node", "chapter_node"];

/// What the pages are to whoever reads that they can't be served.
const PAGES: &str = "the pages";
/// What to do where somebody listens already.
const TAKEN: &str = "another program is there, or this one runs already: end it, or say another address with `serve --http`, or \
                     as `http` in config.toml";

/// What to serve.
pub struct ServePlan {
    /// Where pages are served.
    pub http: String,
    /// The pages.
    pub router: Router,
    /// Where children are accepted, at a hub.
    pub grpc: Option<String>,
    /// Where others reach that, as invitations name it; empty: where it listens.
    pub addresses: Vec<String>,
    /// What the program does beside serving, until it ends.
    pub beside: Option<Beside>,
    /// With what pages are encrypted that others than this machine may open.
    pub tls: Option<PagesTls>,
    /// Whether the pages are opened in a browser.
    pub opens_browser: bool,
    /// What was served before there was a node.
    pub begun: Option<Begun>,
}

impl ServePlan {
    /// Pages for this machine, and nothing else.
    pub fn new(http: String, router: Router) -> Self {
        let (grpc, addresses, beside) = (None, Vec::new(), None);
        Self { http, router, grpc, addresses, beside, tls: None, opens_browser: false, begun: None }
    }
}

/// What a program does beside serving.
pub type Beside = Pin<Box<dyn Future<Output = ()> + Send>>;

impl std::fmt::Debug for ServePlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServePlan({}, {:?})", self.http, self.grpc)
    }
}

/// Serving that began before there was a node, and goes on with it.
#[derive(Debug)]
pub struct Begun {
    /// On which the last answers of that time are still under way.
    runtime: Runtime,
    listener: TcpListener,
    /// What is in the link for the first login, which somebody holds already.
    set_up: Option<String>,
}

/// Serves until SIGTERM or SIGINT. The first line on stdout says where.
///
/// # Errors
/// When an address can't be listened on, or another process serves the node.
pub fn serve(node: &Node, mut plan: ServePlan) -> Result<(), Failure> {
    start_log();
    let read = if plan.tls.is_some() { listen_address } else { loopback_only };
    let http = read(&plan.http, PAGES)?;
    let grpc = plan.grpc.as_deref().map(|address| listen_address(address, "the port for children")).transpose()?;
    let (runtime, begun) = match plan.begun.take() {
        Some(Begun { runtime, listener, set_up }) => (runtime, Some((listener, set_up))),
        None => (runtime()?, None),
    };
    if let Some(beside) = plan.beside.take() {
        runtime.spawn(beside);
    }
    let outcome = runtime.block_on(run(node, (http, grpc), plan, begun));
    runtime.shutdown_timeout(GRACE);
    outcome
}

/// Serves pages of this machine before there is a node, until they have made one: that is sent to `made`, with what is in the
/// link for the first login. The first line on stdout has the `path` that leads in, which a browser is opened on. Nothing: a
/// signal ended it.
///
/// # Errors
/// When the address can't be listened on.
pub fn serve_before_a_node<T>(
    http: &str,
    path: &str,
    router: Router,
    made: oneshot::Receiver<(T, Option<String>)>,
) -> Result<Option<(T, Begun)>, Failure> {
    start_log();
    let (http, runtime) = (loopback_only(http, PAGES)?, runtime()?);
    let served = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let (listener, bound) = listen(http).await?;
        let address = format!("http://{bound}");
        let link = format!("{address}{path}");
        let listening = json!({"http": bound.to_string()});
        let said = json!({"listening": listening, "node": null, "pid": std::process::id(), "join": link});
        Out::line(&said.to_string());
        Out::note(&format!("this node has joined no network yet. This link joins one, once: {link}"));
        let opened = open_browser(&address, bound.port(), Some(&link));
        let made = tokio::select! {
            () = serve_pages(&listener, router, None) => None,
            () = signals.either() => None,
            made = made => made.ok(),
        };
        drop(opened);
        Ok::<_, Failure>(made.map(|made| (made, listener)))
    })?;
    let Some(((made, set_up), listener)) = served else {
        runtime.shutdown_timeout(GRACE);
        return Ok(None);
    };
    Ok(Some((made, Begun { runtime, listener, set_up })))
}

/// What ends a program that serves.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|error| failed("listen for signals", &error));
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    async fn either(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    Failure::failed(format!("could not {what}: {error}"))
}

async fn listen(http: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind(http).await.map_err(|error| {
        let failure = failed(&format!("listen on {http}"), &error);
        if error.kind() == ErrorKind::AddrInUse { failure.hint(TAKEN) } else { failure }
    })?;
    let bound = listener.local_addr().map_err(|error| failed("read the address", &error))?;
    Ok((listener, bound))
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
    (http, grpc): (SocketAddr, Option<SocketAddr>),
    plan: ServePlan,
    begun: Option<(TcpListener, Option<String>)>,
) -> Result<(), Failure> {
    let ServePlan { router, addresses, tls, opens_browser, .. } = plan;
    let mut signals = Signals::new()?;
    let (listener, held) = match begun {
        Some(begun) => begun,
        None => (listen(http).await?.0, None),
    };
    let bound = listener.local_addr().map_err(|error| failed("read the address", &error))?;
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
    let held = match (held, &tls) {
        (None, None) => node.offer_set_up()?,
        // The link for the first login does not leave this machine.
        (held, _) => held,
    };
    let address = match &tls {
        None => format!("http://{bound}"),
        Some(_) => format!("https://{}", local_network_address(bound)),
    };
    let set_up = held.map(|held| format!("{address}/setup?token={held}"));
    if let Some(object) = said.as_object_mut() {
        object.extend(set_up.iter().map(|link| ("setup".to_owned(), json!(link))));
        object.extend(tls.iter().map(|tls| ("certificate".to_owned(), json!(tls.fingerprint()))));
    }
    Out::line(&said.to_string());
    Out::note(&format!("{} is open at {address}", node.row().name));
    if let Some(tls) = &tls {
        say_how_it_is_known(&address, tls);
    }
    if let Some(link) = &set_up {
        Out::note(&format!("nobody can log in yet. This link makes the first login, once: {link}"));
    }
    let pages = tokio::spawn(async move { serve_pages(&listener, router, tls).await });
    let opened = opens_browser.then(|| open_browser(&address, bound.port(), set_up.as_deref()));
    signals.either().await;
    drop(opened);
    pages.abort();
    serving.end().await;
    Ok(())
}

/// Tells a person how the pages are known from another machine: no authority that a browser knows vouches for them.
fn say_how_it_is_known(address: &str, tls: &PagesTls) {
    Out::note(&format!(
        "browsers will warn that they do not know its certificate. Before you go on, compare the certificate's SHA-256 \
         fingerprint:\n{}",
        tls.fingerprint()
    ));
    if let Some(code) = terminal_qr(address).filter(|_| person_watches()) {
        Out::note(&code);
    }
}
