//! Bad lines and killed nodes: what was acknowledged is at both ends afterwards, as it was written.
//!
//! **Invariant:** the ledger is kept here, outside of every node: a write stands in it only once somebody was told that
//! it is safe. The acts are drawn before the first of them runs; how they meet what the nodes do is the machine's.

use std::collections::btree_map::{BTreeMap, Entry};
use std::iter::repeat_n;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http;
use tests::proxy::{Policy, Proxy, Way};

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";
const SEED: u64 = 17;
/// Everybody's given name: nobody ever changes it, so that any other is damage.
const NAME: &str = "Pat";
/// After so many looks in vain an exchange is asked for again: a link that broke meanwhile waits before it dials.
const LOOKS: u32 = 20;
/// Damaged bytes are at most so far apart that no record of TLS gets through whole.
const DENSE_BYTES_MAX: usize = 8;
/// Rounds with single bits.
const ROUNDS: usize = 10;

/// A chapter to be made.
#[derive(Debug)]
struct Place {
    slug: &'static str,
    name: &'static str,
    territory: [&'static str; 2],
    postal_code: &'static str,
}

static PLACES: [Place; 2] = [
    Place { slug: "la", name: "Los Angeles", territory: ["--county", "06037"], postal_code: "90012" },
    Place { slug: "sf", name: "San Francisco", territory: ["--postal", "941*"], postal_code: "94110" },
];

/// What the schedule does to a chapter, or to the hub for its sake.
#[derive(Clone, Copy, Debug)]
enum Act {
    SignUp,
    Add,
    Edit,
    Attempt,
    Pass,
    Cut,
    CutAfter,
    Throttle,
    Hold,
    Damage(&'static [Way]),
    KillHub,
    KillChapter,
}

/// Each act and how often: forty in all.
const DECK: [(Act, usize); 14] = [
    (Act::SignUp, 8),
    (Act::Add, 5),
    (Act::Edit, 5),
    (Act::Attempt, 5),
    (Act::Pass, 2),
    (Act::Cut, 2),
    (Act::CutAfter, 3),
    (Act::Throttle, 2),
    (Act::Hold, 1),
    (Act::Damage(&[Way::Up]), 1),
    (Act::Damage(&[Way::Down]), 1),
    (Act::Damage(&[Way::Up, Way::Down]), 1),
    (Act::KillHub, 2),
    (Act::KillChapter, 2),
];

/// A write that was acknowledged.
#[derive(Debug)]
enum Acknowledged {
    SignUp { email: String },
    Person { id: String, email: String },
    Edit { id: String, family_name: String },
    Attempt { id: String, event: String },
}

/// A chapter that serves, with its line to the hub.
struct Chapter {
    place: &'static Place,
    node: Node,
    line: Proxy,
    /// Whom it added itself.
    people: Vec<String>,
}

impl Chapter {
    /// Its link to the hub, as `status` has it.
    fn link(&self) -> Result<Value> {
        Ok(self.node.json(&["status"])?["links"][0].clone())
    }
}

/// A hub and chapters, each behind a line of its own.
struct Network {
    hub: Node,
    chapters: Vec<Chapter>,
    rng: StdRng,
    ledger: Vec<(usize, Acknowledged)>,
    written: usize,
    _directory: TempDir,
}

impl Network {
    fn new(seed: u64, places: &'static [Place]) -> Result<Self> {
        let directory = TempDir::new()?;
        let mut hub = Node::hub(&directory.path().join("hub"));
        hub.run(&["init", "--name", "Test", "--country", "US"])?;
        for place in places {
            let [by, what] = place.territory;
            hub.run(&["chapter", "add", place.slug, "--name", place.name, by, what])?;
        }
        hub.serve()?;
        let upstream: SocketAddr = hub.grpc().context("the hub accepts chapters")?.parse()?;
        let mut chapters = Vec::new();
        for place in places {
            let line = Proxy::start(upstream);
            let invite = hub.run(&["invite", place.slug, "--address", &line.address().to_string()])?;
            let mut node = Node::chapter(&directory.path().join(place.slug));
            node.run(&["join", &invite, "--accept-statement"])?;
            node.serve()?;
            chapters.push(Chapter { place, node, line, people: Vec::new() });
        }
        let rng = StdRng::seed_from_u64(seed);
        let mut network = Self { hub, chapters, rng, ledger: Vec::new(), written: 0, _directory: directory };
        (0..places.len()).try_for_each(|at| network.add(at))?;
        Ok(network)
    }

