// SPDX-License-Identifier: GPL-2.0

//! The records that RANGE and LIST write, which are taken apart without trusting them.

use crate::abi;
use crate::{Error, Result};

/// What goes before the bytes of a record; both kinds begin with the same two members.
pub(crate) trait Head {
    /// Bytes of the head.
    const LEN: usize;
}

impl Head for abi::Record {
    const LEN: usize = size_of::<abi::Record>();
}

impl Head for abi::Name {
    const LEN: usize = size_of::<abi::Name>();
}

/// A word of a head.
pub(crate) fn word(head: &[u8], offset: usize) -> Result<u32> {
    let bytes = head.get(offset..).and_then(|rest| rest.first_chunk());
    Ok(u32::from_ne_bytes(*bytes.ok_or(GARBLED)?))
}

/// A word of 64 bits of a head.
pub(crate) fn long(head: &[u8], offset: usize) -> Result<u64> {
    let bytes = head.get(offset..).and_then(|rest| rest.first_chunk());
    Ok(u64::from_ne_bytes(*bytes.ok_or(GARBLED)?))
}

const GARBLED: Error = Error::Garbled {
    what: "a record that reaches beyond its end",
};

/// Takes the first record off, as its head and what follows it.
pub(crate) fn split<'b, H: Head>(records: &mut &'b [u8]) -> Result<(&'b [u8], &'b [u8])> {
    let next = word(records, 0)? as usize;
    if next < H::LEN || next % 8 != 0 {
        return Err(GARBLED);
    }
    let (record, rest) = records.split_at_checked(next).ok_or(GARBLED)?;
    *records = rest;
    record.split_at_checked(H::LEN).ok_or(GARBLED)
}

/// Takes the first key and value off.
pub(crate) fn pair<'b>(records: &mut &'b [u8]) -> Result<(&'b [u8], &'b [u8])> {
    let (head, body) = split::<abi::Record>(records)?;
    let key_len = word(head, std::mem::offset_of!(abi::Record, key_len))? as usize;
    let value_len = word(head, std::mem::offset_of!(abi::Record, value_len))? as usize;
    let (key, rest) = body.split_at_checked(key_len).ok_or(GARBLED)?;
    Ok((key, rest.get(..value_len).ok_or(GARBLED)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as the kernel writes it.
    fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
        let len = (16 + key.len() + value.len()).next_multiple_of(8);
        let mut record = Vec::new();
        for word in [len, key.len(), value.len(), 0] {
            record.extend((word as u32).to_ne_bytes());
        }
        record.extend([key, value].concat());
        record.resize(len, 0);
        record
    }

    #[test]
    fn records_come_apart() {
        let pairs = [
            ("k", "value"),
            ("a key of some length", ""),
            ("12345678", "12345678"),
        ];
        let bytes: Vec<u8> = pairs
            .iter()
            .flat_map(|(k, v)| record(k.as_bytes(), v.as_bytes()))
            .collect();
        let mut rest = &bytes[..];
        for (key, value) in pairs {
            assert_eq!(pair(&mut rest), Ok((key.as_bytes(), value.as_bytes())));
        }
        assert_eq!(rest, b"");
        assert!(pair(&mut rest).is_err());
    }

    #[test]
    fn no_record_reaches_beyond_its_end() {
        let good = record(b"key", b"value");
        for len in 0..good.len() {
            assert!(pair(&mut &good[..len]).is_err());
        }
        // Each of the first three words, too large, too small or not aligned.
        for (word, values) in [
            (0, [0, 8, 12, 20, 32, u32::MAX]),
            (1, [9, 100, 16, 24, 32, u32::MAX]),
        ] {
            for value in values {
                let mut bad = good.clone();
                bad[word * 4..][..4].copy_from_slice(&value.to_ne_bytes());
                assert!(pair(&mut &bad[..]).is_err(), "word {word} is {value}");
            }
        }
        let mut bad = good.clone();
        bad[8..12].copy_from_slice(&6u32.to_ne_bytes());
        assert!(pair(&mut &bad[..]).is_err());
    }
}
