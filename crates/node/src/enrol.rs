//! Joining a network, from the chapter's side.
//!
//! **Invariant:** safe to repeat: what this node drew for joining stands on disk before anything is dialled, so that a
//! lost answer costs nothing.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use model::{NodeId, ScopeId, Slug};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{Direction, NewChapter, NewLink, ScopeRole};

use crate::dial;
use crate::driver::blocking;
use crate::invite::Invite;
use crate::network::chapter_row;
use crate::wire::enrolment as wire;
use crate::{Node, NodeError, Priority, draw};

/// What this node drew for joining, until it has joined.
pub(crate) const JOINING_FILE: &str = "joining.json";
/// How long the hub may take to answer.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(10);

/// What a chapter is asked to accept.
#[derive(Clone, Debug)]
pub struct JoinOffer {
    /// The network's name.
    pub network: String,
    /// The chapter's name.
    pub chapter: String,
    /// Its short name.
    pub slug: String,
    /// What the network sees and what never leaves.
    pub statement: String,
}

#[derive(Serialize, Deserialize)]
struct Joining {
    node: String,
    token: String,
}

/// Asks the hub what an invitation is for. Consumes nothing.
///
/// # Errors
/// When the hub can't be reached or does not know the invitation.
pub async fn look(invite: &Invite) -> Result<JoinOffer, NodeError> {
    let mut client = dial::enrolment(&invite.address, &dial::tcp()).await?;
    let asked = client.look(wire::LookRequest { secret: invite.secret.to_vec() });
    let reply = answer(&invite.address, asked).await?;
    Ok(JoinOffer { network: reply.network, chapter: reply.chapter, slug: reply.slug, statement: reply.statement })
}

/// Joins: enrols this node at the hub and makes its database.
///
/// # Errors
/// When the hub can't be reached or refuses, or the directory holds a node already.
pub async fn join(directory: &Path, invite: &Invite, name: Option<&str>) -> Result<Node, NodeError> {
    join_by(&dial::tcp(), directory, invite, name).await
}

/// Joins over connections of the connector, as [`join`] does over the system's TCP.
///
/// # Errors
/// As [`join`].
pub async fn join_by(
    connector: &crate::connect::Connector,
    directory: &Path,
    invite: &Invite,
    name: Option<&str>,
) -> Result<Node, NodeError> {
    let (node_id, token) = joining(directory)?;
    let mut client = dial::enrolment(&invite.address, connector).await?;
    let request = wire::EnrolRequest {
        secret: invite.secret.to_vec(),
        node: node_id.0.to_vec(),
        token_hash: Sha256::digest(token).to_vec(),
    };
    let reply = answer(&invite.address, client.enrol(request)).await?;
    let unreadable =
        || NodeError::Refused("the hub's answer can't be read: one of the two programs is too old".to_owned());
    let scope: [u8; 16] = reply.scope.as_slice().try_into().map_err(|_| unreadable())?;
    let hub = NodeId::from_slice(&reply.hub).ok_or_else(unreadable)?;
    let slug: Slug = reply.slug.parse().map_err(|_| unreadable())?;
    let row = chapter_row(name.unwrap_or(&reply.chapter), &reply.country, node_id);
    let (address, at, scope) = (&invite.address, draw::now(), ScopeId::from_bytes(scope));
    let node = Node::create(directory, &row, |tx| {
        tx.add_scope(ScopeId::NETWORK, ScopeRole::Network)?;
        let role = ScopeRole::Own;
        tx.add_chapter(&NewChapter { scope, slug: &slug, name: &reply.chapter, card: None, intake: None, role, at })?;
        let (direction, name) = (Direction::Up, reply.network.as_str());
        tx.put_link(&NewLink { peer: hub, direction, name, scope, address: Some(address), token: &token }).map(drop)
    })?;
    let done = joining_path(directory);
    fs::remove_file(&done).map_err(|error| NodeError::File("remove", done.display().to_string(), error))?;
    Ok(node)
}

