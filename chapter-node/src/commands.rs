//! Runs the commands of `chapter-node`.

use std::io::{BufRead as _, IsTerminal as _};
use std::process::Stdio;

use clap::CommandFactory as _;
use cli::{
    Config, Failure, Globals, Out, ServePlan, Shared, find_person, life, print_invite, run_shared, runtime, serve,
    sync, table,
};
use node::{Accepting, ErrorKind, Invite, JoinOffer, Leaving, Node, ask_for_invite, follow, join, leave, look};
use serde_json::{Value, json};
use store::{Filter, LeaveWord, LinkStanding, Page};
use web::{ago, person_json};

use crate::arguments::{Arguments, Card, Command, Note, PROGRAM};
use crate::site;

/// New people shown by `today`: what one evening of calls holds.
const NEW_SHOWN: usize = 20;

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { globals, command } = arguments;
    let (out, by) = (Out::new(globals.json), globals.by()?);
    let once_open = command.is_none().then_some(open_browser as fn(&str));
    let served = Command::Serve { http: None, hosts: Vec::new(), trusted_proxy: Vec::new(), lan: false };
    match command.unwrap_or(served) {
        Command::Shared(Shared::Completions { shell }) => {
            clap_complete::generate(shell, &mut Arguments::command(), PROGRAM.name, &mut std::io::stdout());
            Ok(())
        }
        Command::Join { invite, name, accept_statement } => {
            join_network(&globals, &invite, (name.as_deref(), accept_statement), out, &by)
        }
        Command::Invite { expires, shape } => {
            let node = globals.open(PROGRAM)?;
            let invite = runtime()?.block_on(ask_for_invite(&node, life(&expires)?, &by))?;
            print_invite(&invite, shape, out)
        }
        Command::Serve { lan: true, .. } => {
            let words = "the pages can't be opened to the local network without TLS: they carry names and passwords";
            let hint = "they need a proxy with TLS before them, on this machine; name its host with --host";
            Err(Failure::refused(words).hint(hint))
        }
        Command::Serve { http, hosts, trusted_proxy, lan: false } => {
            let node = globals.open(PROGRAM)?;
            let config = Config::read(node.directory())?;
            let rules = config.rules(&hosts, &trusted_proxy, None)?;
            let http = http.or(config.http).unwrap_or_else(|| "127.0.0.1:8090".to_owned());
            let router = site::router(&node, rules);
            serve(&node, ServePlan { http, grpc: None, addresses: Vec::new(), router, beside: None, once_open })
        }
        Command::Sync => sync(&globals.open(PROGRAM)?, "the network", out),
        Command::Leave { release, offline } => {
            let word = if release { LeaveWord::Release } else { LeaveWord::Keep };
            leave_network(&globals.open(PROGRAM)?, Leaving { word, untold: offline, by: &by }, out)
        }
        Command::Return { id, reason } => {
            let node = globals.open(PROGRAM)?;
            let transfer = node.return_person(find_person(&node, &id)?.document, reason.as_str().into(), &by)?;
            out.result(&json!({"id": transfer.to_string()}), || transfer.to_string());
            Ok(())
        }
        Command::Note(command) => note(&globals.open(PROGRAM)?, &command, out, &by),
        Command::Card(command) => card(&globals.open(PROGRAM)?, &command, out, &by),
        Command::Today => today(&globals.open(PROGRAM)?, out),
        Command::Shared(command) => run_shared(&globals, PROGRAM, &command, out, &by),
    }
}

/// Opens an address as the desktop does; where there is none, a person has read it in the terminal.
fn open_browser(address: &str) {
    let address = address.to_owned();
    // On a thread of its own: it may last as long as the browser is open.
    std::thread::spawn(move || {
        let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let (stdout, stderr) = (Stdio::null(), Stdio::null());
        let opened =
            std::process::Command::new(opener).arg(address).stdin(Stdio::null()).stdout(stdout).stderr(stderr).status();
        if !opened.is_ok_and(|status| status.success()) {
            Out::note("no browser could be opened here: open the address yourself");
        }
    });
}

