// SPDX-License-Identifier: GPL-2.0

//! Maps of the kernel module `syncmap`: concurrent hash maps with byte keys and byte values, which
//! processes share by inheriting a descriptor, or by a name.
//!
//! ```no_run
//! use syncmap_client::Map;
//!
//! # fn main() -> syncmap_client::Result<()> {
//! let map = Map::anonymous()?;
//! map.store(b"answer", b"42")?;
//! assert_eq!(map.load(b"answer")?.as_deref(), Some(&b"42"[..]));
//! for entry in map.iter() {
//!     let (key, value) = entry?;
//!     println!("{} bytes of {}", value.len(), key.escape_ascii());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A map with a name is found by other processes, and by modules of the kernel:
//!
//! ```no_run
//! use syncmap_client::MapOptions;
//!
//! # fn main() -> syncmap_client::Result<()> {
//! let blocked = MapOptions::new().create(true).mode(0o640).open("blocklist")?;
//! blocked.store(&[10, 1, 2, 3], b"1")?;
//! # Ok(())
//! # }
//! ```
//!
//! All operations take `&self`, and any thread may call them at any time: the kernel keeps order.
//! Each is atomic; a [`Batch`] is not, it is many of them in one system call. A call that fails
//! has changed nothing. Keys have 1 to [`KEY_MAX`] bytes, values 0 to [`VALUE_MAX`].
//!
//! The binary interface is described in `include/uapi/linux/syncmap.h` of the module.

mod abi;
mod batch;
mod error;
mod map;
mod names;
mod options;
mod records;
mod sys;
mod walk;

pub use abi::{BATCH_MAX, KEY_MAX, NAME_MAX, VALUE_MAX};
pub use batch::{Batch, Operation, Outcome};
pub use error::{Error, Result};
pub use map::{Compared, Info, LoadOrStore, Map, Stats};
pub use names::{find, names, unlink, NamedMap, Names};
pub use options::{MapOptions, DEVICE};
pub use walk::Iter;

/// Checks that these bytes can be a key: 1 to [`KEY_MAX`] of them.
///
/// All operations do it themselves; this is for who wants to know beforehand.
///
/// ```
/// assert!(syncmap_client::check_key(b"key").is_ok());
/// assert!(syncmap_client::check_key(b"").is_err());
/// ```
pub fn check_key(key: &[u8]) -> Result<()> {
    match key.len() {
        1..=KEY_MAX => Ok(()),
        len => Err(Error::KeyLength { len }),
    }
}

/// Checks that these bytes can be a value: at most [`VALUE_MAX`] of them.
///
/// ```
/// assert!(syncmap_client::check_value(b"").is_ok());
/// assert!(syncmap_client::check_value(&[0; 65537]).is_err());
/// ```
pub fn check_value(value: &[u8]) -> Result<()> {
    match value.len() {
        0..=VALUE_MAX => Ok(()),
        len => Err(Error::ValueTooLong { len }),
    }
}

/// Checks that this can be the name of a map: 1 to [`NAME_MAX`] letters, digits and `. _ - :` of
/// ASCII, the first of which is no dot.
///
/// ```
/// assert!(syncmap_client::check_name("net:block-list.v2").is_ok());
/// assert!(syncmap_client::check_name(".hidden").is_err());
/// ```
pub fn check_name(name: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-:".contains(&b);
    if !(1..=NAME_MAX).contains(&name.len()) || name.starts_with('.') || !name.bytes().all(good) {
        return Err(Error::InvalidName { name: name.into() });
    }
    Ok(())
}
