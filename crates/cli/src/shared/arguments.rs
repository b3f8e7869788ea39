//! The arguments of the commands that are the same at both programs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use model::{AnswerKind, AskKind, AttemptHow, AttemptResult, Channel, ConsentState, Date, Role, Timestamp};

use super::actions::Action;
use super::asks::{Ask, OneToOne};
use super::audit::AuditArguments;
use super::logins::{Token, User};
use super::work::{CareArguments, DoNotContactArguments};

macro_rules! word_argument {
    ($name:ident, $of:ty) => {
        #[doc = concat!("A word of [`", stringify!($of), "`] on a command line.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $name(pub(super) $of);
        impl ValueEnum for $name {
            fn value_variants<'a>() -> &'a [Self] {
                static ALL: std::sync::OnceLock<Vec<$name>> = std::sync::OnceLock::new();
                ALL.get_or_init(|| <$of>::ALL.iter().copied().map($name).collect())
            }
            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                Some(clap::builder::PossibleValue::new(self.0.word()))
            }
        }
    };
}

word_argument!(How, AttemptHow);
word_argument!(Outcome, AttemptResult);
word_argument!(AskWord, AskKind);
word_argument!(AnswerWord, AnswerKind);
word_argument!(ChannelWord, Channel);
word_argument!(StateWord, ConsentState);
word_argument!(RoleWord, Role);

/// Commands of both programs.
#[derive(Debug, Subcommand)]
pub enum Shared {
    /// How this node is: people, links, what needs somebody
    #[command(after_help = "Example:\n  status --json")]
    Status,
    /// Check the database: file, sums, view against documents, counters. Exit 5 if anything differs
    #[command(after_help = "Example:\n  verify && echo sound")]
    Verify,
    /// One line that is equal on two nodes when they hold the same
    #[command(after_help = "Examples:\n  chapter-node state-hash\n  hub-node state-hash --scope la")]
    StateHash {
        /// The chapter's slug, or `network`; a chapter's default is its own
        #[arg(long)]
        scope: Option<String>,
    },
    /// Write a consistent copy of everything to a new file, also while the node serves
    #[command(
        after_help = "The file holds names and private notes, and only you may read it. Keep it where nobody else can.\n\nExample:\n  backup ~/backups/chapter-2026-11-22.db"
    )]
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Put a backup back, into an empty directory or over a node that is stopped
    #[command(
        after_help = "What this node had told others since the backup comes back from them at the next exchange. The database that stood there before is kept beside it, as before-restore-NUMBER.db. Who was deleted since is known from erasures.jsonl in the directory; copy it there first if the directory is new.\n\nExample:\n  restore ~/backups/chapter-2026-11-22.db"
    )]
    Restore {
        /// The backup
        file: PathBuf,
        /// The ledger of erasures is lost: neighbours say at the next exchange who was deleted
        #[arg(long)]
        without_ledger: bool,
    },
    /// Move this node to another machine: one sealed file, and the passphrase that opens it
    #[command(
        after_help = "It asks for nothing and prints the passphrase once: carry it another way than the file. From then on this node refuses to serve, to sync and to write. Open the file on the new machine, compare what both print, then `retire` here.\n\nExamples:\n  handover /media/usb/la.move\n  handover open /media/usb/la.move --data ./la\n  handover cancel"
    )]
    Handover {
        /// The new file, outside of the node's directory
        file: Option<PathBuf>,
        /// The other side of it, or taking it back
        #[command(subcommand)]
        command: Option<Handover>,
    },
    /// Overwrite and remove everything of a node that was handed over, and leave a receipt
    #[command(
        after_help = "Only after `handover`; first make sure that the new machine works. Without --yes it says what would go, and changes nothing. Overwriting is no guarantee on flash drives and file systems that write elsewhere: disks of laptops should be encrypted.\n\nExample:\n  retire --yes"
    )]
    Retire {
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Supporters: list, show, correct
    #[command(subcommand)]
    People(People),
    /// What two nodes wrote differently
    #[command(subcommand)]
    Conflicts(Conflicts),
    /// What a sign-up form proposed for somebody who is known
    #[command(subcommand)]
    Proposals(Proposals),
    /// Tries to reach someone
    #[command(subcommand)]
    Attempt(Attempt),
    /// Structured conversations
    #[command(subcommand)]
    OneToOne(OneToOne),
    /// Concrete requests and what came of them
    #[command(subcommand)]
    Ask(Ask),
    /// Actions of a chapter: who is asked to come, who comes
    #[command(subcommand)]
    Action(Action),
    /// The ladder: contact, conversation, commitment, leadership
    #[command(subcommand)]
    Ladder(Ladder),
    /// What somebody agreed to hear from whom
    #[command(subcommand)]
    Consent(Consent),
    /// Take back an event that was wrongly logged: it goes out of sight, and what it had set is put back
    #[command(after_help = "Example:\n  undo 91c3aa07")]
    Undo {
        /// The event's id
        event: String,
    },
    /// People who go from one chapter to another, or back to the network
    #[command(subcommand)]
    Transfers(Transfers),
    /// Changes that were not taken, here or by another node: who wrote what, why not, and what to do
    #[command(subcommand)]
    Refused(Refused),
    /// Delete someone everywhere, with receipts
    #[command(
        after_help = "Where nobody is above it is done at once. A chapter asks: she is hidden and not contacted from now on, and the network deletes her after 72 hours unless `erasures withdraw` takes it back here. Without --yes it shows which records are joined with hers and who else has her e-mail address or number, and changes nothing.\n\nExamples:\n  erase 2f6d1c0a --reason \"asked by phone\" --yes\n  erase 2f6d1c0a --reason \"asked by phone\" --set --yes"
    )]
    Erase {
        /// Her id
        id: String,
        /// Why. It is kept while it waits, and goes with her
        #[arg(long)]
        reason: String,
        /// Every record that is joined with hers, too
        #[arg(long)]
        set: bool,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Join two records of one person: both stay, and are shown as one
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        after_help = "Nothing is copied: edits to either are still seen, also those that were made before without a network. She is shown under the smaller id, with the entries of both, the stricter consent and the lower rung. A hub that joins records of two chapters says so to neither.\n\nExamples:\n  merge 2f6d1c0a 91c3aa07\n  merge undo 91c3aa07"
    )]
    Merge {
        /// What to do; to join two, if nothing is said
        #[command(subcommand)]
        command: Option<Merge>,
        /// The two records
        #[arg(value_name = "ID", num_args = 2, required = true)]
        ids: Vec<String>,
    },
    /// What was deleted everywhere, with each node's word; and what is asked for
    #[command(after_help = "Examples:\n  erasures\n  erasures withdraw 2f6d1c0a")]
    Erasures {
        /// What to do; to list them, if nothing is said
        #[command(subcommand)]
        command: Option<Erasures>,
    },
    /// Who did what, when
    #[command(
        after_help = "Rows are added and never changed, and each carries a hash over the one before it. What --verify prints as the last hash, kept elsewhere, shows later that nothing was cut off at the end.\n\nExamples:\n  audit --since 2026-11-01\n  audit --verify"
    )]
    Audit(AuditArguments),
    /// Logins for the pages
    #[command(subcommand)]
    User(User),
    /// Tokens for programs that use the HTTP interface
    #[command(subcommand)]
    Token(Token),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  hub-node completions bash > /etc/bash_completion.d/hub-node")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The other side of a hand-over.
