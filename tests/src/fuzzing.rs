//! Bytes from outside, one function for each way in: the fuzzer runs them on what it makes up, the default tests on the
//! files below `fuzz/corpus`.
//!
//! **Invariant:** a function here panics only where something is wrong with us: what is refused is fine, what is taken has
//! to hold. Where a hash or a checksum stands before the rest, it is put right, since no fuzzer guesses one.
//! Knows nothing of libFuzzer.

use std::sync::LazyLock;

use model::{ActorId, Digest, DocId, Kind, Ladder, Timestamp};
use node::Invite;
use record::{Context, Dependency, Inspected, Record, Stamp, Value, Write, Written, fold, inspect};
use sha2::{Digest as _, Sha256};
use store::ParentAt;

/// The document that changes are received into.
const DOCUMENT: DocId = DocId::from_bytes([1; 16]);
/// What an Automerge chunk begins with. Then: checksum (4 bytes), type (1), length (LEB128), content.
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// The most changes that are taken from one input: the rules between changes need few.
const CHANGES_MAX: usize = 8;
/// The field `packed_batch` of the wire's frame: number 6, with a length.
const PACKED_BATCH: u8 = 0x32;

/// Reads a frame, and a batch that has the same bytes packed in it.
///
/// # Panics
/// When decoding does.
pub fn frame(bytes: &[u8]) {
    node::decodes(bytes);
    let packed = zstd::bulk::compress(bytes, 1).expect("bytes can be compressed");
    node::decodes(&[vec![PACKED_BATCH], leb128(packed.len()), packed].concat());
}

/// Inspects a change.
///
/// # Panics
/// When inspecting does, or lets something pass that contradicts itself.
pub fn change(bytes: &[u8]) {
    for bytes in [Some(bytes.to_vec()), mended(bytes)].into_iter().flatten() {
        let Ok(inspected) = inspect(&bytes) else { continue };
        let hash: [u8; 32] = Sha256::digest(&bytes[8..]).into();
        assert_eq!(inspected.hash, Digest(hash), "a change is named by its own bytes");
        assert_eq!(record::hash_of(&bytes), Some(inspected.hash), "whoever reads it or not");
        assert_eq!(inspected.deps.is_empty(), inspected.document.is_some(), "the first change names its document");
        assert!(inspected.start_op <= inspected.max_op, "{inspected:?}");
    }
}

/// Receives changes into an honest document.
///
/// # Panics
/// When receiving does, or what was taken does not hold.
pub fn receive(bytes: &[u8]) {
    taken(bytes);
}

/// How many changes of the input an honest document took, as a node takes them: inspected one by one, folded together.
///
/// # Panics
/// When receiving does, or what was taken does not hold.
pub fn taken(bytes: &[u8]) -> usize {
    let mut known = BASE.known.clone();
    let mut heads = BASE.heads.clone();
    let mut logged = Vec::new();
    for bytes in changes_in(bytes) {
        let Ok(inspected) = inspect(&bytes) else { continue };
        let Some(context) = context(&known, &inspected) else { continue };
        if known.iter().any(|one| one.hash == inspected.hash) || inspected.check(&context).is_err() {
            continue;
        }
        heads.retain(|head| !inspected.deps.contains(head));
        heads.push(inspected.hash);
        let Inspected { hash, actor, seq, max_op, .. } = inspected;
        known.push(Known { hash, actor, seq, max_op });
        logged.push(bytes);
    }
    if logged.is_empty() {
        return 0;
    }
    let Ok((folded, saved)) = fold(Some(&BASE.saved), logged.iter().map(Vec::as_slice), &heads) else { return 0 };
    let mut again = Record::load(&saved).expect("what was taken loads");
    assert_eq!(again.heads(), folded.heads(), "and to the same heads");
    let _ = again.supporter(&Ladder::default());
    again.edit(&[Write::field("description", "edited after")], &stamp(9));
    Record::load(&again.save()).expect("and after an edit");
    logged.len()
}

