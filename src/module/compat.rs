// SPDX-License-Identifier: GPL-2.0

//! Every difference between the kernel versions that are supported, and the registration of the
//! device, which has one.
//!
//! Kbuild sets `syncmap_kernel_7_3` for 7.3 and later.

use core::marker::PhantomData;
use kernel::bindings;
use kernel::error::to_result;
use kernel::miscdevice::{MiscDevice, MiscDeviceOptions};
use kernel::prelude::*;
use kernel::types::Opaque;

/// The minor number, one of those that are reserved for local use (243 to 254, see
/// Documentation/admin-guide/devices.txt): only for a fixed one does the kernel load a module when
/// the device is opened. The aliases in `module!` repeat it.
pub(crate) const MINOR: i32 = 247;

/// The value of a module parameter, which 7.2 gives as a reference, and 7.3 as it is.
pub(crate) fn parameter(value: impl core::borrow::Borrow<u64>) -> u64 {
    *value.borrow()
}

/// In 7.2 the file operations of a misc device have no owner, so that the module could be unloaded
/// while a file is open.
fn with_owner(fops: bindings::file_operations) -> bindings::file_operations {
    #[cfg(not(syncmap_kernel_7_3))]
    let fops = bindings::file_operations {
        owner: crate::THIS_MODULE.as_ptr(),
        ..fops
    };
    fops
}

/// A registered misc device, with the minor number [`MINOR`] if nobody else has it: the kernel's own
/// registration only knows dynamic ones.
///
/// # Invariants
///
/// `device` is registered, and its file operations are `fops`. What `open` is given instead of a
/// registration of the kernel's own begins, like that one, with the device.
#[repr(C)]
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T> {
    #[pin]
    device: Opaque<bindings::miscdevice>,
    #[pin]
    fops: Opaque<bindings::file_operations>,
    _t: PhantomData<T>,
}

// SAFETY: A device may be deregistered by any thread.
unsafe impl<T> Send for Registration<T> {}
// SAFETY: There are no methods on shared references.
unsafe impl<T> Sync for Registration<T> {}

impl<T: MiscDevice> Registration<T> {
    pub(crate) fn register(options: MiscDeviceOptions) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            fops <- Opaque::ffi_init(|fops: *mut bindings::file_operations| {
                // SAFETY: `into_raw` points to a constant, of which this is a copy; `fops` is valid
                // for writes.
                unsafe { fops.write(with_owner(*options.into_raw::<T>().fops)) };
            }),
            device <- Opaque::try_ffi_init(move |device: *mut bindings::miscdevice| {
                let mut raw = options.into_raw::<T>();
                let dynamic = raw.minor;
                raw.minor = MINOR;
                // SAFETY: `fops` was initialised above, and is pinned.
                raw.fops = Opaque::cast_into(unsafe { &raw const (*this.as_ptr()).fops });
                // SAFETY: `device` is valid for writes, and lives until it has been deregistered, as
                // do its `fops`.
                let register = |raw| unsafe {
                    device.write(raw);
                    to_result(bindings::misc_register(device))
                };
                register(raw).or_else(|error| {
                    if error != EBUSY {
                        return Err(error);
                    }
                    pr_warn!("Another driver has the minor number {}: /dev/syncmap gets a dynamic one, and opening it will not load this module.\n", MINOR);
                    raw.minor = dynamic;
                    register(raw)
                })
            }),
            _t: PhantomData,
        })
    }
}

#[pinned_drop]
impl<T> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant.
        unsafe { bindings::misc_deregister(self.device.get()) };
    }
}
