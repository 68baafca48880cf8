// SPDX-License-Identifier: GPL-2.0

//! The maps of the module: whose they are, what their owners may have, and which have names.
//!
//! A map lives for as long as anybody refers to it: open files, modules that hold it, and its name.
//! Names last until they are unlinked, or the module goes; they are the same in all namespaces, like
//! those of devices.

use core::ptr::NonNull;
use kernel::alloc::Flags;
use kernel::bindings;
use kernel::ffi::c_void;
use kernel::fmt;
use kernel::fs::File;
use kernel::prelude::*;
use kernel::rbtree::{Entry, RBTree, RBTreeNodeReservation};
use kernel::str::BStr;
use kernel::sync::atomic::{Acquire, Atomic, Relaxed, Release};
use kernel::sync::{new_condvar, new_mutex, Arc, CondVar, Mutex};
use syncmap::gfp::RETRY_MAYFAIL;
use syncmap::quota::edquot;
use syncmap::{Account, ByteMap, Limits, Options};

use crate::abi;
use crate::compat;
use crate::device::OpenMap;
use crate::holders::Holders;
use crate::module_parameters;

/// Memory of a map is charged to the memory cgroup of whoever asks for it, who is also told if there
/// is none: the log need not know, and nobody needs to be killed. The killer would look for memory of
/// processes, and not find that of maps.
pub(crate) fn gfp() -> Flags {
    GFP_KERNEL_ACCOUNT | __GFP_NOWARN | RETRY_MAYFAIL
}

fn clamp(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// The limits of a map, as the parameters of the module set them.
pub(crate) fn limits() -> Limits {
    Limits {
        entries: clamp(compat::parameter(module_parameters::max_entries.value())),
        bytes: clamp(compat::parameter(module_parameters::max_bytes.value())),
        ..Limits::NONE
    }
}

/// Bytes that all maps of one owner may have.
pub(crate) fn max_owner_bytes() -> u64 {
    compat::parameter(module_parameters::max_owner_bytes.value())
}

/// Names that one owner may have.
pub(crate) fn max_names() -> u64 {
    compat::parameter(module_parameters::max_names.value())
}

/// A name of a map: letters, digits and `. _ - :`, not beginning with a dot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    // Padded with zeros, which no name contains: so arrays are ordered as names are.
    bytes: [u8; abi::NAME_MAX],
    len: usize,
}

impl Name {
    /// `EINVAL` if this is no name, `ENAMETOOLONG` if it is too long for one.
    pub(crate) fn new(name: &[u8]) -> Result<Self> {
        let mut bytes = [0; abi::NAME_MAX];
        let space = bytes.get_mut(..name.len()).ok_or(name_too_long())?;
        space.copy_from_slice(name);
        let good = |b: &u8| b.is_ascii_alphanumeric() || b"._-:".contains(b);
        match name {
            [] | [b'.', ..] => Err(EINVAL),
            name if !name.iter().all(good) => Err(EINVAL),
            _ => Ok(Self {
                bytes,
                len: name.len(),
            }),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BStr::from_bytes(self.bytes()).fmt(f)
    }
}

/// `ENAMETOOLONG`, for which the kernel crate has no name.
pub(crate) fn name_too_long() -> Error {
    Error::from_errno(-(bindings::ENAMETOOLONG as i32))
}

/// `struct syncmap_access`: whose a named map is, and who may use it.
#[repr(C)]
pub(crate) struct Access {
    uid: u32,
    gid: u32,
    mode: u32,
    ns: *mut c_void,
}

// SAFETY: A reference to a namespace may be used and given back by any thread.
unsafe impl Send for Access {}

unsafe extern "C" {
    safe fn syncmap_access_uid() -> u32;
    fn syncmap_access_of_caller(access: *mut Access, mode: u32);
    fn syncmap_access_of_kernel(access: *mut Access, mode: u32);
    fn syncmap_access_end(access: *mut Access);
    fn syncmap_access_permits(access: *const Access, wanted: u32) -> bool;
    fn syncmap_access_permits_opener(
        access: *const Access,
        file: *const c_void,
        wanted: u32,
    ) -> bool;
    fn syncmap_access_answers_for(file: *const c_void) -> bool;
    fn syncmap_access_owns(access: *const Access) -> bool;
    fn syncmap_access_is_kernels(access: *const Access) -> bool;
    fn syncmap_access_uid_here(access: *const Access) -> u32;
    fn syncmap_access_gid_here(access: *const Access) -> u32;
}

impl Access {
    const NONE: Access = Access {
        uid: 0,
        gid: 0,
        mode: 0,
        ns: core::ptr::null_mut(),
    };

