//! Which scope holds a document, when one end of a link has forgotten: a child returns what its parent told it.
//!
//! **Invariant:** only the parent's own word counts, proved by its own key; the newest assignment stands, whoever returns it
//! first. A child without proof has to bring the bytes of the first change, which nobody has who never had the document.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Claim, Claimed, Found, Proof};
use model::{DocId, ScopeId, Timestamp};
use rusqlite::params;

use crate::document::{DocState, DocumentRow};
use crate::erase::ErasureRow;
use crate::home::Place;
use crate::{Read, StoreError, Tx};

impl Read<'_> {
    /// What this node was told of documents by its parent.
    pub(crate) fn claims(&self, scope: ScopeId, documents: &[DocId]) -> Result<Vec<Claim>, StoreError> {
        let scope = self.known_scope(scope)?.id;
        let mut claims = Vec::new();
        for id in documents {
            let Some(row) = self.document(*id)? else { continue };
            if let Some(ErasureRow { erasure, at, proof, above }) = self.erasure_of(row.id)? {
                claims.extend(proof.map(|proof| (*id, Claimed::Erased { erasure, at, proof, above })));
                continue;
            }
            let sql = "SELECT epoch, state = 'held', guest, proof FROM assign WHERE scope = ? AND document = ?";
            let told = self.one("read an assignment", sql, params![scope, row.id], |row| {
                let proof = row.get::<_, Option<[u8; 16]>>(3)?;
                Ok((row.get::<_, u64>(0)?, row.get::<_, bool>(1)?, row.get::<_, bool>(2)?, proof))
            })?;
            let claim = told.and_then(|(epoch, held, guest, proof)| {
                let proof = proof?;
                Some(if held { Claimed::Held { epoch, guest, proof } } else { Claimed::Left { epoch, proof } })
            });
            claims.extend(claim.map(|claim| (*id, claim)));
        }
        Ok(claims)
    }

    /// Whether all that is known of a document's newest assignment is what the children told that it left: then whoever
    /// proves that she came to it by the same one is the other half of that move.
    fn only_left_by(&self, document: i64, next: i64, epoch: i64) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM assign a JOIN scope s ON s.id = a.scope
                   WHERE a.document = ? AND s.role = 'chapter' AND a.epoch = ? AND (a.state = 'held' OR a.proof IS NULL)";
        Ok(epoch + 1 == next && self.number("look for an assignment", sql, params![document, epoch])? == 0)
    }

    /// What is to be done with documents that only one end holds in a scope.
    fn settled(&self, scope: i64, asked: &[(DocId, bool)], claims: &[Claim]) -> Result<Found, StoreError> {
        let told_held = |(id, told): &Claim| match told {
            Claimed::Held { guest, .. } => Some((*id, *guest)),
            Claimed::Left { .. } | Claimed::Erased { .. } => None,
        };
        let told_held: BTreeMap<DocId, bool> = claims.iter().filter_map(told_held).collect();
        let (mut give, mut compare) = (Vec::new(), Vec::new());
        for (id, listed) in asked {
            let Some(row) = self.document(*id)? else {
                compare.extend(listed.then_some(*id));
                continue;
            };
            let assignment = self.assignment(scope, row.id)?;
            let held = assignment.is_some_and(|assignment| assignment.held);
            // What is there otherwise than here is given again: on its way out, or without this node's word for its place.
            let otherwise = held && told_held.get(id).copied() != assignment.map(|known| known.guest);
            if row.state == DocState::Erased
                || (held && (!listed || otherwise))
                || (!held && assignment.is_some() && *listed)
            {
                give.push(*id);
                // What was written there before it heard of that is taken, as it is over the feed.
                let sql = "SELECT EXISTS (SELECT 1 FROM leaving WHERE scope = ? AND document = ?)";
                let late = !held && self.number("look for a leave", sql, params![scope, row.id])? > 0;
                if *listed && (otherwise || late) {
                    compare.push(*id);
                }
            } else if *listed {
                compare.push(*id);
            }
        }
        Ok(Found::Settled { give, compare })
    }
}

