//! Bringing the simulated world to rest, and what has to be so then.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use model::{DocId, Supporter};

use super::World;

/// Steps that bring a quiet world to rest: far more than any backlog of the simulation needs.
const REST_STEPS_MAX: usize = 200_000;

impl World {
    /// Runs everything that waits until nothing does, each copy of a node in its turn, then compares the nodes.
    ///
    /// # Errors
    /// When it does not come to rest, or nodes differ.
    pub fn rest(&mut self) -> Result<()> {
        self.rest_in_turns(Self::settle)
    }

    /// Runs everything that waits until nothing does.
    ///
    /// # Errors
    /// When it does not come to rest.
    pub fn settle(&mut self) -> Result<()> {
        // What sums have to find is found at a heartbeat.
        for _ in 0..3 {
            self.come_to_rest()?;
            (0..self.pairs.len()).try_for_each(|pair| self.heartbeat(pair))?;
        }
        self.come_to_rest()
    }

    pub(super) fn come_to_rest(&mut self) -> Result<()> {
        self.slow = None;
        let mut quiet = 0;
        for _ in 0..REST_STEPS_MAX {
            let mut moved = false;
            for pair in 0..self.pairs.len() {
                self.open(pair)?;
                for end in 0..2 {
                    moved |= self.pairs[pair][end].moved;
                    self.moved(pair, end)?;
                    while self.run_one(pair, end)? {
                        moved = true;
                    }
                }
            }
            for node in 0..self.nodes.len() {
                moved |= self.fold_all(node)?;
                moved |= self.do_owed(node)?;
            }
            quiet = if moved { 0 } else { quiet + 1 };
            if quiet == 3 {
                return Ok(());
            }
        }
        bail!("the world does not come to rest")
    }

    pub(super) fn check_at_rest(&mut self) -> Result<()> {
        (1..self.nodes.len()).try_for_each(|n| self.check_scope(n))?;
        (0..self.nodes.len()).try_for_each(|n| self.check_node(n))?;
        self.check_made()?;
        self.check_erased()
    }

    /// A node and the one above it hold the same, and show the same people.
    fn check_scope(&mut self, n: usize) -> Result<()> {
        let scope = self.nodes[n].scope.context("a chapter has a scope")?;
        let here = self.nodes[n].reader.at_once(|read| Ok((read.recount(scope)?, read.held(scope)?)))?;
        let parent = self.nodes[n].parent.context("it has a parent")?;
        let hub = self.nodes[parent].reader.at_once(|read| Ok((read.recount(scope)?, read.held(scope)?)))?;
        let held: BTreeSet<DocId> = here.1.into_iter().collect();
        if here.0 != hub.0 {
            let theirs: BTreeSet<DocId> = hub.1.into_iter().collect();
            let mut told = Vec::new();
            for id in held.symmetric_difference(&theirs) {
                for (at, node) in [(0, parent), (1, n)] {
                    let line = self.nodes[node].reader.at_once(|read| read.standing(*id))?;
                    told.push(format!("{} {id}: {line}", ["hub", "chapter"][at]));
                }
            }
            bail!("chapter {n} and the hub hold different things: {told:#?}");
        }
        let [mine, theirs] = [n, parent].map(|node| self.nodes[node].reader.at_once(|read| read.guests(scope)));
        let (mine, theirs): (BTreeSet<DocId>, BTreeSet<DocId>) =
            (mine?.into_iter().collect(), theirs?.into_iter().collect());
        let mut told = Vec::new();
        for id in mine.symmetric_difference(&theirs) {
            for node in 0..self.nodes.len() {
                told.push(self.nodes[node].reader.at_once(|read| read.standing(*id))?);
            }
        }
        ensure!(told.is_empty(), "node {n} was told of other guests than the one above it knows: {told:#?}");
        for id in &held {
            let [(mine, my_set), (theirs, their_set)] = [self.shown(n, *id)?, self.shown(parent, *id)?];
            ensure!(mine == theirs, "the views of {id} differ: {mine:?} and {theirs:?}");
            // With whom only one end sees her, that end shows her by itself.
            if !my_set.ids().chain(their_set.ids()).all(|record| held.contains(&record)) {
                continue;
            }
            if my_set == their_set {
                self.seen.joined += u64::from(!my_set.merged.is_empty());
            } else {
                let said = self.said_here(n, &my_set)? || self.said_here(parent, &their_set)?;
                ensure!(said, "{id} is shown as {my_set:?} and as {their_set:?}");
            }
        }
        Ok(())
    }

    /// A record by itself, and the person whose record it is.
    fn shown(&mut self, node: usize, id: DocId) -> Result<(Supporter, Supporter)> {
        let shown = self.nodes[node].reader.at_once(|read| Ok((read.record(id)?, read.person(id)?)))?;
        Ok((shown.0.supporter, shown.1.supporter))
    }

    /// Whether a node says of one of these records by itself, and to nobody else, whose it is.
    fn said_here(&mut self, node: usize, set: &Supporter) -> Result<bool> {
        let mut said = false;
        for id in set.ids() {
            said |= !self.nodes[node].reader.at_once(|read| read.same_here(id))?.is_empty();
        }
        Ok(said)
    }

    fn check_node(&mut self, n: usize) -> Result<()> {
        let node = &mut self.nodes[n];
        let found = node.reader.at_once(|read| read.verify())?;
        ensure!(found.is_empty(), "node {n}: {found:?}");
        let tally = node.reader.at_once(|read| read.tally())?;
        ensure!(tally.quarantined == 0, "node {n} quarantined something: {tally:?}");
        // Only what was written to someone who had left already is not taken.
        for refusal in node.reader.at_once(|read| read.refusals(1000))? {
            let held = node.reader.at_once(|read| read.holders(refusal.document))?;
            let taken = refusal.scope.is_none_or(|scope| !held.contains(&scope));
            ensure!(taken, "node {n} refused something: {refusal:?}, held by {held:?}");
        }
        Ok(())
    }
}
