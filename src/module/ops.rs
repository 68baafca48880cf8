// SPDX-License-Identifier: GPL-2.0

//! The operations on one key, with key, values and results in user memory.
//!
//! Results are written to user memory *before* the map is changed, as they will be if nobody
//! interferes; the change is then made on the condition that the value is still the one that was
//! reported, and all of it is done again if it is not. So a result that cannot be delivered, or does
//! not fit, changes nothing, and nothing that was deleted or replaced is lost.

use core::mem::MaybeUninit;
use kernel::prelude::*;
use kernel::uaccess::{UserPtr, UserSlice};
use syncmap::object::Bytes;
use syncmap::outcome::LoadOrStore;
use syncmap::value::{Displaced, Prepared, ValueRef};
use syncmap::ByteMap;

use crate::abi::{self, Command, DELETED, FOUND, STORED};
use crate::device::interrupted;
use crate::registry::gfp;

type Value<'m> = ValueRef<'m, Bytes>;
type NewValue<'m> = Prepared<'m, Bytes>;

/// Bytes of a value that is sooner copied than counted.
const SMALL: usize = 64;

/// Where a key can be read to.
pub(crate) type KeySpace = [MaybeUninit<u8>; abi::KEY_MAX];

/// Room for a key.
pub(crate) const KEY_SPACE: KeySpace = [const { MaybeUninit::uninit() }; abi::KEY_MAX];

/// Reads a key into `space`.
pub(crate) fn read_key(key: u64, len: u32, space: &mut KeySpace) -> Result<&[u8]> {
    let len = len as usize;
    if len == 0 {
        return Err(EINVAL);
    }
    let space = space.get_mut(..len).ok_or(EINVAL)?;
    Ok(abi::read_bytes(abi::user(key), space)?)
}

/// Checks what can be checked without looking at keys and values.
fn check(command: Command, op: &abi::Op) -> Result {
    let unused = |used: bool, pointer: u64, len: u32| !used && (pointer != 0 || len != 0);
    if op.flags != 0
        || unused(command.uses_value(), op.value, op.value_len)
        || unused(command.uses_old(), op.old, op.old_len)
        || unused(command.uses_buf(), op.buf, op.buf_len)
        || op.key_len == 0
        || op.key_len as usize > abi::KEY_MAX
    {
        return Err(EINVAL);
    }
    if op.value_len as usize > abi::VALUE_MAX || op.old_len as usize > abi::VALUE_MAX {
        return Err(E2BIG);
    }
    Ok(())
}

/// Runs one operation, whose struct is `op` and came from `at`.
///
/// A value that is overwritten goes to `displaced`, if there is one.
pub(crate) fn run<'m>(
    map: &'m ByteMap,
    command: Command,
    op: &abi::Op,
    at: UserPtr,
    displaced: Option<&mut Displaced<'m>>,
) -> Result {
    check(command, op)?;
    let mut space = KEY_SPACE;
    let key = read_key(op.key, op.key_len, &mut space)?;
    let call = Call { map, op, at, key };
    let done = match command {
        Command::Load => call.load(),
        Command::Store => call.store(displaced),
        Command::LoadOrStore => call.load_or_store(),
        Command::LoadAndDelete => call.load_and_delete(),
        Command::Delete => call.delete(),
        Command::Swap => call.swap(),
        Command::CompareAndSwap => call.compare_and_swap(),
        Command::CompareAndDelete => call.compare_and_delete(),
        // Not operations on a key; the callers know them.
        _ => Err(EINVAL),
    };
    if let Err(error) = done {
        // What was reported ahead has not come to pass; ENOSPC reports the size that is needed. If
        // this cannot be written either, nothing of it can be read.
        if error != ENOSPC {
            let _ = call.report(0, 0);
        }
    }
    done
}

/// An operation that is being run.
struct Call<'m, 'c> {
    map: &'m ByteMap,
    op: &'c abi::Op,
    at: UserPtr,
    key: &'c [u8],
}

