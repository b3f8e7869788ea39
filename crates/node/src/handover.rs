//! A node goes to another machine: one sealed file out of its directory, and the same node made of it there.
//!
//! **Invariants:** the node is marked as handed over before it is copied, so that nothing is written here that is not in
//! the file; what came counts as the node only after it was read to its end and counted again; a hand-over or an opening
//! that fails leaves everything as it was. It is the same node with the same key, in a new life of its database.

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::{AuditKind, Timestamp};
use serde::{Deserialize, Serialize};
use store::{DATABASE_FILE, Inventory, NewAudit, NodeKind, NodeRow, Store, StoreError, private_directory};

use crate::belongings::{Belonging, Belongings, may_come, moving_file};
use crate::files::{failed, new_private_file, part_of, sync};
use crate::lock::{LOCK_FILE, ServeLock};
use crate::retire::wipe;
use crate::seal::{CantOpen, Opener, Passphrase, Purpose, Sealer};
use crate::{Node, NodeError, draw, folding};

/// Where a file is unpacked to, inside of the new directory. One that was left by a loss of power is removed.
const OPENING_FOLDER: &str = "handover.opening";
/// zstd's own default: a database is packed to a third, at the speed of a disk.
const PACK_LEVEL: i32 = 3;
/// The list of what is in a file: some hundreds of bytes for each.
const MANIFEST_BYTES_MAX: u32 = 64 * 1024;
/// A database, a ledger, the settings, and a handful of keys.
const FILES_MAX: usize = 32;
/// A file beside the database is read at once. A ledger of a million erasures has 200 MB.
const BESIDE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How much is unpacked at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// A node that was handed over.
#[derive(Clone, Debug)]
pub struct HandedOver {
    /// What opens the file. It is kept nowhere.
    pub passphrase: Passphrase,
    /// What the new machine has to count, too.
    pub inventory: Inventory,
    /// When the node was marked.
    pub at: Timestamp,
}

/// A node that came from another machine.
#[derive(Clone, Debug)]
pub struct TakenOver {
    /// What node it is.
    pub node: NodeRow,
    /// What was counted here, equal to what the file says.
    pub inventory: Inventory,
    /// When it was handed over.
    pub at: Timestamp,
}

/// What stands before the files.
#[derive(Serialize, Deserialize)]
struct Manifest {
    node: String,
    name: String,
    kind: String,
    at: Timestamp,
    state_hash: String,
    people: u64,
    notes: u64,
    /// The database first.
    files: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    bytes: u64,
}

