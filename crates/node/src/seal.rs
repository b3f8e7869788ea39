//! Sealing a file with a secret that the program drew: a header, then a stream of blocks.
//!
//! **Invariants:** not one byte is given out before the tag of its block was checked; a stream that was cut, lengthened,
//! reordered or put behind another header does not open. A secret has at least 160 random bits, so nothing has to be slow:
//! HKDF makes the key of it, with a salt of the file and a word of its own for each purpose. Knows nothing of what is inside.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use aead_stream::{DecryptorBE32, EncryptorBE32};
use chacha20poly1305::ChaCha20Poly1305;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What a sealed file begins with, whatever it is for.
const MAGIC_BYTES: usize = 16;
/// The layout after it.
const VERSION: u8 = 1;
/// The salt of RFC 5869: no two files have one key, even if a passphrase were used twice.
pub(crate) const SALT_BYTES: usize = 16;
/// What says whether a passphrase is the right one, before anything is opened.
const CHECK_BYTES: usize = 16;
const HEADER_BYTES: usize = MAGIC_BYTES + 1 + SALT_BYTES + CHECK_BYTES;
/// A block before it is sealed: its tag is a four-thousandth of it, and it is all that is kept in memory.
const BLOCK_BYTES: usize = 64 * 1024;
/// The tag of ChaCha20-Poly1305 (RFC 8439).
const TAG_BYTES: usize = 16;
/// The nonce of ChaCha20-Poly1305 without what the stream puts there: a counter and whether it is the last block.
const NONCE_BYTES: usize = 7;
/// 160 bits: nobody tries them all, however fast the key is made of them.
const PASSPHRASE_BYTES: usize = 20;
/// Crockford's base 32: no I, L, O or U, so that it can be read aloud and written down.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Bytes that are a whole number of symbols: five bytes are eight.
const GROUP_BYTES: usize = 5;
const GROUP_SYMBOLS: usize = 8;
/// Symbols between two hyphens: as many as one keeps in mind while typing.
const HYPHEN_AFTER: usize = 4;

/// What a sealed file is for: one does not open as another, even with the same secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A node on its way to another machine.
    Handover,
    /// A hub's keys, kept elsewhere.
    Backup,
    /// The key of a hub's authority, beside its database.
    AtRest,
}

impl Purpose {
    const fn magic(self) -> [u8; MAGIC_BYTES] {
        match self {
            Self::Handover => *b"chapterhouse-mv\n",
            Self::Backup => *b"chapterhouse-ca\n",
            Self::AtRest => *b"chapterhouse-ck\n",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Handover => "handover",
            Self::Backup => "authority backup",
            Self::AtRest => "authority at rest",
        }
    }
}

/// Why a text can't be a passphrase. It says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a passphrase: one has 8 groups of 4 letters and digits")]
pub struct PassphraseError;

/// What opens a sealed file. Drawn by the program, shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase([u8; PASSPHRASE_BYTES]);

impl Passphrase {
    pub(crate) const fn new(random: [u8; PASSPHRASE_BYTES]) -> Self {
        Self(random)
    }

    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

impl fmt::Display for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = 0;
        for group in self.0.as_chunks::<GROUP_BYTES>().0 {
            let bits = group.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
            for nth in (0..GROUP_SYMBOLS).rev() {
                if shown > 0 && shown % HYPHEN_AFTER == 0 {
                    f.write_str("-")?;
                }
                let symbol = SYMBOLS[((bits >> (5 * nth)) & 31) as usize];
                write!(f, "{}", char::from(symbol))?;
                shown += 1;
            }
        }
        Ok(())
    }
}

impl FromStr for Passphrase {
    type Err = PassphraseError;

