//! `handover`, `handover open`, `handover cancel` and `retire`: a node goes to another machine.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _};
use std::path::Path;

use node::{Node, Passphrase, Retirement, SyncOutcome};
use serde_json::{Value, json};

use crate::shared::Handover;
use crate::sync::runtime;
use crate::{Failure, Globals, Out, Program};

/// The longest line that can hold a passphrase, in bytes: 39 with its hyphens, and room for spaces.
const PASSPHRASE_LINE_MAX: u64 = 200;

pub(crate) fn run(
    globals: &Globals,
    program: Program,
    asked: (Option<&Path>, Option<&Handover>),
    out: Out,
    by: &str,
) -> Result<(), Failure> {
    match asked {
        (Some(file), None) => hand_over(&globals.open(program)?, file, program, out, by),
        (None, Some(Handover::Open { file, passphrase_file })) => {
            open(&globals.directory(program)?, (file, passphrase_file.as_deref()), program, out, by)
        }
        (None, Some(Handover::Cancel)) => cancel(&globals.open(program)?, out, by),
        (None, None) | (Some(_), Some(_)) => {
            Err(Failure::usage("say one of `handover FILE`, `handover open FILE` and `handover cancel`"))
        }
    }
}

fn hand_over(node: &Node, file: &Path, program: Program, out: Out, by: &str) -> Result<(), Failure> {
    node.may_hand_over(file)?;
    let exchange = match exchange(node)? {
        None => "none",
        Some(SyncOutcome::InStep) => "in_step",
        Some(SyncOutcome::Unreachable(words)) => {
            Out::note(&format!(
                "not exchanged before: the network can't be reached ({words}). The new machine does it"
            ));
            "unreachable"
        }
        Some(SyncOutcome::Refused(words)) => {
            Out::note(&format!("not exchanged before: the network refused ({words})"));
            "refused"
        }
    };
    let made = node.hand_over(file, by)?;
    let (passphrase, counted) = (made.passphrase.to_string(), made.inventory);
    let shown = json!({
        "file": file.display().to_string(), "passphrase": passphrase, "state_hash": counted.state_hash.to_string(),
        "people": counted.people, "notes": counted.notes, "exchange": exchange, "handed_over_at": made.at,
    });
    out.result(&shown, || {
        format!(
            "passphrase: {passphrase}\n\
             It is shown this once and kept nowhere: carry it another way than the file.\n\n\
             {} holds {}: {} people, {} private notes, state hash {}\n\n\
             On the new machine:  {program} handover open FILE --data DIR\n\
             When that works, here:  {program} retire --yes\n\
             If it never comes up:  {program} handover cancel",
            file.display(),
            node.row().name,
            counted.people,
            counted.notes,
            counted.state_hash,
            program = program.name,
        )
    });
    Ok(())
}

/// One exchange, so that the network has everything before the node is on its way; nothing without a parent.
fn exchange(node: &Node) -> Result<Option<SyncOutcome>, Failure> {
    if !node.read(|read| read.has_parent())? {
        return Ok(None);
    }
    Ok(Some(runtime()?.block_on(node.sync())?))
}

fn open(
    directory: &Path,
    (file, passphrase_file): (&Path, Option<&Path>),
    program: Program,
    out: Out,
    by: &str,
) -> Result<(), Failure> {
    let passphrase = read_passphrase(passphrase_file)?;
    let taken = node::take_over(directory, file, &passphrase, program.kind, by)?;
    let counted = taken.inventory;
    let made = json!({
        "node": taken.node.node_id.to_string(), "name": taken.node.name, "kind": taken.node.kind.word(),
        "incarnation": taken.node.incarnation.to_string(), "data": directory.display().to_string(),
        "state_hash": counted.state_hash.to_string(), "people": counted.people, "notes": counted.notes,
        "handed_over_at": taken.at,
    });
    out.result(&made, || {
        format!(
            "{} lives in {} now: {} people, {} private notes, state hash {}, as it was handed over on {}.\n\
             Now: {program} serve. When it works, run `{program} retire --yes` on the old machine and destroy the file",
            taken.node.name,
            directory.display(),
            counted.people,
            counted.notes,
            counted.state_hash,
            taken.at.for_people(),
            program = program.name,
        )
    });
    Ok(())
}

/// Reads a passphrase from a file or from standard input; never from an argument, which every process on the machine can
/// read.
///
/// # Errors
/// When it can't be read, or is none.
pub fn read_passphrase(file: Option<&Path>) -> Result<Passphrase, Failure> {
    let Some(path) = file else {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            Out::note("The passphrase that was printed with the file:");
        }
        return first_line(stdin.lock(), "standard input");
    };
    let name = path.display().to_string();
    let opened = File::open(path).map_err(|error| Failure::failed(format!("could not read {name}: {error}")))?;
    first_line(BufReader::new(opened), &name)
}

fn first_line(from: impl BufRead, name: &str) -> Result<Passphrase, Failure> {
    let mut line = String::new();
    from.take(PASSPHRASE_LINE_MAX)
        .read_line(&mut line)
        .map_err(|error| Failure::failed(format!("could not read {name}: {error}")))?;
    Ok(line.trim().parse::<Passphrase>()?)
}

fn cancel(node: &Node, out: Out, by: &str) -> Result<(), Failure> {
    let at = node.take_back(by)?;
    out.result(&json!({"node": node.id().to_string(), "handed_over_at": at, "cancelled": true}), || {
        format!(
            "{} lives here again: the hand-over of {} is taken back. Destroy its file. If the new machine came up after \
             all, wipe that one: two machines of one node push each other off the line",
            node.row().name,
            at.for_people(),
        )
    });
    Ok(())
}

pub(crate) fn show_retirement(globals: &Globals, program: Program, out: Out) -> Result<(), Failure> {
    let planned = node::plan_retirement(&globals.place(program), program.kind)?;
    let retired = planned.wiped.is_empty();
    let mut made = retirement_json(&planned);
    if let Some(object) = made.as_object_mut().filter(|_| !retired) {
        object.insert("retired_at".to_owned(), Value::Null);
        object.insert("would_wipe".to_owned(), json!(planned.wiped));
    }
    out.result(&made, || {
        let receipt = &planned.receipt;
        if retired {
            return format!("{} was retired on {}", receipt.name, receipt.retired_at.for_people());
        }
        format!(
            "{} was handed over on {}, with state hash {}. Would be overwritten and removed: {}.{}\nSay --yes to do it",
            receipt.name,
            receipt.handed_over_at.for_people(),
            receipt.state_hash,
            planned.wiped.join(", "),
            left_words(&planned),
        )
    });
    Ok(())
}

pub(crate) fn retire(globals: &Globals, program: Program, out: Out) -> Result<(), Failure> {
    let directory = globals.place(program);
    let done = node::retire(&directory, program.kind)?;
    out.result(&retirement_json(&done), || {
        let receipt = serde_json::to_string_pretty(&done.receipt).unwrap_or_default();
        format!(
            "{} is retired: nothing of it is left in {} but this receipt, retired.json.{}\n{receipt}",
            done.receipt.name,
            directory.display(),
            left_words(&done),
        )
    });
    Ok(())
}

fn retirement_json(retirement: &Retirement) -> Value {
    let mut made = json!(retirement.receipt);
    if let Some(object) = made.as_object_mut() {
        object.insert("left".to_owned(), json!(retirement.left));
    }
    made
}

fn left_words(retirement: &Retirement) -> String {
    if retirement.left.is_empty() {
        return String::new();
    }
    format!("\nNot the node's, and left as it is: {}", retirement.left.join(", "))
}
