// SPDX-License-Identifier: GPL-2.0

//! `/dev/syncmap`: an open file is a map.

use core::mem::{offset_of, MaybeUninit};
use kernel::fs::file::{flags, File};
use kernel::miscdevice::{MiscDevice, MiscDeviceRegistration};
use kernel::page::PAGE_SIZE;
use kernel::prelude::*;
use kernel::seq_file::SeqFile;
use kernel::sync::{new_mutex, Arc, Mutex, SetOnce};
use kernel::transmute::AsBytes;
use kernel::uaccess::{UserPtr, UserSlice};
use syncmap::gfp::NORETRY;
use syncmap::object::Bytes;
use syncmap::quota::edquot;
use syncmap::range::{Cursor, Visit};
use syncmap::value::Displaced;
use syncmap::{Account, ByteMap};

use crate::abi::{self, Command};
use crate::ops;
use crate::registry::{gfp, limits, max_names, max_owner_bytes, Registry, SharedMap};

/// Operations of a batch between two looks at the signals. They are read, and what they displace is
/// retired, together.
const STRIDE: usize = 8;

/// Whether a signal is pending for the caller.
pub(crate) fn interrupted() -> bool {
    kernel::current!().signal_pending()
}

/// An open file.
#[pin_data]
pub(crate) struct OpenMap {
    /// The map that it began with.
    pub(crate) own: Arc<SharedMap>,
    /// The one with a name that it is attached to.
    pub(crate) attached: SetOnce<Arc<SharedMap>>,
    /// Held by who attaches it.
    #[pin]
    pub(crate) attaching: Mutex<()>,
    pub(crate) reads: bool,
    pub(crate) writes: bool,
}

#[vtable]
impl MiscDevice for OpenMap {
    type Ptr = Pin<KBox<Self>>;

    fn open(file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        let mode = file.flags() & flags::O_ACCMODE;
        let own = SharedMap::of_caller()?;
        KBox::pin_init(
            pin_init!(Self {
                own,
                attached: SetOnce::new(),
                attaching <- new_mutex!((), "syncmap_attaching"),
                reads: mode == flags::O_RDONLY || mode == flags::O_RDWR,
                writes: mode == flags::O_WRONLY || mode == flags::O_RDWR,
            }),
            gfp(),
        )
    }

    fn release(me: Self::Ptr, _file: &File) {
        if let Some(map) = me.attached.as_ref() {
            map.add_users(-1);
        }
    }

    fn show_fdinfo(me: Pin<&Self>, m: &SeqFile, _file: &File) {
        me.show(m);
    }

    fn ioctl(me: Pin<&Self>, file: &File, cmd: u32, arg: usize) -> Result<isize> {
        let me = me.get_ref();
        let command = Command::from_ioctl(cmd)?;
        let at = UserPtr::from_addr(arg);
        if !matches!(command, Command::Batch) {
            me.check_mode(command)?;
        }
        match command {
            Command::Clear => me.clear(at)?,
            Command::Range => me.range(at)?,
            Command::Batch => me.batch(at)?,
            Command::Info => me.info(at)?,
            Command::Stats => me.stats(at)?,
            Command::Attach => me.attach(at, file)?,
            Command::Unlink => me.unlink(at)?,
            Command::List => me.list(at)?,
            operation => me.operation(operation, at)?,
        }
        Ok(0)
    }
}

impl OpenMap {
    pub(crate) fn shared(&self) -> &SharedMap {
        self.attached.as_ref().unwrap_or(&self.own)
    }

    fn map(&self) -> &ByteMap {
        &self.shared().map
    }

    fn check_mode(&self, command: Command) -> Result {
        if command.reads() && !self.reads || command.writes() && !self.writes {
            return Err(EBADF);
        }
        Ok(())
    }

    /// One operation on one key.
    fn operation(&self, command: Command, at: UserPtr) -> Result {
        let op = abi::read_struct::<abi::Op>(at)?;
        if op.cmd != 0 && op.cmd != command as u32 {
            return Err(EINVAL);
        }
        ops::run(self.map(), command, &op, at, None)
    }

    /// Many operations on one key each.
    ///
    /// Everything that is written to user memory is written once before an operation runs: if it
    /// cannot be, the operation does not run, and the batch ends.
    fn batch(&self, at: UserPtr) -> Result {
        let batch = abi::read_struct::<abi::Batch>(at)?;
        if batch.flags != 0 {
            return Err(EINVAL);
        }
        if batch.count > abi::BATCH_MAX {
            return Err(E2BIG);
        }
        let report = |done: u32| abi::write_member(at, offset_of!(abi::Batch, done), &done);
        report(0)?;
        if batch.count == 0 {
            return Ok(());
        }
        let ops = abi::user(batch.ops);
        let size = UserSlice::new(ops, 4).reader().read::<u32>()?;
        abi::check_size::<abi::Op>(size)?;
        let mut space = [const { MaybeUninit::<abi::Op>::uninit() }; STRIDE];
        // One map for all of them, even if the file is attached to another meanwhile.
        let map = self.map();
        let mut displaced = map.displaced();
        let mut done = 0;
        while done < batch.count {
            let at = ops.wrapping_byte_add(done as usize * size as usize);
            let count = STRIDE.min((batch.count - done) as usize);
            let ahead = abi::read_ahead(at, size, &mut space[..count]);
            for i in 0..count {
                let at = at.wrapping_byte_add(i * size as usize);
                if let Err(fault) = self.batched(map, at, size, ahead.get(i), &mut displaced) {
                    report(done)?;
                    return Err(fault);
                }
                done += 1;
            }
            displaced.retire();
            if interrupted() {
                break;
            }
        }
        report(done)
    }

