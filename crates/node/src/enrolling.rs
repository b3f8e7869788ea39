//! How nodes come into a network and leave it, from the hub's side: looking, enrolling, renewing, inviting, leaving.
//!
//! **Invariant:** a secret is consumed, a link made and a certificate issued in one transaction, with its row of the audit
//! log; what a request says of itself is left out.

use engine::{Cursor, Position};
use model::{AuditKind, Digest, Incarnation};
use store::{
    Acceptance, Enrolling, InviteOutcome, InviteStanding, LeaveWord, LinkCertificate, LinkStanding, NewAudit,
    StoreError,
};
use tonic::{Request, Response, Status};

use crate::children::{Children, internal};
use crate::driver::blocking;
use crate::invite::Invite;
use crate::leaving::Turn;
use crate::network::Inviting;
use crate::wire::enrolment::enrolment_server::Enrolment;
use crate::wire::enrolment::{
    EnrolReply, EnrolRequest, InviteReply, InviteRequest, LeaveReply, LeaveRequest, LookReply, LookRequest, RenewReply,
    RenewRequest,
};
use crate::{NodeError, Priority, draw};

/// The longest name of whoever accepts or invites, in bytes, as at a terminal.
const BY_BYTES_MAX: usize = 50;
/// The longest life of an invitation that a chapter may ask for, in ms: a month.
const ASKED_LIFE_MS_MAX: i64 = 30 * 24 * 3600 * 1000;

/// What is answered to an invitation that is worth nothing.
const UNKNOWN: &str = "the network does not know this invitation: ask for a new one";
const EXPIRED: &str = "this invitation has expired: ask for a new one";
const CANCELLED: &str = "this invitation was taken back: ask for a new one";
const USED: &str = "this invitation was used by another node: ask for a new one";
const ELSEWHERE: &str = "this node belongs to another chapter: join with another directory";
const REVOKED: &str = "the network has shut this node out: it needs a new invitation of the network itself";
const LEFT: &str = "this chapter left the network since: it comes back by a new invitation";
const CHANGED: &str = "what the network asks you to accept has changed meanwhile: read it again";

fn refused(words: &str) -> Status {
    Status::permission_denied(words)
}

/// What a caller calls itself: of a plain length, without anything that changes a terminal.
fn plain(by: &str) -> Result<String, Status> {
    let fits = by.len() <= BY_BYTES_MAX && !by.chars().any(char::is_control);
    if fits { Ok(by.trim().to_owned()) } else { Err(Status::invalid_argument("a name has at most 50 bytes")) }
}

/// A failure of what a child asked for.
fn failed(error: NodeError) -> Status {
    if let NodeError::Refused(words) | NodeError::Store(StoreError::Refused(words)) = &error {
        return refused(words);
    }
    internal(&error)
}

