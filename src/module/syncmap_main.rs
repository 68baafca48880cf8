// SPDX-License-Identifier: GPL-2.0

//! The module: its parameters, and the order in which its parts start and stop.

use core::ptr::NonNull;
use kernel::miscdevice::MiscDeviceOptions;
use kernel::prelude::*;

mod abi;
mod capi;
mod compat;
mod device;
mod holders;
mod names;
mod ops;
mod registry;
mod show;

use capi::Exports;
use device::OpenMap;
use registry::Registry;
use show::DebugFs;

module! {
    type: SyncmapModule,
    name: "syncmap",
    authors: ["The syncmap developers"],
    description: "Concurrent hash map: sync.Map on RCU, with a device for userspace",
    license: "GPL",
    // Opening the device loads the module: `MINOR` of compat.rs.
    alias: ["devname:syncmap", "char-major-10-247"],
    params: {
        max_entries: u64 {
            default: 1_048_576,
            description: "Greatest number of keys in a map (default: 1048576)",
        },
        max_bytes: u64 {
            default: 268_435_456,
            description: "Greatest memory of a map, in bytes (default: 268435456, 256 MiB)",
        },
        max_owner_bytes: u64 {
            default: 1_073_741_824,
            description: "Greatest memory of all maps of a user, in bytes (default: 1073741824, 1 GiB)",
        },
        max_names: u64 {
            default: 1024,
            description: "Greatest number of named maps of a user (default: 1024)",
        },
    },
}

/// Least `max_bytes` for which a map can be made and do something.
const MAX_BYTES_MIN: u64 = 65536;

#[pin_data]
struct SyncmapModule {
    // In this order they go: no more files are opened, and those that are open pin the module, as do
    // modules that use the API; names are taken away.
    #[pin]
    _device: compat::Registration<OpenMap>,
    #[pin]
    _debugfs: DebugFs,
    _names: Names,
    _exports: Exports,
    #[pin]
    registry: Registry,
}

/// Takes all names away when it goes.
struct Names;

impl Drop for Names {
    fn drop(&mut self) {
        Registry::get().clear();
    }
}

/// A parameter that is at least so much.
fn at_least(least: u64, value: u64, name: &str) -> Result {
    if value < least {
        pr_err!("{} must be at least {}.\n", name, least);
        return Err(EINVAL);
    }
    Ok(())
}

impl kernel::InPlaceModule for SyncmapModule {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let entries = compat::parameter(module_parameters::max_entries.value());
            let bytes = compat::parameter(module_parameters::max_bytes.value());
            at_least(1, entries, "max_entries")?;
            at_least(MAX_BYTES_MIN, bytes, "max_bytes")?;
            at_least(
                MAX_BYTES_MIN,
                registry::max_owner_bytes(),
                "max_owner_bytes",
            )?;
            Ok(try_pin_init!(&this in Self {
                registry <- Registry::new(),
                _exports: {
                    // SAFETY: Initialised above, and the last to go.
                    unsafe { Registry::publish(NonNull::new_unchecked(&raw mut (*this.as_ptr()).registry)) };
                    Exports::new()?
                },
                _names: Names,
                _debugfs <- DebugFs::new(),
                // The last to come: from here on there are users.
                _device <- compat::Registration::register(MiscDeviceOptions { name: c"syncmap" }),
            }? Error))
        })
    }
}