#[derive(Debug, Subcommand)]
pub enum Handover {
    /// Make the node of a hand-over file live here, in an empty directory
    #[command(
        after_help = "The passphrase is read from the terminal, from standard input or from a file, never from an argument. Afterwards what was counted here is equal to what was counted there, or nothing is left here.\n\nExamples:\n  handover open /media/usb/la.move --data ./la\n  handover open la.move --passphrase-file passphrase.txt --data ./la"
    )]
    Open {
        /// The hand-over file
        file: PathBuf,
        /// A file whose first line is the passphrase
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// The new machine never came up: this node lives here again
    #[command(after_help = "Destroy the hand-over file afterwards.\n\nExample:\n  handover cancel")]
    Cancel,
}

/// Supporters.
#[derive(Debug, Subcommand)]
pub enum People {
    /// List people, the newest first
    #[command(after_help = "Example:\n  people list --query mar --rung contact --limit 20")]
    List(ListArguments),
    /// Everything about one person
    #[command(after_help = "Example:\n  people show 2f6d1c0a")]
    Show {
        /// Her id, or a unique beginning or end of it
        id: String,
    },
    /// What happened with one person, oldest first
    #[command(after_help = "Example:\n  people history 2f6d1c0a")]
    History {
        /// Her id
        id: String,
    },
    /// Correct fields
    #[command(after_help = "Example:\n  people edit 2f6d1c0a family_name=Browne looked_after_by=lee")]
    Edit {
        /// Her id
        id: String,
        /// FIELD=VALUE; an empty value clears the field
        #[arg(required = true, value_name = "FIELD=VALUE")]
        edits: Vec<String>,
    },
    /// Propose that someone go to another chapter, or be served by it, too; at a hub, who waits is there at once
    #[command(
        after_help = "A chapter asks for someone by her whole id and its own short name: her chapter is asked, and nothing is heard if there is nobody. Served by two chapters, both log, note and ask; her home alone moves her up the ladder and gives her to others.\n\nExamples:\n  people transfer 2f6d1c0a sf --note \"moved in May, wants to go on canvassing\" --agreed\n  people transfer 2f6d1c0a sf --also --note \"works there on weekdays\"\n  people transfer 2f6d1c0a sf --her-word     at a hub: she asked for it herself"
    )]
    Transfer {
        /// Her id
        id: String,
        /// The chapter's short name
        slug: String,
        /// A hand-over note: the other chapter reads it, and it is forgotten when the transfer has ended
        #[arg(long, default_value = "")]
        note: String,
        /// She was asked and agreed
        #[arg(long)]
        agreed: bool,
        /// She stays where she is, and the other chapter serves her, too: both log and ask, her home moves her
        #[arg(long)]
        also: bool,
        /// At a hub: she asked for it herself, and her chapter is not asked
        #[arg(long, conflicts_with = "agreed")]
        her_word: bool,
    },
    /// List records with a change that can't be read: the last good view is shown, nobody can write them
    #[command(
        after_help = "Another version of this program tries them again by itself. Who can't wait makes one anew.\n\nExample:\n  people unreadable"
    )]
    Unreadable,
    /// Make a record anew that can't be read, from what was last read of it
    #[command(
        after_help = "The new record has a new id and everything that is shown: fields, consent, rung, history, and in a chapter its private notes. The old one is deleted everywhere: at once where nobody is above, else the network is asked, which deletes it after 72 hours. Changes that came since the record could last be read are left out and listed: write again what is still true.\n\nExamples:\n  people rebuild 2f6d1c0a\n  people rebuild 2f6d1c0a --json"
    )]
    Rebuild {
        /// Her id
        id: String,
    },
    /// Give people to organisers, who look after them; several organisers get as many each
    #[command(
        after_help = "Examples:\n  people care 2f6d1c0a --who lee --on 2026-12-01\n  people care 2f6d1c0a 91c3aa07 7be01a55 --who lee --who ana"
    )]
    Care(CareArguments),
    /// Add a person to this chapter
    #[command(
        after_help = "Example:\n  chapter-node people add --given-name Jo --family-name Park --email jo@example.org --postal-code 90012"
    )]
    Add(AddArguments),
}

