//! Where a sign-up belongs: the territories in force, kept until they change.

use std::sync::{Arc, Mutex, PoisonError};

use atlas::{Atlas, Placement, TerritorySet};
use model::{PostalAddress, SignUp};
use node::{Node, NodeError};

/// The index over the territories in force. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Routing {
    node: Node,
    kept: Arc<Mutex<Option<Arc<Atlas>>>>,
}

/// The territories of a stored body; none before the first.
pub(crate) fn read_set(version: u64, body: Option<&str>) -> Result<TerritorySet, NodeError> {
    let Some(body) = body else { return Ok(TerritorySet { version, ..TerritorySet::default() }) };
    let unreadable = |error: serde_json::Error| NodeError::Refused(format!("the territories can't be read: {error}"));
    serde_json::from_str(body).map_err(unreadable)
}

impl Routing {
    pub(crate) fn new(node: &Node) -> Self {
        Self { node: node.clone(), kept: Arc::default() }
    }

    /// The index, made anew when another set of territories was published. Blocks.
    pub(crate) fn atlas(&self) -> Result<Arc<Atlas>, NodeError> {
        let version = self.node.read(|read| read.territory_version())?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(atlas) = kept.as_ref().filter(|atlas| atlas.set().version == version) {
            return Ok(Arc::clone(atlas));
        }
        let (version, body) = self.node.read(|read| read.territories())?;
        let set = read_set(version, body.as_deref())?;
        let made = Atlas::new(set, &self.node.row().country);
        let atlas =
            Arc::new(made.map_err(|error| NodeError::Refused(format!("the territories can't be used: {error}")))?);
        *kept = Some(Arc::clone(&atlas));
        Ok(atlas)
    }

    pub(crate) fn place(&self, sign_up: &SignUp) -> Result<Placement, NodeError> {
        Ok(self.atlas()?.place(&sign_up.place(), sign_up.chapter.as_deref()))
    }

    pub(crate) fn locate(&self, address: &PostalAddress) -> Result<Placement, NodeError> {
        Ok(self.atlas()?.place(address, None))
    }
}
