//! The benchmark: real programs over loopback, durable, each figure beside a floor of the same run; then one link of
//! two large nodes, byte by byte.
//!
//! `cargo xtask bench [--json FILE] [--quick]`. The floor is plain SQLite inserting the same rows with the same durability.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::bench::{Asked, Figure, Unit, links};
use tests::floor::{Floor, Row};
use tests::harness::{Node, say, until};
use tests::{http, sign_ups};

/// Runs the benchmark.
#[derive(Parser)]
struct Arguments {
    /// A tenth of the data
    #[arg(long)]
    quick: bool,
    /// Write the figures here
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Edits that are timed.
const EDITS: usize = 300;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (count, linked) = if arguments.quick { (2_000, 10_000) } else { (20_000, 100_000) };
    let directory = TempDir::new()?;
    let text = sign_ups::csv(count, 11);
    let file = directory.path().join("people.csv");
    std::fs::write(&file, &text)?;

    let mut hub = Node::hub(&directory.path().join("hub"));
    hub.run(&["init", "--name", "Bench", "--country", "US"])?;
    hub.run(&[
        "chapter",
        "add",
        "all",
        "--name",
        "Everywhere",
        "--region",
        "US-CA,US-IL",
        "--postal",
        "0*,1*,2*,3*,4*,5*,6*,7*,8*,9*",
    ])?;
    let floor = floor(&directory.path().join("floor"), &text)?;

    let began = Instant::now();
    hub.run(&["signup", "import", file.to_str().context("a path in UTF-8")?])?;
    let created = count as f64 / began.elapsed().as_secs_f64();

    hub.serve()?;
    let mut chapter = Node::chapter(&directory.path().join("all"));
    let invite = hub.run(&["invite", "all"])?;
    chapter.run(&["join", &invite, "--accept-statement"])?;
    let (here, there) = (token(&chapter, "organiser")?, token(&hub, "staff")?);
    let began = Instant::now();
    chapter.serve()?;
    let last = format!("supporter11-{}@example.org", count - 1);
    until("the last one can be searched at the chapter", || {
        let found = get(&chapter, &here, &format!("/api/v1/people?query={last}"))?;
        Ok(found["people"].as_array().is_some_and(|people| !people.is_empty()).then_some(()))
    })?;
    let joined = count as f64 / began.elapsed().as_secs_f64();

    let edits = edit_latency((&hub, there.as_str()), (&chapter, here.as_str()), &last)?;
    let p99 = edits[edits.len() * 99 / 100];
    let p50 = edits[edits.len() / 2];
    let bytes = std::fs::metadata(chapter.data.join(store::DATABASE_FILE))?.len() as f64 / count as f64;
    chapter.stop()?;
    hub.stop()?;
    let per_second = |what: &str, value: f64| Figure::new(what, value, Unit::PerSecond).beside(floor.rows_per_second);
    let commits = |what: &str, value: f64| Figure::new(what, value, Unit::Ms).beside(floor.commit_ms);
    let mut figures = vec![
        per_second("sign-ups created at the hub, durable, placed, with view", created).asked(Asked::AtLeast(5_000.0)),
        per_second("joining chapter, until the last is searchable", joined).asked(Asked::AtLeast(15_000.0)),
        commits("edit at the chapter visible at the hub, p99", p99)
            .asked(Asked::AtMost(50.0))
            .made_of("the floor is one commit".to_owned()),
        commits("the same, p50", p50),
        Figure::new("disk a supporter at the chapter, after joining", bytes, Unit::Bytes).beside(floor.bytes_per_row),
    ];
    figures.extend(links(&directory.path().join("links"), linked)?);
    report(count, &figures, arguments.json.as_deref())
}

fn floor(directory: &Path, text: &str) -> Result<Floor> {
    let rows = text.lines().skip(1).map(|line| Row {
        words: line.replace(',', " "),
        blob: vec![7; 1400],
        view: "v".repeat(900),
    });
    Floor::measure(directory, &rows.collect::<Vec<_>>())
}

/// A token for a program: nobody logs in while the clock runs.
fn token(node: &Node, role: &str) -> Result<String> {
    node.run(&["token", "add", "bench", "--role", role])
}

fn get(node: &Node, token: &str, path: &str) -> Result<Value> {
    http::send(node.http(), "GET", path, &[("OSDI-API-Token", token)], &[])?.json()
}

/// How long each edit, posted at the chapter's page, takes until the hub shows it; in ms, sorted. Each node with a token.
fn edit_latency(hub: (&Node, &str), chapter: (&Node, &str), email: &str) -> Result<Vec<f64>> {
    let found = get(chapter.0, chapter.1, &format!("/api/v1/people?query={email}"))?;
    let id = found.pointer("/people/0/id").and_then(Value::as_str).context("the person")?.to_owned();
    let mut times = Vec::with_capacity(EDITS);
    for n in 0..EDITS {
        let name = format!("Edited{n}");
        let began = Instant::now();
        let form = format!(
            "family_name={name}&was_family_name={}",
            if n == 0 { current(chapter, &id)? } else { format!("Edited{}", n - 1) }
        );
        let headers = [("OSDI-API-Token", chapter.1), ("Content-Type", "application/x-www-form-urlencoded")];
        let posted = http::send(chapter.0.http(), "POST", &format!("/people/{id}/fields"), &headers, form.as_bytes())?;
        anyhow::ensure!(posted.status == 303, "the edit was answered {}", posted.status);
        until("the hub shows the edit", || {
            let shown = get(hub.0, hub.1, &format!("/api/v1/people/{id}"))?;
            Ok((shown["family_name"] == name).then_some(()))
        })?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn current((node, token): (&Node, &str), id: &str) -> Result<String> {
    let shown = get(node, token, &format!("/api/v1/people/{id}"))?;
    Ok(shown["family_name"].as_str().unwrap_or_default().replace('ü', "%C3%BC"))
}

fn report(count: usize, figures: &[Figure], file: Option<&Path>) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    say(&format!("\n{count} people, {cores} cores, loopback, synchronous=FULL. The floor is plain SQLite with the"));
    say(
        "same rows, an index, full-text search and the same durability, in this run; for comparing it is one pass over",
    );
    say("ids and heads. Lines about a link say how many documents it has.\n");
    say(Figure::HEAD);
    figures.iter().for_each(|figure| say(&figure.row()));
    say("");
    figures.iter().filter_map(Figure::split).for_each(|split| say(&format!("- {split}")));
    if let Some(file) = file {
        let made: Vec<Value> = figures.iter().map(Figure::json).collect();
        std::fs::write(file, serde_json::to_string_pretty(&json!({"count": count, "cores": cores, "figures": made}))?)?;
    }
    Ok(())
}