#[derive(Args, Debug)]
#[allow(missing_docs, reason = "clap shows these comments")]
pub struct ListArguments {
    /// The beginning of any word of name, e-mail, number, tag, postal code or city
    #[arg(long)]
    pub(super) query: Option<String>,
    /// Only this rung
    #[arg(long)]
    pub(super) rung: Option<String>,
    /// Only with this tag
    #[arg(long)]
    pub(super) tag: Option<String>,
    /// Only whom this login looks after
    #[arg(long, value_name = "LOGIN")]
    pub(super) mine: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(super) limit: usize,
    /// After this one: the `next` of the page before
    #[arg(long, value_name = "CURSOR")]
    pub(super) after: Option<String>,
}

#[derive(Args, Debug)]
#[allow(missing_docs, reason = "clap shows these comments")]
pub struct AddArguments {
    #[arg(long)]
    pub(super) given_name: Option<String>,
    #[arg(long)]
    pub(super) family_name: Option<String>,
    #[arg(long)]
    pub(super) email: Option<String>,
    #[arg(long)]
    pub(super) phone: Option<String>,
    #[arg(long)]
    pub(super) postal_code: Option<String>,
    #[arg(long)]
    pub(super) city: Option<String>,
    #[arg(long)]
    pub(super) region: Option<String>,
    #[arg(long)]
    pub(super) country: Option<String>,
    /// Comma-separated; tags that the network has not declared stay in the chapter
    #[arg(long)]
    pub(super) tags: Option<String>,
}

/// Transfers.
#[derive(Debug, Subcommand)]
pub enum Transfers {
    /// List transfers, and who is to leave without this chapter's word
    #[command(after_help = "Example:\n  transfers list")]
    List,
    /// Agree: give her, take her, or let her go
    #[command(after_help = "Example:\n  transfers take 7be01a55")]
    Take {
        /// The transfer's id; or the person's, if she is to leave without a transfer
        id: String,
    },
    /// Do not agree, with a reason
    #[command(after_help = "Example:\n  transfers decline 7be01a55 --because \"we are full until May\"")]
    Decline {
        /// The transfer's id; or the person's
        id: String,
        /// Why; the other side reads it
        #[arg(long, value_name = "TEXT", default_value = "")]
        because: String,
    },
}

