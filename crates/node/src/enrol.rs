//! Joining a network, from the chapter's side.
//!
//! **Invariants:** safe to repeat: this node's key stands on disk before anything is dialled, so that a lost answer costs
//! nothing. What is answered is believed because of whom it comes from: a hub whose authority the invitation names.

use std::path::Path;

use model::{AuditKind, NodeId, ScopeId, Slug};
use store::{
    Acceptance, DATABASE_FILE, Direction, LinkCertificate, LinkStanding, NewAudit, NewChapter, NewLink, ScopeRole,
    StoreError, private_directory,
};
use tonic::transport::Channel;

use crate::connect::Connector;
use crate::dial::{Dialled, dial};
use crate::driver::blocking;
use crate::invite::Invite;
use crate::keys::NodeKey;
use crate::network::chapter_row;
use crate::tls::read_certificate;
use crate::wire::enrolment as wire;
use crate::wire::enrolment::enrolment_client::EnrolmentClient;
use crate::{Node, NodeError, Priority, draw, renew};

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
    /// Which version of that it is.
    pub statement_version: u64,
}

/// Who accepts it.
#[derive(Clone, Copy, Debug)]
pub struct Accepting<'a> {
    /// Which version was read.
    pub version: u64,
    /// By whom, as they call themselves.
    pub by: &'a str,
}

impl Accepting<'_> {
    fn noted(self) -> Acceptance {
        Acceptance { version: self.version, by: self.by.to_owned(), at: draw::now() }
    }
}

/// What the hub has answered, read.
struct Enrolled {
    reply: wire::EnrolReply,
    hub: NodeId,
    scope: ScopeId,
    slug: Slug,
    certificate: LinkCertificate,
}

