//! Opening the pages in a browser, as the desktop does.
//!
//! **Invariant:** no secret is an argument of another program, where every user of the machine could read it: a link that holds
//! one stands in a file that only this user may read, and the browser is led there.

use std::fs::{OpenOptions, remove_file};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use store::only_for_owner;

use crate::Out;

/// How the name of the page begins that leads to a link; the port follows.
const LEADING_PAGE: &str = "chapterhouse-open";

/// A browser that was opened. Dropped, the page that led it is gone.
#[derive(Debug)]
pub(crate) struct Opened(Option<PathBuf>);

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(page) = &self.0 {
            // It may have been removed by hand.
            let _ = remove_file(page);
        }
    }
}

/// Opens the pages on a port: by a link that holds a secret, if there is one. Where there is no desktop, a person has read
/// the address in the terminal.
pub(crate) fn open_browser(address: &str, port: u16, link: Option<&str>) -> Opened {
    let page = link.and_then(|link| match leading_to(link, port) {
        Ok(page) => Some(page),
        Err(error) => {
            Out::note(&format!("the link could not be handed to a browser ({error}): open it yourself"));
            None
        }
    });
    let opens = page.as_ref().map_or_else(|| address.into(), |page| page.clone().into_os_string());
    // On a thread of its own: it may last as long as the browser is open.
    std::thread::spawn(move || {
        let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let mut opening = Command::new(opener);
        opening.arg(opens).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // In a group of its own: what ends this program at its terminal does not end somebody's browser.
        opening.process_group(0);
        let opened = opening.status();
        if !opened.is_ok_and(|status| status.success()) {
            Out::note("no browser could be opened here: open the address yourself");
        }
    });
    Opened(page)
}

/// Writes a page that leads to a link. Into the home directory itself: a browser in a sandbox (snap, flatpak) reads no hidden
/// directory, which the node's own usually is.
fn leading_to(link: &str, port: u16) -> io::Result<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    let path = home.join(format!("{LEADING_PAGE}-{port}.html"));
    // One that was left may be open to others: it is not written into.
    if path.symlink_metadata().is_ok() {
        remove_file(&path)?;
    }
    // The link is an address of this machine with hexadecimal digits: there is nothing in it to escape.
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"refresh\" content=\"0; url={link}\">\n<title>Chapterhouse</title>\n\
         <p><a href=\"{link}\">Go on</a>\n</html>\n"
    );
    let mut file = only_for_owner(OpenOptions::new().create_new(true).write(true)).open(&path)?;
    file.write_all(page.as_bytes())?;
    Ok(path)
}
