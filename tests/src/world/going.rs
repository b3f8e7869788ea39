//! People who go in the simulated world: transfers, returns, a parent that takes without asking, deleting everywhere.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use model::{Body, ConsentState, DocId, EraseId, Event, Ladder, Personal, PlacementFact, ScopeId, TransferId};
use rand::RngExt as _;
use record::Write;
use store::{AgreedTransfer, DocState, Edited, FROM_ABOVE, Filter, NewTransfer, NodeKind, Page, StoreError};

use super::{SimNode, World};

/// A day, in ms.
pub(super) const DAY_MS: i64 = 24 * 3600 * 1000;

impl World {
    /// Time passes while nothing happens; now and then somebody's clock jumps, up to ten years either way.
    pub(super) fn wait_days(&mut self, node: usize) {
        if self.rng.random_bool(0.3) {
            let years = 10 * 365 * DAY_MS;
            self.nodes[node].clock_ahead_ms = self.rng.random_range(-years..years);
        }
        self.now = self.now.plus_millis(self.rng.random_range(0..3 * DAY_MS));
    }

    /// Somebody proposes that someone go: her chapter, or the hub; to another chapter or back to the network.
    pub(super) fn propose_transfer(&mut self, node: usize) -> Result<()> {
        let Some(person) = self.somebody(node)? else { return Ok(()) };
        // A chapter names one of its parent's chapters, a hub one of its own.
        let hub = if self.nodes[node].row.kind == NodeKind::Hub { node } else { self.nodes[node].parent.unwrap_or(0) };
        let back = hub != node && self.rng.random_bool(0.3);
        let (also, her_word) = (!back && self.rng.random_bool(0.5), hub == node && self.rng.random_bool(0.3));
        // Now and then a chapter asks for somebody, of whom it may know nothing but an id.
        let asks = hub != node && !back && self.rng.random_bool(0.3);
        let person = if asks { self.somebody(hub)?.unwrap_or(person) } else { person };
        let chapters = self.chapters_of(hub);
        let to = chapters[self.rng.random_range(0..chapters.len())];
        let to = self.nodes[node].scope.filter(|_| asks).unwrap_or(to);
        let slug = self.nodes[hub].reader.at_once(|read| read.chapters())?;
        let slug = slug.iter().find(|row| row.scope == to).map(|row| row.slug.to_string());
        let new = NewTransfer {
            id: TransferId::from_parts(self.clock(node), self.rng.random()),
            person,
            to: slug.filter(|_| !back),
            text: Personal::from("a hand-over note"),
            agreed: true,
            also,
            her_word,
            at: self.clock(node),
        };
        match self.nodes[node].writer.commit(|tx| tx.propose_transfer(&new)) {
            Ok(()) => self.committed(node),
            Err(StoreError::Refused(_) | StoreError::NotWritable(..) | StoreError::Unknown(..)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The scopes of a hub's children.
    pub(super) fn chapters_of(&self, hub: usize) -> Vec<ScopeId> {
        let below = self.nodes.iter().filter(|node| node.parent == Some(hub));
        let scopes: BTreeSet<ScopeId> = below.filter_map(|node| node.scope).collect();
        scopes.into_iter().collect()
    }

    /// A chapter answers whatever it is asked: mostly yes.
    pub(super) fn answer(&mut self, node: usize) -> Result<()> {
        if node == 0 {
            return Ok(());
        }
        let (transfers, leaves) = self.nodes[node].reader.at_once(|read| Ok((read.transfers(20)?, read.leaves()?)))?;
        for transfer in transfers.into_iter().filter(|row| row.state == "open" && row.asks_here()) {
            let agrees = self.rng.random_bool(0.8);
            self.nodes[node].writer.commit(|tx| tx.answer_transfer(transfer.id, agrees, "simulated"))?;
        }
        for leave in leaves.into_iter().take(2) {
            let (goes, now) = (self.rng.random_bool(0.5), self.clock(node));
            self.nodes[node].writer.commit(|tx| tx.answer_leave(leave.person, goes, now))?;
        }
        self.committed(node);
        Ok(())
    }

    /// A hub moves someone without asking anybody.
    pub(super) fn take_without_asking(&mut self, node: usize) -> Result<()> {
        if self.nodes[node].row.kind == NodeKind::Chapter {
            return Ok(());
        }
        let Some(person) = self.somebody(node)? else { return Ok(()) };
        if self.nodes[node].reader.at_once(|read| read.record(person))?.chapter.is_none() {
            return Ok(());
        }
        let chapters = self.chapters_of(node);
        let to = chapters[self.rng.random_range(0..chapters.len())];
        let (to, now) = (Some(to).filter(|_| self.rng.random_bool(0.8)), self.clock(node));
        self.nodes[node].writer.commit(|tx| tx.move_person(person, to, now))?;
        self.committed(node);
        Ok(())
    }

    /// Someone is deleted by the hub, or a chapter asks for it, or takes back what was asked.
    pub(super) fn erase(&mut self, node: usize) -> Result<()> {
        let Some(person) = self.somebody(node)? else { return Ok(()) };
        if node == 0 {
            let (erasure, now) = (EraseId::from_parts(self.now, self.rng.random()), self.clock(node));
            self.nodes[0].writer.commit(|tx| tx.erase(person, erasure, now, None))?;
            self.committed(0);
            return Ok(());
        }
        let asked = self.rng.random_bool(0.8);
        let id = self.next_event(node);
        let (channel, sender, state) = ("any".to_owned(), "network".to_owned(), ConsentState::Withdrawn);
        let body = Body::Consent { channel, sender, state, source: "simulated".into() };
        let said = Event { id, at: self.clock(node), by: None, body };
        let writes = [Write::event(&said), Write::do_not_contact(id), Write::erasure(asked, id)];
        self.write(node, person, &writes)
    }

    /// Writes into a record as a person would; nothing if it can't be written.
    ///
    /// # Errors
    /// When the database fails.
    pub fn write(&mut self, node: usize, person: DocId, writes: &[Write]) -> Result<()> {
        let Some(mut loaded) = self.nodes[node].reader.at_once(|read| read.load(person))? else { return Ok(()) };
        let stamp = self.stamp(node);
        let Some(written) = loaded.record.edit(writes, &stamp) else { return Ok(()) };
        let edited = Edited::new(loaded, written, stamp.actor, &Ladder::default());
        match self.nodes[node].writer.commit(|tx| tx.put_edit(&edited)) {
            Ok(()) => self.committed(node),
            Err(StoreError::NotWritable(..)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Does what a node owes to others; gives whether there was anything.
    pub(super) fn do_owed(&mut self, node: usize) -> Result<bool> {
        let now = self.clock(node);
        let (agreed, asks, due, unscrubbed) = self.nodes[node].reader.at_once(|read| {
            Ok((read.transfers_agreed()?, read.asks_to_note()?, read.erasures_due(now)?, read.unscrubbed()?))
        })?;
        let any = !agreed.is_empty() || asks || !due.is_empty() || !unscrubbed.is_empty();
        for AgreedTransfer { transfer, giver, taker } in agreed {
            let said = Event {
                id: self.next_event(node),
                at: now,
                by: None,
                body: taker.map_or_else(
                    || Body::Return { reason: "simulated".into() },
                    |to| Body::Transfer { from: giver.filter(|_| !transfer.also), to },
                ),
            };
            let stamp = self.stamp(node);
            let loaded = self.nodes[node].reader.at_once(|read| read.load(transfer.person))?;
            let edited = loaded.and_then(|mut loaded| {
                let written = loaded.record.edit(&[Write::event(&said)], &stamp)?;
                Some(Edited::new(loaded, written, stamp.actor, &Ladder::default()))
            });
            self.nodes[node].writer.commit(|tx| tx.complete_transfer(transfer.id, edited.as_ref(), now))?;
        }
        if asks {
            self.nodes[node].writer.commit(|tx| tx.note_asked(now))?;
        }
        for person in due {
            let erasure = EraseId::from_parts(now, self.rng.random());
            self.nodes[node].writer.commit(|tx| tx.erase(person, erasure, now, None))?;
        }
        if !unscrubbed.is_empty() {
            ensure!(self.nodes[node].store.checkpointer()?.empty()?, "the log can't be emptied");
            self.nodes[node].writer.commit(|tx| tx.scrubbed(&unscrubbed, now))?;
        }
        let placed = self.place_from_above(node)?;
        if any {
            self.committed(node);
        }
        Ok(any || placed)
    }

    /// A hub places whom the one above has given it.
    fn place_from_above(&mut self, node: usize) -> Result<bool> {
        if self.nodes[node].row.kind == NodeKind::Chapter || self.nodes[node].parent.is_none() {
            return Ok(false);
        }
        let filter = Filter { waits_for: Some(FROM_ABOVE), ..Filter::default() };
        let page = Page { limit: 20, after: None };
        let people = self.nodes[node].reader.at_once(|read| read.people(&filter, page))?;
        let chapters = self.chapters_of(node);
        let mut any = false;
        for person in people.into_iter().filter(|person| person.state == DocState::Live) {
            let (id, chapter) = (person.supporter.id, chapters[self.rng.random_range(0..chapters.len())]);
            let fact = PlacementFact {
                chapter: Some(chapter),
                reason: "simulated".to_owned(),
                explanation: String::new(),
                flags: Vec::new(),
                territory_version: 1,
                gazetteer_version: String::new(),
            };
            let said = Event { id: self.next_event(node), at: self.clock(node), by: None, body: Body::Placement(fact) };
            self.write(node, id, &[Write::event(&said)])?;
            self.nodes[node].writer.commit(|tx| tx.place(id, chapter))?;
            self.committed(node);
            any = true;
        }
        Ok(any)
    }

    /// Whoever is in one ledger is nowhere.
    pub(super) fn check_erased(&mut self) -> Result<()> {
        let mut erased = BTreeSet::new();
        for node in &mut self.nodes {
            erased.extend(node.reader.at_once(|read| read.erasures(10_000))?.into_iter().map(|row| row.person));
        }
        for (n, node) in self.nodes.iter_mut().enumerate() {
            for id in &erased {
                let heads = node.reader.at_once(|read| read.heads(*id))?.unwrap_or_default();
                ensure!(heads.is_empty(), "node {n} still has {id}, who was erased");
            }
        }
        // Receipts are fed.
        let receipted = if self.feeds_off { 0 } else { 10_000 };
        for row in self.nodes[0].reader.at_once(|read| read.erasures(receipted))? {
            ensure!(row.scrubbed && row.outstanding.is_empty(), "{} is not receipted: {row:?}", row.person);
        }
        Ok(())
    }

    /// Whoever was made is at the hub, or was erased.
    pub(super) fn check_made(&mut self) -> Result<()> {
        for n in 0..self.nodes.len() {
            for id in self.nodes[n].made.clone() {
                if self.nodes[0].reader.at_once(|read| read.heads(id))?.is_none() {
                    let stands = |node: &mut SimNode| node.reader.at_once(|read| read.standing(id));
                    let told = self.nodes.iter_mut().map(stands).collect::<Result<Vec<_>, _>>()?;
                    bail!("{id}, acknowledged by node {n}, is gone: {told:#?}");
                }
            }
        }
        Ok(())
    }
}
