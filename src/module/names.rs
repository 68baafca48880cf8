// SPDX-License-Identifier: GPL-2.0

//! The commands on names: attaching a file to a named map, taking a name away, and listing them.

use core::mem::offset_of;
use kernel::bindings;
use kernel::fs::File;
use kernel::prelude::*;
use kernel::sync::Arc;
use kernel::uaccess::{UserPtr, UserSlice};

use crate::abi::{self, ATTACH_CREATE, ATTACH_CREATED, ATTACH_EXCL, RANGE_END};
use crate::device::{interrupted, OpenMap};
use crate::registry::{name_too_long, Access, Listed, Name, Registry, SharedMap};

/// `ENOTEMPTY`, for which the kernel crate has no name.
fn not_empty() -> Error {
    Error::from_errno(-(bindings::ENOTEMPTY as i32))
}

/// Reads a name from user memory.
fn read_name(name: u64, len: u32) -> Result<Name> {
    let mut space = [0; abi::NAME_MAX];
    let space = space.get_mut(..len as usize).ok_or(name_too_long())?;
    UserSlice::new(abi::user(name), space.len())
        .reader()
        .read_slice(space)?;
    Name::new(space)
}

impl OpenMap {
    /// What the file needs to be allowed: 4 to read, 2 to write.
    fn wants(&self) -> u32 {
        u32::from(self.reads) << 2 | u32::from(self.writes) << 1
    }

    /// Attaches the file to a named map.
    pub(crate) fn attach(&self, at: UserPtr, file: &File) -> Result {
        let attach = abi::read_struct::<abi::Attach>(at)?;
        let create = attach.flags & ATTACH_CREATE != 0;
        let excl = attach.flags & ATTACH_EXCL != 0;
        if attach.flags & !(ATTACH_CREATE | ATTACH_EXCL) != 0
            || attach.reserved != 0
            || attach.mode & !0o777 != 0
            || !create && (excl || attach.mode != 0)
        {
            return Err(EINVAL);
        }
        if self.wants() == 0 {
            return Err(EBADF);
        }
        let name = read_name(attach.name, attach.name_len)?;
        let report = |result: u32| {
            let offset = offset_of!(abi::Attach, result);
            abi::write_member(at, offset, &result)
        };

        // Whoever has it may be waiting for user memory: nobody waits for that.
        let _attaching = self.attaching.try_lock().ok_or(EBUSY)?;
        if self.attached.as_ref().is_some() {
            return Err(EBUSY);
        }
        let registry = Registry::get();
        loop {
            if let Some(map) = registry.find_unless(&name, self.wants(), excl, file)? {
                if !self.own.map.is_empty() {
                    return Err(not_empty());
                }
                report(0)?;
                self.attached_to(map);
                return Ok(());
            }
            if !create {
                return Err(ENOENT);
            }
            if !Access::answers_for(file) {
                return Err(EACCES);
            }
            // Before the name is there, for others to find.
            report(ATTACH_CREATED)?;
            match registry.add(name, Access::of_caller(attach.mode), self.own.clone()) {
                Ok(()) => {
                    self.attached_to(self.own.clone());
                    return Ok(());
                }
                // Somebody else has been faster; and perhaps taken it away again.
                Err(error) if error == EEXIST && !excl && !interrupted() => {}
                Err(error) => {
                    // If this cannot be written either, nothing of it can be read.
                    let _ = report(0);
                    return Err(if error == EEXIST && !excl {
                        EINTR
                    } else {
                        error
                    });
                }
            }
        }
    }

    fn attached_to(&self, map: Arc<SharedMap>) {
        map.add_users(1);
        self.attached.populate(map);
    }

    /// Takes a name away.
    pub(crate) fn unlink(&self, at: UserPtr) -> Result {
        let unlink = abi::read_struct::<abi::Unlink>(at)?;
        if unlink.flags != 0 || unlink.reserved != 0 {
            return Err(EINVAL);
        }
        Registry::get().unlink(&read_name(unlink.name, unlink.name_len)?)
    }

    /// The next names, in order.
    pub(crate) fn list(&self, at: UserPtr) -> Result {
        let mut list = abi::read_struct::<abi::Range>(at)?;
        if list.flags != 0 {
            return Err(EINVAL);
        }
        let mut cursor = match (list.cursor, list.cursor_len) {
            (0, 0) => None,
            (name, len) => Some(read_name(name, len)?),
        };
        (list.used, list.count, list.last, list.result) = (0, 0, 0, 0);
        let done = loop {
            let Some(listed) = Registry::get().next(cursor.as_ref()) else {
                list.result = RANGE_END;
                break Ok(());
            };
            let len = (size_of::<abi::NameRecord>() + listed.name.bytes().len()).next_multiple_of(8)
                as u32;
            if len > list.buf_len - list.used {
                if list.count == 0 {
                    list.used = len;
                    break Err(ENOSPC);
                }
                break Ok(());
            }
            let to = abi::user(list.buf).wrapping_byte_add(list.used as usize);
            write_name(to, len, &listed)?;
            list.last = list.used;
            list.used += len;
            list.count += 1;
            cursor = Some(listed.name);
            if interrupted() {
                break Ok(());
            }
        };
        if done.is_ok() || done == Err(ENOSPC) {
            abi::write_struct(at, list.size, &list)?;
        }
        done
    }
}

/// Writes a record of `len` bytes.
fn write_name(to: UserPtr, len: u32, listed: &Listed) -> Result {
    let name = listed.name.bytes();
    let mut writer = UserSlice::new(to, len as usize).writer();
    writer.write(&abi::NameRecord {
        next: len,
        name_len: name.len() as u32,
        uid: listed.uid,
        gid: listed.gid,
        mode: listed.mode,
        users: listed.users,
        entries: listed.entries as u64,
        bytes: listed.bytes as u64,
    })?;
    writer.write_slice(name)?;
    let padding = writer.len();
    writer.write_slice(&[0; 8][..padding])
}
