// SPDX-License-Identifier: GPL-2.0

//! Every difference between the kernel versions that are supported.
//!
//! Kbuild sets `syncmap_kernel_7_3` for 7.3 and later.

#[cfg(syncmap_kernel_7_3)]
pub(crate) use kernel::miscdevice::MiscDeviceRegistration as Registration;

#[cfg(not(syncmap_kernel_7_3))]
pub(crate) use v7_2::Registration;

/// The value of a module parameter, which 7.2 gives as a reference, and 7.3 as it is.
pub(crate) fn parameter(value: impl core::borrow::Borrow<u64>) -> u64 {
    *value.borrow()
}

/// In 7.2 the file operations of a misc device have no owner, so that the module could be unloaded
/// while a file is open. Here they get one, in a copy that lives with the registration.
#[cfg(not(syncmap_kernel_7_3))]
mod v7_2 {
    use core::marker::PhantomData;
    use kernel::bindings;
    use kernel::error::to_result;
    use kernel::miscdevice::{MiscDevice, MiscDeviceOptions};
    use kernel::prelude::*;
    use kernel::types::Opaque;

    /// A registered misc device.
    ///
    /// # Invariants
    ///
    /// `device` is registered, and its file operations are `fops`. What `open` is given instead of
    /// a registration of the kernel's own begins, like that one, with the device.
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
                    // SAFETY: `into_raw` points to a constant, of which this is a copy; `fops` is
                    // valid for writes.
                    unsafe {
                        let mut copy = *options.into_raw::<T>().fops;
                        copy.owner = crate::THIS_MODULE.as_ptr();
                        fops.write(copy);
                    }
                }),
                device <- Opaque::try_ffi_init(move |device: *mut bindings::miscdevice| {
                    // SAFETY: `device` is valid for writes; `fops` was initialised above, and is
                    // pinned. Both live until the device has been deregistered.
                    unsafe {
                        let mut raw = options.into_raw::<T>();
                        raw.fops = Opaque::cast_into(&raw const (*this.as_ptr()).fops);
                        device.write(raw);
                        to_result(bindings::misc_register(device))
                    }
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
}
