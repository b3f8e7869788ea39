//! A chapter's directory that is copied and started a second time, while the first lives on: as when somebody copies a
//! laptop.
//!
//! **Invariant:** to everybody else both are one node, with one id and one link, and one of them is on it at a time. Each
//! begins as every process does, with an actor of its own; neither knows of the other, and what one wrote the other has
//! from the network only. What either wrote counts as made. So at the end both run, in turns, until each has told
//! everything and has what the other told: nothing is given up with a copy that never runs again.

use anyhow::{Context as _, Result, ensure};
use store::{DATABASE_FILE, NodeKind, Store, private_directory};

use super::World;

/// Turns at the end; an even number, so that the same one runs again. In the first the other one tells what it alone has.
/// In the second this one hears of it, and gives what it had kept of somebody who has come back by that. In the third the
/// other one hears of that. In the last nothing is left to say.
const TURNS: usize = 4;

impl World {
    /// A chapter's directory is copied; once there is a copy, the other one of the two has its turn.
    pub(super) fn clone_or_take_turns(&mut self, node: usize) -> Result<()> {
        let copy = self.directory.path().join(format!("twin{node}"));
        let state = &mut self.nodes[node];
        if state.row.kind == NodeKind::Hub {
            return Ok(());
        }
        if state.twin.is_some() {
            return self.take_turns(node);
        }
        private_directory(&copy)?;
        state.store.copy_to(&copy.join(DATABASE_FILE), self.now)?;
        state.twin = Some(Store::open(&copy, state.row.kind)?);
        Ok(())
    }

    /// The process ends, and another one begins in the other directory.
    fn take_turns(&mut self, node: usize) -> Result<()> {
        self.stop(node);
        let state = &mut self.nodes[node];
        let next = state.twin.take().context("it was copied")?;
        state.twin = Some(std::mem::replace(&mut state.store, next));
        self.seen.turns += 1;
        self.start(node)
    }

    /// Brings the world to rest, by `settle`, with either of two copies in its turn, and looks at it with each of them.
    pub(super) fn rest_in_turns(&mut self, settle: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        settle(self)?;
        let copied: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].twin.is_some()).collect();
        if copied.is_empty() {
            return self.check_at_rest();
        }
        for turn in 1..=TURNS {
            copied.iter().try_for_each(|node| self.take_turns(*node))?;
            settle(self)?;
            if turn + 1 >= TURNS {
                self.check_at_rest().with_context(|| format!("in turn {turn} of the copies"))?;
            }
        }
        copied.into_iter().try_for_each(|node| self.check_twin(node))
    }

    /// Who does not have its turn holds the same as who has.
    fn check_twin(&mut self, node: usize) -> Result<()> {
        let state = &mut self.nodes[node];
        let (scope, twin) =
            (state.scope.context("a chapter has a scope")?, state.twin.as_ref().context("it was copied")?);
        let theirs = twin.reader()?.at_once(|read| read.recount(scope))?;
        let mine = state.reader.at_once(|read| read.recount(scope))?;
        ensure!(mine == theirs, "node {node} and its copy hold different things: {mine:?} and {theirs:?}");
        Ok(())
    }
}
