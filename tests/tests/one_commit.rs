//! A sign-up is one commit, whoever it is of and whatever becomes of it: how long its answer takes does not say whether the
//! address was known, and what is kept of the answer can't be parted from it by a crash.

use std::path::Path;

use model::{AuditKind, PlacementFact, SignUp, SignUpOrigin};
use node::{Came, HubDraft, Node, Posted};
use store::{Answered, DATABASE_FILE, HeldSignUp, HeldWhy, KeptAnswer};
use tempfile::TempDir;

/// The most sign-ups that one record takes.
const REPEATS_MAX: usize = 50;

/// The commits that stand in the log, and by which number that log goes: a frame that ends one says how large the file is
/// then (SQLite, "WAL file format").
fn logged(directory: &Path) -> (Vec<u8>, usize) {
    let log = std::fs::read(directory.join(format!("{DATABASE_FILE}-wal"))).unwrap();
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let salt = &log[16..24];
    let frames = log[32..].chunks_exact(24 + page).take_while(|frame| frame[8..16] == *salt);
    (salt.to_vec(), frames.filter(|frame| frame[4..8] != [0_u8; 4]).count())
}

/// How many commits something makes.
fn commits(directory: &Path, act: impl FnOnce()) -> usize {
    let (before, already) = logged(directory);
    act();
    let (after, now) = logged(directory);
    // A log that was copied into the file begins anew.
    if before == after { now - already } else { now }
}

fn sign_up(email: &str) -> SignUp {
    SignUp::from_fields([("given_name", "Pat"), ("email", email)], "US").unwrap()
}

fn posted(email: &str) -> Posted {
    let placement = PlacementFact {
        chapter: None,
        reason: "no_territory".to_owned(),
        explanation: String::new(),
        flags: Vec::new(),
        territory_version: 0,
        gazetteer_version: String::new(),
    };
    Posted { sign_up: sign_up(email), origin: SignUpOrigin::Api, placement }
}

fn answer(nth: u8) -> Option<KeptAnswer> {
    Some(KeptAnswer { key: [nth; 32], request: [nth; 32], body: format!("answer {nth}") })
}

#[test]
fn a_sign_up_is_one_commit_with_its_answer_whether_she_is_new_known_full_or_held() {
    let directory = TempDir::new().unwrap();
    let draft = HubDraft { name: "Test".to_owned(), country: "US".to_owned(), ca_key_file: None };
    let node = Node::init_hub(directory.path(), &draft).unwrap();
    let take = |email: &str, nth: u8| {
        let mut taken = None;
        let made = commits(directory.path(), || {
            taken = Some(node.sign_up(&posted(email), Came::now(), answer(nth)).unwrap());
        });
        (taken.unwrap().new, made)
    };
    // Before the first write there is no log.
    node.sign_up(&posted("first@example.org"), Came::now(), answer(1)).unwrap();
    assert_eq!(take("pat@example.org", 2), (true, 1));
    assert_eq!(take("pat@example.org", 3), (false, 1));
    for _ in 2..REPEATS_MAX {
        node.sign_up(&posted("pat@example.org"), Came::now(), None).unwrap();
    }
    let left_out = || {
        let rows = node.read(|read| read.audit_rows(None, None, 100)).unwrap();
        rows.iter().filter(|row| row.what == AuditKind::SignUpLeftOut.word()).count()
    };
    assert_eq!(left_out(), 0);
    assert_eq!(take("pat@example.org", 4), (false, 1), "her record takes no more");
    assert_eq!(left_out(), 1);
    let came = Came::now();
    let (why, sign_up) = (HeldWhy::Address, sign_up("kim@example.org"));
    let held = HeldSignUp { receipt: came.receipt, at: came.at, why, origin: SignUpOrigin::Api, sign_up };
    assert_eq!(commits(directory.path(), || node.hold_sign_up(held, answer(5)).unwrap()), 1);
    for nth in 1..=5 {
        let kept = node.read(|read| read.answered(&[nth; 32], &[nth; 32])).unwrap();
        assert_eq!(kept, Answered::Same(format!("answer {nth}")));
    }
    node.drop_held(came.receipt, "lee").unwrap();
    assert_eq!(node.read(|read| read.answered(&[5; 32], &[5; 32])).unwrap(), Answered::Never, "it goes with it");
}
