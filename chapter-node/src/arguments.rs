//! The arguments of `chapter-node`.

use clap::{Parser, Subcommand};
use cli::{Globals, InviteShape, Program, Shared};
use model::Date;
use store::NodeKind;

use crate::case::Case;

/// This program.
pub(crate) const PROGRAM: Program =
    Program { name: "chapter-node", data_variable: "CHAPTER_DATA", data_default: "chapter", kind: NodeKind::Chapter };

/// A chapter's own node: its people, its notes, its link to the network
///
/// Without a command it serves, as `chapter-node serve`, and opens the pages in a browser; with no data yet, a page with one
/// field for the invitation.
#[derive(Debug, Parser)]
#[command(name = "chapter-node", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join a network with the line that it sent you
    #[command(
        after_help = "Whoever has the line can join in your place, and every program of this machine can read arguments: better paste it when you are asked.\n\nExamples:\n  chapter-node join --data ./la\n  chapter-node join --accept-statement - < invite.txt"
    )]
    Join {
        /// The invitation: the line, or a link that has it behind its #; - reads it from standard input, and without it you are
        /// asked for it
        invite: Option<String>,
        /// This node's name, if not the chapter's
        #[arg(long)]
        name: Option<String>,
        /// Accept what the network will see, without being asked
        #[arg(long)]
        accept_statement: bool,
    },
    /// Invite a further node of this chapter: prints one line for the other machine
    #[command(
        after_help = "The network makes the invitation, for this chapter only; no staff is needed.\n\nExamples:\n  chapter-node invite > invite.txt\n  chapter-node invite --qr > invite.svg"
    )]
    Invite {
        /// How long it is good: 7d, 12h, 30m
        #[arg(long, default_value = "7d", value_name = "TIME")]
        expires: String,
        #[command(flatten)]
        shape: InviteShape,
    },
    /// Serve pages and keep the link, in the foreground
    #[command(after_help = "Examples:\n  chapter-node serve --http 127.0.0.1:8090\n  chapter-node serve --lan")]
    Serve {
        /// Where pages are served [default: 127.0.0.1:8090, with --lan 0.0.0.0:8090]
        #[arg(long, value_name = "ADDR")]
        http: Option<String>,
        /// A host name under which a proxy with TLS serves the pages; can be given more than once
        #[arg(long = "host", value_name = "NAME")]
        hosts: Vec<String>,
        /// A reverse proxy before the pages, as a network: its word on who asks is taken. Can be given more than once
        #[arg(long, value_name = "CIDR")]
        trusted_proxy: Vec<String>,
        /// Open the pages to the local network, over TLS; somebody has to have a login
        #[arg(long)]
        lan: bool,
    },
    /// One full exchange with the network. Exit 3 if it can't be reached: nothing is lost
    #[command(after_help = "Example:\n  chapter-node sync && chapter-node state-hash")]
    Sync,
    /// Leave the network: everything stays here, what the network has is frozen. Exit 3 if it can't be reached
    #[command(
        after_help = "All nodes of the chapter are out; say it on each of them. They exchange through the network only: `sync` each of them before. Nothing is deleted, here or there. A new invitation of the network takes it up again.\n\nExamples:\n  chapter-node leave\n  chapter-node leave --release"
    )]
    Leave {
        /// The network may go on with the people whom it has through this chapter; they stay here, too
        #[arg(long)]
        release: bool,
        /// End it at this node without telling the network: it is no more, or has shut this node out
        #[arg(long, conflicts_with = "release")]
        offline: bool,
    },
    /// Hand someone back whom the network placed here
    #[command(after_help = "Example:\n  chapter-node return 2f6d1c0a --reason \"lives in San Francisco now\"")]
    Return {
        /// Her id
        id: String,
        /// Why; the network reads it
        #[arg(long)]
        reason: String,
    },
    /// What the network sees
    #[command(subcommand)]
    Share(Share),
    /// Notes that stay in this chapter, on this node
    #[command(subcommand)]
    Note(Note),
    /// The chapter's card: what new people see of it
    #[command(subcommand)]
    Card(Card),
    /// The figures of this chapter, as the network sees them: docs/METRICS.md
    #[command(
        after_help = "Examples:\n  chapter-node metrics\n  chapter-node metrics --from 2026-10-01 --to 2026-10-31 --json"
    )]
    Metrics {
        /// The first day, for what happens in a time; the four numbers are always those of now
        #[arg(long, value_name = "DAY")]
        from: Option<Date>,
        /// The last day [default: today]
        #[arg(long, value_name = "DAY")]
        to: Option<Date>,
    },
    /// The case on paper: numbers for the other side of the table
    #[command(subcommand)]
    Case(Case),
    /// What there is to do: new people to call, follow-ups, one-to-ones, who is ready, who goes quiet, what needs somebody
    #[command(after_help = "Examples:\n  chapter-node today\n  chapter-node today --mine ana --json")]
    Today {
        /// Only of the people whom this login looks after
        #[arg(long, value_name = "LOGIN")]
        mine: Option<String>,
    },
    #[command(flatten)]
    Shared(Shared),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Share {
    /// Show exactly what the network sees of somebody, and any chapter to which she later belongs
    #[command(after_help = "Example:\n  chapter-node share show 2f6d1c0a")]
    Show {
        /// Her id
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Note {
    /// Keep a note
    #[command(after_help = "Example:\n  chapter-node note add 2f6d1c0a \"prefers the evening\"")]
    Add {
        /// Her id
        id: String,
        /// The note
        text: String,
    },
    /// List notes and one-to-one texts, the newest first
    #[command(after_help = "Example:\n  chapter-node note list 2f6d1c0a")]
    List {
        /// Her id
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Card {
    /// Change fields: name, place, contact, call_by, next_meeting, working_on
    #[command(
        after_help = "Example:\n  chapter-node card edit next_meeting=\"Tuesday 7 pm, Union Hall\" call_by=\"Ana, within two days\""
    )]
    Edit {
        /// FIELD=VALUE; an empty value clears the field
        #[arg(required = true, value_name = "FIELD=VALUE")]
        edits: Vec<String>,
    },
    /// Show the card
    #[command(after_help = "Example:\n  chapter-node card show")]
    Show,
}
