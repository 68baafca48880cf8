// SPDX-License-Identifier: GPL-2.0

//! Seven one-byte tags in a word, searched all at once, and two marks in the eighth byte.

/// An entry whose home is here, or was on its way past here, is in one of the next buckets.
pub(super) const MORE: u64 = 1 << 63;

/// The segment is not the last of its chain; in all of its buckets.
pub(super) const CHAIN: u64 = 1 << 62;

/// A one in each of the bytes that are tags.
const ONES: u64 = 0x0001_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// The tag of a hash: never zero, which marks an empty slot, as it is odd. Low bits, as the top ones
/// choose segment and bucket; the lowest of hashes is always zero.
#[inline]
pub(super) fn of(hash: u32) -> u64 {
    u64::from(hash as u8 | 1)
}

/// The slots that may hold `tag`, as set bits, eight per slot apart. Slots above a match may be
/// reported wrongly, as the subtraction borrows from them; none is missed.
#[inline]
pub(super) fn matching(word: u64, tag: u64) -> u64 {
    let x = word ^ ONES.wrapping_mul(tag);
    x.wrapping_sub(ONES) & !x & HIGHS
}

/// The slots in use, in the same form, but for the place of a bit in its byte.
#[inline]
pub(super) fn occupied(word: u64) -> u64 {
    word & ONES
}

/// The first slot that is not in use.
#[inline]
pub(super) fn first_free(word: u64) -> Option<usize> {
    match !word & ONES {
        0 => None,
        free => Some(free.trailing_zeros() as usize / 8),
    }
}

/// The word with a tag in a slot that was free.
#[inline]
pub(super) fn put(word: u64, slot: usize, tag: u64) -> u64 {
    word | tag << (slot * 8)
}

/// The word with a slot that is free.
#[inline]
pub(super) fn clear(word: u64, slot: usize) -> u64 {
    word & !(0xff << (slot * 8))
}