    fn schedule(&mut self) -> Vec<(Act, usize)> {
        let mut acts: Vec<Act> = DECK.iter().flat_map(|(act, count)| repeat_n(*act, *count)).collect();
        acts.shuffle(&mut self.rng);
        acts.into_iter().map(|act| (act, self.rng.random_range(0..self.chapters.len()))).collect()
    }

    fn act(&mut self, act: Act, at: usize) -> Result<()> {
        match act {
            Act::SignUp => self.sign_up(at)?,
            Act::Add => self.add(at)?,
            Act::Edit => self.edit(at)?,
            Act::Attempt => self.attempt(at)?,
            Act::Pass => self.chapters[at].line.set(Policy::Pass),
            Act::Cut => self.chapters[at].line.set(Policy::Cut),
            Act::CutAfter => {
                let bytes = (0..8).map(|_| self.rng.random_range(0..6000)).collect();
                self.chapters[at].line.set(Policy::CutAfter { bytes });
            }
            Act::Throttle => {
                let bytes_per_second = self.rng.random_range(500..20_000);
                self.chapters[at].line.set(Policy::Throttle { bytes_per_second });
            }
            Act::Hold => self.chapters[at].line.set(Policy::Hold),
            Act::Damage(ways) => self.damage(at, ways)?,
            Act::KillHub => {
                self.sign_up(at)?;
                self.hub.kill()?;
                self.add(at)?;
                self.hub.serve()?;
            }
            Act::KillChapter => {
                self.add(at)?;
                self.chapters[at].node.kill()?;
                self.attempt(at)?;
                self.chapters[at].node.serve()?;
            }
        }
        Ok(())
    }

    /// Somebody in the chapter's territory signs up at the hub.
    fn sign_up(&mut self, at: usize) -> Result<()> {
        self.written += 1;
        let (email, code) = (format!("signed{}@example.org", self.written), self.chapters[at].place.postal_code);
        let body = format!(
            r#"{{"person":{{"given_name":"{NAME}","email_addresses":[{{"address":"{email}"}}],"postal_addresses":[{{"postal_code":"{code}","country":"US"}}]}}}}"#
        );
        let answer = http::post_json(self.hub.http(), SIGN_UP, &body)?;
        ensure!(answer.status == 200, "the sign-up was answered {}", answer.status);
        self.ledger.push((at, Acknowledged::SignUp { email }));
        Ok(())
    }

    fn add(&mut self, at: usize) -> Result<()> {
        self.written += 1;
        let email = format!("added{}@example.org", self.written);
        let chapter = &mut self.chapters[at];
        let id = id_of(&chapter.node.json(&["people", "add", "--given-name", NAME, "--email", &email])?)?;
        chapter.people.push(id.clone());
        self.ledger.push((at, Acknowledged::Person { id, email }));
        Ok(())
    }

    /// One after the other of those whom the chapter added.
    fn someone(&self, at: usize) -> String {
        let people = &self.chapters[at].people;
        people[self.written % people.len()].clone()
    }

    fn edit(&mut self, at: usize) -> Result<()> {
        self.written += 1;
        let (id, family_name) = (self.someone(at), format!("Name{}", self.written));
        self.chapters[at].node.run(&["people", "edit", &id, &format!("family_name={family_name}")])?;
        // Of a name only the last correction stands.
        self.ledger.retain(|(_, kept)| !matches!(kept, Acknowledged::Edit { id: edited, .. } if *edited == id));
        self.ledger.push((at, Acknowledged::Edit { id, family_name }));
        Ok(())
    }

