//! The wire: the `.proto` files, and the generator of the code that `node` carries.
//!
//! **Invariant:** the generated code is committed, so that nobody needs a compiler for it; the test here generates it
//! again and compares. `cargo xtask proto` writes it.

use std::path::{Path, PathBuf};

/// Where the generated code is kept.
fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/node/src/wire")
}

/// Generates the code of every `.proto` file here into a directory.
///
/// # Errors
/// When a file can't be read or compiled.
pub fn generate(into: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["sync.proto", "enrolment.proto"];
    let descriptors = protox::compile(files, [here])?;
    std::fs::create_dir_all(into)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".chapterhouse.sync.v1.Frame.packed_batch")
        .out_dir(into)
        .compile_fds(descriptors)?;
    Ok(())
}

/// Generates the code where it is kept.
///
/// # Errors
/// As [`generate`].
pub fn commit() -> Result<(), Box<dyn std::error::Error>> {
    generate(&committed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_code_is_what_the_files_say() {
        let fresh = std::env::temp_dir().join(format!("chapterhouse-proto-{}", std::process::id()));
        generate(&fresh).expect("the files compile");
        let names = ["chapterhouse.sync.v1.rs", "chapterhouse.enrolment.v1.rs"];
        let read = |directory: &Path, name| std::fs::read_to_string(directory.join(name)).expect("generated code");
        for name in names {
            assert!(read(&fresh, name) == read(&committed(), name), "{name} differs: run `cargo xtask proto`");
        }
        std::fs::remove_dir_all(&fresh).expect("the fresh copy goes");
    }
}
