// SPDX-License-Identifier: GPL-2.0

//! The module: its parameters, and the order in which its parts start and stop.

use kernel::miscdevice::MiscDeviceOptions;
use kernel::prelude::*;

mod abi;
mod compat;
mod device;
mod ops;

use device::OpenMap;

module! {
    type: SyncmapModule,
    name: "syncmap",
    authors: ["The syncmap developers"],
    description: "Concurrent hash map: sync.Map on RCU, with a device for userspace",
    license: "GPL",
    params: {
        max_entries: u64 {
            default: 1_048_576,
            description: "Greatest number of keys in a map (default: 1048576)",
        },
        max_bytes: u64 {
            default: 268_435_456,
            description: "Greatest memory of a map, in bytes (default: 268435456, 256 MiB)",
        },
    },
}

/// Least `max_bytes` for which a map can be made and do something.
const MAX_BYTES_MIN: u64 = 65536;

#[pin_data]
struct SyncmapModule {
    // The device is the first to come into being and the last to go; files that are open pin the
    // module, so there is none when it goes.
    #[pin]
    _device: compat::Registration<OpenMap>,
}

impl kernel::InPlaceModule for SyncmapModule {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let entries = compat::parameter(module_parameters::max_entries.value());
            let bytes = compat::parameter(module_parameters::max_bytes.value());
            if entries == 0 {
                pr_err!("max_entries must be at least 1.\n");
                return Err(EINVAL);
            }
            if bytes < MAX_BYTES_MIN {
                pr_err!("max_bytes must be at least {}.\n", MAX_BYTES_MIN);
                return Err(EINVAL);
            }
            Ok(try_pin_init!(Self {
                _device <- compat::Registration::register(MiscDeviceOptions { name: c"syncmap" }),
            }? Error))
        })
    }
}