    fn attempt(&mut self, at: usize) -> Result<()> {
        self.written += 1;
        let (id, line) = (self.someone(at), format!("line {}", self.written));
        let logged = ["attempt", "log", &id, "--how", "call", "--result", "no-answer", "--line", &line];
        let event = id_of(&self.chapters[at].node.json(&logged)?)?;
        self.ledger.push((at, Acknowledged::Attempt { id, event }));
        Ok(())
    }

    /// Some write at the chapter.
    fn write(&mut self, at: usize) -> Result<()> {
        match self.written % 3 {
            0 => self.add(at),
            1 => self.edit(at),
            _ => self.attempt(at),
        }
    }

    /// Lets everything through, and waits until both ends hold the same.
    fn agree(&self, at: usize) -> Result<()> {
        let Chapter { place: Place { slug, .. }, node, line, .. } = &self.chapters[at];
        line.set(Policy::Pass);
        until(&format!("{slug} is in step"), || Ok((node.try_run(&["sync"])?.code == 0).then_some(())))?;
        let mut looks = 0_u32;
        until(&format!("{slug} and the hub hold the same"), || {
            looks += 1;
            if looks.is_multiple_of(LOOKS) {
                node.try_run(&["sync"])?;
            }
            Ok(self.is_same(at)?.then_some(()))
        })
    }

    fn is_same(&self, at: usize) -> Result<bool> {
        let Chapter { place, node, .. } = &self.chapters[at];
        Ok(node.run(&["state-hash"])? == self.hub.run(&["state-hash", "--scope", place.slug])?)
    }

    /// A line on which at least every eighth byte is wrong: no record of TLS gets through whole, and the first that does not
    /// ends the link. Nothing that it brings is looked at.
    fn damage(&mut self, at: usize, ways: &'static [Way]) -> Result<()> {
        self.agree(at)?;
        until("the link is open", || Ok((self.chapters[at].link()?["state"] == "connected").then_some(())))?;
        let every_bytes = self.rng.random_range(2..=DENSE_BYTES_MAX);
        self.chapters[at].line.set(Policy::Corrupt { every_bytes, ways });
        // A record with a wrong length waits for more: there has to be more to say.
        until("a damaged line ends the link in words", || {
            for way in ways {
                match way {
                    Way::Up => self.attempt(at)?,
                    Way::Down => self.sign_up(at)?,
                }
            }
            let link = self.chapters[at].link()?;
            let words = link["detail"].as_str().unwrap_or_default();
            Ok((link["state"] != "connected" && !words.is_empty()).then_some(()))
        })?;
        self.chapters[at].line.set(Policy::Pass);
        Ok(())
    }

    /// Flips a bit here and there of what both say while the chapter writes.
    fn nick(&mut self, at: usize, every_bytes: usize) -> Result<()> {
        let before = self.chapters[at].line.flipped_bits();
        self.chapters[at].line.set(Policy::Corrupt { every_bytes, ways: &[Way::Up, Way::Down] });
        until("a bit is flipped", || {
            self.write(at)?;
            Ok((self.chapters[at].line.flipped_bits() > before).then_some(()))
        })?;
        self.agree(at)
    }

    /// What was acknowledged for a chapter and is not as it was written at one of its ends.
    fn lost(&self, at: usize, node: &Node) -> Result<Vec<String>> {
        let listed = node.json(&["people", "list", "--limit", "499"])?;
        let people = listed["people"].as_array().context("people are listed")?;
        let person = |id: &str| people.iter().find(|person| person["id"] == id);
        let mut lost: Vec<String> =
            people.iter().filter(|person| person["given_name"] != NAME).map(Value::to_string).collect();
        let mut histories = BTreeMap::new();
        for (_, kept) in self.ledger.iter().filter(|(chapter, _)| *chapter == at) {
            let found = match kept {
                Acknowledged::SignUp { email } => people.iter().any(|person| has_email(person, email)),
                Acknowledged::Person { id, email } => person(id.as_str()).is_some_and(|her| has_email(her, email)),
                Acknowledged::Edit { id, family_name } => {
                    person(id.as_str()).is_some_and(|her| her["family_name"] == family_name.as_str())
                }
                Acknowledged::Attempt { id, event } => {
                    let history = match histories.entry(id) {
                        Entry::Occupied(read) => read.into_mut(),
                        Entry::Vacant(unread) => unread.insert(node.json(&["people", "history", id])?.to_string()),
                    };
                    history.contains(event.as_str())
                }
            };
            if !found {
                lost.push(format!("{kept:?}"));
            }
        }
        Ok(lost)
    }

