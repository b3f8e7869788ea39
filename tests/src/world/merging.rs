//! Records of one person in the simulated world: joined and parted as a node does it (`node/src/merging.rs`).

use anyhow::{Result, ensure};
use model::{DocId, JOINED_MAX};
use rand::RngExt as _;
use record::Write;
use store::{DocState, PersonRow};

use super::World;

impl World {
    /// Somebody joins two people as one, or takes a record of one out of its set.
    pub(super) fn join_or_part(&mut self, node: usize) -> Result<()> {
        if self.is_slow(node) {
            return Ok(());
        }
        // What is shown is what is logged: else a link that came and is not folded would be written once more, for nothing.
        while self.fold_all(node)? {}
        let (Some(one), Some(other)) = (self.somebody(node)?, self.somebody(node)?) else { return Ok(()) };
        let joined = self.nodes[node].reader.at_once(|read| Ok(read.records(one)?.len() > 1))?;
        if joined && self.rng.random_bool(0.5) { self.part(node, one) } else { self.join(node, one, other) }
    }

    /// Every two records are linked: in the smaller one if the same nodes see both, else at this node alone.
    fn join(&mut self, node: usize, one: DocId, other: DocId) -> Result<()> {
        let (ones, others) = self.nodes[node].reader.at_once(|read| Ok((read.records(one)?, read.records(other)?)))?;
        let all = || ones.iter().chain(&others).map(|record| &record.supporter);
        let known = ones.iter().any(|record| record.supporter.id == other);
        if known || all().count() > JOINED_MAX || all().any(|record| record.erasure_asked) {
            return Ok(());
        }
        let mut here = Vec::new();
        for first in &ones {
            for second in &others {
                let (a, b) = (first.supporter.id, second.supporter.id);
                let (smaller, larger) = (a.min(b), a.max(b));
                if self.seen_alike(node, first, second)? {
                    self.write(node, smaller, &[Write::same_as(larger)])?;
                } else {
                    here.push((smaller, larger));
                }
            }
        }
        if !here.is_empty() {
            let now = self.clock(node);
            self.nodes[node].writer.commit(|tx| tx.join_here(&here, "sim", now))?;
            self.committed(node);
        }
        let shown = self.nodes[node].reader.at_once(|read| read.person(one))?.supporter;
        ensure!(shown.covers(other), "{one} and {other} were joined at node {node} and are not shown as one");
        Ok(())
    }

    /// Whether the same nodes see both records, and this one may write them.
    fn seen_alike(&mut self, node: usize, one: &PersonRow, other: &PersonRow) -> Result<bool> {
        let (one_id, other_id) = (one.supporter.id, other.supporter.id);
        let (mut mine, mut theirs) =
            self.nodes[node].reader.at_once(|read| Ok((read.holders(one_id)?, read.holders(other_id)?)))?;
        mine.sort_unstable();
        theirs.sort_unstable();
        Ok(one.state == DocState::Live && other.state == DocState::Live && mine == theirs)
    }

    /// Every link that a record has or that names it goes, as far as this node may write it.
    fn part(&mut self, node: usize, record: DocId) -> Result<()> {
        let (named, naming, here) = self.nodes[node].reader.at_once(|read| {
            Ok((read.record(record)?.supporter.same_as, read.naming(record)?, read.same_here(record)?))
        })?;
        let writes: Vec<Write> = named.into_iter().map(Write::not_same_as).collect();
        self.write(node, record, &writes)?;
        for other in naming {
            self.write(node, other, &[Write::not_same_as(record)])?;
        }
        if !here.is_empty() {
            self.nodes[node].writer.commit(|tx| tx.part_here(record))?;
            self.committed(node);
        }
        Ok(())
    }
}