    /// One operation of a batch, whose struct has perhaps been read ahead; fails only if that cannot
    /// be read or written.
    fn batched<'m>(
        &self,
        map: &'m ByteMap,
        at: UserPtr,
        size: u32,
        ahead: Option<&abi::Op>,
        displaced: &mut Displaced<'m>,
    ) -> Result {
        let report = |error: i32| abi::write_member(at, offset_of!(abi::Op, error), &error);
        let alone;
        let op = match ahead.filter(|op| op.size == size) {
            Some(op) => Ok(op),
            None => {
                alone = abi::read_sized::<abi::Op>(at, Some(size));
                alone.as_ref()
            }
        };
        let result = match op {
            Ok(op) => {
                // Mostly it says so already.
                if op.error != 0 {
                    report(0)?;
                }
                self.run_batched(map, op, at, displaced)
            }
            Err(&EFAULT) => return Err(EFAULT),
            Err(error) => Err(*error),
        };
        let Err(error) = result else {
            return Ok(());
        };
        // All failures but `ENOSPC`, which has reported a size, leave no results.
        if error != ENOSPC {
            abi::write_results(at, 0, 0)?;
        }
        report(error.to_errno())
    }

    fn run_batched<'m>(
        &self,
        map: &'m ByteMap,
        op: &abi::Op,
        at: UserPtr,
        displaced: &mut Displaced<'m>,
    ) -> Result {
        let command = Command::from_number(op.cmd)
            .filter(|command| command.is_operation())
            .ok_or(EINVAL)?;
        self.check_mode(command)?;
        let done = ops::run(map, command, op, at, Some(displaced));
        if displaced.bytes() > PAGE_SIZE {
            displaced.retire();
        }
        match done {
            // Perhaps what the batch itself has displaced is in the way. The failure has changed
            // nothing, so the operation is simply run again when that can be freed.
            Err(error) if error == edquot() && displaced.bytes() != 0 => {
                displaced.retire();
                ops::run(map, command, op, at, None)
            }
            done => done,
        }
    }

    fn clear(&self, at: UserPtr) -> Result {
        if abi::read_struct::<abi::Clear>(at)?.flags != 0 {
            return Err(EINVAL);
        }
        self.map().clear(gfp())
    }

    fn info(&self, at: UserPtr) -> Result {
        let mut info = abi::read_struct::<abi::Info>(at)?;
        if info.flags != 0 {
            return Err(EINVAL);
        }
        let limits = limits();
        info.abi_version = abi::VERSION;
        info.key_max = abi::KEY_MAX as u32;
        info.value_max = abi::VALUE_MAX as u32;
        info.batch_max = abi::BATCH_MAX;
        info.max_entries = limits.entries as u64;
        info.max_bytes = limits.bytes as u64;
        let shared = self.shared();
        info.max_owner_bytes = max_owner_bytes();
        info.owner_bytes = shared.account().map_or(0, Account::bytes) as u64;
        info.max_names = max_names();
        info.names = Registry::get().names_of(shared);
        abi::write_struct(at, info.size, &info)
    }

    fn stats(&self, at: UserPtr) -> Result {
        let mut out = abi::read_struct::<abi::Stats>(at)?;
        if out.flags != 0 {
            return Err(EINVAL);
        }
        let stats = self.map().stats();
        out.entries = stats.entries as u64;
        out.bytes = stats.bytes as u64;
        out.retired_bytes = stats.retired_bytes as u64;
        out.read_slots = stats.read_slots as u64;
        out.dirty_slots = stats.dirty_slots as u64;
        out.amended = stats.amended.into();
        out.reserved = 0;
        out.misses = stats.misses as u64;
        out.promotions = stats.promotions as u64;
        out.expunged = stats.expunged as u64;
        out.sweeps = stats.sweeps as u64;
        abi::write_struct(at, out.size, &out)
    }

    /// The next records of a walk.
    fn range(&self, at: UserPtr) -> Result {
        let mut range = abi::read_struct::<abi::Range>(at)?;
        if range.flags != 0 {
            return Err(EINVAL);
        }
        let mut key = ops::KEY_SPACE;
        let cursor = if range.cursor == 0 && range.cursor_len == 0 {
            Cursor::Start
        } else {
            Cursor::Key(ops::read_key(range.cursor, range.cursor_len, &mut key)?)
        };
        range.used = 0;
        range.count = 0;
        range.last = 0;
        range.result = 0;
        let done = self.write_records(cursor, &mut range);
        if done == Err(ENOSPC) || done.is_ok() {
            abi::write_struct(at, range.size, &range)?;
        }
        done
    }

    #[inline(never)]
    fn write_records(&self, cursor: Cursor<'_, Bytes>, range: &mut abi::Range) -> Result {
        let mut walk = self.map().walk(cursor);
        let mut records = Records::new();
        while !walk.is_over() {
            records.begin((range.buf_len - range.used) as usize);
            walk.section(records.wanted(), |key, seen| records.add(key, seen.get()));
            let to = abi::user(range.buf).wrapping_byte_add(range.used as usize);
            records.write(to)?;
            if records.is_too_long {
                if let Some((key, value)) = walk.next_pair() {
                    records.write_alone(to, &key, &value)?;
                }
            }
            if records.count != 0 {
                range.last = range.used + records.last as u32;
                range.used += records.len as u32;
                range.count += records.count;
            }
            if let Some(len) = records.refused {
                if range.count == 0 {
                    range.used = len as u32;
                    return Err(ENOSPC);
                }
                return Ok(());
            }
            if interrupted() && range.count != 0 {
                return Ok(());
            }
        }
        range.result = abi::RANGE_END;
        Ok(())
    }
}

