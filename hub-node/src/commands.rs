//! Runs the commands of `hub-node`.

use std::path::PathBuf;

use clap::CommandFactory as _;
use cli::{Config, Failure, Globals, Out, ServePlan, Shared, find_person, run_shared, serve, sync, table};
use model::{PostalAddress, normalise_country};
use node::{HubDraft, Node, SignUpGate, public_addresses};
use serde_json::json;
use store::{Filter, Page};
use web::person_json;

use crate::arguments::{Arguments, Command, Locate, PROGRAM, Signup, Unplaced};
use crate::routing::Routing;
use crate::{between, chapters, held, import, nodes, site};

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { globals, ca_key_file, command } = arguments;
    let (out, by) = (Out::new(globals.json), globals.by()?);
    match command {
        Command::Init { name, country } => init(&globals, (&name, &country), ca_key_file, out),
        Command::Shared(Shared::Completions { shell }) => {
            clap_complete::generate(shell, &mut Arguments::command(), PROGRAM.name, &mut std::io::stdout());
            Ok(())
        }
        Command::Serve { http, grpc, grpc_public, hosts, trusted_proxy, second_factor } => {
            let node = globals.open(PROGRAM)?;
            let config = Config::read(node.directory())?;
            let rules = config.rules(&hosts, &trusted_proxy, second_factor.as_deref())?;
            if let Some(file) = ca_key_file.or(config.ca_key_file) {
                node.unlock_by(file);
            }
            let addresses = grpc_public.or(config.addresses.map(|addresses| addresses.join(",")));
            let addresses = addresses.map_or_else(|| Ok(Vec::new()), |addresses| public_addresses(&addresses))?;
            let pick = |flag: Option<String>, configured: Option<String>, default: &str| {
                flag.or(configured).unwrap_or_else(|| default.to_owned())
            };
            node.redraw_by(chapters::redraw);
            let http = pick(http, config.http, "127.0.0.1:8080");
            let grpc = Some(pick(grpc, config.grpc, "127.0.0.1:8443"));
            let router = site::router(&node, SignUpGate::new(config.sign_up_limits), rules);
            let beside = Some(between::keep_placing(&node));
            serve(&node, ServePlan { grpc, addresses, beside, ..ServePlan::new(http, router) })
        }
        Command::Join { invite } => between::join(&globals.open(PROGRAM)?, invite.as_deref(), out, &by),
        Command::Sync => sync(&globals.open(PROGRAM)?, "the hub above", out),
        Command::Chapter(command) => chapters::run(&globals.open(PROGRAM)?, &command, out, &by),
        Command::Invite { slug, expires, address, shape } => {
            nodes::invite(&globals.open(PROGRAM)?, (&slug, &expires, address.as_deref()), shape, out, &by)
        }
        Command::Invites(command) => nodes::invites(&globals.open(PROGRAM)?, &command, out, &by),
        Command::Node(command) => nodes::run(&globals.open(PROGRAM)?, &command, out, &by),
        Command::Ca(command) => nodes::ca(&globals, ca_key_file, &command, out, &by),
        Command::Locate(place) => locate(&globals.open(PROGRAM)?, &place, out),
        Command::Signup(Signup::Import { file, dry_run }) => import::run(&globals.open(PROGRAM)?, &file, dry_run, out),
        Command::Signup(Signup::Held(command)) => held::run(&globals.open(PROGRAM)?, &command, out, &by),
        Command::Unplaced(command) => unplaced(&globals.open(PROGRAM)?, &command, out, &by),
        Command::Shared(command) => run_shared(&globals, PROGRAM, &command, out, &by),
    }
}

fn init(
    globals: &Globals,
    (name, country): (&str, &str),
    ca_key_file: Option<PathBuf>,
    out: Out,
) -> Result<(), Failure> {
    let (directory, name) = (globals.directory(PROGRAM)?, name.trim());
    if name.is_empty() || name.len() > 200 {
        return Err(Failure::refused("a network needs a name of at most 200 bytes"));
    }
    let country = normalise_country(country).ok_or_else(|| {
        Failure::refused(format!("{country:?} is not a country: write its two letters (ISO 3166-1), like US"))
    })?;
    let ca_key_file = ca_key_file.or(Config::read(&directory)?.ca_key_file);
    let node = Node::init_hub(&directory, &HubDraft { name: name.to_owned(), country, ca_key_file })?;
    out.result(&json!({"node": node.id().to_string(), "data": directory}), || {
        format!(
            "{name} is ready in {}. Keep its keys elsewhere, too: `hub-node ca backup FILE`. Add a chapter, then \
             `hub-node serve`",
            directory.display()
        )
    });
    Ok(())
}

fn locate(node: &Node, place: &Locate, out: Out) -> Result<(), Failure> {
    let text = |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(Into::into);
    let country = match &place.country {
        None => None,
        Some(typed) => Some(normalise_country(typed).ok_or_else(|| {
            Failure::refused(format!("{typed:?} is not a country: write its two letters (ISO 3166-1), like US"))
        })?),
    };
    if let Some(code) = &place.postal_code {
        let country = country.as_deref().unwrap_or(&node.row().country);
        atlas::PostalCode::parse(code, country).map_err(|error| Failure::refused(error.to_string()))?;
    }
    let address = PostalAddress {
        postal_code: text(&place.postal_code),
        region: text(&place.region),
        locality: text(&place.city),
        country,
        ..PostalAddress::default()
    };
    let found = Routing::new(node).locate(&address)?;
    let made = serde_json::to_value(&found).map_err(|error| Failure::failed(error.to_string()))?;
    out.result(&made, || {
        let chapter = found.chapter.as_deref().unwrap_or("waiting");
        format!("{chapter}: {}", found.explanation)
    });
    Ok(())
}

fn unplaced(node: &Node, command: &Unplaced, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        Unplaced::List => {
            node.settle()?;
            let filter = Filter { waiting: Some(true), ..Filter::default() };
            let people = node.read(|read| read.people(&filter, Page { limit: 500, after: None }))?;
            out.result(&json!({"people": people.iter().map(person_json).collect::<Vec<_>>()}), || {
                let row = |person: &store::PersonRow| {
                    let id = person.supporter.id.to_string();
                    vec![
                        id[id.len() - 8..].to_owned(),
                        person.supporter.display_name(),
                        person.waiting.clone().unwrap_or_default(),
                    ]
                };
                let rows: Vec<Vec<String>> = people.iter().map(row).collect();
                if rows.is_empty() { "nobody waits".to_owned() } else { table(&["id", "name", "reason"], &rows) }
            });
            Ok(())
        }
        Unplaced::Assign { id, slug } => {
            let person = find_person(node, id)?.document;
            node.place_by_hand(person, slug, by)?;
            out.result(&json!({"id": person.to_string(), "chapter": slug}), || format!("placed into {slug}"));
            Ok(())
        }
    }
}