fn join_network(
    globals: &Globals,
    invite: &str,
    (name, accepted): (Option<&str>, bool),
    out: Out,
    by: &str,
) -> Result<(), Failure> {
    let (invite, runtime): (Invite, _) = (invite.parse()?, runtime()?);
    let directory = globals.directory(PROGRAM)?;
    if let Ok(node) = Node::open(&directory, PROGRAM.kind) {
        let key = join_again(&node, &invite, accepted, by)?;
        let name = &node.row().name;
        out.result(&json!({"node": node.id().to_string(), "joined": true, "key": key}), || {
            format!("{name} has joined already, with the key {key}")
        });
        return Ok(());
    }
    let offer = runtime.block_on(look(&invite))?;
    let accepting = Accepting { version: accept(&offer, accepted)?, by };
    let node = runtime.block_on(join(&directory, &invite, name, accepting))?;
    let key = node.id().fingerprint();
    let made = json!({"node": node.id().to_string(), "chapter": offer.slug, "network": offer.network, "key": key});
    out.result(&made, || {
        format!(
            "joined {} as {}. The key of this node is {key}; the network sees the same for it. Now: chapter-node serve",
            offer.network,
            node.row().name
        )
    });
    Ok(())
}

/// A node that is there follows its hub, or is let in again; nothing is to be done if the invitation says nothing new. Gives
/// the key that it has.
fn join_again(node: &Node, invite: &Invite, accepted: bool, by: &str) -> Result<String, Failure> {
    let link = node.read(|read| read.known_parent())?;
    let left = |link: &store::LinkRow| link.standing == LinkStanding::Left;
    let stays =
        |link: &store::LinkRow| link.parent == invite.hub && link.standing != LinkStanding::Refused && !left(link);
    if link.as_ref().is_some_and(stays) && node.has_its_key().is_ok() {
        return Ok(node.id().fingerprint());
    }
    let runtime = runtime()?;
    let offer = runtime.block_on(look(invite))?;
    // Who comes back accepts it anew.
    let known = link.filter(|link| !left(link)).and_then(|link| link.accepted);
    let known = known.filter(|known| known.version == offer.statement_version);
    let version = known.map_or_else(|| accept(&offer, accepted), |known| Ok(known.version))?;
    Ok(runtime.block_on(follow(node, invite, Accepting { version, by }))?.fingerprint())
}

fn leave_network(node: &Node, leaving: Leaving<'_>, out: Out) -> Result<(), Failure> {
    let left = match runtime()?.block_on(leave(node, leaving)) {
        Ok(left) => left,
        Err(error) if error.kind() == ErrorKind::Unreachable => {
            let hint = "nothing has changed here: say it again when the network is back. If it never comes back, \
                        `leave --offline` ends it at this node";
            return Err(Failure::unreachable(format!("this chapter did not leave: {error}")).hint(hint));
        }
        Err(error) => return Err(error.into()),
    };
    let released = leaving.word == LeaveWord::Release;
    let made = json!({"left": left.at, "network": left.network, "told": !leaving.untold, "released": released});
    out.result(&made, || {
        let heard = if leaving.untold {
            "The network was not told: until it hears of it, it counts this chapter as one that is offline"
        } else if released {
            "What the network has of this chapter is frozen there; it may go on with these people, if it says so, too"
        } else {
            "What the network has of this chapter is frozen there: shown, not written, and in no total"
        };
        format!(
            "left {} on {}. Everything stays here, and this node works on. {heard}. A new invitation takes it up again",
            left.network,
            left.at.for_people()
        )
    });
    Ok(())
}

