//! The audit log by itself: rows that are only added, a chain that shows what was changed, and what bounds a flood.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use std::path::Path;

use model::{AuditKind, DocId, Incarnation, NodeId, ScopeId, Timestamp};
use rusqlite::Connection;
use store::{
    AuditChecked, AuditRow, DATABASE_FILE, LedgerRule, NewAudit, NodeKind, NodeRow, ProofKey, ScopeRole, Store,
    StoreError, Writer,
};
use tempfile::TempDir;

const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);
const HOUR_MS: i64 = 3_600_000;

fn make(directory: &Path) -> Store {
    let row = NodeRow {
        kind: NodeKind::Hub,
        name: "Test".to_owned(),
        country: "US".to_owned(),
        node_id: NodeId([1; 32]),
        incarnation: Incarnation::from_bytes([1; 16]),
        proof_key: ProofKey::new([1; 32]),
    };
    Store::create(directory, &row, AT, |tx| tx.add_scope(ScopeId::NETWORK, ScopeRole::Network)).unwrap()
}

fn write(writer: &mut Writer, count: u8) {
    for n in 1..=count {
        let person = DocId::from_parts(AT, [n; 10]);
        let new = NewAudit::new(AuditKind::Exported, AT).by("lee").about(person).detail("csv").number(n.into());
        writer.commit(|tx| tx.audit(&new)).unwrap();
    }
}

fn check(store: &Store) -> AuditChecked {
    store.reader().unwrap().at_once(|read| read.check_audit()).unwrap()
}

fn rows(store: &Store) -> Vec<AuditRow> {
    store.reader().unwrap().at_once(|read| read.audit_rows(None, None, 1_000)).unwrap()
}

/// Somebody who has the file and no scruples.
fn tamper(directory: &Path, sql: &str) {
    let file = Connection::open(directory.join(DATABASE_FILE)).unwrap();
    for trigger in ["audit_not_changed", "audit_not_deleted", "audit_not_replaced"] {
        file.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    assert_eq!(file.execute(sql, []).unwrap(), 1, "{sql}");
}

#[test]
fn rows_stand_in_order_and_are_found_by_time_and_number() {
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    write(&mut writer, 3);
    writer.commit(|tx| tx.audit(&NewAudit::new(AuditKind::LoggedIn, AT.plus_millis(5)).by("ana"))).unwrap();
    let all = rows(&store);
    assert_eq!(all.iter().map(|row| row.id).collect::<Vec<_>>(), [4, 3, 2, 1]);
    assert_eq!((all[0].what.as_str(), all[0].who.as_deref(), all[0].about), ("logged_in", Some("ana"), None));
    assert_eq!((all[1].detail.as_str(), all[1].number), ("csv", Some(3)));
    let mut reader = store.reader().unwrap();
    let ids = |rows: Vec<AuditRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(reader.at_once(|read| read.audit_rows(Some(AT.plus_millis(1)), None, 9)).unwrap()), [4]);
    assert_eq!(ids(reader.at_once(|read| read.audit_rows(None, Some(3), 1)).unwrap()), [2]);
    let checked = check(&store);
    assert_eq!((checked.rows, checked.broken), (4, None));
}

#[test]
fn a_row_is_written_with_its_act_or_not_at_all() {
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    let failed: Result<(), StoreError> = writer.commit(|tx| {
        tx.audit(&NewAudit::new(AuditKind::Erased, AT))?;
        Err(StoreError::Refused("no".to_owned()))
    });
    assert!(failed.is_err());
    assert!(rows(&store).is_empty());
}

#[test]
fn the_database_refuses_to_change_delete_or_replace_a_row() {
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    write(&mut store.writer().unwrap(), 3);
    let before = rows(&store);
    let file = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    for sql in [
        "UPDATE audit SET who = 'nobody' WHERE id = 2",
        "DELETE FROM audit WHERE id = 2",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit (id, at, what, detail, hash) VALUES (2, 0, 'erased', '', x'00')",
        "INSERT INTO audit (id, at, what, detail, hash) VALUES (9, 0, 'erased', '', x'00')",
    ] {
        let refused = file.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("only added to"), "{sql}: {refused}");
    }
    assert_eq!(rows(&store), before);
}

#[test]
fn what_was_changed_behind_its_back_is_found_with_the_first_row_that_does_not_fit() {
    for (sql, broken) in [
        ("UPDATE audit SET who = 'ana' WHERE id = 3", Some(3)),
        ("UPDATE audit SET who = NULL WHERE id = 3", Some(3)),
        ("UPDATE audit SET at = at + 1 WHERE id = 3", Some(3)),
        ("UPDATE audit SET number = NULL WHERE id = 5", Some(5)),
        ("UPDATE audit SET about = NULL WHERE id = 1", Some(1)),
        ("UPDATE audit SET detail = 'cs', what = 'vexported' WHERE id = 2", Some(2)),
        ("UPDATE audit SET hash = x'00' WHERE id = 4", Some(4)),
        ("UPDATE audit SET id = 9 WHERE id = 5", Some(9)),
        ("DELETE FROM audit WHERE id = 1", Some(2)),
        ("DELETE FROM audit WHERE id = 3", Some(4)),
        // The end of a chain has nothing behind it: the hash that was noted elsewhere shows it.
        ("DELETE FROM audit WHERE id = 5", None),
    ] {
        let directory = TempDir::new().unwrap();
        let store = make(directory.path());
        let mut writer = store.writer().unwrap();
        write(&mut writer, 5);
        let noted = check(&store);
        assert_eq!((noted.rows, noted.broken), (5, None));
        tamper(directory.path(), sql);
        let found = check(&store);
        assert_eq!(found.broken, broken, "{sql}");
        assert_ne!(found.last, noted.last, "{sql}");
        // The node goes on, and what it writes does not heal the chain.
        write(&mut writer, 1);
        assert_eq!(check(&store).broken, broken, "{sql}, later");
    }
}

