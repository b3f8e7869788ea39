//! How much a change claims to be, counted before anything is made of it.
//!
//! A change's operations stand in columns, and a column in runs: "so many times the same". A hundred bytes can claim more
//! operations, or more values that they replace, than there is memory for, and the library makes them one by one.
//! **Invariant:** what can't be read here to the end of its columns is no change.

/// The column that has one number for each operation: what it does.
const ACTIONS: u64 = 0x42;
/// The bits of a column's name that say how it is written.
const WRITTEN: u64 = 0b111;
/// A column of counts: for each operation, how many values it replaces.
const COUNTS: u64 = 0;
/// The bit of a column's name that says that it is compressed.
const DEFLATED: u64 = 0b1000;

/// What the runs of a change claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// Operations.
    pub(crate) operations: u64,
    /// Values that they replace, all together.
    pub(crate) replaced: u64,
}

/// Counts what an uncompressed change claims; `None` when it can't be read as one.
pub(crate) fn claimed(change: &[u8]) -> Option<Claimed> {
    // Magic (4 bytes), checksum (4), type (1), then the content with its length.
    let mut rest = Rest(Rest(change.get(9..)?).text()?);
    let dependencies = rest.unsigned()?;
    rest.take(dependencies.checked_mul(32)?)?;
    let _actor = rest.text()?;
    let _seq = rest.unsigned()?;
    let _start_op = rest.unsigned()?;
    let _time = rest.signed()?;
    let _message = rest.text()?;
    for _ in 0..rest.unsigned()? {
        let _other_actor = rest.text()?;
    }
    let count = rest.unsigned()?;
    let columns: Vec<(u64, u64)> =
        (0..count).map(|_| Some((rest.unsigned()?, rest.unsigned()?))).collect::<Option<_>>()?;
    let mut claimed = Claimed { operations: 0, replaced: 0 };
    for (name, length) in columns {
        let column = rest.take(length)?;
        if name & DEFLATED != 0 {
            return None;
        }
        if name == ACTIONS {
            claimed.operations = claimed.operations.checked_add(runs(column)?.0)?;
        } else if name & WRITTEN == COUNTS {
            claimed.replaced = claimed.replaced.checked_add(runs(column)?.1)?;
        }
    }
    Some(claimed)
}

/// How many numbers a column has, and their sum.
fn runs(column: &[u8]) -> Option<(u64, u64)> {
    let (mut rest, mut count, mut sum) = (Rest(column), 0_u64, 0_u64);
    while !rest.0.is_empty() {
        let run = rest.signed()?;
        let length = if run == 0 { rest.unsigned()? } else { run.unsigned_abs() };
        count = count.checked_add(length)?;
        if run > 0 {
            sum = sum.checked_add(length.checked_mul(rest.unsigned()?)?)?;
        } else if run < 0 {
            // Each number stands there by itself: there are no more of them than bytes.
            for _ in 0..length {
                sum = sum.checked_add(rest.unsigned()?)?;
            }
        }
    }
    Some((count, sum))
}

/// Bytes that are still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// Bytes with their length before them.
    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.unsigned()?;
        self.take(length)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// LEB128: seven bits a byte, the lowest first.
    fn unsigned(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// The same in two's complement.
    fn signed(&mut self) -> Option<i64> {
        let mut number = 0;
        for shift in (0..i64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let negative = byte & 0x40 != 0 && shift + 7 < i64::BITS;
                return Some(if negative { number | (-1_i64 << (shift + 7)) } else { number });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use automerge::Change;
    use model::{DocId, Kind, Timestamp};

    use super::*;
    use crate::{Record, Stamp, Value, Write};

    fn stamp(actor: u8) -> Stamp {
        Stamp { actor: [actor; 16], author: "0badcafe/lee".into(), at: Timestamp::from_millis(1_000_000) }
    }

    #[test]
    fn an_honest_change_claims_what_it_brings() {
        let entries = (0..300).map(|n| (format!("custom/k{n}"), Value::text(format!("v{n}")))).collect();
        let (mut record, first) = Record::create(DocId::from_bytes([1; 16]), Kind::Supporter, entries, &stamp(1));
        let mut apart = record.clone();
        let writes = [Write::field("employer", "City"), Write::Delete("custom/k3".into())];
        let second = record.edit(&writes, &stamp(2)).unwrap();
        let third = apart.edit(&[Write::field("custom/k7", "other")], &stamp(3)).unwrap();
        for (written, replaced) in [(first, 0), (second, 1), (third, 1)] {
            let operations = Change::try_from(written.bytes.as_slice()).unwrap().len() as u64;
            assert_eq!(claimed(&written.bytes), Some(Claimed { operations, replaced }));
        }
    }

    #[test]
    fn a_few_bytes_that_claim_more_than_there_is_memory_for_are_counted_and_not_made() {
        let operations = include_bytes!("../../../fuzz/corpus/change/broken-claims-operations");
        let replaced = include_bytes!("../../../fuzz/corpus/change/broken-claims-replaced");
        assert_eq!(claimed(operations), Some(Claimed { operations: 1 << 60, replaced: 0 }));
        assert_eq!(claimed(replaced), Some(Claimed { operations: 1, replaced: 1 << 40 }));
        assert_eq!(claimed(&operations[..60]), None);
    }
}
