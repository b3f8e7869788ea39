//! The story, told by the real programs.

use tempfile::TempDir;
use tests::story::Story;

#[test]
fn a_sign_up_finds_its_chapter_climbs_the_ladder_and_the_network_sees_it() {
    let directory = TempDir::new().unwrap();
    if let Err(error) = Story::new(directory.path(), false).tell(200) {
        panic!("{error:?}");
    }
}
