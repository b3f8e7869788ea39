//! The audit log of a node: what is written into it beside an act's own transaction.

use model::{AuditKind, DocId, NodeId, Right, Timestamp};
use store::NewAudit;

use crate::{Node, NodeError, Priority, Who, draw};

/// How long one login's looks at one person are one opening, in ms: a page that is open follows what happens.
const OPENING_MS: i64 = 3_600_000;

/// A try to log in that was in vain: by what it is bounded, and its row. What was typed stands in it only where it is a
/// login: it may be anything else, a password too.
pub(crate) fn login_failed(login: Option<&str>, at: Timestamp) -> (String, NewAudit) {
    let row = NewAudit::new(AuditKind::LoginFailed, at);
    match login {
        Some(name) => (format!("login {name}"), row.by(name)),
        None => ("login".to_owned(), row.detail("a name that nobody has")),
    }
}

impl Node {
    /// Begins a row of the audit log for something that is done now, in somebody's name.
    pub fn audit_by(&self, what: AuditKind, by: &str) -> NewAudit {
        NewAudit::new(what, draw::now()).by(by)
    }

    /// Writes a row for an act that has no transaction of its own: a login, an export, a print. Blocks.
    ///
    /// # Errors
    /// When it can't be written: then the act is not to be done either.
    pub fn audit(&self, new: NewAudit) -> Result<(), NodeError> {
        self.write(Priority::Interactive, move |tx| tx.audit(&new))
    }

    /// Notes that staff opens a person's page at a hub. A chapter's own people are not watched. Blocks.
    ///
    /// # Errors
    /// When it can't be written: then she is not to be shown.
    pub fn opens_person(&self, person: DocId, by: &str) -> Result<(), NodeError> {
        if !self.is_hub() {
            return Ok(());
        }
        let since = draw::now().plus_millis(-OPENING_MS);
        if self.read(|read| read.audited_since(AuditKind::PersonOpened, by, person, since))? {
            return Ok(());
        }
        self.audit(self.audit_by(AuditKind::PersonOpened, by).about(person))
    }

    /// Notes that somebody wanted what her role may not do. Nobody waits for it: she is refused all the same.
    pub fn refuses(&self, who: &Who, right: Right) {
        let words = format!("{} may not {}", who.role.word(), right.words());
        let (source, said) = (format!("by {}", who.by), self.audit_by(AuditKind::Refused, &who.by).detail(words));
        drop(self.write_later(move |tx| tx.audit_bounded(&source, &said)));
    }

    /// Notes that a caller was refused, by the key that it has shown. Nobody waits for it, as above.
    pub(crate) fn refuses_caller(&self, caller: Option<NodeId>, words: &'static str) {
        let said = NewAudit::new(AuditKind::Refused, draw::now()).detail(words);
        let (source, said) = match caller {
            Some(node) => (format!("node {}", node.short()), said.by_node(node)),
            None => ("no certificate".to_owned(), said),
        };
        drop(self.write_later(move |tx| tx.audit_bounded(&source, &said)));
    }

    /// Writes what was counted in an hour that is over.
    pub(crate) fn tell_counted(&self) -> Result<(), NodeError> {
        let now = draw::now();
        if self.read(|read| read.counted_is_due(now))? {
            self.write(Priority::Bulk, move |tx| tx.tell_counted(now))?;
        }
        Ok(())
    }
}