    /// Both ends of every line hold the same, have what was acknowledged, and are sound.
    fn nothing_is_lost(&self) -> Result<()> {
        (0..self.chapters.len()).try_for_each(|at| self.agree(at))?;
        for (at, Chapter { place, node, .. }) in self.chapters.iter().enumerate() {
            for (end, name) in [(node, "the chapter"), (&self.hub, "the hub")] {
                let lost = self.lost(at, end)?;
                ensure!(lost.is_empty(), "{name} ({}) has lost or changed {lost:?}", place.slug);
            }
        }
        for node in self.nodes() {
            node.run(&["verify"])?;
            let status = node.json(&["status"])?;
            ensure!(status["quarantined"] == 0, "a record can't be read: {status}");
            ensure!(!node.log().contains("panicked"), "something broke off: {}", node.log());
        }
        Ok(())
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.chapters.iter().map(|chapter| &chapter.node).chain([&self.hub])
    }
}

fn has_email(person: &Value, email: &str) -> bool {
    person["email_addresses"].to_string().contains(&format!("\"{email}\""))
}

fn id_of(made: &Value) -> Result<String> {
    Ok(made["id"].as_str().context("what was made has an id")?.to_owned())
}

#[test]
fn names_survive_a_line_that_cuts_throttles_and_corrupts() {
    let mut network = Network::new(SEED, &PLACES).unwrap();
    for (nth, (act, at)) in network.schedule().into_iter().enumerate() {
        let place = PLACES[at].slug;
        network.act(act, at).with_context(|| format!("act {nth}, {act:?} at {place}")).unwrap();
    }
    network.nothing_is_lost().unwrap();
    for node in network.nodes() {
        let status = node.json(&["status"]).unwrap();
        assert_eq!((&status["refused"], &status["missing"]), (&0.into(), &0.into()), "{status}");
    }
}

/// Either way: the record of TLS in which it is does not open, and nothing of it is looked at.
#[test]
fn a_wrong_bit_ends_the_connection_and_changes_no_record() {
    let mut network = Network::new(SEED, &PLACES[..1]).unwrap();
    network.agree(0).unwrap();
    for round in 0..ROUNDS {
        let every_bytes = network.rng.random_range(20..600);
        network.nick(0, every_bytes).with_context(|| format!("round {round}, every {every_bytes} bytes")).unwrap();
    }
    network.nothing_is_lost().unwrap();
    for node in network.nodes() {
        let status = node.json(&["status"]).unwrap();
        assert_eq!((&status["refused"], &status["missing"]), (&0.into(), &0.into()), "{status}");
    }
}

#[test]
fn a_line_that_holds_everything_is_given_up_and_opened_again() {
    let mut network = Network::new(SEED, &PLACES[..1]).unwrap();
    network.agree(0).unwrap();
    // A stream that is open is given up after 50 s of silence; one that does not open, after 10.
    network.chapters[0].node.kill().unwrap();
    network.chapters[0].line.set(Policy::Hold);
    let opened = network.chapters[0].line.opened();
    network.chapters[0].node.serve().unwrap();
    network.add(0).unwrap();
    network.sign_up(0).unwrap();
    let again = || Ok((network.chapters[0].line.opened() >= opened + 2).then_some(()));
    until("the line is given up and dialled again", again).unwrap();
    let link = network.chapters[0].link().unwrap();
    assert_ne!(link["state"], "connected");
    assert!(link["detail"].as_str().is_some_and(|words| words.contains("no answer")), "{link}");
    assert!(!network.is_same(0).unwrap(), "nothing was delivered");
    network.chapters[0].line.set(Policy::Pass);
    // Nobody asks for an exchange: the node dials by itself.
    until("both hold the same", || Ok(network.is_same(0)?.then_some(()))).unwrap();
    network.nothing_is_lost().unwrap();
}
