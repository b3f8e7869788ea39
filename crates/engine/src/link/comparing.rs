//! Comparing on a link: when it begins, and how the feeds go on after it.

use model::ScopeId;

use super::{Effect, Link, ProtocolError, Scope};
use crate::frame::{Cursor, Frame, Head, Position};
use crate::reconcile::{Found, Look, Next, Question, Reconciling, Reply};

/// Comparing that does not help is tried again after 1, 4, 16, ... heartbeats: at most about once in four hours.
const PATIENCE_TRIES_MAX: u32 = 5;

impl Link {
    /// Where the peer's feed stands.
    pub(super) fn head(&mut self, head: Head, effects: &mut Vec<Effect>) -> Result<(), ProtocolError> {
        let id = head.scope;
        let scope = self.greeted(id, "a head")?;
        scope.peer_head = head.position.seq.max(scope.received);
        scope.unconfirmed = false;
        if head.goes_on {
            scope.confirm(effects);
        }
        scope.heard = Some(head);
        self.compare_heard(id, effects);
        Ok(())
    }

    /// What the peer's head says is compared once every batch before it is saved: after one without entries the peer says its
    /// head at once.
    pub(super) fn compare_heard(&mut self, id: ScopeId, effects: &mut Vec<Effect>) {
        let at_end = self.scopes.get_mut(&id).filter(|scope| scope.saved == scope.received);
        if let Some(head) = at_end.and_then(|scope| scope.heard.take()) {
            self.compare_sums(&head, effects);
        }
    }

    /// Sums are compared when both have read each other's feed to the end and folded it.
    pub(super) fn compare_sums(&mut self, said: &Head, effects: &mut Vec<Effect>) {
        let Some(scope) = self.scopes.get_mut(&said.scope) else { return };
        let local = &scope.local;
        let read = local.cursor.map_or(0, |cursor| cursor.position.seq);
        let at_rest = said.folded && local.folded && said.position.seq == read && said.read == local.head.seq;
        if !at_rest || scope.adrift || scope.reconciling.is_some() {
            return;
        }
        if (said.sum, said.count) == (local.sum, local.count) {
            scope.patience = (0, 0);
            if !std::mem::replace(&mut scope.agreed, true) {
                effects.push(Effect::Agreed(said.scope));
            }
        } else if !self.me.asks {
            // The parent sees the same and begins.
        } else if scope.patience.0 > 0 {
            scope.patience.0 -= 1;
        } else {
            scope.patience = (4_u32.saturating_pow(scope.patience.1), (scope.patience.1 + 1).min(PATIENCE_TRIES_MAX));
            self.begin_reconciling(said.scope, effects);
        }
    }

    pub(super) fn begin_reconciling(&mut self, id: ScopeId, effects: &mut Vec<Effect>) {
        let Some(scope) = self.scopes.get_mut(&id) else { return };
        if let Some(reconciling) = &mut scope.reconciling {
            reconciling.adrift |= scope.adrift;
            return;
        }
        let (reconciling, next) = Reconciling::begin(scope.local.count.max(scope.peer_count), scope.adrift);
        scope.reconciling = Some(reconciling);
        self.go_on(id, next, effects);
    }

    fn go_on(&mut self, id: ScopeId, next: Next, effects: &mut Vec<Effect>) {
        match next {
            Next::Ask(question) => effects.push(Effect::Send(Frame::Ask(id, question))),
            Next::Look(look) => effects.push(Effect::Look(id, look)),
            Next::Finished => {
                let Some(scope) = self.scopes.get_mut(&id) else { return };
                let Some(done) = scope.reconciling.take() else { return };
                if done.adrift {
                    scope.feed_from(done.head(), effects);
                }
                effects.push(Effect::Send(Frame::Head(scope.head())));
                // One of the feeds was found adrift after the last question: once more, and then from there.
                if scope.adrift || (done.again && done.goes_on.is_none()) {
                    self.begin_reconciling(id, effects);
                }
            }
        }
    }

