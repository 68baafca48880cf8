// SPDX-License-Identifier: GPL-2.0

//! The module.

use kernel::prelude::*;

module! {
    type: SyncmapModule,
    name: "syncmap",
    authors: ["The syncmap developers"],
    description: "Concurrent hash map: sync.Map on RCU, with a device for userspace",
    license: "GPL",
}

struct SyncmapModule;

impl kernel::Module for SyncmapModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let map = KBox::pin_init(
            syncmap::ByteMap::new_bytes(syncmap::Options::default(), GFP_KERNEL),
            GFP_KERNEL,
        )?;
        drop(map);
        Ok(SyncmapModule)
    }
}
