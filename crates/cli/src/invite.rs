//! Printing an invitation: as a line, as a link, as a picture for a telephone's camera.

use clap::Args;
use node::Invite;
use qrcode::QrCode;
use qrcode::render::svg;
use serde_json::json;

use crate::{Failure, Out};

/// The least width and height of a QR code, in pixels: a camera reads it from a screen at arm's length.
const QR_PIXELS: u32 = 320;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_picture_that_stands_alone() {
        let drawn = qr("chapterhouse:join#chapterhouse-invite-2.00").unwrap();
        assert!(drawn.contains("<svg") && drawn.contains("http://www.w3.org/2000/svg"), "{drawn}");
    }
}
