//! The real nodes and the real gRPC over a simulated network: lines are cut, held and deaf on one side, nodes are killed.
//!
//! **Invariant:** only the end is looked at: once every line is clear and every node runs, all of them hold the same, and
//! nothing that was acknowledged is missing. Weather, acts and the network's clock are the seed's; writers, fold workers
//! and SQLite are threads of this machine, so that a seed does not repeat a run to the letter. `simulation.rs` does that.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use model::{
    AttemptHow, AttemptResult, DocId, EventId, PlacementFact, ProposalId, ScopeId, SignUp, SignUpOrigin, Supporter,
};
use node::{
    Accepting, AttemptDraft, Came, ChapterDraft, Connector, ErrorKind, FieldEdit, HubDraft, INVITE_LIFE_MS, Invite,
    Inviting, Node, Posted, Priority, Serving, join_by,
};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use store::{DATABASE_FILE, Filter, NodeKind, Page};
use tempfile::TempDir;
use tests::harness::PATIENCE;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use turmoil::net::{TcpListener, TcpStream};
use turmoil::{Builder, Sim};

/// Seeds in the test command; `SEEDS=N` runs as many.
const SEEDS: u64 = 4;
const HUB: &str = "hub";
const CHAPTERS: [&str; 2] = ["la", "sf"];
/// Where the hub listens, in a network of its own.
const PORT: u16 = 7000;
/// Who writes.
const BY: &str = "lee";
/// What two nodes write differently.
const FIELD: &str = "family_name";
/// How far the network's clock goes in a step. It stands still while any node's blocking work runs.
const TICK: Duration = Duration::from_millis(40);
/// What a step leaves to writers and fold workers, which live in real time, so that the network's clock does not run away.
const BREATH: Duration = Duration::from_micros(100);
/// How often it is looked whether all agree, by the network's clock.
const LOOK: Duration = Duration::from_secs(2);
/// How long a spell lasts, in ms: it may be over before anybody notices.
const SPELL_MS: std::ops::Range<u64> = 100..15_000;
/// One that everybody notices: a line that is silent is given up after 50 s.
const LONG_SPELL: Duration = Duration::from_secs(60);

/// One end of a line.
#[derive(Clone, Copy, Debug)]
enum End {
    Hub,
    Chapter,
}

/// What befalls a chapter's line to the hub, or the node at one of its ends.
#[derive(Clone, Copy, Debug)]
enum Spell {
    /// Everything is lost.
    Partition,
    /// One end is not told anything any more; the other hears all that it says.
    Deaf(End),
    /// Everything waits, and arrives in the end.
    Hold,
    /// The node is killed and comes up at once: its peer's connection leads nowhere.
    Restart(End),
    /// The node is killed and stays down.
    Kill(End),
}

/// Each seed has all of them, in an order of its own.
const SPELLS: [Spell; 8] = [
    Spell::Partition,
    Spell::Deaf(End::Hub),
    Spell::Deaf(End::Chapter),
    Spell::Hold,
    Spell::Restart(End::Hub),
    Spell::Restart(End::Chapter),
    Spell::Kill(End::Hub),
    Spell::Kill(End::Chapter),
];

/// A host of the network: its node's directory, and the node while it serves.
struct Host {
    name: &'static str,
    data: PathBuf,
    serves: Mutex<Option<Node>>,
}

impl Host {
    fn new(name: &'static str, directory: &Path) -> Arc<Self> {
        Arc::new(Self { name, data: directory.join(name), serves: Mutex::new(None) })
    }

    fn node(&self) -> Option<Node> {
        self.serves.lock().unwrap().clone()
    }

    /// Serves until the host is killed.
    async fn serve(&self, node: Node, serving: Serving) -> turmoil::Result {
        *self.serves.lock().unwrap() = Some(node);
        let killed = std::future::pending::<turmoil::Result>().await;
        drop(serving);
        killed
    }
}