/// Reads an invitation, as it is and with its checksum put right.
///
/// # Panics
/// When reading does, or does not give again what is printed.
pub fn invite(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let put_right = text.trim().rsplit_once('.').map(|(begin, _)| {
        let body = begin.rsplit('.').next().unwrap_or_default();
        let sum: String = Sha256::digest(body.as_bytes())[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{begin}.{sum}")
    });
    for text in [Some(text.to_owned()), put_right].into_iter().flatten() {
        if let Ok(invite) = text.parse::<Invite>() {
            assert_eq!(invite.to_string().parse(), Ok(invite), "it reads what it prints");
        }
    }
}

/// Reads a file of sign-ups.
///
/// # Panics
/// When reading does, or finds more rows than there are lines below the head.
pub fn csv(bytes: &[u8]) {
    let rows = hub_node::reads_csv(bytes);
    let ends = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    assert!(rows <= ends, "{rows} rows below the head, {ends} ends of lines");
}

/// Takes away the hook with which libFuzzer ends the process at any panic, also at one that the record crate catches.
/// A panic that gets out still ends it.
pub fn contain_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Honest inputs that only the code can write: the path of each below `fuzz/corpus`, and its bytes.
pub fn honest_corpus() -> Vec<(&'static str, Vec<u8>)> {
    let Base { first, second, apart: [one, other], .. } = &*BASE;
    let hub = ParentAt { addresses: vec!["127.0.0.1:4433".to_owned()], pins: vec![Digest([9; 32])] };
    let invite = Invite { secret: [7; 16], hub };
    vec![
        ("change/honest-first", first.bytes.clone()),
        ("change/honest-second", second.bytes.clone()),
        ("change/honest-event", other.bytes.clone()),
        ("receive/honest-edit", one.bytes.clone()),
        ("receive/honest-made-apart", [one.bytes.as_slice(), other.bytes.as_slice()].concat()),
        ("invite/honest-line", invite.to_string().into_bytes()),
    ]
}

/// What the store knows of a change.
#[derive(Clone)]
struct Known {
    hash: Digest,
    actor: ActorId,
    seq: u64,
    max_op: u64,
}

/// An honest document of two changes, and two more that were made apart from there.
struct Base {
    saved: Vec<u8>,
    heads: Vec<Digest>,
    known: Vec<Known>,
    first: Written,
    second: Written,
    apart: [Written; 2],
}

static BASE: LazyLock<Base> = LazyLock::new(|| {
    let entries = vec![("family_name".to_owned(), Value::text("Brown")), ("tag/a".to_owned(), Value::Flag)];
    let (mut record, first) = Record::create(DOCUMENT, Kind::Supporter, entries, &stamp(1));
    let second = edit(&mut record, 2, &[Write::field("family_name", "Browne"), Write::field("employer", "City")]);
    let one = [Write::field("family_name", "Braun"), Write::Delete("tag/a".into()), Write::field("source", "door")];
    let event = r#"{"at":"2026-11-22T21:11:43.769Z","kind":"sign_up","origin":"import"}"#;
    let event = Write::Put("event/01a20519-c199-7804-a9bb-bdf94d795a0b".into(), Value::text(event));
    let other = [Write::field("family_name", "Bruhn"), event];
    let apart = [edit(&mut record.clone(), 3, &one), edit(&mut record.clone(), 4, &other)];
    let known = |(actor, written): (ActorId, Written)| {
        let Written { hash, seq, max_op, .. } = written;
        Known { hash, actor, seq, max_op }
    };
    let known = record.changes().into_iter().map(known).collect();
    Base { saved: record.save(), heads: record.heads(), known, first, second, apart }
});

fn stamp(actor: u8) -> Stamp {
    Stamp { actor: [actor; 16], author: "0badcafe/lee".into(), at: Timestamp::from_millis(1_000_000) }
}

fn edit(record: &mut Record, actor: u8, writes: &[Write]) -> Written {
    record.edit(writes, &stamp(actor)).expect("the writes change something")
}

fn context(known: &[Known], inspected: &Inspected) -> Option<Context> {
    let dependency = |hash: &Digest| {
        let found = known.iter().find(|one| one.hash == *hash)?;
        Some(Dependency { max_op: found.max_op })
    };
    let of_actor = known.iter().filter(|one| one.actor == inspected.actor);
    Some(Context {
        document: DOCUMENT,
        exists: true,
        dependencies: inspected.deps.iter().map(dependency).collect::<Option<_>>()?,
        actor_seq: of_actor.map(|one| one.seq).max().unwrap_or(0),
        others_known: inspected.other_actors.iter().all(|other| known.iter().any(|one| one.actor == *other)),
    })
}

/// The changes of an input, each from one magic number to the next.
fn changes_in(bytes: &[u8]) -> Vec<Vec<u8>> {
    let begins = bytes.windows(4).enumerate().filter(|(_, four)| **four == MAGIC);
    let begins: Vec<usize> = begins.map(|(at, _)| at).collect();
    let ends = begins.iter().skip(1).copied().chain([bytes.len()]);
    begins.iter().zip(ends).filter_map(|(begin, end)| mended(&bytes[*begin..end])).take(CHANGES_MAX).collect()
}

/// A change with its length and its checksum put right; `None` when there is no content.
fn mended(change: &[u8]) -> Option<Vec<u8>> {
    let length_bytes = change.get(9..)?.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let content = &change[9 + length_bytes..];
    let hashed = [&change[8..9], leb128(content.len()).as_slice(), content].concat();
    let hash: [u8; 32] = Sha256::digest(&hashed).into();
    Some([&change[..4], &hash[..4], hashed.as_slice()].concat())
}

/// Seven bits a byte, the lowest first: Automerge's lengths and protobuf's are the same.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