#[tonic::async_trait]
impl Enrolment for Children {
    async fn look(&self, request: Request<LookRequest>) -> Result<Response<LookReply>, Status> {
        let hash = Invite::secret_hash(&request.into_inner().secret);
        let node = self.node.clone();
        let found = blocking(move || node.read(|read| Ok((read.invite(&hash)?, read.settings()?))));
        let (invite, settings) = found.await.map_err(|error| internal(&error))?;
        let invite = invite.ok_or_else(|| self.shown_in_vain(InviteOutcome::Unknown))?;
        match invite.standing(draw::now()) {
            InviteStanding::Expired => return Err(self.shown_in_vain(InviteOutcome::Expired)),
            InviteStanding::Cancelled => return Err(self.shown_in_vain(InviteOutcome::Cancelled)),
            // Whether whoever looks is the one who has used it, enrolling says.
            InviteStanding::Open | InviteStanding::Used => {}
        }
        Ok(Response::new(LookReply {
            network: self.node.row().name.clone(),
            chapter: invite.chapter,
            slug: invite.slug,
            statement: settings.statement().to_owned(),
            statement_version: settings.statement_version(),
        }))
    }

    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolReply>, Status> {
        let EnrolRequest { secret, request, statement_version, accepted_by } = request.into_inner();
        let (hash, now) = (Invite::secret_hash(&secret), draw::now());
        let by = plain(&accepted_by)?;
        let issued = self.authority.certify_now(&request, now).map_err(failed)?;
        let (peer, expires) = (issued.node, issued.expires);
        let new = Enrolling {
            peer,
            certificate: LinkCertificate { bytes: issued.serial, expires },
            accepted: Acceptance { version: statement_version, by, at: now },
        };
        let node = self.node.clone();
        let enrolled = blocking(move || {
            let left = node.read(|read| {
                let Some(invite) = read.invite(&hash)? else { return Ok(None) };
                Ok(read.left_at(invite.scope)?.map(|_| invite.scope))
            })?;
            let redrawn = left.map(|chapter| node.redrawn(chapter, Turn::ComesBack)).transpose()?.flatten();
            node.write(Priority::Interactive, move |tx| {
                if tx.settings()?.statement_version() != statement_version {
                    return Err(StoreError::Refused(CHANGED.to_owned()));
                }
                let outcome = tx.enrol(&hash, &new, now)?;
                if let (Some((version, body)), InviteOutcome::Enrolled(_)) = (&redrawn, outcome) {
                    tx.publish_territories(*version, body, now)?;
                }
                Ok((outcome, tx.invite(&hash)?))
            })
        });
        let invite = match enrolled.await.map_err(failed)? {
            (InviteOutcome::Enrolled(_), Some(invite)) => invite,
            (outcome, _) => return Err(refused(why_not(outcome))),
        };
        tracing::info!(
            chapter = invite.slug,
            key = peer.fingerprint(),
            "a node joined; whoever runs it sees the same key there"
        );
        let row = self.node.row();
        Ok(Response::new(EnrolReply {
            network: row.name.clone(),
            chapter: invite.chapter,
            slug: invite.slug,
            scope: invite.scope.as_bytes().to_vec(),
            country: row.country.clone(),
            certificate: issued.certificate,
        }))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewReply>, Status> {
        let (shown, link) = self.link_of(request.extensions()).await?;
        let issued = self.authority.certify_now(&request.into_inner().request, draw::now()).map_err(failed)?;
        if issued.node != shown.node {
            self.node.refuses_caller(Some(shown.node), "asked for a certificate of another key");
            return Err(refused("a certificate is renewed for its own key only: join with a new invitation"));
        }
        let certificate = LinkCertificate { bytes: issued.serial, expires: issued.expires };
        let node = self.node.clone();
        let said = NewAudit::new(AuditKind::Renewed, draw::now()).by_node(link.peer);
        let noted = blocking(move || {
            node.write(Priority::Interactive, move |tx| {
                tx.renewed(link.id, &certificate)?;
                // A node may renew as often as it likes.
                tx.audit_bounded(&format!("node {}", link.peer.short()), &said)
            })
        });
        noted.await.map_err(|error| internal(&error))?;
        Ok(Response::new(RenewReply { certificate: issued.certificate }))
    }

    async fn invite(&self, request: Request<InviteRequest>) -> Result<Response<InviteReply>, Status> {
        let link = self.who(request.extensions()).await?;
        let InviteRequest { life_ms, by } = request.into_inner();
        if !(1..=ASKED_LIFE_MS_MAX).contains(&life_ms) {
            return Err(Status::invalid_argument("an invitation is good for a month at most"));
        }
        let (by, node) = (plain(&by)?, self.node.clone());
        let invited = blocking(move || {
            node.invite_into(link.scope, &Inviting { addresses: None, life_ms, by: &by, link: Some(&link) })
        });
        let invite = invited.await.map_err(failed)?;
        Ok(Response::new(InviteReply { invite: invite.to_string() }))
    }

    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<LeaveReply>, Status> {
        // Of a chapter that left already, too: it has lost the answer, or this is a further node of it.
        let (_, link) = self.known(request.extensions()).await?;
        if link.standing == LinkStanding::Revoked {
            self.link_of(request.extensions()).await?;
        }
        let LeaveRequest { release, incarnation, seq, hash } = request.into_inner();
        let word = if release { LeaveWord::Release } else { LeaveWord::Keep };
        let read = match (incarnation.try_into(), hash.try_into()) {
            (Ok(life), Ok(hash)) => Some(Cursor {
                incarnation: Incarnation::from_bytes(life),
                position: Position { seq, hash: Digest(hash) },
            }),
            _ => None,
        };
        let node = self.node.clone();
        let left = blocking(move || node.chapter_leaves(&link, word, read)).await.map_err(failed)?;
        Ok(Response::new(LeaveReply { left_ms: left.as_millis() }))
    }
}

impl Children {
    /// Notes that somebody looked with an invitation that is not good; gives what she is told.
    fn shown_in_vain(&self, outcome: InviteOutcome) -> Status {
        let at = draw::now();
        drop(self.node.write_later(move |tx| tx.not_enrolled(outcome, None, at)));
        refused(why_not(outcome))
    }
}

/// Why an invitation did not let a node in.
const fn why_not(outcome: InviteOutcome) -> &'static str {
    match outcome {
        InviteOutcome::Unknown | InviteOutcome::Enrolled(_) => UNKNOWN,
        InviteOutcome::Expired => EXPIRED,
        InviteOutcome::Cancelled => CANCELLED,
        InviteOutcome::Used => USED,
        InviteOutcome::Elsewhere => ELSEWHERE,
        InviteOutcome::Revoked => REVOKED,
        InviteOutcome::Left => LEFT,
    }
}
