//! Invitations and revoked keys: who comes in, who does not, and who may come back.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use model::{AuditKind, Digest, Incarnation, NodeId, ScopeId, Slug, Timestamp};
use store::{
    Acceptance, Enrolling, InviteOutcome, LeaveWord, LedgerRule, LinkCertificate, LinkId, LinkStanding, NewAudit,
    NewChapter, NewInvite, NodeKind, NodeRow, ProofKey, Read, ScopeRole, Store, StoreError, Writer,
};
use tempfile::TempDir;

const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);
const LATER: Timestamp = Timestamp::from_millis(1_780_000_000_000 + 1_000);
const LA: ScopeId = ScopeId::from_bytes([5; 16]);
const SF: ScopeId = ScopeId::from_bytes([6; 16]);

/// A hub with two chapters.
struct Hub {
    writer: Writer,
    store: Store,
    _directory: TempDir,
}

impl Hub {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let row = NodeRow {
            kind: NodeKind::Hub,
            name: "Test".to_owned(),
            country: "US".to_owned(),
            node_id: NodeId([1; 32]),
            incarnation: Incarnation::from_bytes([1; 16]),
            proof_key: ProofKey::new([1; 32]),
        };
        let store = Store::create(directory.path(), &row, AT, |tx| {
            for (scope, name) in [(LA, "la"), (SF, "sf")] {
                let slug: Slug = name.parse()?;
                let role = ScopeRole::Chapter;
                tx.add_chapter(&NewChapter { scope, slug: &slug, name, card: None, intake: None, role, at: AT })?;
            }
            Ok(())
        })
        .unwrap();
        Self { writer: store.writer().unwrap(), store, _directory: directory }
    }

    fn read<T>(&self, job: impl FnOnce(&Read<'_>) -> Result<T, StoreError>) -> T {
        self.store.reader().unwrap().at_once(job).unwrap()
    }

    fn invite(&mut self, secret: u8, chapter: ScopeId, link: Option<LinkId>) -> Result<(), StoreError> {
        let secret_hash = Digest([secret; 32]);
        let new = NewInvite { secret_hash, chapter, link, by: "lee", at: AT, expires: AT.plus_millis(60_000) };
        self.writer.commit(|tx| tx.add_invite(&new))
    }

    fn enrol(&mut self, secret: u8, node: u8, at: Timestamp) -> InviteOutcome {
        let new = Enrolling {
            peer: NodeId([node; 32]),
            certificate: LinkCertificate { bytes: vec![node], expires: at.plus_millis(1_000_000) },
            accepted: Acceptance { version: 1, by: format!("node {node}"), at },
        };
        self.writer.commit(|tx| tx.enrol(&[secret; 32], &new, at)).unwrap()
    }

    fn link(&self, node: u8) -> store::LinkRow {
        self.read(|read| read.child(NodeId([node; 32]))).unwrap()
    }

    fn revoke(&mut self, node: u8) {
        let link = self.link(node).id;
        assert!(self.writer.commit(|tx| tx.revoke(link, "by lee", AT)).unwrap());
    }
}

#[test]
fn an_invitation_lets_one_key_in_as_often_as_that_asks_and_counts_the_others() {
    let mut hub = Hub::new();
    hub.invite(7, LA, None).unwrap();
    assert_eq!(hub.enrol(8, 2, AT), InviteOutcome::Unknown);
    assert_eq!(hub.enrol(7, 2, AT), InviteOutcome::Enrolled(LA));
    assert_eq!(hub.enrol(7, 2, AT.plus_millis(90_000)), InviteOutcome::Enrolled(LA), "a lost answer costs nothing");
    for _ in 0..3 {
        assert_eq!(hub.enrol(7, 3, AT), InviteOutcome::Used);
    }
    assert_eq!(hub.read(|read| read.misused_invites()), 3);
    assert_eq!(hub.read(|read| read.links()).len(), 1);
    let link = hub.link(2);
    assert_eq!(link.expires, Some(AT.plus_millis(1_090_000)), "the newest certificate");
    let accepted = link.accepted.unwrap();
    assert_eq!((accepted.by.as_str(), accepted.at), ("node 2", AT), "who first accepted it");
    let rows = hub.read(|read| read.audit_rows(None, None, 100));
    let rows: Vec<(&str, &str)> = rows.iter().rev().map(|row| (row.what.as_str(), row.detail.as_str())).collect();
    let refused = |why| ("enrolment_refused", why);
    let used = refused("used");
    assert_eq!(rows, [refused("unknown"), ("enrolled", "la"), used, used, used], "once, however often it asks");
}

