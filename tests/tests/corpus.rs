//! What the fuzzer begins with, as tests: nothing in it breaks anything, the honest inputs get in, the broken ones don't.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use node::Invite;
use tests::fuzzing;

/// A way in.
struct Target {
    name: &'static str,
    /// What the fuzzer runs.
    run: fn(&[u8]),
    /// Whether a node takes something of the input.
    takes: fn(&[u8]) -> bool,
}

static TARGETS: [Target; 5] = [
    Target { name: "frame", run: fuzzing::frame, takes: node::decodes },
    Target { name: "change", run: fuzzing::change, takes: |bytes| record::inspect(bytes).is_ok() },
    Target { name: "receive", run: fuzzing::receive, takes: |bytes| fuzzing::taken(bytes) > 0 },
    Target { name: "invite", run: fuzzing::invite, takes: is_invite },
    Target { name: "csv", run: fuzzing::csv, takes: |bytes| hub_node::reads_csv(bytes) > 0 },
];

fn is_invite(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Invite>().is_ok())
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fuzz")
}

/// The name and the bytes of each file of a target; also of those that the fuzzer left there.
fn inputs(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(target.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = files.map(|file| file.unwrap().path());
    paths.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

#[test]
fn no_input_of_the_corpus_breaks_anything() {
    for target in &TARGETS {
        let inputs = inputs(target);
        assert!(!inputs.is_empty(), "{} has a corpus", target.name);
        for (name, bytes) in inputs {
            eprintln!("{}/{name}", target.name);
            (target.run)(&bytes);
        }
    }
}

#[test]
fn honest_inputs_are_taken_and_broken_ones_are_not() {
    for target in &TARGETS {
        let inputs = inputs(target);
        let named = |word: &str| inputs.iter().filter(|(name, _)| name.starts_with(word)).collect::<Vec<_>>();
        let (honest, broken) = (named("honest-"), named("broken-"));
        assert!(!honest.is_empty() && !broken.is_empty(), "{} has both", target.name);
        for (name, bytes) in honest {
            assert!((target.takes)(bytes), "{}/{name} is honest", target.name);
        }
        for (name, bytes) in broken {
            assert!(!(target.takes)(bytes), "{}/{name} is broken", target.name);
        }
    }
}

#[test]
fn the_honest_inputs_are_what_the_code_writes_today() {
    for (path, bytes) in fuzzing::honest_corpus() {
        let target = TARGETS.iter().find(|target| path.split('/').next() == Some(target.name)).unwrap();
        (target.run)(&bytes);
        assert!((target.takes)(&bytes), "{path} is honest");
        let kept = fs::read(fuzz().join("corpus").join(path)).unwrap_or_default();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(kept == bytes, "fuzz/corpus/{path} should have these bytes: {hex}");
    }
}

#[test]
fn every_target_of_the_fuzzer_has_its_corpus_here() {
    let files = fs::read_dir(fuzz().join("fuzz_targets")).unwrap();
    let names: BTreeSet<String> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let ours: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names, ours);
}