/// Shows what the network will see, and has somebody accept it; gives the version that was accepted.
fn accept(offer: &JoinOffer, accepted: bool) -> Result<u64, Failure> {
    Out::note(&format!(
        "{} invites this node into its chapter {}.\n\n{}\n",
        offer.network, offer.chapter, offer.statement
    ));
    if !accepted && !asked()? {
        return Err(Failure::refused("not joined: what the network will see was not accepted"));
    }
    Ok(offer.statement_version)
}

fn asked() -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let hint = "read it, then give --accept-statement";
        return Err(Failure::refused("somebody has to accept what the network will see").hint(hint));
    }
    Out::note("Do you accept that? [y/N]");
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::failed(format!("could not read the answer: {error}")))?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn note(node: &Node, command: &Note, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        Note::Add { id, text } => {
            let person = find_person(node, id)?.document;
            let id = node.add_note(person, text.as_str().into(), by)?;
            out.result(&json!({"id": id.to_string()}), || id.to_string());
        }
        Note::List { id } => {
            let person = find_person(node, id)?.document;
            let notes = node.read(|read| read.notes(person))?;
            let one = |note: &store::Note| json!({"id": note.id.to_string(), "kind": note.kind, "by": note.by, "text": note.text, "at": note.at, "event": note.event.map(|id| id.to_string())});
            let made: Vec<Value> = notes.iter().map(one).collect();
            out.result(&json!({"notes": made}), || {
                let row = |note: &store::Note| {
                    vec![
                        note.at.for_people(),
                        note.by.expose().to_owned(),
                        note.kind.clone(),
                        note.text.expose().to_owned(),
                    ]
                };
                let rows: Vec<Vec<String>> = notes.iter().map(row).collect();
                if rows.is_empty() { "no notes".to_owned() } else { table(&["when", "who", "kind", "text"], &rows) }
            });
        }
    }
    Ok(())
}

fn card(node: &Node, command: &Card, out: Out, by: &str) -> Result<(), Failure> {
    node.settle()?;
    let own = node.read(|read| read.own_scope())?;
    let chapter = own.ok_or_else(|| Failure::refused("this node belongs to no chapter yet"))?;
    if let Card::Edit { edits } = command {
        let read = |edit: &String| {
            let (field, value) =
                edit.split_once('=').ok_or_else(|| Failure::usage(format!("{edit:?} is not FIELD=VALUE")))?;
            Ok::<_, Failure>((field.to_owned(), value.to_owned()))
        };
        let edits = edits.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if node.read(|read| read.card_document(chapter))?.is_none() {
            return Err(
                Failure::refused("the card has not come from the network yet").hint("run `chapter-node sync` first")
            );
        }
        node.edit_card(chapter, &edits, by)?;
    }
    let card = node.read(|read| read.card(chapter))?.unwrap_or_default();
    out.result(&json!({"card": card.fields}), || {
        let rows: Vec<Vec<String>> =
            card.fields.iter().map(|(field, value)| vec![field.clone(), value.clone()]).collect();
        table(&["field", "value"], &rows)
    });
    Ok(())
}

fn today(node: &Node, out: Out) -> Result<(), Failure> {
    let tally = node.tally()?;
    let filter = Filter { untried: true, ..Filter::default() };
    let people = node.read(|read| read.people(&filter, Page { limit: NEW_SHOWN, after: None }))?;
    let made: Vec<Value> = people.iter().map(person_json).collect();
    out.result(&json!({"new": made, "conflicts": tally.conflicts, "proposals": tally.proposals}), || {
        let row = |person: &store::PersonRow| {
            let id = person.supporter.id.to_string();
            let phone = person.supporter.phones.first().map_or("", |phone| phone.number.as_str()).to_owned();
            vec![
                id[id.len() - 8..].to_owned(),
                person.supporter.display_name(),
                phone,
                ago(Some(person.supporter.id.created_at()), node.now()),
            ]
        };
        let rows: Vec<Vec<String>> = people.iter().map(row).collect();
        if rows.is_empty() {
            "nobody new to call".to_owned()
        } else {
            table(&["id", "to call", "phone", "signed up"], &rows)
        }
    });
    Ok(())
}
