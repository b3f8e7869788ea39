//! How a simulated node dies and comes back: a crash, a backup put back, a database rolled back without a word.

use anyhow::{Context as _, Result, ensure};
use model::Incarnation;
use rand::RngExt as _;
use store::Store;

use super::World;

impl World {
    /// The process dies: an open transaction is lost, memory is gone, the database is opened again.
    pub(super) fn crash(&mut self, node: usize) -> Result<()> {
        self.stop(node);
        let state = &mut self.nodes[node];
        let mut group = state.writer.begin()?;
        // Something was being written; it never comes to a commit.
        let lost = group.run(|tx| tx.rename_node("lost"));
        drop(group);
        lost?;
        let before = state.row.clone();
        self.start(node)?;
        ensure!(self.nodes[node].row == before, "what was not committed came back");
        Ok(())
    }

    /// The process is gone, and with it its links.
    pub(super) fn stop(&mut self, node: usize) {
        for pair in 0..self.pairs.len() {
            if self.pairs[pair].iter().any(|end| end.node == node) {
                self.cut(pair);
            }
        }
    }

    /// A process begins: it opens the database, and has an actor of its own.
    pub(super) fn start(&mut self, node: usize) -> Result<()> {
        let state = &mut self.nodes[node];
        state.writer = state.store.writer()?;
        state.reader = state.store.reader()?;
        state.actor = self.rng.random();
        state.row = state.reader.at_once(|read| read.node())?;
        Ok(())
    }

    /// The database is put back as it was some time ago, with or without saying so. What the node had said to others since
    /// comes back from them; what it had told nobody is lost, as with any backup.
    pub(super) fn roll_back(&mut self, node: usize) -> Result<()> {
        let Some(path) = self.nodes[node].copy.clone() else { return self.copy(node) };
        if self.rng.random_bool(0.3) {
            return self.copy(node);
        }
        let declared = self.rng.random_bool(0.5);
        self.stop(node);
        let name = self.directory.path().join("none");
        let state = &mut self.nodes[node];
        let directory = state.store.path().parent().context("a database is in a directory")?;
        // Both connections go before the file is exchanged under them.
        let elsewhere = Store::create(&name, &state.row, self.now, |_| Ok(()))?;
        state.writer = elsewhere.writer()?;
        state.reader = elsewhere.reader()?;
        std::fs::remove_dir_all(directory)?;
        std::fs::create_dir(directory)?;
        std::fs::copy(&path, directory.join(store::DATABASE_FILE))?;
        self.start(node)?;
        std::fs::remove_dir_all(&name)?;
        self.forget_what_nobody_holds()?;
        if declared { self.begin_life(node) } else { Ok(()) }
    }

    /// Forgets of what was acknowledged that which no node holds any more: it had been told to nobody, or had gone to who
    /// lost it. A directory that waits for its turn holds something, too, unless its twin has let it go: then it will.
    fn forget_what_nobody_holds(&mut self) -> Result<()> {
        let twins = self.nodes.iter().map(|node| node.twin.as_ref().map(Store::reader).transpose());
        let mut twins = twins.collect::<Result<Vec<_>, _>>()?;
        for node in 0..self.nodes.len() {
            let mut kept = Vec::new();
            for id in std::mem::take(&mut self.nodes[node].made) {
                for (other, twin) in self.nodes.iter_mut().zip(&mut twins) {
                    let mut heads = vec![other.reader.at_once(|read| read.heads(id))?];
                    if let Some(twin) = twin {
                        heads.push(twin.at_once(|read| read.heads(id))?);
                    }
                    let mut known = heads.iter().flatten().peekable();
                    if known.peek().is_some() && known.all(|heads| !heads.is_empty()) {
                        kept.push(id);
                        break;
                    }
                }
            }
            self.nodes[node].made = kept;
        }
        Ok(())
    }

    /// Keeps a copy of the database as it is.
    fn copy(&mut self, node: usize) -> Result<()> {
        let path = self.directory.path().join(format!("copy{node}"));
        if path.exists() {
            std::fs::remove_file(&path)?;
        }
        let state = &mut self.nodes[node];
        state.store.copy_to(&path, self.now)?;
        state.copy = Some(path);
        Ok(())
    }

    pub(super) fn begin_life(&mut self, node: usize) -> Result<()> {
        let incarnation = Incarnation::from_bytes(self.rng.random());
        let state = &mut self.nodes[node];
        state.actor = self.rng.random();
        state.writer.commit(|tx| tx.begin_life(incarnation))?;
        state.row.incarnation = incarnation;
        // Other links of this node are opened again: they speak of the old life.
        for pair in 0..self.pairs.len() {
            if self.pairs[pair].iter().any(|end| end.node == node) {
                self.pairs[pair].iter_mut().for_each(|end| end.restart = true);
            }
        }
        Ok(())
    }
}
