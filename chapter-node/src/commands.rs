//! Runs the commands of `chapter-node`.

use std::io::{BufRead as _, IsTerminal as _};

use clap::CommandFactory as _;
use cli::{
    Begun, Config, Failure, Globals, Out, ServePlan, Shared, find_person, life, print_invite, read_invite, run_shared,
    runtime, serve, sync, table,
};
use node::{
    Accepting, ErrorKind, Invite, JoinOffer, Leaving, Node, PagesTls, ask_for_invite, follow, join, leave, look,
};
use serde_json::{Value, json};
use store::{DATABASE_FILE, LeaveWord, LinkStanding};
use web::shared_json;

use crate::arguments::{Arguments, Card, Command, Note, PROGRAM, Share};
use crate::{case, figures, first_run, site, today};

/// Where pages are served, if nothing else is said: to this machine, and with `--lan` to all that reach it.
const HTTP: &str = "127.0.0.1:8090";
const HTTP_LAN: &str = "0.0.0.0:8090";

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { globals, command } = arguments;
    let (out, by) = (Out::new(globals.json), globals.by()?);
    let Some(command) = command else { return open(&globals, &by) };
    match command {
        Command::Shared(Shared::Completions { shell }) => {
            clap_complete::generate(shell, &mut Arguments::command(), PROGRAM.name, &mut std::io::stdout());
            Ok(())
        }
        Command::Join { invite, name, accept_statement } => {
            join_network(&globals, invite.as_deref(), (name.as_deref(), accept_statement), out, &by)
        }
        Command::Invite { expires, shape } => {
            let node = globals.open(PROGRAM)?;
            let invite = runtime()?.block_on(ask_for_invite(&node, life(&expires)?, &by))?;
            print_invite(&invite, shape, out)
        }
        Command::Serve { http, hosts, trusted_proxy, lan } => {
            let node = globals.open(PROGRAM)?;
            let config = Config::read(node.directory())?;
            let (mut rules, goals) = (config.rules(&hosts, &trusted_proxy, None)?, config.goals()?);
            let tls = if lan { Some(for_the_local_network(&node)?) } else { None };
            rules.own_tls = lan;
            // What the file says of this machine's pages is not meant for the network.
            let (configured, default) = if lan { (None, HTTP_LAN) } else { (config.http, HTTP) };
            let http = http.or(configured).unwrap_or_else(|| default.to_owned());
            let router = site::router(&node, rules, goals);
            serve(&node, ServePlan { tls, ..ServePlan::new(http, router) })
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
        Command::Share(Share::Show { id }) => share_show(&globals.open(PROGRAM)?, &id, out),
        Command::Note(command) => note(&globals.open(PROGRAM)?, &command, out, &by),
        Command::Card(command) => card(&globals.open(PROGRAM)?, &command, out, &by),
        Command::Metrics { from, to } => figures::command(&globals.open(PROGRAM)?, (from, to), out),
        Command::Case(command) => case::command(&globals.open(PROGRAM)?, &command, out, &by),
        Command::Today { mine } => {
            let node = globals.open(PROGRAM)?;
            today::tell(&node, mine.as_deref(), Config::read(node.directory())?.goals()?, out)
        }
        Command::Shared(command) => run_shared(&globals, PROGRAM, &command, out, &by),
    }
}

/// Serves to this machine and opens the pages in a browser: with no data yet, on the page for the invitation.
fn open(globals: &Globals, by: &str) -> Result<(), Failure> {
    let directory = globals.directory(PROGRAM)?;
    let config = Config::read(&directory)?;
    let (rules, goals) = (config.rules(&[], &[], None)?, config.goals()?);
    let http = config.http.unwrap_or_else(|| HTTP.to_owned());
    let (node, begun): (Node, Option<Begun>) = if directory.join(DATABASE_FILE).exists() {
        (globals.open(PROGRAM)?, None)
    } else {
        match first_run::join_on_a_page(&http, &directory, by)? {
            Some((node, begun)) => (node, Some(begun)),
            None => return Ok(()),
        }
    };
    let router = site::router(&node, rules, goals);
    // Whoever has joined on the page has it open.
    let opens_browser = begun.is_none();
    serve(&node, ServePlan { opens_browser, begun, ..ServePlan::new(http, router) })
}

/// With what pages are encrypted that leave this machine; somebody has to be able to log in before they do.
fn for_the_local_network(node: &Node) -> Result<PagesTls, Failure> {
    if !node.read(|read| read.has_users())? {
        let words =
            "the pages are not opened to the local network: nobody can log in yet, and whoever is first there could";
        let hint = "make the first login on this machine: `chapter-node`, or `chapter-node user add NAME --role administrator`";
        return Err(Failure::refused(words).hint(hint));
    }
    Ok(PagesTls::open_or_make(node.directory())?)
}

fn join_network(
    globals: &Globals,
    invite: Option<&str>,
    (name, accepted): (Option<&str>, bool),
    out: Out,
    by: &str,
) -> Result<(), Failure> {
    let (invite, runtime) = (read_invite(invite)?, runtime()?);
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
        Err(error) if error.kind() == ErrorKind::Refused && error.hint().is_none() => {
            let hint =
                "nothing has changed here. If the network has shut this node out, `leave --offline` ends it here";
            return Err(Failure::from(error).hint(hint));
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

fn share_show(node: &Node, id: &str, out: Out) -> Result<(), Failure> {
    let found = find_person(node, id)?;
    let person = node.read(|read| read.person(found.document))?;
    let made = shared_json(&person);
    out.result(&made, || {
        if made["kept_here"] == true {
            return "nothing: she is kept in this chapter and was not shared".to_owned();
        }
        let shown = serde_json::to_string_pretty(&made).unwrap_or_default();
        format!("The network sees this, and any chapter that she later belongs to:\n{shown}")
    });
    Ok(())
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