/// A hub joins a bigger one, as one of its chapters: all its people are shared with it, and who is placed there comes here.
///
/// # Errors
/// When it has a parent already, it would be its own, or the parent can't be reached or refuses.
pub async fn join_parent(node: &Node, invite: &Invite) -> Result<JoinOffer, NodeError> {
    let reading = node.clone();
    let parent = blocking(move || reading.read(|read| read.parent())).await?;
    if let Some(link) = parent {
        follow(node, invite).await?;
        return Ok(JoinOffer {
            network: link.name,
            chapter: String::new(),
            slug: String::new(),
            statement: String::new(),
        });
    }
    let offer = look(invite).await?;
    let token = draw_once(node.directory(), node.id())?.1;
    let mut client = dial::enrolment(&invite.address, node.connector()).await?;
    let request = wire::EnrolRequest {
        secret: invite.secret.to_vec(),
        node: node.id().0.to_vec(),
        token_hash: Sha256::digest(token).to_vec(),
    };
    let reply = answer(&invite.address, client.enrol(request)).await?;
    let unreadable =
        || NodeError::Refused("the hub's answer can't be read: one of the two programs is too old".to_owned());
    let scope: [u8; 16] = reply.scope.as_slice().try_into().map_err(|_| unreadable())?;
    let hub = NodeId::from_slice(&reply.hub).ok_or_else(unreadable)?;
    if hub == node.id() {
        return Err(NodeError::Refused("this hub can't be its own parent".to_owned()));
    }
    let (address, name, scope) = (invite.address.clone(), reply.network, ScopeId::from_bytes(scope));
    let writing = node.clone();
    blocking(move || {
        writing.write(Priority::Interactive, move |tx| {
            let (direction, name) = (Direction::Up, name.as_str());
            tx.join_parent(&NewLink { peer: hub, direction, name, scope, address: Some(&address), token: &token })
        })
    })
    .await?;
    let done = joining_path(node.directory());
    fs::remove_file(&done).map_err(|error| NodeError::File("remove", done.display().to_string(), error))?;
    Ok(offer)
}

/// A node that has joined follows its hub to another address, by a fresh invitation into the same chapter.
///
/// # Errors
/// When the invitation is of another network or chapter, or the hub can't be reached or refuses.
pub async fn follow(node: &Node, invite: &Invite) -> Result<(), NodeError> {
    let link = node.read(|read| {
        read.lives_here()?;
        read.parent()
    })?;
    let link = link.ok_or_else(|| NodeError::Refused("this node has no parent".to_owned()))?;
    let mut client = dial::enrolment(&invite.address, node.connector()).await?;
    let request = wire::EnrolRequest {
        secret: invite.secret.to_vec(),
        node: node.id().0.to_vec(),
        token_hash: Sha256::digest(link.token.unwrap_or_default()).to_vec(),
    };
    let reply = answer(&invite.address, client.enrol(request)).await?;
    if NodeId::from_slice(&reply.hub) != Some(link.peer) || reply.scope != link.scope.as_bytes() {
        let words = "this node belongs to another network or chapter: join with another directory";
        return Err(NodeError::Refused(words.to_owned()));
    }
    let address = invite.address.clone();
    node.write(Priority::Interactive, move |tx| {
        tx.set_parent_address(&address)?;
        tx.want_exchange()
    })
}

/// What the hub answers. It is not waited for for ever: a line can swallow an answer, and every call here may be repeated.
async fn answer<T>(
    address: &str,
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, NodeError> {
    match tokio::time::timeout(ANSWER, call).await {
        Ok(Ok(reply)) => Ok(reply.into_inner()),
        Ok(Err(status)) => Err(refused(address, &status)),
        Err(_) => Err(NodeError::Unreachable(address.to_owned(), "no answer in time".to_owned())),
    }
}

fn refused(address: &str, status: &tonic::Status) -> NodeError {
    use tonic::Code::{Cancelled, DeadlineExceeded, Unavailable, Unknown};
    if [Unavailable, Unknown, Cancelled, DeadlineExceeded].contains(&status.code()) {
        return NodeError::Unreachable(address.to_owned(), format!("the call broke off ({})", status.code()));
    }
    NodeError::Refused(status.message().to_owned())
}

fn joining_path(directory: &Path) -> PathBuf {
    directory.join(JOINING_FILE)
}

/// This node's id and token for joining: drawn once, kept until it has joined.
fn joining(directory: &Path) -> Result<(NodeId, [u8; 32]), NodeError> {
    if directory.join(store::DATABASE_FILE).exists() {
        return Err(store::StoreError::NodeThere(directory.to_owned()).into());
    }
    draw_once(directory, draw::node_id())
}

/// A token, and the id that it is for: drawn once, and kept beside the database until the answer has come.
fn draw_once(directory: &Path, node: NodeId) -> Result<(NodeId, [u8; 32]), NodeError> {
    let path = joining_path(directory);
    let file = |step| move |error| NodeError::File(step, path.display().to_string(), error);
    let path = joining_path(directory);
    if path.exists() {
        let text = fs::read_to_string(&path).map_err(file("read"))?;
        let kept: Option<Joining> = serde_json::from_str(&text).ok();
        let read = kept.and_then(|kept| Some((kept.node.parse().ok()?, kept.token.parse::<model::Digest>().ok()?.0)));
        return read
            .ok_or_else(|| NodeError::Refused(format!("{} can't be read: remove it and join again", path.display())));
    }
    let token = draw::token();
    let made = Joining { node: node.to_string(), token: model::Digest(token).to_string() };
    let text = serde_json::to_string(&made).map_err(|error| NodeError::Refused(error.to_string()))?;
    store::private_directory(directory)?;
    let mut options = fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written =
        options.open(&path).and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(file("write"))?;
    Ok((node, token))
}
