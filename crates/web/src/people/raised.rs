//! Who recruited and who develops somebody, and whom she raised: a small tree, a step up and a step down.
//!
//! **Invariant:** a ring that came from elsewhere is shown as the steps that it is made of: nothing is followed further.

use model::{Ladder, Supporter};
use node::{Node, NodeError};
use store::{Raised, Raising};

/// One end of a link between people.
pub(super) struct Link {
    /// Her id; empty: it is a name that is no supporter here.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) rung: String,
    pub(super) rung_class: String,
}

/// Who is linked with her.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) recruited_by: Option<Link>,
    pub(super) developed_by: Option<Link>,
    /// What stands in her fields, as a form shows it.
    pub(super) was: (String, String),
    pub(super) recruited: Vec<Link>,
    pub(super) developed: Vec<Link>,
}

fn link(her: &Supporter, ladder: &Ladder) -> Link {
    Link {
        id: her.id.to_string(),
        name: her.display_name(),
        rung: ladder.label(&her.rung).to_owned(),
        rung_class: format!("rung-{}", ladder.position(&her.rung) + 1),
    }
}

/// Who is linked with somebody, in either direction.
pub(super) fn tree(node: &Node, her: &Supporter, ladder: &Ladder) -> Result<Tree, NodeError> {
    let up = |how: Raising| {
        let Some(name) = how.by(her) else { return Ok(None) };
        let name = name.expose();
        let found = node.read(|read| match read.named_person(name)? {
            Some(id) => read.person(id).map(Some),
            None => Ok(None),
        })?;
        let unknown = || Link {
            id: String::new(),
            // An id is no name: she is in another chapter, or gone.
            name: if name.len() == 36 { "somebody who is not here".to_owned() } else { name.to_owned() },
            rung: String::new(),
            rung_class: String::new(),
        };
        Ok::<_, NodeError>(Some(found.map_or_else(unknown, |person| link(&person.supporter, ladder))))
    };
    let stands = |how: Raising| how.by(her).map_or_else(String::new, |who| who.expose().to_owned());
    let raised = node.read(|read| read.raised_by(her))?;
    let down = |how: Raising| -> Vec<Link> {
        let of = |one: &&Raised| one.how == how;
        raised.iter().filter(of).map(|one| link(&one.person.supporter, ladder)).collect()
    };
    Ok(Tree {
        recruited_by: up(Raising::Recruited)?,
        developed_by: up(Raising::Developed)?,
        was: (stands(Raising::Recruited), stands(Raising::Developed)),
        recruited: down(Raising::Recruited),
        developed: down(Raising::Developed),
    })
}