    /// Of what the caller creates; `mode` is subject to the umask.
    pub(crate) fn of_caller(mode: u32) -> Self {
        let mut access = Self::NONE;
        // SAFETY: Valid for writes; called by a process.
        unsafe { syncmap_access_of_caller(&mut access, mode) };
        access
    }

    /// Of what the kernel creates: root's, in the initial namespace.
    pub(crate) fn of_kernel(mode: u32) -> Self {
        let mut access = Self::NONE;
        // SAFETY: Valid for writes.
        unsafe { syncmap_access_of_kernel(&mut access, mode) };
        access
    }

    /// Whether the caller may do what is `wanted`, and so may who has opened the file: who passes one
    /// on, and keeps it, gets no more by that.
    fn permits(&self, wanted: u32, file: &File) -> bool {
        // SAFETY: Filled in by the constructors; a file that is open.
        unsafe {
            syncmap_access_permits(self, wanted)
                && syncmap_access_permits_opener(self, file.as_ptr().cast(), wanted)
        }
    }

    /// Whether the caller may make something that who has opened the file will have as well.
    pub(crate) fn answers_for(file: &File) -> bool {
        // SAFETY: A file that is open.
        unsafe { syncmap_access_answers_for(file.as_ptr().cast()) }
    }

    /// Whether it is root's, in the initial namespace, as what the kernel creates.
    fn is_kernels(&self) -> bool {
        // SAFETY: As above.
        unsafe { syncmap_access_is_kernels(self) }
    }

    fn is_owned(&self) -> bool {
        // SAFETY: As above.
        unsafe { syncmap_access_owns(self) }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        // SAFETY: The constructors have taken the reference that is given back here.
        unsafe { syncmap_access_end(self) };
    }
}

/// What an empty map takes besides what it is charged for itself, with the file that it came with:
/// who opens many shall not get around the limit.
const HEADS: usize = size_of::<SharedMap>() + size_of::<OpenMap>();

/// The owner of a map, for as long as the map lives.
struct Owner {
    uid: u32,
    account: Arc<Account>,
    /// Bytes charged for the map itself.
    heads: usize,
}

impl Owner {
    /// Charges the owner for the map itself.
    fn charge(mut self) -> Result<Self> {
        self.account.charge(HEADS, gfp())?;
        self.heads = HEADS;
        Ok(self)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.account.uncharge(self.heads);
        Registry::get().leave(self.uid);
    }
}

/// A map of the module's.
#[pin_data]
pub(crate) struct SharedMap {
    // The map first: it is charged to the account of its owner.
    #[pin]
    pub(crate) map: ByteMap,
    owner: Option<Owner>,
    users: Atomic<u32>,
}

impl SharedMap {
    /// Makes a map of the caller's.
    pub(crate) fn of_caller() -> Result<Arc<Self>> {
        let owner = Registry::get().enter(syncmap_access_uid())?;
        Self::new(Some(owner.charge()?))
    }

    /// Makes a map of the kernel's, which counts for nobody.
    pub(crate) fn of_kernel() -> Result<Arc<Self>> {
        Self::new(None)
    }

    fn new(owner: Option<Owner>) -> Result<Arc<Self>> {
        let options = Options {
            limits: limits(),
            account: owner.as_ref().map(|owner| owner.account.clone()),
            ..Options::default()
        };
        Arc::pin_init(
            try_pin_init!(Self {
                map <- ByteMap::new_bytes(options, gfp()),
                owner,
                users: Atomic::new(0),
            }? Error),
            gfp(),
        )
    }

    /// The account of the map's owner, if it has one.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.owner.as_ref().map(|owner| &*owner.account)
    }

    /// Counts a user, or counts one out.
    pub(crate) fn add_users(&self, by: i32) {
        self.users.add(by as u32, Relaxed);
    }

