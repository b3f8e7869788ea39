//! A hub joins a bigger one: everything it holds is shared with it from then on.

use model::ScopeId;
use rusqlite::params;

use crate::link::NewLink;
use crate::{Read, ScopeRole, StoreError, Tx};

impl Read<'_> {
    /// Whether this hub has a parent.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn is_between(&self) -> Result<bool, StoreError> {
        Ok(self.scope_row(ScopeId::ABOVE)?.is_some())
    }
}

impl Tx<'_> {
    /// Makes this hub the child of another. Nothing is fed: the first exchange compares, and gives everything.
    ///
    /// # Errors
    /// When it has a parent already.
    pub fn join_parent(&self, link: &NewLink<'_>) -> Result<(), StoreError> {
        if self.has_parent()? {
            return Err(StoreError::Refused("this hub has a parent already".to_owned()));
        }
        self.add_scope(ScopeId::ABOVE, ScopeRole::Above)?;
        self.add_scope(link.scope, ScopeRole::Own)?;
        self.put_link(link)?;
        let own = self.known_scope(link.scope)?.id;
        let sql = "INSERT INTO assign (scope, document, epoch, state) SELECT ?, id, 1, 'held' FROM document
                   WHERE kind IN ('supporter', 'action') AND state IN ('live', 'quarantined')";
        self.run("share what is here", sql, params![own])?;
        let (sum, count) = self.recount(link.scope)?;
        let sql = "UPDATE scope SET sum = ?, count = ? WHERE id = ?";
        self.run("sum what is shared", sql, params![sum.to_bytes(), count, own]).map(drop)
    }
}
