// SPDX-License-Identifier: GPL-2.0

//! Keys, and the states of a map that programs begin with.

use crate::Actor;

/// Keys with the same hash.
pub const A: u64 = 1;
pub const B: u64 = 2;
pub const C: u64 = 3;
pub const D: u64 = 4;
pub const E: u64 = 5;

/// Returns the key of that hash and number.
pub const fn key(hash: u32, number: u64) -> u64 {
    ((hash as u64) << 32) | number
}

/// Returns a key whose hash lies so many hundredths up.
pub const fn up(hundredths: u32) -> u64 {
    key(u32::MAX / 100 * hundredths, hundredths as u64)
}

/// Returns `count` keys, numbered from 1, whose hashes lie evenly from `first` on, below `end`.
pub fn keys(first: u32, end: u32, count: u32) -> impl Iterator<Item = u64> {
    let step = (end - first) / count;
    (0..count).map(move |i| key(first + i * step, u64::from(i) + 1))
}

/// A and B in read, alone.
pub fn read(a: &mut Actor<'_>) {
    a.store(A, 1);
    a.store(B, 1);
    a.map.promote_now();
}

/// A in read, and B in dirty only, which is the same table.
pub fn amended(a: &mut Actor<'_>) {
    a.store(A, 1);
    a.map.promote_now();
    a.store(B, 1);
}

/// A in read, Deleted.
pub fn deleted(a: &mut Actor<'_>) {
    read(a);
    // A map that sweeps would remove it at once if it were deleted as usual.
    a.compare_and_delete(A, 1);
}

/// A in read, Expunged; B in both tables, C in dirty only.
pub fn expunged(a: &mut Actor<'_>) {
    deleted(a);
    a.store(C, 1);
}

/// A in both tables: it was Expunged, and is on the list. B in both, C in dirty only.
pub fn revived(a: &mut Actor<'_>) {
    expunged(a);
    a.store(A, 2);
}

/// A in read, Expunged again, and still on the list that went with the table before. That list is about
/// to be settled. B and C in both tables, D in dirty only.
pub fn settling(a: &mut Actor<'_>) {
    revived(a);
    // Nothing is settled before this ends.
    a.section(|a| {
        a.interrupt(|a| {
            a.map.promote_now();
            a.compare_and_delete(A, 2);
            a.store(D, 1);
        });
    });
}

/// A in read, Deleted, and alone there.
pub fn left(a: &mut Actor<'_>) {
    a.store(A, 1);
    a.compare_and_delete(A, 1);
}

/// A, B and C in read; B is Deleted. It was Deleted in dirty before C came: compare_and_delete() does
/// not remove it from there, and nothing is left out of a dirty that is read as well.
pub fn two_of_three(a: &mut Actor<'_>) {
    a.store(A, 1);
    a.store(B, 1);
    a.compare_and_delete(B, 1);
    a.store(C, 1);
    a.map.promote_now();
}

/// The same, and A is Deleted, too.
pub fn one_of_three(a: &mut Actor<'_>) {
    two_of_three(a);
    a.delete(A);
}

/// A full segment.
pub fn full(a: &mut Actor<'_>) {
    for hundredths in 0..84 {
        a.store(up(hundredths), 1);
    }
    a.map.promote_now();
}
