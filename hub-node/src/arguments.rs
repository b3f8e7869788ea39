//! The arguments of `hub-node`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use cli::{Globals, InviteShape, Program, Shared};
use store::NodeKind;

/// This program.
pub(crate) const PROGRAM: Program =
    Program { name: "hub-node", data_variable: "HUB_DATA", data_default: "hub", kind: NodeKind::Hub };

/// The hub of a network of chapters: places sign-ups, shows national the whole
#[derive(Debug, Parser)]
#[command(name = "hub-node", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// The key file of this hub's authority, if it is not ca.unlock in the node's directory
    #[arg(long, global = true, value_name = "FILE", env = "HUB_CA_KEY_FILE")]
    pub(crate) ca_key_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new hub: its key, its authority, its database and its network
    #[command(after_help = "Example:\n  hub-node init --name \"Tenants United\" --country US --data ./hub")]
    Init {
        /// The network's name
        #[arg(long)]
        name: String,
        /// Its country (ISO 3166-1, two letters): taken where a sign-up names none
        #[arg(long, value_name = "CC")]
        country: String,
    },
    /// Serve pages, the sign-up form and chapters, in the foreground
    #[command(
        after_help = "Example:\n  hub-node serve --http 127.0.0.1:8080 --grpc 0.0.0.0:8443 --grpc-public hub.example.org:8443"
    )]
    Serve {
        /// Where pages are served [default: 127.0.0.1:8080]
        #[arg(long, value_name = "ADDR")]
        http: Option<String>,
        /// Where chapters are accepted [default: 127.0.0.1:8443]; 0.0.0.0:8443 for every address of this machine
        #[arg(long, value_name = "ADDR")]
        grpc: Option<String>,
        /// Where chapters reach that, as invitations name it: at most three, comma-separated [default: where it listens]
        #[arg(long, value_name = "HOST:PORT,...")]
        grpc_public: Option<String>,
        /// A host name under which a proxy with TLS serves the pages; can be given more than once
        #[arg(long = "host", value_name = "NAME")]
        hosts: Vec<String>,
        /// A reverse proxy before the pages, as a network: its word on who asks is taken. Can be given more than once
        #[arg(long, value_name = "CIDR")]
        trusted_proxy: Vec<String>,
        /// Whether administrators need a second factor: required or optional [default: required]
        #[arg(long, value_name = "WORD")]
        second_factor: Option<String>,
    },
    /// Chapters and where they work
    #[command(subcommand)]
    Chapter(Chapter),
    /// Make this hub the child of a bigger one, by its invitation
    #[command(
        after_help = "Everybody here is shared with it from the next exchange on; whom it places here, this hub places into its chapters.\n\nExamples:\n  hub-node join\n  hub-node join - < invite.txt"
    )]
    Join {
        /// The invitation; - reads it from standard input, and without it you are asked for it
        invite: Option<String>,
    },
    /// One full exchange with the hub above. Exit 3 if it can't be reached: nothing is lost
    #[command(after_help = "Example:\n  hub-node sync")]
    Sync,
    /// Invite a node into a chapter: prints one line to send
    #[command(after_help = "Examples:\n  hub-node invite la > invite.txt\n  hub-node invite la --qr > invite.svg")]
    Invite {
        /// The chapter
        slug: String,
        /// How long it is good: 7d, 12h, 30m
        #[arg(long, default_value = "7d", value_name = "TIME")]
        expires: String,
        /// This hub's addresses, if they are not those with which it last served
        #[arg(long, value_name = "HOST:PORT,...")]
        address: Option<String>,
        #[command(flatten)]
        shape: InviteShape,
    },
    /// Invitations that were made
    #[command(subcommand)]
    Invites(Invites),
    /// This hub's authority, by which its nodes know it
    #[command(subcommand)]
    Ca(Ca),
    /// Nodes of chapters
    #[command(subcommand)]
    Node(NodeCommand),
    /// Which chapter serves a place, and why. Stores nothing
    #[command(
        after_help = "Examples:\n  hub-node locate --postal-code 90012\n  hub-node locate --region California --json"
    )]
    Locate(Locate),
    /// Sign-ups from files, and sign-ups that are held for review
    #[command(subcommand)]
    Signup(Signup),
    /// People who wait for a chapter
    #[command(subcommand)]
    Unplaced(Unplaced),
    #[command(flatten)]
    Shared(Shared),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Chapter {
    /// Add a chapter and where it works
    #[command(
        after_help = "Examples:\n  hub-node chapter add la --name \"Los Angeles\" --county 06037\n  hub-node chapter add sf --name \"San Francisco\" --postal '941*,94000-94099'"
    )]
    Add(AddChapter),
    /// List chapters
    #[command(after_help = "Example:\n  hub-node chapter list")]
    List,
    /// Place nobody into a chapter for now: who belongs there waits
    #[command(after_help = "Example:\n  hub-node chapter pause la")]
    Pause {
        /// The chapter
        slug: String,
    },
    /// Place people into a chapter again
    #[command(after_help = "Example:\n  hub-node chapter resume la")]
    Resume {
        /// The chapter
        slug: String,
    },
    /// Close a chapter for good: nobody is placed there any more. Its people stay with it
    #[command(
        after_help = "Whoever should go elsewhere is proposed with `people transfer`: her chapter is asked as ever.\n\nExample:\n  hub-node chapter close la"
    )]
    Close {
        /// The chapter
        slug: String,
    },
    /// Go on with the people of a chapter that left and said that you may: they wait for a chapter
    #[command(
        after_help = "Until both ends have said so, what this hub has of them is frozen: shown, not written, in no total. The chapter says it with `chapter-node leave --release`. What the chapter itself has stays there. If it comes back instead: `hub-node invite`.\n\nExample:\n  hub-node chapter agree la"
    )]
    Agree {
        /// The chapter
        slug: String,
    },
    /// Everything about one chapter
    #[command(after_help = "Example:\n  hub-node chapter show la")]
    Show {
        /// The chapter
        slug: String,
    },
    /// Shut out all nodes of a chapter, and whoever was invited into it. Nothing is deleted, here or there
    #[command(after_help = "Example:\n  hub-node chapter revoke la")]
    Revoke {
        /// The chapter
        slug: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Invites {
    /// List invitations, the newest first
    #[command(after_help = "Example:\n  hub-node invites list")]
    List,
    /// Take an invitation back
    #[command(after_help = "Example:\n  hub-node invites cancel 3f9a01bc")]
    Cancel {
        /// Its number: the first or last digits are enough
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ca {
    /// Write this hub's keys into one file, which a passphrase opens: the authority, and the hub's own
    #[command(
        after_help = "The passphrase is printed once and kept nowhere; with --passphrase-file one that was printed before is used again. Keep the file and the passphrase apart, and apart from the hub: without them a hub that lost its disk can't be the same hub again, and every chapter has to be invited anew.\n\nExample:\n  hub-node ca backup /safe/hub-keys"
    )]
    Backup {
        /// The new file
        file: PathBuf,
        /// A file with the passphrase to use
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Put a hub's keys back into its directory; keys that are there stay
    #[command(
        after_help = "The passphrase is read from the terminal, from standard input or from a file.\n\nExample:\n  hub-node ca restore /safe/hub-keys --data ./hub"
    )]
    Restore {
        /// The file that `ca backup` made
        file: PathBuf,
        /// A file with the passphrase
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct AddChapter {
    /// Its short name, for commands and addresses
    pub(crate) slug: String,
    /// Its name
    #[arg(long)]
    pub(crate) name: String,
    /// Postal codes: exact codes, prefixes with a star, ranges; comma-separated
    #[arg(long, value_name = "LIST")]
    pub(crate) postal: Option<String>,
    /// Regions by ISO 3166-2 code, comma-separated
    #[arg(long, value_name = "LIST")]
    pub(crate) region: Option<String>,
    /// US counties by FIPS code, comma-separated
    #[arg(long, value_name = "LIST")]
    pub(crate) county: Option<String>,
    /// The chapter that it belongs under
    #[arg(long, value_name = "SLUG")]
    pub(crate) parent: Option<String>,
    /// How many people waiting for a first conversation it takes
    #[arg(long, value_name = "N")]
    pub(crate) intake: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List nodes and their links
    #[command(after_help = "Example:\n  hub-node node list")]
    List,
    /// Shut a node out: its link is cut within a second. Nothing is deleted, here or there
    #[command(after_help = "Example:\n  hub-node node revoke 1a2b3c4d")]
    Revoke {
        /// Its id: the first or last digits are enough, with or without spaces
        node: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Locate {
    /// Postal code
    #[arg(long)]
    pub(crate) postal_code: Option<String>,
    /// Region: code or name
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// City
    #[arg(long)]
    pub(crate) city: Option<String>,
    /// Country (ISO 3166-1)
    #[arg(long)]
    pub(crate) country: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Signup {
    /// Take sign-ups from a CSV file and place them
    #[command(
        after_help = "Example:\n  hub-node signup import list.csv --dry-run\n\nColumns by OSDI names: given_name, family_name, email, phone, postal_code, locality, region, country.\nOthers become custom fields."
    )]
    Import {
        /// The file
        file: PathBuf,
        /// Check and place every row, store nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Sign-ups beyond a limit: answered as any other, and neither counted nor placed until somebody has looked
    #[command(subcommand)]
    Held(Held),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Held {
    /// List them, the oldest first, with why
    #[command(after_help = "Example:\n  hub-node signup held list")]
    List,
    /// Let some through: each is placed now, with the time when it was posted
    #[command(after_help = "Examples:\n  hub-node signup held release 2f6d1c0a\n  hub-node signup held release --all")]
    Release {
        /// Their ids
        #[arg(value_name = "ID", required_unless_present = "all")]
        ids: Vec<String>,
        /// All of them
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Drop some: nothing of them is kept
    #[command(after_help = "Example:\n  hub-node signup held drop 2f6d1c0a")]
    Drop {
        /// Their ids
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Unplaced {
    /// List who waits, with the reason
    #[command(after_help = "Example:\n  hub-node unplaced list")]
    List,
    /// Place somebody by hand
    #[command(after_help = "Example:\n  hub-node unplaced assign 2f6d1c0a la")]
    Assign {
        /// Her id
        id: String,
        /// The chapter
        slug: String,
    },
}