    /// Open files that are attached to it, and references of modules.
    pub(crate) fn users(&self) -> u32 {
        self.users.load(Relaxed)
    }
}

/// A map that has a name.
struct Named {
    map: Arc<SharedMap>,
    access: Access,
}

/// What an owner has.
struct Owned {
    account: Arc<Account>,
    maps: usize,
    names: u64,
}

struct State {
    names: RBTree<Name, Named>,
    owners: RBTree<u32, Owned>,
}

/// What is told about a named map.
pub(crate) struct Listed {
    pub(crate) name: Name,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    pub(crate) users: u32,
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// All maps with names, and all owners of maps. The mutex is never held while a map is dropped.
#[pin_data]
pub(crate) struct Registry {
    #[pin]
    state: Mutex<State>,
    /// A name was added.
    #[pin]
    added: CondVar,
    /// The modules that use maps.
    #[pin]
    pub(crate) holders: Holders,
}

static REGISTRY: Atomic<*mut Registry> = Atomic::new(core::ptr::null_mut());

impl Registry {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_mutex!(State {
                names: RBTree::new(),
                owners: RBTree::new(),
            }, "syncmap_registry"),
            added <- new_condvar!("syncmap_registry"),
            holders <- Holders::new(),
        })
    }

    /// Makes this the one that [`Registry::get`] returns.
    ///
    /// # Safety
    ///
    /// It is initialised, and lives until nothing of the module runs any more.
    pub(crate) unsafe fn publish(this: NonNull<Self>) {
        // Release: pairs with the acquire in `get` (litmus: value).
        REGISTRY.store(this.as_ptr(), Release);
    }

    /// The registry of the module.
    pub(crate) fn get() -> &'static Self {
        // SAFETY: By the contract of `publish`, which the module calls before anything that uses the
        // registry can be called.
        unsafe { &*REGISTRY.load(Acquire) }
    }

    /// Counts a map of an owner in.
    fn enter(&self, uid: u32) -> Result<Owner> {
        let known = |state: &mut State| {
            let owned = state.owners.get_mut(&uid)?;
            owned.maps += 1;
            Some(Owner {
                uid,
                account: owned.account.clone(),
                heads: 0,
            })
        };
        if let Some(owner) = known(&mut self.state.lock()) {
            return Ok(owner);
        }
        let account = Arc::pin_init(Account::new(clamp(max_owner_bytes())), gfp())?;
        let node = RBTreeNodeReservation::new(gfp())?.into_node(
            uid,
            Owned {
                account: account.clone(),
                maps: 1,
                names: 0,
            },
        );
        let mut state = self.state.lock();
        if let Some(owner) = known(&mut state) {
            return Ok(owner);
        }
        state.owners.insert(node);
        Ok(Owner {
            uid,
            account,
            heads: 0,
        })
    }

    /// Counts one out.
    fn leave(&self, uid: u32) {
        let mut state = self.state.lock();
        let last = state.owners.get_mut(&uid).is_some_and(|owned| {
            owned.maps -= 1;
            owned.maps == 0
        });
        let gone = last.then(|| state.owners.remove_node(&uid));
        drop(state);
        drop(gone);
    }

    /// The names that an owner has.
    pub(crate) fn names_of(&self, map: &SharedMap) -> u64 {
        let state = self.state.lock();
        let owner = map.owner.as_ref();
        owner
            .and_then(|owner| state.owners.get(&owner.uid))
            .map_or(0, |owned| owned.names)
    }

    /// The map of a name, if there is one and the caller, and who has opened `file`, may do what it
    /// `wants`: 4 to read, 2 to write; else `EACCES`. `EEXIST` if there must be none.
    pub(crate) fn find_unless(
        &self,
        name: &Name,
        wants: u32,
        exclusive: bool,
        file: &File,
    ) -> Result<Option<Arc<SharedMap>>> {
        match self.state.lock().names.get(name) {
            None => Ok(None),
            Some(_) if exclusive => Err(EEXIST),
            Some(named) if named.access.permits(wants, file) => Ok(Some(named.map.clone())),
            Some(_) => Err(EACCES),
        }
    }

    /// The map of a name, for a module; waits for it, interruptibly, if `wait`. `ENOENT` or `EINTR`;
    /// `EPERM` if it is a user's, and not `anybodys`.
    pub(crate) fn wait(&self, name: &Name, wait: bool, anybodys: bool) -> Result<Arc<SharedMap>> {
        let mut state = self.state.lock();
        loop {
            match state.names.get(name) {
                Some(named) if !anybodys && !named.access.is_kernels() => return Err(EPERM),
                Some(named) => return Ok(named.map.clone()),
                None if !wait => return Err(ENOENT),
                None => {}
            }
            if self.added.wait_interruptible_freezable(&mut state) {
                return Err(EINTR);
            }
        }
    }

    /// Gives a map a name. `EEXIST` if there is one of this name, `EDQUOT` if its owner has as many
    /// as may be.
    pub(crate) fn add(&self, name: Name, access: Access, map: Arc<SharedMap>) -> Result {
        let reservation = RBTreeNodeReservation::new(gfp())?;
        let uid = map.owner.as_ref().map(|owner| owner.uid);
        let mut state = self.state.lock();
        let State { names, owners } = &mut *state;
        let Entry::Vacant(vacant) = names.entry(name) else {
            drop(state);
            return Err(EEXIST);
        };
        if let Some(owned) = uid.and_then(|uid| owners.get_mut(&uid)) {
            if owned.names >= max_names() {
                drop(state);
                return Err(edquot());
            }
            owned.names += 1;
        }
        vacant.insert(Named { map, access }, reservation);
        drop(state);
        self.added.notify_all();
        Ok(())
    }

    /// Takes a name away. `ENOENT`; `EPERM` if it is not the caller's.
    pub(crate) fn unlink(&self, name: &Name) -> Result {
        let mut state = self.state.lock();
        if !state.names.get(name).ok_or(ENOENT)?.access.is_owned() {
            return Err(EPERM);
        }
        let gone = Self::remove(&mut state, name);
        drop(state);
        drop(gone);
        Ok(())
    }

    fn remove(state: &mut State, name: &Name) -> Option<Named> {
        let named = state.names.remove(name)?;
        if let Some(owner) = &named.map.owner {
            if let Some(owned) = state.owners.get_mut(&owner.uid) {
                owned.names -= 1;
            }
        }
        Some(named)
    }

    /// The first named map behind a name, or of all.
    pub(crate) fn next(&self, behind: Option<&Name>) -> Option<Listed> {
        self.behind(behind, |name, Named { map, access }| Listed {
            name: *name,
            // SAFETY: Filled in by its constructors.
            uid: unsafe { syncmap_access_uid_here(access) },
            // SAFETY: As above.
            gid: unsafe { syncmap_access_gid_here(access) },
            mode: access.mode,
            users: map.users(),
            entries: map.map.len(),
            bytes: map.map.bytes(),
        })
    }

    /// The same, but the map itself.
    pub(crate) fn next_map(&self, behind: Option<&Name>) -> Option<(Name, Arc<SharedMap>)> {
        self.behind(behind, |name, named| (*name, named.map.clone()))
    }

    /// What `look` makes of the first name behind another one, or of all.
    fn behind<R>(&self, behind: Option<&Name>, look: impl FnOnce(&Name, &Named) -> R) -> Option<R> {
        let state = self.state.lock();
        let cursor = match behind {
            None => state.names.cursor_front()?,
            Some(behind) => state.names.cursor_lower_bound(behind)?,
        };
        let (name, named) = match Some(cursor.current().0) == behind {
            true => cursor.peek_next()?,
            false => cursor.current(),
        };
        Some(look(name, named))
    }

    /// The name of a map, if it has one still.
    pub(crate) fn name_of(&self, map: &Arc<SharedMap>) -> Option<Name> {
        let state = self.state.lock();
        let mut names = state.names.iter();
        names
            .find(|(_, named)| Arc::ptr_eq(&named.map, map))
            .map(|(name, _)| *name)
    }

    /// Takes all names away: the module goes.
    pub(crate) fn clear(&self) {
        loop {
            let mut state = self.state.lock();
            let Some(name) = state.names.keys().next().copied() else {
                return;
            };
            let gone = Self::remove(&mut state, &name);
            drop(state);
            drop(gone);
        }
    }
}
