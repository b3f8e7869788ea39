//! Sign-ups from a CSV file: every row is read and placed before anything is stored.

use std::fmt::Display;
use std::io;
use std::path::Path;

use atlas::{Atlas, TerritorySet};
use cli::{Failure, Out};
use model::{SignUp, SignUpOrigin};
use node::{Node, NodeError, Posted, SignedUp};
use serde_json::{Value, json};

use crate::routing::Routing;

/// The most rows of one file: beyond it, split the file (its rows are held in memory until they are stored).
const ROWS_MAX: usize = 1_000_000;
/// The most columns: a person has at most 50 fields of her own, beside the ones that have names.
const COLUMNS_MAX: usize = 60;

/// A file with its rows as they are, none of them read.
struct Table {
    names: Vec<String>,
    /// By number; the head is row 1.
    rows: Vec<(usize, Result<csv::ByteRecord, String>)>,
}

/// A row as it was read.
struct Row {
    number: usize,
    read: Result<(Posted, atlas::Placement), String>,
}

pub(crate) fn run(node: &Node, file: &Path, dry_run: bool, out: Out) -> Result<(), Failure> {
    let rows = read(node, file)?;
    let posted: Vec<Posted> =
        rows.iter().filter_map(|row| row.read.as_ref().ok()).map(|(posted, _)| posted.clone()).collect();
    let total = posted.len();
    let outcomes = if dry_run {
        Vec::new()
    } else {
        let done = node.sign_up_many(&posted, |done| Out::progress(&format!("{done} of {total} sign-ups stored")))?;
        Out::progress_done();
        done
    };
    report(node, &rows, &outcomes, dry_run, out);
    Ok(())
}

fn read(node: &Node, file: &Path) -> Result<Vec<Row>, Failure> {
    let unreadable = |error: &dyn Display| Failure::refused(format!("{} can't be read: {error}", file.display()));
    let opened = std::fs::File::open(file).map_err(|error| unreadable(&error))?;
    let Table { names, rows } = table(opened, unreadable)?;
    let (atlas, country) = (Routing::new(node).atlas()?, node.row().country.clone());
    let read_one = |(number, record): &(usize, Result<csv::ByteRecord, String>)| {
        let read = record.as_ref().map_err(Clone::clone);
        Row { number: *number, read: read.and_then(|record| read_row(&names, record, &country, &atlas)) }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = rows.len().div_ceil(cores).max(1);
    let read = std::thread::scope(|scope| {
        let read_share = |share| scope.spawn(move || <[_]>::iter(share).map(read_one).collect::<Vec<_>>());
        let threads: Vec<_> = rows.chunks(share).map(read_share).collect();
        threads.into_iter().map(|thread| thread.join().ok()).collect::<Option<Vec<_>>>()
    });
    let read = read.ok_or_else(|| Failure::failed("reading the rows broke off"))?;
    Ok(read.into_iter().flatten().collect())
}

/// The rows of a file that has a head which names people.
fn table(file: impl io::Read, unreadable: impl Fn(&dyn Display) -> Failure) -> Result<Table, Failure> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let head = reader.byte_headers().map_err(|error| unreadable(&error))?;
    let names: Vec<String> = head
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim().trim_start_matches('\u{feff}').to_owned())
        .collect();
    if names.len() > COLUMNS_MAX {
        return Err(unreadable(&format!("it has {} columns; at most {COLUMNS_MAX} are read", names.len())));
    }
    if !names.iter().any(|name| ["email", "phone"].contains(&name.as_str())) {
        let hint = "name the columns as OSDI does: given_name, family_name, email, phone, postal_code, locality, region, country";
        return Err(unreadable(&"it has neither a column email nor phone").hint(hint));
    }
    let mut rows = Vec::new();
    let mut records = reader.byte_records();
    for nth in 0.. {
        let line = records.reader().position().line();
        let Some(record) = records.next() else { break };
        let lines = records.reader().position().line().saturating_sub(line);
        if lines > 1 && record.as_ref().is_ok_and(|record| record.len() != names.len()) {
            let words = format!("a quotation mark opens in line {line} and does not close for {lines} lines");
            return Err(unreadable(&words).hint("mend that line; nothing of the file was stored"));
        }
        if nth == ROWS_MAX {
            return Err(unreadable(&format!("it has more than {ROWS_MAX} rows")).hint("split the file"));
        }
        rows.push((nth + 2, record.map_err(|error| error.to_string())));
    }
    Ok(Table { names, rows })
}