#[test]
fn what_is_late_or_taken_back_lets_nobody_in() {
    let mut hub = Hub::new();
    hub.invite(7, LA, None).unwrap();
    hub.invite(8, LA, None).unwrap();
    assert_eq!(hub.enrol(7, 2, AT.plus_millis(60_001)), InviteOutcome::Expired);
    let cancelled = hub.writer.commit(|tx| tx.cancel_invite("08080808", LATER)).unwrap();
    assert_eq!(cancelled.secret_hash, Digest([8; 32]));
    assert_eq!(hub.enrol(8, 2, AT), InviteOutcome::Cancelled);
    assert!(hub.read(|read| read.links()).is_empty());
    assert_eq!(hub.enrol(7, 2, AT), InviteOutcome::Enrolled(LA));
    assert!(hub.writer.commit(|tx| tx.cancel_invite("0707", LATER)).is_err(), "a node has come by it");
}

#[test]
fn a_key_belongs_to_one_chapter() {
    let mut hub = Hub::new();
    hub.invite(7, LA, None).unwrap();
    hub.invite(8, SF, None).unwrap();
    assert_eq!(hub.enrol(7, 2, AT), InviteOutcome::Enrolled(LA));
    assert_eq!(hub.enrol(8, 2, AT), InviteOutcome::Elsewhere);
    assert_eq!(hub.link(2).scope, LA, "nothing of it was done");
    assert_eq!(hub.enrol(8, 3, AT), InviteOutcome::Enrolled(SF), "and the invitation is good still");
}

#[test]
fn a_revoked_key_comes_back_only_by_a_fresh_invitation_of_the_hub() {
    let mut hub = Hub::new();
    for secret in [7, 8] {
        hub.invite(secret, LA, None).unwrap();
    }
    assert_eq!(hub.enrol(7, 2, AT), InviteOutcome::Enrolled(LA));
    assert_eq!(hub.enrol(8, 3, AT), InviteOutcome::Enrolled(LA));
    let (friend, own) = (hub.link(3).id, hub.link(2).id);
    hub.invite(9, LA, Some(friend)).unwrap();
    hub.invite(10, LA, Some(own)).unwrap();
    hub.revoke(2);
    assert_eq!(hub.read(|read| read.shut_out()), [own]);
    let standing = |hub: &Hub| hub.link(2).standing;
    hub.writer.commit(|tx| tx.set_standing(own, LinkStanding::Connected, "")).unwrap();
    assert_eq!((standing(&hub), hub.link(2).detail), (LinkStanding::Revoked, "by lee".to_owned()));

    assert_eq!(hub.enrol(7, 2, AT), InviteOutcome::Revoked, "by the one that it has used");
    assert_eq!(hub.enrol(9, 2, AT), InviteOutcome::Revoked, "by a friend's");
    assert_eq!(hub.enrol(10, 4, AT), InviteOutcome::Cancelled, "whom it has invited");
    assert_eq!(standing(&hub), LinkStanding::Revoked);
    hub.invite(11, LA, None).unwrap();
    assert_eq!(hub.enrol(11, 2, AT), InviteOutcome::Enrolled(LA));
    assert_eq!(standing(&hub), LinkStanding::Offline);
}

