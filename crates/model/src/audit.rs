//! The kinds of acts that stand in the audit log.
//!
//! **Invariant:** a kind's word is for ever: a row that was written is never written again.

use serde::{Deserialize, Serialize};

use crate::event::words;

words!(
    /// What a row of the audit log says that was done.
    AuditKind {
        /// Somebody logged in.
        LoggedIn = "logged_in",
        /// Somebody tried to log in, in vain. Who is left out unless there is such a login.
        LoginFailed = "login_failed",
        /// Somebody logged out.
        LoggedOut = "logged_out",
        /// Sessions of a login were ended.
        SessionEnded = "session_ended",
        /// A login was made.
        UserAdded = "user_added",
        /// A login was removed.
        UserRemoved = "user_removed",
        /// A login, or a token, got another role or right.
        RoleChanged = "role_changed",
        /// A login got another password.
        PasswordChanged = "password_changed",
        /// The second factor of a login was switched on or off, or a recovery code was used.
        SecondFactorChanged = "second_factor_changed",
        /// A token for programs was made.
        TokenMade = "token_made",
        /// A token for programs was ended, by itself or with the login that had made it.
        TokenEnded = "token_ended",
        /// Somebody tied her login to her own record, or to none.
        LoginTied = "login_tied",
        /// Staff opened a person's page at a hub.
        PersonOpened = "person_opened",
        /// A list was exported. The number: people in it.
        Exported = "exported",
        /// A list was printed. The number: people on it.
        Printed = "printed",
        /// A copy of everything was made.
        BackedUp = "backed_up",
        /// A copy of a hub's keys was made.
        KeysBackedUp = "keys_backed_up",
        /// A hub's keys were put back.
        KeysRestored = "keys_restored",
        /// It was asked that somebody be deleted everywhere.
        ErasureAsked = "erasure_asked",
        /// What was asked was withdrawn.
        ErasureWithdrawn = "erasure_withdrawn",
        /// A second administrator let it go on.
        ErasureApproved = "erasure_approved",
        /// Somebody was deleted here.
        Erased = "erased",
        /// It was said that nobody may contact somebody, or that this is lifted.
        DoNotContact = "do_not_contact",
        /// A record that could not be read was made anew.
        Rebuilt = "rebuilt",
        /// Somebody who waited was placed by hand.
        Placed = "placed",
        /// It was proposed that somebody go to another chapter.
        TransferProposed = "transfer_proposed",
        /// A chapter agreed to give or to take somebody.
        TransferAgreed = "transfer_agreed",
        /// A transfer was declined, or ended because it no longer fitted.
        TransferDeclined = "transfer_declined",
        /// A transfer was carried out.
        TransferDone = "transfer_done",
        /// A chapter hands somebody back.
        Returned = "returned",
        /// A chapter lets somebody go whom it was not asked for.
        LetGo = "let_go",
        /// A chapter keeps somebody whom it was not asked for.
        KeptHere = "kept_here",
        /// Two records were joined as one person's.
        Merged = "merged",
        /// A record was taken out of its set.
        Unmerged = "unmerged",
        /// A sign-up that was held for review was let through.
        SignUpReleased = "sign_up_released",
        /// A sign-up that was held for review was dropped, by a person or with somebody who was deleted. The number: of
        /// those, how many.
        SignUpDropped = "sign_up_dropped",
        /// A sign-up added nothing: its record has as many as it takes. The number: how many times.
        SignUpLeftOut = "sign_up_left_out",
        /// A chapter was added.
        ChapterAdded = "chapter_added",
        /// A chapter takes people, does not for now, or never again.
        ChapterChanged = "chapter_changed",
        /// A chapter's card was edited.
        CardEdited = "card_edited",
        /// A node was invited.
        Invited = "invited",
        /// An invitation was cancelled.
        InviteCancelled = "invite_cancelled",
        /// A node was enrolled by an invitation.
        Enrolled = "enrolled",
        /// A node showed an invitation that is not good.
        EnrolmentRefused = "enrolment_refused",
        /// A node's certificate was renewed.
        Renewed = "renewed",
        /// A node, or every node of a chapter, was revoked.
        Revoked = "revoked",
        /// This node joined a network.
        JoinedNetwork = "joined_network",
        /// This node left its network, or a chapter left this one.
        LeftNetwork = "left_network",
        /// The network goes on with people of a chapter that left: both agreed, or the chapter had not heard of them. The
        /// number: people.
        PeopleReleased = "people_released",
        /// A peer tried what it may not, or sent what can't be read; or a login wanted what its role may not do. The
        /// number: how many times.
        Refused = "refused",
        /// A backup was put back: what was done since it was made is not in this log.
        Restored = "restored",
        /// The database was found to be put back to before without a word: as above.
        RolledBack = "rolled_back",
        /// The node was handed over to another machine.
        HandedOver = "handed_over",
        /// The node came from another machine.
        TakenOver = "taken_over",
        /// A hand-over was taken back.
        HandOverCancelled = "hand_over_cancelled",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_one_kind() {
        for kind in AuditKind::ALL {
            assert_eq!(AuditKind::from_word(kind.word()), Some(*kind));
        }
    }
}
