//! Reading an invitation, and printing one: as a line, as a link, as a picture for a telephone's camera.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use clap::Args;
use node::Invite;
use qrcode::QrCode;
use qrcode::render::{svg, unicode};
use serde_json::json;

use crate::{Failure, Out};

/// The least width and height of a QR code, in pixels: a camera reads it from a screen at arm's length.
const QR_PIXELS: u32 = 320;

/// The longest line that can hold an invitation, in bytes: three addresses, and a link before it.
const LINE_BYTES_MAX: u64 = 8 * 1024;
/// What stands in an argument's place for "read it".
const FROM_STDIN: &str = "-";

/// Reads an invitation: the argument, or a line of standard input where there is none or it is `-`. A person at a terminal is
/// asked for it: arguments can be read by every process of the machine, and stay in the shell's history.
///
/// # Errors
/// When it can't be read, or is none.
pub fn read_invite(argument: Option<&str>) -> Result<Invite, Failure> {
    if let Some(given) = argument.filter(|given| *given != FROM_STDIN) {
        return Ok(given.parse()?);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        Out::note("Paste the invitation, and press Enter:");
    } else if argument.is_none() {
        let hint = "give it as the argument, or write - and give it on standard input";
        return Err(Failure::usage("the invitation is missing").hint(hint));
    }
    let mut line = String::new();
    let mut given = stdin.lock().take(LINE_BYTES_MAX);
    given.read_line(&mut line).map_err(|error| Failure::failed(format!("could not read the invitation: {error}")))?;
    Ok(line.parse()?)
}

/// How an invitation is printed: as one line, if nothing is said.
#[derive(Args, Clone, Copy, Debug)]
pub struct InviteShape {
    /// Print it as a link; the secret is in the fragment, which no browser sends anywhere
    #[arg(long, conflicts_with = "qr")]
    pub link: bool,
    /// Print the link as a QR code (SVG)
    #[arg(long)]
    pub qr: bool,
}

/// Prints an invitation, alone on stdout.
///
/// # Errors
/// When it can't be drawn.
pub fn print_invite(invite: &Invite, shape: InviteShape, out: Out) -> Result<(), Failure> {
    let (line, link) = (invite.to_string(), invite.link());
    let picture = if shape.qr { Some(qr(&link)?) } else { None };
    let made = json!({"invite": line, "link": link, "addresses": invite.hub.addresses, "qr": picture});
    out.result(&made, || picture.unwrap_or(if shape.link { link } else { line }));
    Ok(())
}

fn qr(text: &str) -> Result<String, Failure> {
    let code = QrCode::new(text).map_err(|error| Failure::failed(format!("could not draw the invitation: {error}")))?;
    Ok(code.render::<svg::Color<'_>>().min_dimensions(QR_PIXELS, QR_PIXELS).build())
}

/// A text as a QR code of characters, for a terminal.
pub(crate) fn terminal_qr(text: &str) -> Option<String> {
    // Most terminals are dark: what is to be dark on paper is written in light.
    let code = QrCode::new(text).ok()?;
    let (dark, light) = (unicode::Dense1x2::Light, unicode::Dense1x2::Dark);
    Some(code.render::<unicode::Dense1x2>().dark_color(light).light_color(dark).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_an_invitation_or_says_that_it_is_none() {
        let wrong = read_invite(Some("hello")).unwrap_err();
        assert!(wrong.words().contains("not an invitation"), "{wrong:?}");
    }

    #[test]
    fn a_code_is_a_picture_that_stands_alone() {
        let drawn = qr("chapterhouse:join#chapterhouse-invite-2.00").unwrap();
        assert!(drawn.contains("<svg") && drawn.contains("http://www.w3.org/2000/svg"), "{drawn}");
    }
}