/// How many rows of a file are sign-ups. For the fuzzer, which has no node: no territories, no country but one.
///
/// # Panics
/// When the index over no territories can't be made, which needs none.
pub fn reads_csv(bytes: &[u8]) -> usize {
    let atlas = Atlas::new(TerritorySet::default(), "US").expect("an index over no territories");
    let Ok(Table { names, rows }) = table(bytes, |error| Failure::refused(error.to_string())) else { return 0 };
    let read = |record: &csv::ByteRecord| read_row(&names, record, "US", &atlas).is_ok();
    rows.iter().filter(|(_, record)| record.as_ref().is_ok_and(read)).count()
}

fn read_row(
    names: &[String],
    record: &csv::ByteRecord,
    country: &str,
    atlas: &Atlas,
) -> Result<(Posted, atlas::Placement), String> {
    if record.len() != names.len() {
        return Err(format!("it has {} columns, the head has {}", record.len(), names.len()));
    }
    let cells: Vec<&str> =
        record.iter().map(std::str::from_utf8).collect::<Result<_, _>>().map_err(|_| "it is not UTF-8".to_owned())?;
    let fields = names.iter().map(String::as_str).zip(cells);
    let sign_up = SignUp::from_fields(fields, country).map_err(|errors| errors.to_string())?;
    let placement = atlas.place(&sign_up.place(), sign_up.chapter.as_deref());
    Ok((Posted { sign_up, origin: SignUpOrigin::Import, placement: placement.fact() }, placement))
}

fn report(node: &Node, rows: &[Row], outcomes: &[Result<SignedUp, NodeError>], dry_run: bool, out: Out) {
    let mut outcomes = outcomes.iter();
    let (mut new, mut updated, mut refused, mut waiting) = (0, 0, 0, 0);
    for row in rows {
        let outcome = if row.read.is_ok() { outcomes.next() } else { None };
        let error = match (&row.read, outcome) {
            (Err(error), _) => Some(error.clone()),
            (Ok(_), Some(Err(error))) => Some(error.to_string()),
            (Ok(_), _) => None,
        };
        let line = match (&row.read, error) {
            (Ok((_, placement)), None) => {
                let signed_up = outcome.and_then(|outcome| outcome.as_ref().ok());
                // Somebody who is known stays where she is, wherever this row would have been placed.
                let there = signed_up.filter(|signed_up| !signed_up.new).and_then(|signed_up| {
                    node.read(|read| read.record(signed_up.person)).ok().map(|person| person.slug)
                });
                let chapter = there.unwrap_or_else(|| placement.chapter.clone());
                waiting += usize::from(chapter.is_none());
                let is_new = signed_up.is_none_or(|signed_up| signed_up.new);
                new += usize::from(is_new);
                updated += usize::from(!is_new);
                json!({
                    "row": row.number, "outcome": if is_new { "new" } else { "updated" },
                    "id": signed_up.map(|signed_up| signed_up.person.to_string()), "chapter": chapter,
                    "reason": placement.reason, "flags": placement.flags, "error": null,
                })
            }
            (_, error) => {
                refused += 1;
                let error = error.unwrap_or_default();
                if !out.is_json() {
                    Out::note(&format!("row {}: {error}", row.number));
                }
                json!({"row": row.number, "outcome": "refused", "error": error})
            }
        };
        if out.is_json() {
            Out::line(&line.to_string());
        }
    }
    let summary: Value = json!({"summary": {
        "rows": rows.len(), "new": new, "updated": updated, "refused": refused, "waiting": waiting, "dry_run": dry_run,
    }});
    out.result(&summary, || {
        let would = if dry_run { "nothing was stored: " } else { "" };
        format!(
            "{would}{} rows: {new} new, {updated} known, {refused} refused; {waiting} wait for a chapter",
            rows.len()
        )
    });
}
