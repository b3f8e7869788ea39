//! Tells the story with the real programs: `cargo xtask demo [--once] [--dir DIR]`.

use std::path::PathBuf;

use clap::Parser;
use tests::harness::say;
use tests::story::Story;

/// Runs a hub and three chapters on loopback through the same commands that a user would type.
#[derive(Parser)]
struct Arguments {
    /// End after the story has been told
    #[arg(long)]
    once: bool,
    /// Keep the data here
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Further sign-ups at real postal codes
    #[arg(long, default_value_t = 2000)]
    sign_ups: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let temporary = tempfile::TempDir::new()?;
    let directory = arguments.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    if directory.join("hub").exists() {
        anyhow::bail!("{} holds a demo already: remove it, or name another directory", directory.display());
    }
    std::fs::create_dir_all(&directory)?;
    let mut story = Story::new(&directory, true);
    story.tell(arguments.sign_ups)?;
    say("\nEvery step was checked.");
    if arguments.once {
        story.chapters.iter_mut().try_for_each(|chapter| chapter.stop())?;
        return story.hub.stop();
    }
    let login = story.hub.login()?;
    say(&format!("\nThe network:     http://{}  (log in as {}, {})", story.hub.http(), login.name, login.password));
    say(&format!("Sign up at:      http://{}/signup", story.hub.http()));
    for (chapter, name) in story.chapters.iter().zip(["Los Angeles", "San Francisco", "Chicago"]) {
        let login = chapter.login()?;
        say(&format!("{name:<16} http://{}  (log in as {}, {})", chapter.http(), login.name, login.password));
    }
    say(&format!("Data:            {}", directory.display()));
    say("Behind each name is its password. Ctrl-C ends it.");
    loop {
        std::thread::park();
    }
}
