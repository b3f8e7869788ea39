//! Mutated changes: no panic comes out, and nothing that is accepted makes a record unloadable.

use model::{DocId, Kind, Ladder, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use record::{Context, Dependency, Record, Stamp, Value, Write, Written, fold, inspect};

/// Mutants in the test command; `MUTANTS=60000` runs as many as were measured for the design.
const MUTANTS: usize = 6_000;

fn stamp(actor: u8) -> Stamp {
    Stamp { actor: [actor; 16], author: "0badcafe/lee".into(), at: Timestamp::from_millis(1_000_000) }
}

/// A record with a history, and an honest next change for it by another actor.
fn honest(rng: &mut StdRng) -> (Record, Vec<Written>, Written) {
    let id = DocId::from_bytes(rng.random());
    let entries = vec![("family_name".to_owned(), Value::text("Brown")), ("tag/a".to_owned(), Value::Flag)];
    let (mut record, first) = Record::create(id, Kind::Supporter, entries, &stamp(1));
    let mut history = vec![first];
    for n in 0..rng.random_range(0..4_u8) {
        let writes =
            [Write::field("family_name", &format!("Brown {n}")), Write::field("employer", &format!("City {n}"))];
        history.extend(record.edit(&writes, &stamp(2 + n % 2)));
    }
    let mut next = record.clone();
    let writes = [Write::field("family_name", "Braun"), Write::Delete("tag/a".into()), Write::field("source", "door")];
    let written = next.edit(&writes, &stamp(2)).expect("an edit that changes something");
    (record, history, written)
}

fn context(record: &Record, history: &[Written], inspected: &record::Inspected) -> Option<Context> {
    let known = |hash| history.iter().find(|written| written.hash == hash);
    let dependencies: Option<Vec<Dependency>> =
        inspected.deps.iter().map(|dep| known(*dep).map(|written| Dependency { max_op: written.max_op })).collect();
    let actors: Vec<_> = record.changes().into_iter().collect();
    let seq = actors.iter().filter(|(actor, _)| *actor == inspected.actor).map(|(_, w)| w.seq).max().unwrap_or(0);
    let others_known = inspected.other_actors.iter().all(|other| actors.iter().any(|(actor, _)| actor == other));
    Some(Context { document: record.id()?, exists: true, dependencies: dependencies?, actor_seq: seq, others_known })
}

/// The checksum is put right, so that the mutant gets past the first gate.
fn rehash(bytes: &mut [u8]) {
    if let Ok(change) = std::panic::catch_unwind(|| automerge::Change::try_from(&*bytes))
        && let Ok(change) = change
    {
        bytes[4..8].copy_from_slice(&change.hash().0[..4]);
    }
}

fn mutate(bytes: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut mutant = bytes.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(8..mutant.len());
        match rng.random_range(0..4) {
            0 => mutant[at] ^= 1 << rng.random_range(0..8),
            1 => mutant[at] = rng.random(),
            2 => mutant[at] = mutant[at].wrapping_add(1),
            _ => mutant.swap(at, bytes.len() - 1 - (at % 8)),
        }
    }
    rehash(&mut mutant);
    mutant
}

#[test]
fn no_mutant_panics_outwards_or_poisons_a_record() {
    std::panic::set_hook(Box::new(|_| {}));
    let count = std::env::var("MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(MUTANTS);
    let mut rng = StdRng::seed_from_u64(2026);
    let (mut inspected_ok, mut folded_ok) = (0, 0);
    for _ in 0..count {
        let (record, history, next) = honest(&mut rng);
        let mutant = mutate(&next.bytes, &mut rng);
        let Ok(inspected) = inspect(&mutant) else { continue };
        let Some(context) = context(&record, &history, &inspected) else { continue };
        if inspected.check(&context).is_err() {
            continue;
        }
        inspected_ok += 1;
        let mut heads = record.heads();
        heads.retain(|head| !inspected.deps.contains(head));
        heads.push(inspected.hash);
        let saved = record.save();
        if let Ok((folded, bytes)) = fold(Some(&saved), [mutant.as_slice()], &heads) {
            folded_ok += 1;
            let mut again = Record::load(&bytes).expect("what was accepted loads");
            assert_eq!(again.heads(), folded.heads());
            let _ = again.supporter(&Ladder::default());
            again.edit(&[Write::field("description", "edited after")], &stamp(7)).expect("and can be edited");
            Record::load(&again.save()).expect("and loads after that");
        }
    }
    let _ = std::panic::take_hook();
    assert!(inspected_ok > count / 50, "the mutants have to get past the first gate: {inspected_ok}");
    assert!(folded_ok > 0 && folded_ok < inspected_ok, "{folded_ok} of {inspected_ok}");
}

#[test]
fn an_honest_change_passes_and_a_compressed_or_foreign_one_does_not() {
    let mut rng = StdRng::seed_from_u64(1);
    let (record, history, next) = honest(&mut rng);
    let inspected = inspect(&next.bytes).expect("an honest change");
    let context = context(&record, &history, &inspected).expect("its dependencies are known");
    inspected.check(&context).expect("an honest next change");
    assert!(inspected.check(&Context { exists: false, ..context.clone() }).is_err());
    assert!(inspected.check(&Context { actor_seq: context.actor_seq + 1, ..context.clone() }).is_err());
    assert!(inspected.check(&Context { others_known: false, ..context }).is_err());
    let mut compressed = next.bytes.clone();
    compressed[8] = 2;
    assert!(inspect(&compressed).is_err());
    let mut wrong_sum = next.bytes;
    wrong_sum[4] ^= 1;
    assert!(inspect(&wrong_sum).is_err());
    assert!(inspect(&[]).is_err());
}