impl Tx<'_> {
    /// Believes what a child returns of this node's own word, then says what is to be done.
    pub(crate) fn settle(
        &self,
        scope: ScopeId,
        asked: &[(DocId, bool)],
        claims: &[Claim],
        at: Timestamp,
    ) -> Result<Found, StoreError> {
        let (row, key) = (self.known_scope(scope)?, self.proof_key()?);
        let listed: BTreeSet<DocId> = asked.iter().filter(|(_, listed)| *listed).map(|(id, _)| *id).collect();
        for (id, claimed) in claims.iter().filter(|(id, claimed)| key.stands(*id, scope, claimed)) {
            match *claimed {
                Claimed::Erased { erasure, at, above, .. } => self.erase(*id, erasure, at, above)?,
                Claimed::Held { epoch, guest, .. } => {
                    self.believe_held(row.id, *id, Place { guest, ..Place::home(epoch.cast_signed()) }, at)?;
                }
                Claimed::Left { epoch, proof } => {
                    let left = self.believe_left(row.id, *id, (epoch.cast_signed(), proof))?;
                    if let Some(document) = left.filter(|_| listed.contains(id)) {
                        self.still_there(row.id, document, epoch.cast_signed(), at)?;
                    }
                }
            }
        }
        self.settled(row.id, asked, claims)
    }

    /// A child has what it once made here and what has gone to another child since: it is told that it left, and what it
    /// wrote before it hears of that is taken.
    pub(crate) fn say_it_left(&self, scope: i64, document: i64, at: Timestamp) -> Result<(), StoreError> {
        let epoch = self.next_epoch(document)? - 1;
        self.put_left(scope, document, epoch, None)?;
        let seq = self.feed(scope, document, "leave", epoch, None)?;
        self.put_leaving(scope, document, epoch, seq, at, "going")
    }

    /// It was in the scope and is not any more.
    pub(crate) fn put_left(
        &self,
        scope: i64,
        document: i64,
        epoch: i64,
        proof: Option<Proof>,
    ) -> Result<(), StoreError> {
        self.assign(scope, document, Place { proof, ..Place::home(epoch) })?;
        let sql = "UPDATE assign SET state = 'left' WHERE scope = ? AND document = ?";
        self.run("end an assignment", sql, params![scope, document]).map(drop)
    }

    fn believe_held(&self, scope: i64, id: DocId, place: Place, at: Timestamp) -> Result<(), StoreError> {
        let Some(row) = self.document(id)?.filter(|row| row.state != DocState::Erased) else {
            // It comes with this comparison: then it is assigned as it was.
            return self.remember_claim(scope, id, place, true);
        };
        let known = self.assignment(scope, row.id)?;
        if place.guest {
            // Only what this node has said of this scope since speaks against a guest.
            return match known {
                Some(known) if known.epoch >= place.epoch => Ok(()),
                Some(_) | None if row.state == DocState::Gone => self.remember_claim(scope, id, place, true),
                Some(_) | None => self.believe_place(scope, &row, id, place),
            };
        }
        if known.is_some_and(|known| known.epoch > place.epoch) {
            return Ok(());
        }
        let next = self.next_home_epoch(row.id)?;
        if place.epoch < next && !self.only_left_by(row.id, next, place.epoch)? {
            // What this node has said since stands: it says so by an assignment that is not older than the claim.
            if known.is_none_or(|known| !known.held && known.epoch < place.epoch) {
                self.put_left(scope, row.id, next - 1, None)?;
            }
            return Ok(());
        }
        if row.state == DocState::Gone {
            return self.remember_claim(scope, id, place, true);
        }
        for other in self.children_holding(row.id)?.into_iter().filter(|other| *other != scope) {
            // Whom another chapter was presumed to be the home of, it goes on serving.
            if self.assignment(other, row.id)?.is_some_and(|known| !known.guest && !known.presumed) {
                self.leave_scope(other, &row, id, place.epoch, at)?;
            }
        }
        self.believe_place(scope, &row, id, place)
    }

    fn believe_place(&self, scope: i64, row: &DocumentRow, id: DocId, place: Place) -> Result<(), StoreError> {
        self.begin_assignment(scope, row, id, place)?;
        self.move_home(row.id)?;
        self.feed_proposals(scope, row.id)
    }

    /// Gives the document, if that was news.
    fn believe_left(&self, scope: i64, id: DocId, (epoch, proof): (i64, Proof)) -> Result<Option<i64>, StoreError> {
        let Some(row) = self.document(id)? else {
            self.remember_claim(scope, id, Place::home(epoch), false)?;
            return Ok(None);
        };
        let known = self.assignment(scope, row.id)?;
        if row.state == DocState::Erased || known.is_some_and(|known| known.epoch >= epoch) {
            return Ok(None);
        }
        if known.is_some_and(|known| known.held) {
            self.end_assignment(scope, &row, id, epoch, Some(proof))?;
            self.move_home(row.id)?;
        } else {
            self.put_left(scope, row.id, epoch, Some(proof))?;
        }
        Ok(Some(row.id))
    }

    /// What has left a child's scope is on its way out there: what was written before is taken, until its receipt.
    pub(crate) fn still_there(&self, scope: i64, document: i64, epoch: i64, at: Timestamp) -> Result<(), StoreError> {
        self.put_leaving(scope, document, epoch, self.last_seq(scope)?, at, "going")
    }

    /// It comes with this comparison: then it is assigned as it was.
    fn remember_claim(&self, scope: i64, id: DocId, place: Place, held: bool) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO claimed (doc_id, scope, epoch, guest, held) VALUES (?, ?, ?, ?, ?)";
        let row = params![id.as_bytes(), scope, place.epoch, place.guest, held];
        self.run("remember an assignment", sql, row).map(drop)
    }

    /// The assignment that a child proved of a document that comes back to this node, and whether the child held it.
    pub(crate) fn claimed_place(&self, scope: i64, id: DocId) -> Result<Option<(Place, bool)>, StoreError> {
        let sql = "DELETE FROM claimed WHERE doc_id = ? AND scope = ? RETURNING epoch, guest, held";
        self.one("look for an assignment", sql, params![id.as_bytes(), scope], |row| {
            Ok((Place { guest: row.get(1)?, ..Place::home(row.get(0)?) }, row.get(2)?))
        })
    }
}
