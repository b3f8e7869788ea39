//! Making a simulated world: its databases, who is below whom, and the links between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use anyhow::{Context as _, Result};
use model::{Incarnation, NodeId, ScopeId, Slug, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use store::{Direction, NewChapter, NewLink, NodeKind, NodeRow, ProofKey, ScopeRole, Store};
use tempfile::TempDir;

use super::{End, Seen, SimNode, World};

/// Comparisons of every pair until everybody has everything: down and up three levels, with a word on the way that has to
/// be carried out.
const ROUNDS: usize = 6;

/// A node below the first one, which is a hub: the number of its parent, of its chapter, and what it is.
pub(super) type Below = (usize, u8, NodeKind);

/// Two chapters; or one of them has two nodes; or a hub is between the first one and two chapters.
pub(super) const fn layout(seed: u64) -> &'static [Below] {
    use NodeKind::{Chapter, Hub};
    match seed % 4 {
        1 => &[(0, 1, Chapter), (0, 1, Chapter), (0, 2, Chapter)],
        3 => &[(0, 1, Hub), (1, 2, Chapter), (1, 3, Chapter), (0, 4, Chapter)],
        _ => &[(0, 1, Chapter), (0, 2, Chapter)],
    }
}

/// Runs one seed with no feed at all, then lets every two neighbours compare until nothing moves: a second opinion on what
/// feeds bring.
///
/// # Errors
/// When something is not as it has to be.
pub fn simulate_by_comparing(seed: u64, steps: usize) -> Result<u64> {
    let mut world = World::new(seed, layout(seed))?;
    world.feeds_off = true;
    for step in 0..steps {
        world.step().with_context(|| format!("seed {seed}, step {step}"))?;
    }
    // What one learns from its parent in one round, its child learns in the next; and back.
    let compare = |world: &mut World| {
        (0..ROUNDS).try_for_each(|_| {
            (0..world.pairs.len()).for_each(|pair| world.cut(pair));
            world.come_to_rest()
        })
    };
    world.rest_in_turns(compare).with_context(|| format!("seed {seed}, by comparing alone"))?;
    Ok(world.seen.compared)
}

impl World {
    /// A hub and the nodes below it, all at rest.
    ///
    /// # Errors
    /// When a database can't be made.
    pub fn new(seed: u64, below: &[Below]) -> Result<Self> {
        let shm = Path::new("/dev/shm");
        let directory = if shm.is_dir() { TempDir::new_in(shm)? } else { TempDir::new()? };
        let mut rng = StdRng::seed_from_u64(seed);
        let now = Timestamp::from_millis(1_780_000_000_000);
        let mut nodes = vec![make_node(&mut rng, directory.path(), 0, NodeKind::Hub, now)?];
        nodes[0].writer.commit(|tx| tx.add_scope(ScopeId::NETWORK, ScopeRole::Network))?;
        let mut pairs = Vec::new();
        let mut scopes: BTreeMap<u8, ScopeId> = BTreeMap::new();
        for (n, (parent, of, kind)) in (1..).zip(below) {
            let mut chapter = make_node(&mut rng, directory.path(), n, *kind, now)?;
            chapter.parent = Some(*parent);
            let known = scopes.get(of).copied();
            let scope = known.unwrap_or_else(|| ScopeId::from_bytes(rng.random()));
            scopes.insert(*of, scope);
            let slug: Slug = format!("c{of}").parse()?;
            let new =
                |role| NewChapter { scope, slug: &slug, name: "Chapter", card: None, intake: None, role, at: now };
            let (hub_id, chapter_id) = (nodes[*parent].row.node_id, chapter.row.node_id);
            nodes[*parent].writer.commit(|tx| {
                if known.is_none() {
                    tx.add_chapter(&new(ScopeRole::Chapter))?;
                }
                tx.put_link(&NewLink::new(chapter_id, Direction::Down, "Chapter", scope))
            })?;
            chapter.writer.commit(|tx| {
                tx.add_scope(ScopeId::NETWORK, ScopeRole::Network)?;
                let link = NewLink::new(hub_id, Direction::Up, "Hub", scope);
                if *kind == NodeKind::Hub {
                    return tx.join_parent(&link);
                }
                tx.add_chapter(&new(ScopeRole::Own))?;
                tx.put_link(&link).map(drop)
            })?;
            chapter.scope = Some(scope);
            nodes.push(chapter);
            let end = |node| End {
                node,
                engine: None,
                work: VecDeque::new(),
                inbox: VecDeque::new(),
                moved: false,
                restart: false,
                kept: None,
                narrow: false,
            };
            pairs.push([end(*parent), end(n)]);
        }
        Ok(Self {
            rng,
            nodes,
            pairs,
            now,
            events: 0,
            seen: Seen::default(),
            refused: BTreeSet::new(),
            feeds_off: false,
            slow: None,
            away: None,
            directory,
        })
    }
}

fn make_node(rng: &mut StdRng, directory: &Path, n: usize, kind: NodeKind, now: Timestamp) -> Result<SimNode> {
    let row = NodeRow {
        kind,
        name: format!("node {n}"),
        country: "US".to_owned(),
        node_id: NodeId(rng.random()),
        incarnation: Incarnation::from_bytes(rng.random()),
        proof_key: ProofKey::new(rng.random()),
    };
    let store = Store::create(&directory.join(n.to_string()), &row, now, |_| Ok(()))?;
    let (writer, reader) = (store.writer()?, store.reader()?);
    Ok(SimNode {
        row,
        writer,
        reader,
        store,
        actor: rng.random(),
        scope: None,
        parent: None,
        clock_ahead_ms: 0,
        made: Vec::new(),
        copy: None,
        twin: None,
    })
}