    /// As people type it: small letters, spaces or no hyphens at all, O for 0, I or L for 1.
    fn from_str(text: &str) -> Result<Self, PassphraseError> {
        let typed = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
        let value = |c: char| {
            let plain = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            SYMBOLS.iter().position(|symbol| char::from(*symbol) == plain).ok_or(PassphraseError)
        };
        let values = typed.map(value).collect::<Result<Vec<usize>, _>>()?;
        if values.len() * GROUP_BYTES != PASSPHRASE_BYTES * GROUP_SYMBOLS {
            return Err(PassphraseError);
        }
        let mut bytes = [0; PASSPHRASE_BYTES];
        for (group, values) in bytes.chunks_mut(GROUP_BYTES).zip(values.chunks(GROUP_SYMBOLS)) {
            let bits = values.iter().fold(0_u64, |bits, value| (bits << 5) | *value as u64);
            group.copy_from_slice(&bits.to_be_bytes()[8 - GROUP_BYTES..]);
        }
        Ok(Self(bytes))
    }
}

/// Why a file does not open.
#[derive(Debug)]
pub(crate) enum CantOpen {
    /// It is not a sealed file.
    NotSealed,
    /// It was sealed by a newer program.
    Newer,
    /// Another passphrase opens it; or its header was changed, which looks the same.
    WrongPassphrase,
    /// It ends inside its header.
    Cut,
    /// It can't be read at all.
    Unreadable(io::Error),
}

/// What a secret and a salt make: the key, the nonce's beginning, and the check.
struct Made {
    purpose: Purpose,
    key: [u8; 32],
    nonce: [u8; NONCE_BYTES],
    check: [u8; CHECK_BYTES],
}