#[test]
fn a_node_whose_chapter_left_brings_it_back_by_an_invitation_that_was_made_since() {
    let mut hub = Hub::new();
    hub.invite(7, LA, None).unwrap();
    assert_eq!(hub.enrol(7, 2, AT), InviteOutcome::Enrolled(LA));
    let (own, peer) = (hub.link(2).id, NodeId([2; 32]));
    hub.invite(8, LA, Some(own)).unwrap();
    let leaves =
        |hub: &mut Hub, at| hub.writer.commit(|tx| tx.chapter_leaves(peer, LeaveWord::Keep, None, at)).unwrap();
    assert_eq!(leaves(&mut hub, LATER), LATER);
    assert_eq!(leaves(&mut hub, LATER.plus_millis(9)), LATER, "said again, it is out since then");
    assert_eq!((hub.link(2).standing, hub.read(|read| read.left_at(LA))), (LinkStanding::Left, Some(LATER)));
    assert_eq!(hub.read(|read| read.shut_out()), [own]);
    hub.writer.commit(|tx| tx.set_standing(own, LinkStanding::Connected, "")).unwrap();
    assert_eq!(hub.link(2).standing, LinkStanding::Left);

    assert_eq!(hub.enrol(7, 2, LATER), InviteOutcome::Left, "by the one that it has used");
    assert_eq!(hub.enrol(8, 3, LATER), InviteOutcome::Cancelled, "whom it has invited");
    hub.invite(9, LA, None).unwrap();
    assert_eq!(hub.enrol(9, 2, LATER), InviteOutcome::Enrolled(LA));
    assert_eq!((hub.link(2).standing, hub.read(|read| read.left_at(LA))), (LinkStanding::Offline, None));
    // Whoever is shut out does not speak for its chapter.
    hub.revoke(2);
    assert!(hub.writer.commit(|tx| tx.chapter_leaves(peer, LeaveWord::Keep, None, LATER)).is_err());
}

#[test]
fn a_chapter_can_not_invite_without_end() {
    let mut hub = Hub::new();
    hub.invite(7, LA, None).unwrap();
    hub.enrol(7, 2, AT);
    let link = hub.link(2).id;
    let made = (20..90).take_while(|secret| hub.invite(*secret, LA, Some(link)).is_ok()).count();
    assert_eq!(made, 20);
    hub.invite(100, LA, None).unwrap();
    assert_eq!(hub.writer.commit(|tx| tx.cancel_invites(LA, LATER)).unwrap(), 21);
    hub.invite(101, LA, Some(link)).unwrap();
}

#[test]
fn a_hub_that_was_put_back_lets_nobody_in_by_an_invitation_that_was_used_since() {
    let mut hub = Hub::new();
    hub.invite(7, LA, None).unwrap();
    let elsewhere = TempDir::new().unwrap();
    let (backup, node) = (elsewhere.path().join("backup.db"), elsewhere.path().join("node"));
    hub.store.copy_to(&backup, AT).unwrap();
    assert_eq!(hub.enrol(7, 2, AT), InviteOutcome::Enrolled(LA));
    let life = (NodeKind::Hub, Incarnation::from_bytes([9; 16]));
    let said = NewAudit::new(AuditKind::Restored, AT);
    Store::restore(&node, &backup, life, (LedgerRule::MayBeMissing, AT), &said).unwrap();
    let store = Store::open(&node, NodeKind::Hub).unwrap();
    let mut back = Hub { writer: store.writer().unwrap(), store, _directory: elsewhere };
    assert_eq!(back.enrol(7, 3, AT), InviteOutcome::Cancelled);
    back.invite(8, LA, None).unwrap();
    assert_eq!(back.enrol(8, 2, AT), InviteOutcome::Enrolled(LA), "who came by it comes again by a new one");
}

#[test]
fn whom_a_chapter_has_invited_counts_until_it_is_shut_out() {
    let mut hub = Hub::new();
    hub.invite(7, LA, None).unwrap();
    hub.enrol(7, 2, AT);
    let link = hub.link(2).id;
    for secret in 20..40 {
        hub.invite(secret, LA, Some(link)).unwrap();
        assert_eq!(hub.enrol(secret, secret + 100, AT), InviteOutcome::Enrolled(LA));
    }
    assert!(hub.invite(90, LA, Some(link)).is_err(), "a chapter has no nodes without end");
    hub.invite(91, LA, None).unwrap();
    hub.revoke(120);
    hub.invite(90, LA, Some(link)).unwrap();
}