impl Enrolled {
    /// The link to the parent that it makes.
    fn link(&self, invite: &Invite, accepting: Accepting<'_>) -> NewLink<'_> {
        NewLink {
            parent: invite.hub.clone(),
            certificate: Some(self.certificate.clone()),
            accepted: Some(accepting.noted()),
            ..NewLink::new(self.hub, Direction::Up, &self.reply.network, self.scope)
        }
    }

    /// What stands of it in this node's own audit log.
    fn said(&self, by: &str) -> NewAudit {
        NewAudit::new(AuditKind::JoinedNetwork, draw::now()).by(by).detail(format!("hub {}", self.hub.short()))
    }
}

/// Asks the hub what an invitation is for. Consumes nothing.
///
/// # Errors
/// When the hub can't be reached, is another one, or does not know the invitation.
pub async fn look(invite: &Invite) -> Result<JoinOffer, NodeError> {
    look_by(&Connector::tcp(), invite).await
}

async fn look_by(connector: &Connector, invite: &Invite) -> Result<JoinOffer, NodeError> {
    let (mut client, at) = enrolment(dial(&invite.hub, None, connector).await?);
    let asked = client.look(wire::LookRequest { secret: invite.secret.to_vec() });
    let reply = answer(&at.address, asked).await?;
    Ok(JoinOffer {
        network: reply.network,
        chapter: reply.chapter,
        slug: reply.slug,
        statement: reply.statement,
        statement_version: reply.statement_version,
    })
}

/// Joins: enrols this node at the hub and makes its database.
///
/// # Errors
/// When the hub can't be reached, is another one or refuses, or the directory holds a node already.
pub async fn join(
    directory: &Path,
    invite: &Invite,
    name: Option<&str>,
    accepting: Accepting<'_>,
) -> Result<Node, NodeError> {
    join_by(&Connector::tcp(), directory, invite, name, accepting).await
}

/// Joins over connections of the connector, as [`join`] does over the system's TCP.
///
/// # Errors
/// As [`join`].
pub async fn join_by(
    connector: &Connector,
    directory: &Path,
    invite: &Invite,
    name: Option<&str>,
    accepting: Accepting<'_>,
) -> Result<Node, NodeError> {
    if directory.join(DATABASE_FILE).exists() {
        return Err(StoreError::NodeThere(directory.to_owned()).into());
    }
    private_directory(directory)?;
    let key = NodeKey::open_or_draw(directory)?;
    let enrolled = enrol(connector, &key, invite, accepting).await?;
    let chapter = &enrolled.reply.chapter;
    let row = chapter_row(name.unwrap_or(chapter), &enrolled.reply.country, key.id());
    let (link, scope, at) = (enrolled.link(invite, accepting), enrolled.scope, draw::now());
    Node::create(directory, &row, |tx| {
        tx.add_scope(ScopeId::NETWORK, ScopeRole::Network)?;
        let (slug, role) = (&enrolled.slug, ScopeRole::Own);
        tx.add_chapter(&NewChapter { scope, slug, name: chapter, card: None, intake: None, role, at })?;
        tx.put_link(&link)?;
        tx.audit(&enrolled.said(accepting.by))
    })
}

/// A hub joins a bigger one, as one of its chapters: all its people are shared with it, and who is placed there comes here.
/// Gives whose key it has.
///
/// # Errors
/// When it has another parent already, it would be its own, or the parent can't be reached or refuses.
pub async fn join_parent(node: &Node, invite: &Invite, accepting: Accepting<'_>) -> Result<NodeId, NodeError> {
    let reading = node.clone();
    let (key, joined) = blocking(move || {
        reading.read(|read| read.lives_here())?;
        Ok((reading.key()?, reading.read(|read| read.has_parent())?))
    })
    .await?;
    if joined {
        return follow(node, invite, accepting).await;
    }
    let enrolled = enrol(node.connector(), &key, invite, accepting).await?;
    if enrolled.hub == node.id() {
        return Err(NodeError::Refused("this hub can't be its own parent".to_owned()));
    }
    let (writing, invite, by) = (node.clone(), invite.clone(), accepting.by.to_owned());
    let version = accepting.version;
    let join = move || {
        writing.write(Priority::Interactive, move |tx| {
            tx.join_parent(&enrolled.link(&invite, Accepting { version, by: &by }))?;
            tx.audit(&enrolled.said(&by))
        })
    };
    blocking(join).await?;
    Ok(key.id())
}

/// A node that has joined follows its hub to other addresses, or is let in again, by a fresh invitation into the same
/// chapter. One that has lost its key gets a new one; one that left is back, with everything. Gives whose key it has.
///
/// # Errors
/// When the invitation is of another network or chapter, or the hub can't be reached or refuses.
pub async fn follow(node: &Node, invite: &Invite, accepting: Accepting<'_>) -> Result<NodeId, NodeError> {
    let reading = node.clone();
    let (link, key) = blocking(move || {
        let link = reading.read(|read| {
            read.lives_here()?;
            read.known_parent()
        })?;
        let link = link.ok_or_else(|| NodeError::Refused("this node has no parent".to_owned()))?;
        // Whichever key is there: it was drawn by a try before this one, if it is not the database's.
        Ok((link, NodeKey::open_or_draw(reading.directory())?))
    })
    .await?;
    let enrolled = enrol(node.connector(), &key, invite, accepting).await?;
    if enrolled.hub != link.peer || enrolled.scope != link.scope {
        let words = "this node belongs to another network or chapter: join with another directory";
        return Err(NodeError::Refused(words.to_owned()));
    }
    let (writing, invite, by) = (node.clone(), invite.clone(), accepting.by.to_owned());
    let (version, id, was_away) = (accepting.version, key.id(), link.standing == LinkStanding::Left);
    let note = move || {
        writing.write(Priority::Interactive, move |tx| {
            tx.set_node_id(id)?;
            tx.put_link(&enrolled.link(&invite, Accepting { version, by: &by }))?;
            tx.audit(&enrolled.said(&by))?;
            if was_away {
                tx.tell_deleted(draw::now())?;
            }
            tx.want_exchange()
        })
    };
    blocking(note).await?;
    Ok(id)
}

/// Asks the hub to invite a further node of this chapter.
///
/// # Errors
/// When this node has no parent, or it can't be reached or refuses.
pub async fn ask_for_invite(node: &Node, life_ms: i64, by: &str) -> Result<Invite, NodeError> {
    let reading = node.clone();
    let link = blocking(move || reading.read(|read| read.parent())?.ok_or_else(|| reading.no_parent())).await?;
    renew::before_an_exchange(node, &link).await?;
    let (key, certificate) = renew::shown(node, link.id).await?;
    let (mut client, at) = enrolment(dial(&link.parent, Some((&key, certificate.as_slice())), node.connector()).await?);
    let asked = client.invite(wire::InviteRequest { life_ms, by: by.to_owned() });
    let reply = answer(&at.address, asked).await?;
    reply.invite.parse().map_err(|_| unreadable())
}

fn enrolment(dialled: Dialled) -> (EnrolmentClient<Channel>, At) {
    (EnrolmentClient::new(dialled.channel), At { address: dialled.address, hub: dialled.hub })
}

/// Whom a client speaks with.
struct At {
    address: String,
    hub: NodeId,
}

/// Shows the invitation and asks for a certificate of the key.
async fn enrol(
    connector: &Connector,
    key: &NodeKey,
    invite: &Invite,
    accepting: Accepting<'_>,
) -> Result<Enrolled, NodeError> {
    let request = wire::EnrolRequest {
        secret: invite.secret.to_vec(),
        request: key.request()?,
        statement_version: accepting.version,
        accepted_by: accepting.by.to_owned(),
    };
    let (mut client, at) = enrolment(dial(&invite.hub, None, connector).await?);
    let reply = answer(&at.address, client.enrol(request)).await?;
    let scope: [u8; 16] = reply.scope.as_slice().try_into().map_err(|_| unreadable())?;
    let slug: Slug = reply.slug.parse().map_err(|_| unreadable())?;
    let named = read_certificate(&reply.certificate).filter(|named| named.node == key.id());
    let expires = named.ok_or_else(unreadable)?.expires;
    let certificate = LinkCertificate { bytes: reply.certificate.clone(), expires };
    Ok(Enrolled { hub: at.hub, scope: ScopeId::from_bytes(scope), slug, certificate, reply })
}

/// What a hub's answer is that makes no sense.
pub(crate) fn unreadable() -> NodeError {
    NodeError::Refused("the hub's answer can't be read: one of the two programs is too old".to_owned())
}

/// What the hub answers. It is not waited for for ever: a line can swallow an answer, and every call here may be repeated.
pub(crate) async fn answer<T>(
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