#[test]
fn what_others_try_is_bounded_in_an_hour_and_the_rest_is_counted() {
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    let tried = |at: i64, times: u64| {
        NewAudit::new(AuditKind::Refused, AT.plus_millis(at)).by_node(NodeId([7; 32])).number(times)
    };
    for n in 0..50 {
        writer.commit(|tx| tx.audit_bounded("link 1", &tried(n, 3))).unwrap();
        writer.commit(|tx| tx.audit_bounded("link 2", &tried(n, 1))).unwrap();
    }
    assert_eq!(rows(&store).len(), 40, "twenty for each source");
    let due = |at: i64| store.reader().unwrap().at_once(|read| read.counted_is_due(AT.plus_millis(at))).unwrap();
    assert!(!due(HOUR_MS - 1) && due(HOUR_MS));
    writer.commit(|tx| tx.tell_counted(AT.plus_millis(HOUR_MS))).unwrap();
    writer.commit(|tx| tx.audit_bounded("link 1", &tried(HOUR_MS, 1))).unwrap();
    let all = rows(&store);
    assert_eq!(all.len(), 43);
    assert_eq!(all[0].number, Some(1), "the next hour begins anew");
    assert_eq!((all[1].number, all[2].number), (Some(30), Some(90)), "thirty times one, thirty times three");
    assert!(all.iter().all(|row| row.who.as_deref() == Some("node 07070707")));
    assert!(!due(HOUR_MS + 1), "what is told is not told again");
    assert_eq!(check(&store).broken, None);
}

#[test]
fn a_database_that_was_put_back_goes_on_after_its_last_row_and_says_so() {
    let directory = TempDir::new().unwrap();
    let store = make(&directory.path().join("node"));
    let mut writer = store.writer().unwrap();
    write(&mut writer, 3);
    let backup = directory.path().join("backup.db");
    store.copy_to(&backup, AT).unwrap();
    write(&mut writer, 2);
    drop(writer);
    let life = (NodeKind::Hub, Incarnation::from_bytes([2; 16]));
    let said = NewAudit::new(AuditKind::Restored, AT.plus_millis(9)).by("lee");
    Store::restore(&directory.path().join("node"), &backup, life, (LedgerRule::MayBeMissing, AT), &said).unwrap();
    let all = rows(&store);
    assert_eq!(all.iter().map(|row| row.id).collect::<Vec<_>>(), [4, 3, 2, 1]);
    assert_eq!((all[0].what.as_str(), all[0].who.as_deref()), ("restored", Some("lee")));
    assert_eq!(check(&store).broken, None);
}

#[test]
fn a_hand_over_is_the_last_row_on_the_old_machine_and_taking_over_the_next_on_the_new_one() {
    let directory = TempDir::new().unwrap();
    let store = make(&directory.path().join("node"));
    write(&mut store.writer().unwrap(), 1);
    store.hand_over(AT, &NewAudit::new(AuditKind::HandedOver, AT).by("lee")).unwrap();
    let copy = directory.path().join("copy.db");
    store.copy_to_move(&copy).unwrap();
    let life = (NodeKind::Hub, Incarnation::from_bytes([2; 16]));
    Store::prepare_moved(&copy, &copy, life, &NewAudit::new(AuditKind::TakenOver, AT).by("ana")).unwrap();
    let whats = |rows: Vec<AuditRow>| rows.into_iter().map(|row| row.what).collect::<Vec<_>>();
    assert_eq!(whats(rows(&store)), ["handed_over", "exported"]);
    let refused = store.writer().unwrap().commit(|tx| tx.audit(&NewAudit::new(AuditKind::LoggedIn, AT)));
    assert!(matches!(refused, Err(StoreError::HandedOver(_))));
    let moved = directory.path().join("moved");
    store::private_directory(&moved).unwrap();
    std::fs::rename(&copy, moved.join(DATABASE_FILE)).unwrap();
    let there = Store::open(&moved, NodeKind::Hub).unwrap();
    assert_eq!(whats(rows(&there)), ["taken_over", "handed_over", "exported"]);
    assert_eq!(check(&there).broken, None);
    store.take_back(&NewAudit::new(AuditKind::HandOverCancelled, AT)).unwrap();
    assert_eq!(whats(rows(&store))[0], "hand_over_cancelled");
    assert_eq!(check(&store).broken, None);
}