fn hmac(key: &[u8], parts: [&[u8]; 2]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("an HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

impl Made {
    /// HKDF-SHA-256 (RFC 5869), with one block of output for each purpose.
    fn of(purpose: Purpose, secret: &[u8], salt: &[u8; SALT_BYTES]) -> Self {
        let drawn = hmac(salt, [secret, &[]]);
        let expand = |what: &str| hmac(&drawn, [format!("chapterhouse {} {what}", purpose.word()).as_bytes(), &[1]]);
        let (nonce, check) = (expand("nonce"), expand("check"));
        Self {
            purpose,
            key: expand("key"),
            nonce: std::array::from_fn(|at| nonce[at]),
            check: std::array::from_fn(|at| check[at]),
        }
    }

    fn header(&self, salt: &[u8; SALT_BYTES]) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let parts: [&[u8]; 4] = [&self.purpose.magic(), &[VERSION], salt, &self.check];
        for (to, from) in header.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        header
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a block is not as it was sealed")
}

/// Seals what is written to it. Without [`Sealer::end`] the file does not open.
pub(crate) struct Sealer<W> {
    out: W,
    stream: EncryptorBE32<ChaCha20Poly1305>,
    header: [u8; HEADER_BYTES],
    block: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    /// Writes the header.
    pub(crate) fn begin(mut out: W, purpose: Purpose, secret: &[u8], salt: &[u8; SALT_BYTES]) -> io::Result<Self> {
        let made = Made::of(purpose, secret, salt);
        let header = made.header(salt);
        out.write_all(&header)?;
        let stream = EncryptorBE32::<ChaCha20Poly1305>::new(&made.key.into(), &made.nonce.into());
        Ok(Self { out, stream, header, block: Vec::with_capacity(BLOCK_BYTES + TAG_BYTES) })
    }

    /// Seals the last block; gives back where it was written to.
    pub(crate) fn end(self) -> io::Result<W> {
        let Self { mut out, stream, header, mut block } = self;
        stream.encrypt_last_in_place(&header, &mut block).map_err(|_| damaged())?;
        out.write_all(&block)?;
        Ok(out)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full block is sealed only when more comes: the last one has to be sealed as the last.
        if self.block.len() == BLOCK_BYTES && !bytes.is_empty() {
            self.stream.encrypt_next_in_place(&self.header, &mut self.block).map_err(|_| damaged())?;
            self.out.write_all(&self.block)?;
            self.block.clear();
        }
        let taken = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // What is in the block can't go before it is full.
        self.out.flush()
    }
}

/// What is left of a sealed stream.
enum Rest {
    Blocks(DecryptorBE32<ChaCha20Poly1305>),
    Nothing,
    Damaged,
}

/// Opens a sealed file and gives out what was sealed. Damage is an error of kind `InvalidData`.
pub(crate) struct Opener<R> {
    sealed: R,
    rest: Rest,
    header: [u8; HEADER_BYTES],
    /// The sealed block after this one: the last is known by having none.
    ahead: Vec<u8>,
    block: Vec<u8>,
    /// How much of the block was given out.
    given: usize,
}

impl<R: Read> Opener<R> {
    /// Reads the header and checks the secret by it.
    pub(crate) fn begin(mut sealed: R, purpose: Purpose, secret: &[u8]) -> Result<Self, CantOpen> {
        let mut begins = Vec::with_capacity(HEADER_BYTES);
        sealed.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut begins).map_err(CantOpen::Unreadable)?;
        let Some(after) = begins.strip_prefix(&purpose.magic()) else { return Err(CantOpen::NotSealed) };
        if after.first().is_some_and(|version| *version != VERSION) {
            return Err(CantOpen::Newer);
        }
        let header: [u8; HEADER_BYTES] = begins.as_slice().try_into().map_err(|_| CantOpen::Cut)?;
        let salt: [u8; SALT_BYTES] = std::array::from_fn(|at| header[MAGIC_BYTES + 1 + at]);
        let made = Made::of(purpose, secret, &salt);
        if made.header(&salt) != header {
            return Err(CantOpen::WrongPassphrase);
        }
        let ahead = read_block(&mut sealed).map_err(CantOpen::Unreadable)?;
        let stream = DecryptorBE32::<ChaCha20Poly1305>::new(&made.key.into(), &made.nonce.into());
        let rest = Rest::Blocks(stream);
        Ok(Self { sealed, rest, header, ahead, block: Vec::new(), given: 0 })
    }

    /// Opens the next block; gives whether there was one.
    fn open_next(&mut self) -> io::Result<bool> {
        let mut stream = match std::mem::replace(&mut self.rest, Rest::Damaged) {
            Rest::Blocks(stream) => stream,
            Rest::Nothing => {
                self.rest = Rest::Nothing;
                return Ok(false);
            }
            Rest::Damaged => return Err(damaged()),
        };
        let mut block = std::mem::take(&mut self.ahead);
        self.ahead = read_block(&mut self.sealed)?;
        if self.ahead.is_empty() {
            stream.decrypt_last_in_place(&self.header, &mut block).map_err(|_| damaged())?;
            self.rest = Rest::Nothing;
        } else {
            stream.decrypt_next_in_place(&self.header, &mut block).map_err(|_| damaged())?;
            self.rest = Rest::Blocks(stream);
        }
        (self.block, self.given) = (block, 0);
        Ok(true)
    }
}

/// A sealed block, whole; shorter only at the end of the file, empty after it.
fn read_block(sealed: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut block = Vec::with_capacity(BLOCK_BYTES + TAG_BYTES);
    sealed.take((BLOCK_BYTES + TAG_BYTES) as u64).read_to_end(&mut block)?;
    Ok(block)
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.block.len() {
            if !self.open_next()? {
                return Ok(0);
            }
        }
        let rest = &self.block[self.given..];
        let taken = out.len().min(rest.len());
        out[..taken].copy_from_slice(&rest[..taken]);
        self.given += taken;
        Ok(taken)
    }
}

/// Seals a few bytes.
pub(crate) fn seal(purpose: Purpose, secret: &[u8], salt: &[u8; SALT_BYTES], plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut sealer = Sealer::begin(Vec::new(), purpose, secret, salt)?;
    sealer.write_all(plain)?;
    sealer.end()
}

