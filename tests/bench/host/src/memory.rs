// SPDX-License-Identifier: GPL-2.0

//! How much memory the allocator has given out.

/// Bytes in use, in all arenas and in mappings of their own.
pub fn used() -> usize {
    // SAFETY: The function takes nothing, and returns numbers.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}