impl Node {
    /// When this node was handed over to another machine; `None`: it lives here.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn handed_over(&self) -> Result<Option<Timestamp>, NodeError> {
        self.read(|read| read.handed_over())
    }

    /// Refuses what [`Node::hand_over`] would refuse, before anything is done for it.
    ///
    /// # Errors
    /// When the node serves, was handed over already, or the file can't be written there.
    pub fn may_hand_over(&self, file: &Path) -> Result<(), NodeError> {
        self.read(|read| read.lives_here())?;
        if self.is_served() {
            return Err(NodeError::AlreadyServed);
        }
        self.check_place(file)
    }

    /// Marks the node as handed over and packs it into a new file, which only its owner may read and the passphrase opens.
    /// Blocks.
    ///
    /// # Errors
    /// When the node serves, was handed over already, or the file can't be written: the node lives on here then.
    pub fn hand_over(&self, file: &Path, by: &str) -> Result<HandedOver, NodeError> {
        self.check_place(file)?;
        let _lock = self.take_lock()?;
        folding::fold_all(self)?;
        let at = draw::now();
        self.store().hand_over(at, &NewAudit::new(AuditKind::HandedOver, at).by(by))?;
        let made = self.pack(file, at);
        if made.is_err()
            && let Err(error) = self.store().take_back(&self.audit_by(AuditKind::HandOverCancelled, by))
        {
            // The node says so at the next command, and `handover cancel` mends it.
            tracing::error!(%error, "the mark of a hand-over that failed could not be taken away");
        }
        made
    }

    /// Takes a hand-over back: the node lives here again. Gives when it was handed over.
    ///
    /// # Errors
    /// When it was not handed over, or the database can't be written.
    pub fn take_back(&self, by: &str) -> Result<Timestamp, NodeError> {
        let _lock = ServeLock::take(self.directory(), &Arc::new(AtomicBool::new(false)))?;
        let nothing = || NodeError::Refused("this node was not handed over: there is nothing to take back".to_owned());
        let at = self.handed_over()?.ok_or_else(nothing)?;
        self.store().take_back(&self.audit_by(AuditKind::HandOverCancelled, by))?;
        Ok(at)
    }

    /// A new file, and not in the node's directory, where `retire` or a hasty hand would take it away.
    fn check_place(&self, file: &Path) -> Result<(), NodeError> {
        if file.exists() {
            return Err(NodeError::Refused(format!("{} is there already: name another file", file.display())));
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = fs::canonicalize(folder).map_err(failed("find", folder))?;
        let own = fs::canonicalize(self.directory()).map_err(failed("find", self.directory()))?;
        if folder.starts_with(own) {
            let words = format!("{} is in the node's own directory: name a place outside of it", file.display());
            return Err(NodeError::Refused(words));
        }
        Ok(())
    }

    fn pack(&self, file: &Path, at: Timestamp) -> Result<HandedOver, NodeError> {
        let copy = moving_file(self.directory());
        if copy.exists() {
            wipe(&copy)?;
        }
        let part = part_of(file);
        let copied = self.store().copy_to_move(&copy).map_err(NodeError::from);
        let sealed = copied.and_then(|()| self.seal(&copy, &part, at));
        // The copy holds names: it does not stay behind.
        let wiped = if copy.exists() { wipe(&copy) } else { Ok(()) };
        let made = sealed
            .and_then(|made| wiped.map(|()| made))
            .and_then(|made| fs::rename(&part, file).map(|()| made).map_err(failed("move into place", file)));
        if made.is_err() {
            // Half of a file opens nothing; the error says why there is no whole one.
            let _ = fs::remove_file(&part);
        }
        made
    }

    /// Writes the sealed file from a copy of the database and what belongs to the node beside it.
    fn seal(&self, copy: &Path, part: &Path, at: Timestamp) -> Result<HandedOver, NodeError> {
        let inventory = self.read(|read| read.inventory())?;
        let beside = read_beside(self.directory())?;
        let bytes = fs::metadata(copy).map_err(failed("read", copy))?.len();
        let database = Item { name: DATABASE_FILE.to_owned(), bytes };
        let others = beside.iter().map(|(name, content)| Item { name: name.clone(), bytes: content.len() as u64 });
        let row = self.row();
        let manifest = Manifest {
            node: row.node_id.to_string(),
            name: row.name.clone(),
            kind: row.kind.word().to_owned(),
            at,
            state_hash: inventory.state_hash.to_string(),
            people: inventory.people,
            notes: inventory.notes,
            files: [database].into_iter().chain(others).collect(),
        };
        let passphrase = draw::passphrase();
        if part.exists() {
            fs::remove_file(part).map_err(failed("remove", part))?;
        }
        let target = new_private_file(part).map_err(failed("make", part))?;
        let sealer = Sealer::begin(target, Purpose::Handover, passphrase.bytes(), &draw::salt())
            .map_err(failed("write", part))?;
        let sealer = write_packed(sealer, &manifest, copy, &beside).map_err(failed("write", part))?;
        let target = sealer.end().map_err(failed("write", part))?;
        target.sync_all().map_err(failed("write", part))?;
        Ok(HandedOver { passphrase, inventory, at })
    }
}

/// The files that go with the node, beside its database.
fn read_beside(directory: &Path) -> Result<Vec<(String, Vec<u8>)>, NodeError> {
    let own = Belongings::of(directory)?.own;
    let moving = own.into_iter().filter(|(_, belonging)| *belonging == Belonging::Moves);
    let read = |(name, _): (String, Belonging)| {
        let path = directory.join(&name);
        let bytes = fs::metadata(&path).map_err(failed("read", &path))?.len();
        if bytes > BESIDE_BYTES_MAX {
            let words = format!("{} has {bytes} bytes; at most {BESIDE_BYTES_MAX} go along", path.display());
            return Err(NodeError::Refused(words));
        }
        Ok((name, fs::read(&path).map_err(failed("read", &path))?))
    };
    let beside = moving.map(read).collect::<Result<Vec<_>, _>>()?;
    if beside.len() >= FILES_MAX {
        let words = format!("{} files lie beside the database; fewer than {FILES_MAX} go along", beside.len());
        return Err(NodeError::Refused(words));
    }
    Ok(beside)
}

