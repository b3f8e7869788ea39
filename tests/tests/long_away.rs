//! A chapter that was away for longer than any feed reaches back: what both sides did meanwhile is in the end at both, and
//! whoever was erased meanwhile is gone from it, too.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use engine::CursorVerdict;
use model::{DocId, EraseId, EventId, ScopeId, Supporter, TransferId};
use record::{Value, Write};
use store::{NewNote, NodeKind, NoteKind};
use tests::world::World;

const HUB: usize = 0;
const AWAY: usize = 1;
const OTHER: usize = 2;
/// A name that is in no other word, as it is written and as it is found.
const NAME: [&str; 2] = ["Zyxwvutia", "zyxwvutia"];

/// Two chapters below a hub, and who was there before one of them went away.
struct Network {
    world: World,
    away: ScopeId,
    other: ScopeId,
    /// She is erased meanwhile.
    mary: DocId,
    /// Both sides edit her meanwhile.
    nora: DocId,
    /// She goes from the chapter that is away to the other one.
    olga: DocId,
    /// She comes from the other one to it.
    sara: DocId,
    goes: TransferId,
    comes: TransferId,
}

fn tag(name: &str) -> Write {
    Write::Put(format!("tag/{name}"), Value::Flag)
}

impl Network {
    /// Everybody is where she belongs, and the chapter that goes away has given its word on who goes and who comes.
    fn new() -> Result<Self> {
        let mut world = World::new(400, &[(HUB, 1, NodeKind::Chapter), (HUB, 2, NodeKind::Chapter)])?;
        let (away, other) = (world.scope(AWAY)?, world.scope(OTHER)?);
        let mary = world.sign_up(HUB, NAME[0], &[away])?;
        let nora = world.sign_up(HUB, "Nora", &[away])?;
        let olga = world.sign_up(HUB, "Olga", &[away])?;
        let sara = world.sign_up(HUB, "Sara", &[other])?;
        world.settle()?;
        let at = world.clock(AWAY);
        let note = NewNote {
            id: EventId::from_parts(at, [1; 10]),
            event: None,
            kind: NoteKind::Note,
            by: "lee".into(),
            text: format!("{} is ill", NAME[0]).into(),
            at,
        };
        world.commit(AWAY, |tx| tx.add_note(mary, &note))?;
        let goes = world.propose(AWAY, olga, "c2")?;
        let comes = world.propose(HUB, sara, "c1")?;
        world.settle()?;
        world.commit(AWAY, |tx| tx.answer_transfer(comes, true, ""))?;
        world.settle()?;
        Ok(Self { world, away, other, mary, nora, olga, sara, goes, comes })
    }

    /// What the hub and the other chapter do: both transfers, two sign-ups, edits, an erasure. Gives who signed up.
    fn go_on(&mut self) -> Result<[DocId; 2]> {
        let (world, goes, comes, mary) = (&mut self.world, self.goes, self.comes, self.mary);
        world.commit(OTHER, |tx| tx.answer_transfer(goes, true, ""))?;
        world.commit(OTHER, |tx| tx.answer_transfer(comes, true, ""))?;
        world.settle()?;
        let new = [world.sign_up(HUB, "Uma", &[self.away])?, world.sign_up(HUB, "Vera", &[self.away])?];
        world.write(HUB, self.nora, &[Write::field("family_name", "Hub"), tag("hub")])?;
        world.write(OTHER, self.olga, &[tag("other")])?;
        let (erasure, at) = (EraseId::from_parts(world.clock(HUB), [2; 10]), world.clock(HUB));
        world.commit(HUB, |tx| tx.erase(mary, erasure, at, None))?;
        world.settle()?;
        Ok(new)
    }

    /// What the chapter does that is away: it edits its people, also who was erased and who has gone, and adds one. Gives
    /// whom it added.
    fn work_alone(&mut self) -> Result<DocId> {
        let world = &mut self.world;
        world.write(AWAY, self.mary, &[Write::field("additional_name", NAME[0])])?;
        world.write(AWAY, self.nora, &[Write::field("family_name", "Away"), tag("away")])?;
        world.write(AWAY, self.olga, &[tag("away")])?;
        world.sign_up(AWAY, "Tina", &[self.away])
    }