/// What the hub's process does, in each of its lives.
async fn run_hub(host: Arc<Host>) -> turmoil::Result {
    let node = Node::open(&host.data, NodeKind::Hub)?;
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let (accepted, incoming) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if accepted.send(Ok::<_, io::Error>(stream)).await.is_err() {
                return;
            }
        }
    });
    let serving = Serving::start_on(&node, ReceiverStream::new(incoming)).await?;
    host.serve(node, serving).await
}

/// What a chapter's process does, in each of its lives.
async fn run_chapter(host: Arc<Host>, invite: Invite) -> turmoil::Result {
    let connector = Connector::new(TcpStream::connect::<String>);
    let node = if host.data.join(DATABASE_FILE).exists() {
        Node::open(&host.data, NodeKind::Chapter)?
    } else {
        join(&host, &invite, &connector).await
    };
    node.connect_by(connector);
    let serving = Serving::start(&node, None, Vec::new()).await?;
    host.serve(node, serving).await
}

/// Joins as somebody does who tries again until it works: each time may be repeated.
async fn join(host: &Host, invite: &Invite, connector: &Connector) -> Node {
    let mut again = tokio::time::interval(Duration::from_secs(1));
    loop {
        again.tick().await;
        match join_by(connector, &host.data, invite, None, Accepting { version: 1, by: BY }).await {
            Ok(node) => return node,
            Err(error) => eprintln!("{} could not join: {error}", host.name),
        }
    }
}

/// A chapter of the network.
struct Chapter {
    host: Arc<Host>,
    scope: ScopeId,
}

/// A hub and its chapters on a simulated network.
struct Network {
    sim: Sim<'static>,
    hub: Arc<Host>,
    chapters: Vec<Chapter>,
    rng: StdRng,
    written: usize,
    emails: Vec<String>,
    /// What was acknowledged: a person, or an event of hers.
    ledger: Vec<(DocId, Option<EventId>)>,
    _directory: TempDir,
}

impl Network {
    fn new(seed: u64) -> Result<Self> {
        let shm = Path::new("/dev/shm");
        let directory = if shm.is_dir() { TempDir::new_in(shm)? } else { TempDir::new()? };
        let mut sim = Builder::new().rng_seed(seed).tick_duration(TICK).build();
        let hub = Host::new(HUB, directory.path());
        let draft = HubDraft { name: "Test".to_owned(), country: "US".to_owned(), ca_key_file: None };
        let node = Node::init_hub(&hub.data, &draft)?;
        let mut chapters = Vec::new();
        for slug in CHAPTERS {
            let draft = ChapterDraft { slug: slug.parse()?, name: slug.to_owned(), intake: None };
            // Nobody is placed by territories here: each sign-up says where it belongs.
            let scope = node.add_chapter(&draft, |_, _, _| Ok("{}".to_owned()), BY)?;
            let addresses = Some(vec![format!("{HUB}:{PORT}")]);
            let invite = node.invite(slug, &Inviting { addresses, life_ms: INVITE_LIFE_MS, by: BY, link: None })?;
            let host = Host::new(slug, directory.path());
            let runs = Arc::clone(&host);
            sim.host(slug, move || run_chapter(Arc::clone(&runs), invite.clone()));
            chapters.push(Chapter { host, scope });
        }
        drop(node);
        let runs = Arc::clone(&hub);
        sim.host(HUB, move || run_hub(Arc::clone(&runs)));
        let (rng, emails, ledger) = (StdRng::seed_from_u64(seed), Vec::new(), Vec::new());
        Ok(Self { sim, hub, chapters, rng, written: 0, emails, ledger, _directory: directory })
    }