/// Bytes of records that are put together before they are written.
const SPACE: usize = 4096;

/// Records of a walk, put together in one section, to be written to user memory after it.
struct Records {
    /// Bytes that user memory has room for.
    room: usize,
    /// If there is memory for it: without, each record is written by itself.
    space: Option<KBox<[u8; SPACE]>>,
    /// Bytes of the records.
    len: usize,
    count: u32,
    /// Where the last one begins.
    last: usize,
    /// How long the last one is, or a short one.
    usual: usize,
    /// The length of a record that there was no room for.
    refused: Option<usize>,
    /// Whether the first record does not fit into the space.
    is_too_long: bool,
}

impl Records {
    fn new() -> Self {
        // Not charged to the caller: whose memory is used up wants to see what to delete.
        let space = KBox::zeroed(GFP_KERNEL | __GFP_NOWARN | NORETRY);
        Self {
            room: 0,
            space: space.ok(),
            len: 0,
            count: 0,
            last: 0,
            usual: 2 * size_of::<abi::Record>(),
            refused: None,
            is_too_long: false,
        }
    }

    /// How many records there is room for, if they are as long as the last one.
    fn wanted(&self) -> usize {
        match self.space {
            Some(_) => self.room.min(SPACE) / self.usual,
            None => 1,
        }
    }

    /// Forgets all records; there is room for so many bytes of others.
    fn begin(&mut self, room: usize) {
        self.room = room;
        self.len = 0;
        self.count = 0;
        self.refused = None;
        self.is_too_long = false;
    }

    /// Counts a record in, if there is room for it.
    fn count_in(&mut self, key: &[u8], value: &[u8]) -> Option<abi::Record> {
        let len = (size_of::<abi::Record>() + key.len() + value.len()).next_multiple_of(8);
        if len > self.room - self.len {
            self.refused = Some(len);
            return None;
        }
        self.last = self.len;
        self.usual = len;
        self.len += len;
        self.count += 1;
        Some(abi::Record {
            next: len as u32,
            key_len: key.len() as u32,
            value_len: value.len() as u32,
            reserved: 0,
        })
    }

    /// Adds a record, if there is space for it as well.
    fn add(&mut self, key: &[u8], value: &[u8]) -> Visit {
        let len = size_of::<abi::Record>() + key.len() + value.len();
        let fits = len.next_multiple_of(8) <= SPACE - self.len;
        if self.space.is_none() || !fits {
            self.is_too_long = self.count == 0;
            return Visit::Stop;
        }
        let Some(record) = self.count_in(key, value) else {
            return Visit::Stop;
        };
        let mut at = self.last;
        let padding = record.next as usize - len;
        for part in [record.as_bytes(), key, value, &[0; 8][..padding]] {
            let space = self
                .space
                .as_mut()
                .and_then(|space| space.get_mut(at..at + part.len()));
            if let Some(space) = space {
                space.copy_from_slice(part);
            }
            at += part.len();
        }
        Visit::Next
    }

    /// Writes the records.
    fn write(&self, to: UserPtr) -> Result {
        match self.space.as_ref().and_then(|space| space.get(..self.len)) {
            Some(records) if !records.is_empty() => {
                UserSlice::new(to, self.len).writer().write_slice(records)
            }
            _ => Ok(()),
        }
    }

    /// Writes a record that does not fit into the space, as the only one.
    fn write_alone(&mut self, to: UserPtr, key: &[u8], value: &[u8]) -> Result {
        let Some(record) = self.count_in(key, value) else {
            return Ok(());
        };
        let mut writer = UserSlice::new(to, self.len).writer();
        writer.write(&record)?;
        writer.write_slice(key)?;
        writer.write_slice(value)?;
        let padding = writer.len();
        writer.write_slice(&[0; 8][..padding])
    }
}