impl<'m> Call<'m, '_> {
    /// Writes the results.
    fn report(&self, out_len: usize, result: u32) -> Result {
        abi::write_results(self.at, out_len as u32, result)
    }

    /// Writes the results and a value.
    fn deliver(&self, value: &[u8], result: u32) -> Result {
        let wanted = self.op.buf != 0 || self.op.buf_len != 0;
        if wanted && value.len() > self.op.buf_len as usize {
            self.report(value.len(), 0)?;
            return Err(ENOSPC);
        }
        if wanted {
            UserSlice::new(abi::user(self.op.buf), value.len())
                .writer()
                .write_slice(value)?;
        }
        self.report(value.len(), result)
    }

    /// The value to store.
    #[inline]
    fn value(&self) -> Result<NewValue<'m>> {
        let len = self.op.value_len as usize;
        self.map.prepare_uninit_bytes(len, gfp(), |bytes| {
            abi::read_bytes(abi::user(self.op.value), bytes)
        })
    }

    /// The value to compare with.
    fn old(&self) -> Result<KVVec<u8>> {
        let mut old = KVVec::new();
        UserSlice::new(abi::user(self.op.old), self.op.old_len as usize)
            .read_all(&mut old, gfp())?;
        Ok(old)
    }

    fn load(&self) -> Result {
        let mut space = [0; SMALL];
        match self.map.load_copy(self.key, &mut space) {
            Some(value) => self.deliver(&value, FOUND),
            None => self.report(0, 0),
        }
    }

    fn store(&self, displaced: Option<&mut Displaced<'m>>) -> Result {
        let value = self.value()?;
        self.report(0, STORED)?;
        let old = self.map.swap_prepared(self.key, value, gfp())?;
        if let (Some(old), Some(displaced)) = (old, displaced) {
            displaced.push(old);
        }
        Ok(())
    }

    fn load_or_store(&self) -> Result {
        let value = self.value()?;
        self.report(0, STORED)?;
        match self.map.load_or_store_prepared(self.key, value, gfp())? {
            LoadOrStore::Loaded(value, _) => self.deliver(&value, FOUND),
            LoadOrStore::Stored => Ok(()),
        }
    }

    fn swap(&self) -> Result {
        let mut new = self.value()?;
        loop {
            new = match self.map.load(self.key) {
                Some(old) => {
                    self.deliver(&old, FOUND | STORED)?;
                    match self.replace(&old, new) {
                        Ok(()) => return Ok(()),
                        Err(new) => new,
                    }
                }
                None => {
                    self.report(0, STORED)?;
                    match self.map.load_or_store_prepared(self.key, new, gfp())? {
                        LoadOrStore::Stored => return Ok(()),
                        LoadOrStore::Loaded(_, new) => new,
                    }
                }
            };
            check_signal()?;
        }
    }

    /// Puts `new` in the place of `old`, if that is still there.
    fn replace(
        &self,
        old: &Value<'m>,
        new: NewValue<'m>,
    ) -> core::result::Result<(), NewValue<'m>> {
        self.map
            .compare_and_swap_prepared(self.key, new, |seen| seen.is(old))
            .map(drop)
    }

    /// Deletes `old`, if it is still there.
    fn remove(&self, old: &Value<'m>) -> bool {
        self.map
            .load_and_delete_with(self.key, |seen| seen.is(old))
            .is_some()
    }

    fn load_and_delete(&self) -> Result {
        while let Some(old) = self.map.load(self.key) {
            self.deliver(&old, FOUND | DELETED)?;
            if self.remove(&old) {
                return Ok(());
            }
            check_signal()?;
        }
        self.report(0, 0)
    }

    fn delete(&self) -> Result {
        while let Some(old) = self.map.load(self.key) {
            self.report(0, FOUND | DELETED)?;
            if self.remove(&old) {
                return Ok(());
            }
            check_signal()?;
        }
        self.report(0, 0)
    }

    fn compare_and_swap(&self) -> Result {
        let expected = self.old()?;
        let mut new = self.value()?;
        while let Some(old) = self.map.load(self.key) {
            if old[..] != expected[..] {
                return self.report(0, FOUND);
            }
            self.report(0, FOUND | STORED)?;
            new = match self.replace(&old, new) {
                Ok(()) => return Ok(()),
                Err(new) => new,
            };
            check_signal()?;
        }
        self.report(0, 0)
    }

    fn compare_and_delete(&self) -> Result {
        let expected = self.old()?;
        while let Some(old) = self.map.load(self.key) {
            if old[..] != expected[..] {
                return self.report(0, FOUND);
            }
            self.report(0, FOUND | DELETED)?;
            let deleted = self
                .map
                .compare_and_delete_with(self.key, |seen| seen.is(&old));
            if deleted.is_some() {
                return Ok(());
            }
            check_signal()?;
        }
        self.report(0, 0)
    }
}

/// Ends an operation that others keep getting ahead of, if its caller is wanted elsewhere.
fn check_signal() -> Result {
    if interrupted() {
        Err(EINTR)
    } else {
        Ok(())
    }
}