    /// Lets all spells come over the network while people work, then waits until everybody agrees.
    fn live(&mut self) -> Result<()> {
        let mut spells = SPELLS;
        spells.shuffle(&mut self.rng);
        for (nth, spell) in spells.into_iter().enumerate() {
            let at = self.rng.random_range(0..self.chapters.len());
            let round = format!("round {nth}, {spell:?} at {}", CHAPTERS[at]);
            self.round(spell, at).context(round)?;
        }
        self.agree()
    }

    fn round(&mut self, spell: Spell, at: usize) -> Result<()> {
        self.start_all();
        for name in CHAPTERS {
            if self.rng.random_bool(0.8) {
                self.sim.release(HUB, name);
            }
        }
        self.ask_for_exchanges()?;
        self.act()?;
        // What was just written may be under way, or there already.
        self.pass_up_to(3_000)?;
        self.befall(spell, at);
        self.act()?;
        let lasts = Duration::from_millis(self.rng.random_range(SPELL_MS));
        let lasts = if self.rng.random_bool(0.25) { LONG_SPELL } else { lasts };
        self.pass(lasts)
    }

    fn befall(&mut self, spell: Spell, at: usize) {
        let (chapter, name) = (Arc::clone(&self.chapters[at].host), CHAPTERS[at]);
        match spell {
            Spell::Partition => self.sim.partition(HUB, name),
            Spell::Deaf(End::Hub) => self.sim.partition_oneway(name, HUB),
            Spell::Deaf(End::Chapter) => self.sim.partition_oneway(HUB, name),
            Spell::Hold => self.sim.hold(HUB, name),
            Spell::Restart(end) => {
                let host = if matches!(end, End::Hub) { Arc::clone(&self.hub) } else { chapter };
                self.kill(&host);
                self.sim.bounce(host.name);
            }
            Spell::Kill(End::Hub) => self.kill(&Arc::clone(&self.hub)),
            Spell::Kill(End::Chapter) => self.kill(&chapter),
        }
    }

    /// Ends the process of a host. What its threads had begun may still be committed, as by one that is killed slowly.
    fn kill(&mut self, host: &Host) {
        drop(host.serves.lock().unwrap().take());
        self.sim.crash(host.name);
    }

    fn start_all(&mut self) {
        for name in [HUB, CHAPTERS[0], CHAPTERS[1]] {
            if !self.sim.is_host_running(name) {
                self.sim.bounce(name);
            }
        }
    }