    /// Of the hub's feeds only the newest rows are left: the chapter's cursor is below the floor.
    fn trim(&mut self) -> Result<()> {
        let (world, away) = (&mut self.world, self.away);
        world.commit(HUB, |tx| tx.trim_feeds(1))?;
        let link = world.read(AWAY, |read| read.parent())?.context("it has a parent")?;
        let scopes = world.read(AWAY, |read| read.local_scopes(link.id))?;
        let cursor = scopes.iter().find(|local| local.scope == away).and_then(|local| local.cursor);
        assert!(cursor.is_some(), "it has read the hub's feed");
        let verdict = world.read(HUB, |read| read.check_cursor(away, cursor))?;
        assert_eq!(verdict, CursorVerdict::Adrift, "and can't go on where it was");
        Ok(())
    }

    /// A record as a node shows it.
    fn shown(&mut self, node: usize, id: DocId) -> Result<Supporter> {
        let row = self.world.read(node, |read| read.record(id))?;
        Ok(row.supporter)
    }

    /// Whether a node has anything of a record.
    fn has(&mut self, node: usize, id: DocId) -> Result<bool> {
        Ok(self.world.read(node, |read| read.heads(id))?.is_some_and(|heads| !heads.is_empty()))
    }

    fn names_her(&self, node: usize) -> Result<bool> {
        let found = [self.world.files_contain(node, NAME[0])?, self.world.files_contain(node, NAME[1])?];
        Ok(found.contains(&true))
    }
}

#[test]
fn g6_g12_a_chapter_that_was_away_for_400_days_comes_back_and_the_erased_stay_erased() -> Result<()> {
    let mut network = Network::new()?;
    network.world.go_away(AWAY);
    network.world.days_pass(200);
    let [uma, vera] = network.go_on()?;
    let tina = network.work_alone()?;
    network.world.days_pass(200);
    network.trim()?;
    assert!(!network.names_her(HUB)?, "she is gone from the hub");
    assert!(network.names_her(AWAY)?, "the chapter has not heard of it, and the search can find her");
    assert!(network.world.refused.is_empty());

    network.world.come_back();
    // Here equal sums and views, `verify`, and the receipts of all erasures are looked at.
    network.world.rest()?;
    let (mary, nora, olga, sara) = (network.mary, network.nora, network.olga, network.sara);
    let erasures = network.world.read(HUB, |read| read.erasures(10))?;
    let [erasure] = erasures.as_slice() else { panic!("one person was erased: {erasures:?}") };
    assert_eq!((erasure.person, erasure.receipts.len(), erasure.outstanding.len()), (mary, 1, 0));
    assert_eq!(network.world.refused, BTreeSet::from([mary]), "what it wrote to her is refused, and nothing else");
    for node in [HUB, AWAY, OTHER] {
        assert!(!network.has(node, mary)? && !network.names_her(node)?, "node {node} has nothing of her");
        let tally = network.world.read(node, |read| read.tally())?;
        assert_eq!((tally.refused, tally.missing), (0, 0), "node {node}");
        let transfers = network.world.read(node, |read| read.transfers(10))?;
        assert!(transfers.iter().all(|transfer| transfer.state == "done"), "node {node}: {transfers:?}");
    }

    for node in [HUB, AWAY] {
        let both = network.shown(node, nora)?;
        assert_eq!(both.tags, BTreeSet::from(["away".to_owned(), "hub".to_owned()]), "both edits stand");
        assert_eq!(both.conflicts.len(), 1, "two names are a conflict that is shown");
        for new in [uma, vera, tina, sara] {
            network.shown(node, new)?;
        }
    }
    for node in [HUB, OTHER] {
        let tags = network.shown(node, olga)?.tags;
        assert_eq!(
            tags,
            BTreeSet::from(["away".to_owned(), "other".to_owned()]),
            "what it wrote before it heard stands"
        );
    }
    assert!(!network.has(AWAY, olga)? && !network.has(OTHER, sara)?, "who went is where she went to");
    for (node, scope) in [(AWAY, network.away), (OTHER, network.other)] {
        let sums = [node, HUB].map(|node| network.world.read(node, |read| read.recount(scope)));
        let [here, there] = sums;
        assert_eq!(here?, there?, "the sums of node {node}");
    }
    Ok(())
}