/// Refused changes.
#[derive(Debug, Subcommand)]
pub enum Refused {
    /// List them, the newest first, with every field and value of what was written here
    #[command(after_help = "Examples:\n  refused list\n  refused list --json")]
    List,
    /// Forget one with which somebody has dealt
    #[command(after_help = "Example:\n  refused dismiss 17")]
    Dismiss {
        /// Its number in the list
        id: i64,
    },
}

/// Erasures.
#[derive(Debug, Subcommand)]
pub enum Erasures {
    /// List them
    #[command(after_help = "Example:\n  erasures list")]
    List,
    /// Take back what was asked for, while it waits
    #[command(after_help = "Example:\n  erasures withdraw 2f6d1c0a")]
    Withdraw {
        /// Her id
        id: String,
    },
    /// A second administrator's word on what is over the limit of a day
    #[command(after_help = "Example:\n  hub-node erasures approve 2f6d1c0a")]
    Approve {
        /// Her id
        id: String,
    },
}

/// Joined records.
#[derive(Debug, Subcommand)]
pub enum Merge {
    /// Take a record out of its set: it is shown by itself again
    #[command(after_help = "Example:\n  merge undo 91c3aa07")]
    Undo {
        /// Its id
        id: String,
    },
}

/// Conflicts.
#[derive(Debug, Subcommand)]
pub enum Conflicts {
    /// List people with a conflict, and what stands
    #[command(after_help = "Example:\n  conflicts list")]
    List,
    /// Settle one on a value
    #[command(after_help = "Example:\n  conflicts settle 2f6d1c0a family_name Browne")]
    Settle {
        /// Her id
        id: String,
        /// The field
        field: String,
        /// The value that is to stand
        value: String,
    },
}

/// Proposals.
#[derive(Debug, Subcommand)]
pub enum Proposals {
    /// List what waits
    #[command(after_help = "Example:\n  proposals list")]
    List,
    /// Write the value into the record
    #[command(after_help = "Example:\n  proposals take 7be01a55")]
    Take {
        /// The proposal's id
        id: String,
    },
    /// Forget the value
    #[command(after_help = "Example:\n  proposals drop 7be01a55")]
    Drop {
        /// The proposal's id
        id: String,
    },
}

/// Attempts.
#[derive(Debug, Subcommand)]
pub enum Attempt {
    /// Log a try to reach someone
    #[command(
        after_help = "Example:\n  attempt log 2f6d1c0a --how call --result talked --line \"wants to help with the clinic\""
    )]
    Log {
        /// Her id
        id: String,
        /// How
        #[arg(long)]
        how: How,
        /// What came of it
        #[arg(long)]
        result: Outcome,
        /// When: 2026-11-22T18:40, or a date; now if nothing is said
        #[arg(long)]
        at: Option<Timestamp>,
        /// A line on what was said. The network sees it
        #[arg(long)]
        line: Option<String>,
        /// Not again before this day
        #[arg(long, value_name = "DATE")]
        not_before: Option<Date>,
        /// The day of the next try
        #[arg(long, value_name = "DATE")]
        next_on: Option<Date>,
    },
}

/// The ladder.
#[derive(Debug, Subcommand)]
pub enum Ladder {
    /// The rungs, with how many stand on each and what shows them
    #[command(after_help = "Example:\n  ladder list")]
    List,
    /// Move someone, citing what shows it; or with a written reason, marked as a skip
    #[command(
        after_help = "Examples:\n  ladder move 2f6d1c0a conversation --evidence 91c3aa07\n  ladder move 2f6d1c0a commitment --because \"led the last drive\""
    )]
    Move {
        /// Her id
        id: String,
        /// The rung
        rung: String,
        /// An event that shows it; can be given more than once
        #[arg(long, value_name = "EVENT")]
        evidence: Vec<String>,
        /// Why, in writing
        #[arg(long, value_name = "TEXT")]
        because: Option<String>,
    },
}

/// Consent.
#[derive(Debug, Subcommand)]
pub enum Consent {
    /// Write what she said, and where
    #[command(
        after_help = "Example:\n  consent set 2f6d1c0a --channel email --sender network --state withdrawn --source \"phone call\""
    )]
    Set {
        /// Her id
        id: String,
        /// Which channel
        #[arg(long)]
        channel: ChannelWord,
        /// `network`, or a chapter's slug
        #[arg(long)]
        sender: String,
        /// What she said
        #[arg(long)]
        state: StateWord,
        /// Where she said it
        #[arg(long)]
        source: String,
    },
    /// Nobody may contact her any more: she goes off every list to call and out of exports; or that is lifted
    #[command(
        after_help = "Examples:\n  consent do-not-contact 2f6d1c0a --because \"asked us at the door\"\n  consent do-not-contact 2f6d1c0a --because \"wrote that she wants to hear from us\" --lift"
    )]
    DoNotContact(DoNotContactArguments),
}