    /// Some organisers ask for an exchange at once: the others' nodes dial when they find out that a line is dead.
    fn ask_for_exchanges(&mut self) -> Result<()> {
        for chapter in &self.chapters {
            if let Some(node) = chapter.host.node().filter(|_| self.rng.random_bool(0.5)) {
                node.write(Priority::Interactive, |tx| tx.want_exchange())?;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        self.sim.step().map_err(|error| anyhow!("a host ended: {error}"))?;
        std::thread::park_timeout(BREATH);
        Ok(())
    }

    /// Lets so much time pass, by the network's clock.
    fn pass(&mut self, time: Duration) -> Result<()> {
        let until = self.sim.elapsed() + time;
        while self.sim.elapsed() < until {
            self.step()?;
        }
        Ok(())
    }

    fn pass_up_to(&mut self, most_ms: u64) -> Result<()> {
        let time = Duration::from_millis(self.rng.random_range(0..most_ms));
        self.pass(time)
    }

    /// People do something, at the hub or in a chapter.
    fn act(&mut self) -> Result<()> {
        for _ in 0..self.rng.random_range(1..8) {
            let at = self.rng.random_range(0..self.chapters.len());
            match self.rng.random_range(0..10) {
                0..3 => self.sign_up(at)?,
                3..5 => self.add(at)?,
                5 => self.rename(self.hub.node())?,
                6..8 => self.rename(self.chapters[at].host.node())?,
                8 => self.edit_card(at)?,
                _ => self.attempt(at)?,
            }
        }
        Ok(())
    }

    fn person(&mut self, email: &str) -> Result<SignUp> {
        self.written += 1;
        let name = format!("Given{}", self.written);
        Ok(SignUp::from_fields([("given_name", name.as_str()), ("email", email)], "US")?)
    }

    /// Somebody signs up at the hub; or who is known does it once more, under another name.
    fn sign_up(&mut self, at: usize) -> Result<()> {
        let Some(hub) = self.hub.node() else { return Ok(()) };
        let again = self.rng.random_bool(0.3);
        let known = self.emails.choose(&mut self.rng).filter(|_| again).cloned();
        let email = known.unwrap_or_else(|| format!("signed{}@example.org", self.written));
        let placement = PlacementFact {
            chapter: Some(self.chapters[at].scope),
            reason: "simulated".to_owned(),
            explanation: String::new(),
            flags: Vec::new(),
            territory_version: 1,
            gazetteer_version: String::new(),
        };
        let posted = Posted { sign_up: self.person(&email)?, origin: SignUpOrigin::Form, placement };
        let signed_up = hub.sign_up(&posted, Came::now(), None)?;
        self.ledger.push((signed_up.person, Some(signed_up.receipt)));
        self.emails.push(email);
        Ok(())
    }

    /// A chapter adds somebody.
    fn add(&mut self, at: usize) -> Result<()> {
        let Some(node) = self.chapters[at].host.node() else { return Ok(()) };
        let email = format!("added{}@example.org", self.written);
        let person = node.add_person(self.person(&email)?, BY)?;
        self.ledger.push((person, None));
        self.emails.push(email);
        Ok(())
    }

    fn somebody(&mut self, node: &Node) -> Result<Option<Supporter>> {
        let people = node.read(|read| read.people(&Filter::default(), Page { limit: 50, after: None }))?;
        Ok(people.choose(&mut self.rng).map(|row| row.supporter.clone()))
    }

    /// Somebody is given another name; where two nodes did that apart, one name is settled on.
    fn rename(&mut self, node: Option<Node>) -> Result<()> {
        let Some(node) = node else { return Ok(()) };
        let Some(person) = self.somebody(&node)? else { return Ok(()) };
        self.written += 1;
        let name = format!("Name{}", self.written);
        let renamed = if person.conflicts.iter().any(|conflict| conflict.field == FIELD) {
            node.settle_conflict(person.id, FIELD, &name, None, BY)
        } else {
            node.edit_fields(person.id, &[FieldEdit { field: FIELD.to_owned(), value: name, shown: None }], BY)
        };
        match renamed {
            // Between the look and the write a name came from elsewhere.
            Err(error) if error.kind() == ErrorKind::Refused => Ok(()),
            other => Ok(other?),
        }
    }

    fn attempt(&mut self, at: usize) -> Result<()> {
        let Some(node) = self.chapters[at].host.node() else { return Ok(()) };
        let Some(person) = self.somebody(&node)? else { return Ok(()) };
        let (how, result) = (AttemptHow::Call, AttemptResult::NoAnswer);
        let draft = AttemptDraft { how, result, line: None, not_before: None, next_on: None, at: None };
        let logged = node.log_attempt(person.id, draft, BY)?;
        self.ledger.push((person.id, Some(logged)));
        Ok(())
    }

    /// A chapter writes on its card, which goes over the hub to the other chapter, too.
    fn edit_card(&mut self, at: usize) -> Result<()> {
        let Chapter { host, scope } = &self.chapters[at];
        let Some(node) = host.node() else { return Ok(()) };
        // It comes with the first exchange.
        if node.read(|read| read.card_document(*scope))?.is_some() {
            self.written += 1;
            node.edit_card(*scope, &[("working_on".to_owned(), format!("Issue {}", self.written))], BY)?;
        }
        Ok(())
    }

    /// Clears every line and starts every node; then waits, without any help, until all hold the same and nothing is lost.
    fn agree(&mut self) -> Result<()> {
        CHAPTERS.into_iter().for_each(|name| self.sim.release(HUB, name));
        self.start_all();
        let (began, since) = (Instant::now(), self.sim.elapsed());
        loop {
            self.pass(LOOK)?;
            let Some(difference) = self.difference()? else { break };
            let waited = (self.sim.elapsed() - since).as_secs();
            ensure!(began.elapsed() < PATIENCE, "{waited} s after the last line was clear, {difference}");
        }
        self.nothing_is_lost()
    }

    /// What a chapter and the hub do not agree on yet.
    fn difference(&self) -> Result<Option<String>> {
        let Some(hub) = self.hub.node() else { return Ok(Some("the hub does not serve".to_owned())) };
        let held = |node: &Node, scope| node.read(|read| Ok((read.recount(scope)?, read.unfolded()?)));
        let proposals = |node: &Node| {
            let rows = node.read(|read| read.proposals(None))?;
            anyhow::Ok(rows.into_iter().map(|row| row.id).collect::<BTreeSet<ProposalId>>())
        };
        let mut proposed = BTreeSet::new();
        for Chapter { host, scope } in &self.chapters {
            let Some(chapter) = host.node() else { return Ok(Some(format!("{} has not joined", host.name))) };
            for scope in [*scope, ScopeId::NETWORK] {
                let (here, there) = (held(&chapter, scope)?, held(&hub, scope)?);
                if here != there || here.1 > 0 {
                    let words = format!("{} holds {here:?} of scope {scope} and the hub {there:?}", host.name);
                    return Ok(Some(words));
                }
            }
            proposed.extend(proposals(&chapter)?);
        }
        let posted = proposals(&hub)?;
        Ok((posted != proposed).then(|| format!("{posted:?} were proposed at the hub, {proposed:?} have come")))
    }

    fn nothing_is_lost(&self) -> Result<()> {
        let hub = self.hub.node().context("the hub serves")?;
        for (person, event) in &self.ledger {
            let row = hub.read(|read| read.person(*person)).with_context(|| format!("{person} was acknowledged"))?;
            ensure!(row.chapter.is_some(), "{person} is in no chapter");
            let missing = event.filter(|event| row.supporter.event(*event).is_none());
            ensure!(missing.is_none(), "{missing:?} of {person} was acknowledged and is not there");
        }
        for host in self.chapters.iter().map(|chapter| &chapter.host).chain([&self.hub]) {
            let node = host.node().with_context(|| format!("{} serves", host.name))?;
            let (found, tally) = (node.verify()?, node.read(|read| read.tally())?);
            ensure!(found.is_empty(), "{}: {found:?}", host.name);
            let untaken = (tally.quarantined, tally.refused, tally.missing);
            ensure!(untaken == (0, 0, 0), "{} refused or misses something: {tally:?}", host.name);
        }
        Ok(())
    }
}

#[test]
fn nodes_agree_after_partitions_holds_and_resets() {
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    for seed in 0..seeds {
        if let Err(error) = Network::new(seed).and_then(|mut network| network.live()) {
            panic!("seed {seed}: {error:?}");
        }
    }
}

/// Where a lost answer leaves the hub with a node that has not heard of it, `identity.rs` looks.
#[test]
fn a_chapter_joins_once_the_hubs_answers_come_through() {
    let mut network = Network::new(0).unwrap();
    network.sim.partition_oneway(HUB, CHAPTERS[0]);
    network.pass(Duration::from_secs(30)).unwrap();
    let hub = network.hub.node().unwrap();
    let links = hub.read(|read| read.links()).unwrap();
    assert!(links.iter().all(|link| link.name != CHAPTERS[0]), "who hears nothing of the hub tells it nothing");
    assert!(network.chapters[0].host.node().is_none());
    drop(hub);
    network.sign_up(0).unwrap();
    network.agree().unwrap();
    assert_eq!(network.hub.node().unwrap().read(|read| read.links()).unwrap().len(), CHAPTERS.len());
}