/// The manifest with its length before it, then each file as long as the manifest says; all of it packed.
fn write_packed<W: Write>(
    sealer: Sealer<W>,
    manifest: &Manifest,
    database: &Path,
    beside: &[(String, Vec<u8>)],
) -> io::Result<Sealer<W>> {
    let mut packer = zstd::stream::write::Encoder::new(sealer, PACK_LEVEL)?;
    let text = serde_json::to_vec(manifest)?;
    let length = u32::try_from(text.len()).ok().filter(|length| *length <= MANIFEST_BYTES_MAX);
    packer.write_all(&length.ok_or_else(|| io::Error::other("the list of files is too long"))?.to_be_bytes())?;
    packer.write_all(&text)?;
    let copied = io::copy(&mut fs::File::open(database)?, &mut packer)?;
    if manifest.files.first().is_none_or(|item| item.bytes != copied) {
        return Err(io::Error::other("the copy of the database changed while it was packed"));
    }
    beside.iter().try_for_each(|(_, content)| packer.write_all(content))?;
    packer.finish()
}

/// Makes the node of a hand-over file live in an empty directory, which is made if it is not there. Blocks.
///
/// # Errors
/// When the directory is not empty, the passphrase is not the file's, the file is damaged, of the other program or of a
/// newer version, or what is counted is not what it says: the directory is as before then.
pub fn take_over(
    directory: &Path,
    file: &Path,
    passphrase: &Passphrase,
    kind: NodeKind,
    by: &str,
) -> Result<TakenOver, NodeError> {
    let there = directory.exists();
    if there {
        must_be_empty(directory)?;
    } else {
        private_directory(directory)?;
    }
    let locked = directory.join(LOCK_FILE).exists();
    let opening = directory.join(OPENING_FOLDER);
    let taken = ServeLock::take(directory, &Arc::new(AtomicBool::new(false))).and_then(|_lock| {
        let said = NewAudit::new(AuditKind::TakenOver, draw::now()).by(by);
        let taken = unpack(&opening, file, passphrase, (kind, &said)).and_then(|(taken, names)| {
            private_directory(directory)?;
            move_in(&opening, directory, &names)?;
            Ok(taken)
        });
        if let Err(error) = remove_folder(&opening) {
            tracing::warn!(%error, "what was unpacked could not be removed; the next opening does it");
        }
        taken
    });
    if taken.is_err() {
        // Whatever can't be removed here is empty.
        if !locked {
            let _ = fs::remove_file(directory.join(LOCK_FILE));
        }
        if !there {
            let _ = fs::remove_dir(directory);
        }
    }
    taken
}