    /// The child's feed is adrift.
    pub(super) fn wished(&mut self, id: ScopeId, effects: &mut Vec<Effect>) -> Result<(), ProtocolError> {
        if !self.me.asks {
            return Err(ProtocolError::OutOfPlace("a wish to compare"));
        }
        match &mut self.greeted(id, "a wish to compare")?.reconciling {
            Some(reconciling) => reconciling.again = true,
            None => self.begin_reconciling(id, effects),
        }
        Ok(())
    }

    pub(super) fn answered(
        &mut self,
        id: ScopeId,
        reply: Reply,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ProtocolError> {
        let incarnation = self.peer.map(|(incarnation, _)| incarnation);
        let scope = self.greeted(id, "an answer")?;
        let next = scope.reconciling.as_mut().zip(incarnation);
        let next = next.and_then(|(reconciling, incarnation)| reconciling.reply(reply, incarnation));
        // The child feeds on right after its last answer.
        if let Some(position) = scope.reconciling.as_ref().and_then(|reconciling| reconciling.goes_on) {
            scope.read_from(position);
        }
        self.go_on(id, next.ok_or(ProtocolError::OutOfPlace("an answer"))?, effects);
        Ok(())
    }

    /// The child's side.
    pub(super) fn asked(
        &mut self,
        id: ScopeId,
        question: Question,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ProtocolError> {
        let Some((incarnation, _)) = self.peer.filter(|_| !self.me.asks) else {
            return Err(ProtocolError::OutOfPlace("a question"));
        };
        let scope = self.greeted(id, "a question")?;
        let look = if let Question::Done(go_on) = question {
            if let Some(position) = go_on {
                scope.read_from(position);
            }
            Look::MoveCursor(go_on.map(|position| Cursor { incarnation, position }))
        } else {
            Look::Answer(question)
        };
        effects.push(Effect::Look(id, look));
        Ok(())
    }

    pub(super) fn found(&mut self, id: ScopeId, found: Found, effects: &mut Vec<Effect>) -> Result<(), ProtocolError> {
        let scope = self.greeted(id, "what was looked up")?;
        if let Some(reconciling) = &mut scope.reconciling {
            let next = reconciling.found(found).ok_or(ProtocolError::OutOfPlace("what was looked up"))?;
            self.go_on(id, next, effects);
            return Ok(());
        }
        let reply = match found {
            Found::Written => {
                let go_on = scope.offered.take().filter(|_| scope.adrift);
                if let Some(position) = go_on {
                    scope.feed_from(position, effects);
                }
                scope.unconfirmed = true;
                Reply::Done(go_on)
            }
            Found::Reply(reply) => {
                if let Reply::Differ { head, .. } = &reply {
                    scope.offered = Some(*head);
                }
                reply
            }
            Found::Sums(..)
            | Found::Matched { .. }
            | Found::Settled { .. }
            | Found::Changes(_)
            | Found::Entries(..) => return Ok(()),
        };
        effects.push(Effect::Send(Frame::Answer(id, reply)));
        Ok(())
    }
}

impl Scope {
    /// Says so once, and after the peer's cursor into our feed was taken over: a peer that was put back may have lost what it
    /// had acknowledged although its own feed has not moved since.
    pub(super) fn say_confirmed(&mut self, effects: &mut Vec<Effect>) {
        if self.shown && self.sent.is_some() && !std::mem::replace(&mut self.confirmed, true) {
            effects.push(Effect::Confirmed(self.local.scope));
        }
    }

    /// The own feed goes on after a position: what came before it was compared.
    fn feed_from(&mut self, position: Position, effects: &mut Vec<Effect>) {
        self.adrift = false;
        self.sent = Some(position.seq);
        self.local.acknowledged = position.seq;
        effects.push(Effect::Acknowledged(self.local.scope, position.seq, Vec::new()));
        self.say_confirmed(effects);
    }

    /// The peer's feed goes on after a position.
    fn read_from(&mut self, position: Position) {
        self.received = position.seq;
        self.saved = position.seq;
        self.peer_head = self.peer_head.max(position.seq);
    }
}
