//! Acts that a test chooses itself, for a story in the simulated world.

use std::fs;

use anyhow::{Context as _, Result};
use model::{DocId, Personal, ScopeId, TransferId};
use rand::RngExt as _;
use store::{NewTransfer, Read, StoreError, Tx};

use super::World;
use super::going::DAY_MS;

impl World {
    /// The scope that a node shares with the one above it.
    ///
    /// # Errors
    /// When nobody is above it.
    pub fn scope(&self, node: usize) -> Result<ScopeId> {
        self.nodes[node].scope.context("nobody is above it")
    }

    /// Reads what a node holds.
    ///
    /// # Errors
    /// The job's.
    pub fn read<T>(&mut self, node: usize, job: impl FnOnce(&Read<'_>) -> Result<T, StoreError>) -> Result<T> {
        Ok(self.nodes[node].reader.at_once(job)?)
    }

    /// Writes into a node's database.
    ///
    /// # Errors
    /// The job's.
    pub fn commit<T>(&mut self, node: usize, job: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T> {
        let made = self.nodes[node].writer.commit(job)?;
        self.committed(node);
        Ok(made)
    }

    /// A node proposes that somebody go to a chapter, named by its slug: `c` and its number.
    ///
    /// # Errors
    /// When she is in no chapter here, or is to go already.
    pub fn propose(&mut self, node: usize, person: DocId, to: &str) -> Result<TransferId> {
        let at = self.clock(node);
        let id = TransferId::from_parts(at, self.rng.random());
        let (to, text) = (Some(to.to_owned()), Personal::from("a hand-over note"));
        let (also, her_word) = (false, false);
        self.commit(node, |tx| {
            tx.propose_transfer(&NewTransfer { id, person, to, text, agreed: true, also, her_word, at })
        })?;
        Ok(id)
    }

    /// So many days pass, in which nobody does anything.
    pub fn days_pass(&mut self, days: i64) {
        self.now = self.now.plus_millis(days * DAY_MS);
    }

    /// A node is cut off from the one above it, until [`World::come_back`].
    pub fn go_away(&mut self, node: usize) {
        self.away = Some(node);
        for pair in 0..self.pairs.len() {
            if self.pairs[pair][1].node == node {
                self.cut(pair);
            }
        }
    }

    /// Whoever was cut off may talk again.
    pub fn come_back(&mut self) {
        self.away = None;
    }

    /// Whether a text is anywhere in the files of a node's directory.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn files_contain(&self, node: usize, text: &str) -> Result<bool> {
        let directory = self.nodes[node].store.path().parent().context("a database is in a directory")?;
        for entry in fs::read_dir(directory)? {
            let bytes = fs::read(entry?.path())?;
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