fn must_be_empty(directory: &Path) -> Result<(), NodeError> {
    if directory.join(DATABASE_FILE).exists() {
        return Err(StoreError::NodeThere(directory.to_owned()).into());
    }
    for entry in fs::read_dir(directory).map_err(failed("read", directory))? {
        let name = entry.map_err(failed("read", directory))?.file_name();
        if name != LOCK_FILE && name != OPENING_FOLDER {
            let words = format!("{} is not empty: open a hand-over in an empty directory", directory.display());
            return Err(NodeError::Refused(words));
        }
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<(), NodeError> {
    if folder.exists() { fs::remove_dir_all(folder).map_err(failed("remove", folder)) } else { Ok(()) }
}

/// The database last: where it is, there is a node. What was moved before a failure goes again.
fn move_in(opening: &Path, directory: &Path, names: &[String]) -> Result<(), NodeError> {
    for (moved, name) in names.iter().rev().enumerate() {
        let target = directory.join(name);
        if let Err(error) = fs::rename(opening.join(name), &target) {
            for name in names.iter().rev().take(moved) {
                let _ = fs::remove_file(directory.join(name));
            }
            return Err(failed("move into place", &target)(error));
        }
    }
    sync(directory)
}

fn cut_or_changed(file: &Path) -> NodeError {
    NodeError::Damaged(format!(
        "{} was cut off or changed on its way: copy it again, or hand over again",
        file.display()
    ))
}

fn newer(file: &Path) -> NodeError {
    NodeError::Refused(format!("{} was made by a newer version: install that version here first", file.display()))
}

/// What the system says of a disk is the disk's; anything else is damage of what is read.
fn unreadable(file: &Path) -> impl Fn(io::Error) -> NodeError {
    move |error| if error.raw_os_error().is_some() { failed("read", file)(error) } else { cut_or_changed(file) }
}

fn cant_open(file: &Path, error: CantOpen) -> NodeError {
    match error {
        CantOpen::NotSealed => NodeError::Refused(format!("{} is not a hand-over file", file.display())),
        CantOpen::Newer => newer(file),
        CantOpen::WrongPassphrase => NodeError::Refused(format!("this passphrase does not open {}", file.display())),
        CantOpen::Cut => cut_or_changed(file),
        CantOpen::Unreadable(error) => failed("read", file)(error),
    }
}

/// Unpacks a file into a fresh folder and makes sure that it is what it says; gives the names that are there, the database
/// first.
fn unpack(
    opening: &Path,
    file: &Path,
    passphrase: &Passphrase,
    (kind, said): (NodeKind, &NewAudit),
) -> Result<(TakenOver, Vec<String>), NodeError> {
    let sealed = fs::File::open(file).map_err(failed("read", file))?;
    let opener = Opener::begin(BufReader::new(sealed), Purpose::Handover, passphrase.bytes())
        .map_err(|error| cant_open(file, error))?;
    let mut packed = zstd::stream::read::Decoder::new(opener).map_err(unreadable(file))?;
    let manifest = read_manifest(&mut packed, file)?;
    if manifest.kind != kind.word() {
        let found = if kind == NodeKind::Hub { NodeKind::Chapter } else { NodeKind::Hub };
        let (path, found, wanted) = (file.to_owned(), found.word(), kind.word());
        return Err(StoreError::OtherKind { path, found, wanted }.into());
    }
    remove_folder(opening)?;
    private_directory(opening)?;
    for item in &manifest.files {
        write_item(&mut packed, item, &opening.join(&item.name), file)?;
    }
    // Only the end of the stream says that nothing was cut off.
    let more = packed.read(&mut [0]).map_err(unreadable(file))?;
    if more > 0 {
        return Err(cut_or_changed(file));
    }
    let life = (kind, draw::incarnation());
    let (node, inventory) = Store::prepare_moved(&opening.join(DATABASE_FILE), file, life, said)?;
    check_inventory(file, &manifest, &node, inventory)?;
    let names = manifest.files.into_iter().map(|item| item.name).collect();
    Ok((TakenOver { node, inventory, at: manifest.at }, names))
}

fn read_manifest(packed: &mut impl Read, file: &Path) -> Result<Manifest, NodeError> {
    let mut length = [0; 4];
    packed.read_exact(&mut length).map_err(unreadable(file))?;
    let length = u32::from_be_bytes(length);
    if length > MANIFEST_BYTES_MAX {
        return Err(cut_or_changed(file));
    }
    let mut text = vec![0; length as usize];
    packed.read_exact(&mut text).map_err(unreadable(file))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| newer(file))?;
    let fits = manifest.files.len() <= FILES_MAX && manifest.files.iter().all(|item| may_come(&item.name));
    if !fits || manifest.files.first().is_none_or(|item| item.name != DATABASE_FILE) {
        return Err(newer(file));
    }
    Ok(manifest)
}

fn write_item(packed: &mut impl Read, item: &Item, path: &Path, file: &Path) -> Result<(), NodeError> {
    let mut target = new_private_file(path).map_err(failed("make", path))?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = item.bytes;
    while left > 0 {
        let most = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        let come = packed.read(&mut piece[..most]).map_err(unreadable(file))?;
        if come == 0 {
            return Err(cut_or_changed(file));
        }
        target.write_all(&piece[..come]).map_err(failed("write", path))?;
        left -= come as u64;
    }
    target.sync_all().map_err(failed("write", path))
}

/// What was counted here has to be what was counted there.
fn check_inventory(file: &Path, said: &Manifest, node: &NodeRow, counted: Inventory) -> Result<(), NodeError> {
    let here = (node.node_id.to_string(), counted.state_hash.to_string(), counted.people, counted.notes);
    if here == (said.node.clone(), said.state_hash.clone(), said.people, said.notes) {
        return Ok(());
    }
    let words = format!(
        "{} says {} people, {} private notes and state hash {}, but holds {}, {} and {}: hand over again",
        file.display(),
        said.people,
        said.notes,
        said.state_hash,
        counted.people,
        counted.notes,
        counted.state_hash
    );
    Err(NodeError::Damaged(words))
}