/// Opens what [`seal`] made.
pub(crate) fn open(purpose: Purpose, secret: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CantOpen> {
    let mut plain = Vec::new();
    // Only damage is left that could be met: the bytes are here.
    Opener::begin(sealed, purpose, secret)?.read_to_end(&mut plain).map_err(|_| CantOpen::Cut)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; SALT_BYTES] = [7; SALT_BYTES];

    fn sealed(plain: &[u8]) -> Vec<u8> {
        seal(Purpose::Handover, &[1; PASSPHRASE_BYTES], &SALT, plain).unwrap()
    }

    fn opened(sealed: &[u8]) -> Result<Vec<u8>, CantOpen> {
        open(Purpose::Handover, &[1; PASSPHRASE_BYTES], sealed)
    }

    fn plain(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn what_was_sealed_opens_at_every_length_around_a_block() {
        for bytes in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES, 2 * BLOCK_BYTES + 5] {
            assert_eq!(opened(&sealed(&plain(bytes))).unwrap(), plain(bytes), "{bytes} bytes");
        }
    }

    #[test]
    fn a_stream_that_was_cut_lengthened_changed_or_reordered_does_not_open() {
        let whole = sealed(&plain(3 * BLOCK_BYTES));
        let block = BLOCK_BYTES + TAG_BYTES;
        for cut in [0, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, HEADER_BYTES + block, whole.len() - 1] {
            assert!(opened(&whole[..cut]).is_err(), "cut at {cut}");
        }
        assert!(opened(&[whole.as_slice(), &[0]].concat()).is_err(), "lengthened");
        for at in (0..HEADER_BYTES).chain([HEADER_BYTES + 5, HEADER_BYTES + block + 5, whole.len() - 1]) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(opened(&changed).is_err(), "changed at {at}");
        }
        let mut reordered = whole.clone();
        reordered[HEADER_BYTES..HEADER_BYTES + 2 * block].rotate_left(block);
        assert!(opened(&reordered).is_err(), "reordered");
    }

    #[test]
    fn another_secret_another_purpose_another_file_and_a_newer_one_are_told_apart() {
        let whole = sealed(b"x");
        let tried = |purpose, byte, sealed: &[u8]| open(purpose, &[byte; PASSPHRASE_BYTES], sealed);
        assert!(matches!(tried(Purpose::Handover, 2, &whole), Err(CantOpen::WrongPassphrase)));
        assert!(matches!(tried(Purpose::Backup, 1, &whole), Err(CantOpen::NotSealed)));
        assert!(matches!(opened(b"SQLite format 3"), Err(CantOpen::NotSealed)));
        assert!(matches!(opened(&whole[..MAGIC_BYTES + 3]), Err(CantOpen::Cut)));
        // A header that was made to look like another kind's does not help.
        let mut renamed = whole.clone();
        renamed[..MAGIC_BYTES].copy_from_slice(&Purpose::AtRest.magic());
        assert!(matches!(tried(Purpose::AtRest, 1, &renamed), Err(CantOpen::WrongPassphrase)));
        let mut newer = whole;
        newer[MAGIC_BYTES] = VERSION + 1;
        assert!(matches!(opened(&newer), Err(CantOpen::Newer)));
    }

    #[test]
    fn a_passphrase_reads_what_it_prints_and_what_people_type() {
        let drawn = Passphrase::new(std::array::from_fn(|at| (at * 37) as u8));
        let shown = drawn.to_string();
        assert_eq!((shown.len(), shown.matches('-').count()), (39, 7));
        assert_eq!(shown.parse(), Ok(drawn.clone()));
        assert_eq!(
            shown.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l").parse(),
            Ok(drawn.clone())
        );
        for wrong in ["", "0000", &shown[1..], &format!("{shown}0"), &shown.replace(&shown[..1], "U")] {
            assert_eq!(wrong.parse::<Passphrase>(), Err(PassphraseError), "{wrong}");
        }
        assert!(!format!("{drawn:?}").contains(&shown[..4]));
    }
}
