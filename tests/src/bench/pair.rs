//! A hub and a chapter in step, in this process.
//!
//! **Invariant:** their databases were made by the real programs, and they speak over real sockets. The hub serves all
//! along, the chapter when it is told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use engine::LocalScope;
use model::{DocId, ScopeId};
use node::{FieldEdit, Node, Priority, Serving, SyncOutcome};
use store::{LinkId, NodeKind};
use tokio::runtime::Runtime;

use crate::harness::{self, PATIENCE, until};
use crate::meter::{Meter, Tap};
use crate::sign_ups;

/// How often it is looked whether both hold the same: well within what is measured.
const LOOK: Duration = Duration::from_millis(2);

/// A hub, and a chapter that has everybody.
pub(super) struct Pair {
    pub(super) hub: Node,
    pub(super) chapter: Node,
    /// The chapter's scope.
    scope: ScopeId,
    /// The link, as the hub and as the chapter number it.
    links: (LinkId, LinkId),
    serving: Serving,
    grpc: SocketAddr,
    runtime: Runtime,
    /// Hears what the chapter says and is told.
    tap: Tap,
}

impl Pair {
    /// Makes both with so many people, by the programs; then opens them here.
    pub(super) fn new(directory: &Path, people: usize) -> Result<Self> {
        let mut hub = harness::Node::hub(&directory.join("hub"));
        hub.run(&["init", "--name", "Bench", "--country", "US"])?;
        hub.run(&["chapter", "add", "all", "--name", "Everywhere", "--postal", "0*,1*,2*,3*,4*,5*,6*,7*,8*,9*"])?;
        let file = directory.join("people.csv");
        std::fs::write(&file, sign_ups::csv(people, 41))?;
        hub.run(&["signup", "import", file.to_str().context("a path in UTF-8")?])?;
        hub.serve()?;
        let chapter = harness::Node::chapter(&directory.join("all"));
        let invite = hub.run(&["invite", "all"])?;
        chapter.run(&["join", &invite, "--accept-statement"])?;
        chapter.run(&["sync"])?;
        hub.stop()?;

        let (hub, chapter) = (Node::open(&hub.data, NodeKind::Hub)?, Node::open(&chapter.data, NodeKind::Chapter)?);
        let down = hub.read(|read| read.links())?.into_iter().next().context("the hub has a child")?;
        let up = chapter.read(|read| read.parent())?.context("the chapter has a parent")?;
        let runtime = Runtime::new()?;
        let tap = Tap::default();
        chapter.connect_by(tap.connector());
        let serving = runtime.block_on(Serving::start(&hub, Some((Ipv4Addr::LOCALHOST, 0).into()), Vec::new()))?;
        let grpc = serving.grpc.context("the hub listens for children")?;
        let pair = Self { hub, chapter, scope: up.scope, links: (down.id, up.id), serving, grpc, runtime, tap };
        let held = pair.held()?.len();
        ensure!(held >= people, "the hub gave the chapter {held} of {people} people");
        Ok(pair)
    }

    /// The documents of the chapter's scope, as the chapter holds them.
    pub(super) fn held(&self) -> Result<Vec<DocId>> {
        Ok(self.chapter.read(|read| read.held(self.scope))?)
    }

    /// Puts a line of that length between both: from now on the chapter dials it.
    pub(super) fn line(&self, delay: Duration) -> Result<Meter> {
        let line = Meter::start(self.grpc, delay, &self.tap)?;
        let address = line.address().to_string();
        self.chapter.write(Priority::Interactive, move |tx| tx.set_parent_addresses(&[address]))?;
        Ok(line)
    }

    /// The chapter serves: it dials, and its link stays open.
    pub(super) fn serve(&self) -> Result<Serving> {
        Ok(self.runtime.block_on(Serving::start(&self.chapter, None, Vec::new()))?)
    }

    /// The chapter serves no longer.
    pub(super) fn stop(&self, serving: Serving) {
        self.runtime.block_on(serving.end());
    }

    /// One exchange, as `chapter-node sync` does it; gives how long it took.
    pub(super) fn sync(&self) -> Result<Duration> {
        let began = Instant::now();
        let outcome = self.runtime.block_on(self.chapter.sync())?;
        ensure!(outcome == SyncOutcome::InStep, "the exchange came to {outcome:?}");
        Ok(began.elapsed())
    }

    /// Exchanges until neither end has anything to say.
    pub(super) fn rest(&self) -> Result<()> {
        until("neither end has anything to say", || {
            self.sync()?;
            Ok(self.at_rest()?.then_some(()))
        })
    }

    /// Dials and waits until both hold the same, which they do not before; gives how long that took.
    pub(super) fn until_same(&self) -> Result<Duration> {
        ensure!(!self.same()?, "both hold the same already");
        let began = Instant::now();
        let (took, exchanged) = thread::scope(|scope| {
            let exchanging = scope.spawn(|| self.runtime.block_on(self.chapter.sync()));
            let took = loop {
                match self.same() {
                    Ok(true) => break Ok(began.elapsed()),
                    Ok(false) if began.elapsed() > PATIENCE => break Err(anyhow!("both never held the same")),
                    Ok(false) => thread::park_timeout(LOOK),
                    Err(error) => break Err(error),
                }
            };
            (took, exchanging.join())
        });
        let outcome = exchanged.map_err(|_| anyhow!("the exchange broke off"))??;
        ensure!(outcome == SyncOutcome::InStep, "the exchange came to {outcome:?}");
        took
    }

    /// Ends the hub, too.
    pub(super) fn end(self) {
        let Self { runtime, serving, .. } = self;
        runtime.block_on(serving.end());
    }

    /// The scopes of the link as the hub and as the chapter has them.
    fn scopes(&self) -> Result<(Vec<LocalScope>, Vec<LocalScope>)> {
        let (down, up) = self.links;
        let hubs = self.hub.read(|read| read.local_scopes(down))?;
        Ok((hubs, self.chapter.read(|read| read.local_scopes(up))?))
    }

    /// Whether both hold the same, folded.
    fn same(&self) -> Result<bool> {
        let (hubs, chapters) = self.scopes()?;
        let own = |scopes: &[LocalScope]| {
            let own = scopes.iter().find(|scope| scope.scope == self.scope);
            own.map(|own| (own.sum, own.count, own.folded)).context("both have the chapter's scope")
        };
        let (hubs, chapters) = (own(&hubs)?, own(&chapters)?);
        Ok(hubs == chapters && hubs.2)
    }

    /// Whether both hold the same and have read each other's feeds to their ends.
    fn at_rest(&self) -> Result<bool> {
        let (hubs, chapters) = self.scopes()?;
        let read = |reader: &LocalScope, writer: &LocalScope| {
            reader.cursor.map_or(0, |cursor| cursor.position.seq) == writer.head.seq
        };
        let rests = |hubs: &LocalScope| {
            let mut theirs = chapters.iter().filter(|chapters| chapters.scope == hubs.scope);
            theirs.all(|chapters| read(hubs, chapters) && read(chapters, hubs))
        };
        Ok(hubs.iter().all(rests) && self.same()?)
    }
}

/// Edits one field of somebody.
pub(super) fn edit(node: &Node, person: DocId, family_name: &str) -> Result<()> {
    let edit = FieldEdit { field: "family_name".to_owned(), value: family_name.to_owned(), shown: None };
    Ok(node.edit_fields(person, &[edit], "bench")?)
}
