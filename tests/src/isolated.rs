//! What only one chapter and the network may know, beside a chapter that is after it: for tests of what that one can learn and
//! change.
//!
//! **Invariant:** what a hostile chapter says here is made by the crate that makes records, from what it could have: a
//! fluent liar.

use anyhow::Result;
use model::{DocId, Kind, ScopeId, Timestamp};
use record::{Record, Stamp, Value as Written, Write};
use serde_json::Value;
use store::{NodeKind, Read, Store, StoreError};

use crate::harness::{Node, until};
use crate::http;
use crate::peer::wire::entry::Content;
use crate::peer::wire::{Refused, RefusedWhy};
use crate::peer::{Cast, Peer};

/// What only the honest chapter and the network may know: a name, an address, a number, the name of whom it added itself.
pub const SECRETS: [&str; 4] = ["Canaria", "canaria@example.org", "3105550142", "Zweitvogel"];
/// Somebody of whom nobody ever heard.
pub const NOBODY: DocId = DocId::from_bytes([0x77; 16]);
/// The hostile chapter's actor.
pub const EVE: [u8; 16] = [0x66; 16];
/// People of the hostile chapter: somebody to stay, somebody to go, and one more.
const PEOPLE: usize = 3;
/// When something is done of which the time says nothing.
const AT: Timestamp = Timestamp::from_millis(1_795_359_311_123);

/// The cast, and how the other chapter stood before anything was tried.
#[derive(Debug)]
pub struct World {
    /// Everybody.
    pub cast: Cast,
    /// Somebody who signed up, of the honest chapter.
    pub canary: DocId,
    /// Somebody whom the honest chapter has added itself.
    pub second: DocId,
    /// The honest chapter's scope.
    pub honest: ScopeId,
    /// How the others stood.
    pub before: Standing,
}

/// How the other chapter and the network stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Of the honest chapter's scope, at the hub.
    hash: String,
    /// How many people it has on which rung.
    rungs: Value,
    /// Supporters outside of the hostile chapter.
    others: u64,
}

impl World {
    /// Both chapters have people, and the hostile one has been sent its own.
    pub fn assemble() -> Self {
        let cast = Cast::assemble(PEOPLE);
        let body = r#"{"person":{"given_name":"Canaria","email_addresses":[{"address":"canaria@example.org"}],"phone_numbers":[{"number":"3105550142"}],"postal_addresses":[{"postal_code":"90012","country":"US"}]}}"#;
        let posted = http::post_json(cast.hub.http(), "/api/v1/people/person_signup_helper", body);
        assert_eq!(posted.unwrap().status, 200);
        cast.honest.run(&["people", "add", "--given-name", "Zweitvogel", "--email", "zwei@example.org"]).unwrap();
        cast.hostile.run(&["sync"]).unwrap();
        let found = |query: &str| until("the hub has her", || find(&cast.hub, query)).unwrap();
        let (canary, second) = (found("canaria@example.org"), found("zwei@example.org"));
        until("the honest chapter has her", || find(&cast.honest, "canaria@example.org")).unwrap();
        let honest = look(&cast.hub, NodeKind::Hub, |read| read.chapter("honest")).scope;
        let before = Standing::of(&cast);
        Self { cast, canary, second, honest, before }
    }

    /// Somebody of the hostile chapter.
    pub fn own(&self, nth: usize) -> DocId {
        find(&self.cast.hub, &format!("p{nth}@example.org")).unwrap().unwrap()
    }

    /// Moves somebody of the hostile chapter into the honest one, as the hub does it when both have agreed.
    pub fn moves_away(&mut self, person: DocId) {
        let store = Store::open(&self.cast.hub.data, NodeKind::Hub).unwrap();
        store.writer().unwrap().commit(|tx| tx.move_person(person, Some(self.honest), AT)).unwrap();
        until("the honest chapter has her", || {
            let shown = self.cast.honest.try_run(&["people", "show", &person.to_string()])?;
            Ok((shown.code == 0).then_some(()))
        })
        .unwrap();
        self.before = Standing::of(&self.cast);
    }

    /// Nothing was learned and nothing changed, what was tried is written down, and everything goes on.
    pub fn stands(mut self, peers: &[&Peer], attempts: &[&str]) {
        for secret in SECRETS {
            assert!(!peers.iter().any(|peer| peer.has_heard(secret.as_bytes())), "it has heard of {secret}");
        }
        assert_eq!(Standing::of(&self.cast), self.before);
        until("the honest chapter holds the same", || {
            Ok((self.cast.honest.run(&["state-hash"])? == self.before.hash).then_some(()))
        })
        .unwrap();
        self.cast.hub.run(&["verify"]).unwrap();
        for attempt in attempts {
            self.cast.attempted(attempt);
        }
        assert_eq!(self.cast.hub.json(&["audit", "--verify"]).unwrap()["ok"], true);
        self.cast.goes_on();
    }
}

impl Standing {
    /// As it is now, with everything folded.
    pub fn of(cast: &Cast) -> Self {
        let status = cast.hub.json(&["status"]).unwrap();
        let chapters = status["chapters"].as_array().unwrap();
        let chapter = |slug: &str| chapters.iter().find(|chapter| chapter["slug"] == slug).unwrap();
        let others = status["supporters"].as_u64().unwrap() - chapter("hostile")["supporters"].as_u64().unwrap();
        let hash = cast.hub.run(&["state-hash", "--scope", "honest"]).unwrap();
        Self { hash, rungs: chapter("honest")["counts"].clone(), others }
    }
}

fn find(node: &Node, query: &str) -> Result<Option<DocId>> {
    let listed = node.json(&["people", "list", "--query", query])?;
    Ok(listed["people"][0]["id"].as_str().and_then(|id| id.parse().ok()))
}

/// Looks into a node's database.
pub fn look<T>(node: &Node, kind: NodeKind, job: impl FnOnce(&Read<'_>) -> Result<T, StoreError>) -> T {
    Store::open(&node.data, kind).unwrap().reader().unwrap().at_once(job).unwrap()
}

/// A record as a node has it.
pub fn record_at(node: &Node, kind: NodeKind, id: DocId) -> Record {
    look(node, kind, |read| read.load(id)).unwrap().record
}

fn stamp(actor: [u8; 16]) -> Stamp {
    Stamp { actor, author: "0badcafe/eve".to_owned(), at: AT }
}

/// The first change of a document, by an actor.
pub fn first(id: DocId, kind: Kind, actor: [u8; 16]) -> Content {
    let entries = vec![("given_name".to_owned(), Written::text("Mallory"))];
    Content::Change(Record::create(id, kind, entries, &stamp(actor)).1.bytes)
}

/// A change that follows one which nobody has.
pub fn later(id: DocId) -> Content {
    let (mut record, _) = Record::create(id, Kind::Supporter, Vec::new(), &stamp(EVE));
    next(&mut record, "Mallory")
}

/// The next change of a record: another employer.
pub fn next(record: &mut Record, employer: &str) -> Content {
    Content::Change(record.edit(&[Write::field("employer", employer)], &stamp(EVE)).unwrap().bytes)
}

/// Which rows were not taken, and why.
pub fn why(refused: &[Refused]) -> Vec<(u64, RefusedWhy)> {
    refused.iter().map(|refused| (refused.seq, refused.why())).collect()
}
