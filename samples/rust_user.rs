// SPDX-License-Identifier: GPL-2.0

//! A module in Rust that uses the map in both ways: one of its own, of sessions by number, and one
//! with a name, `settings`, which userspace may fill (see `client.c`), and which says how many
//! sessions there may be.

use kernel::prelude::*;
use kernel::sync::{rcu, Arc};
use syncmap::named::{Get, NamedMap};
use syncmap::{Options, SyncMap};

module! {
    type: RustUser,
    name: "rust_user",
    authors: ["The syncmap developers"],
    description: "Sample of syncmap: a module in Rust",
    license: "GPL",
}

/// Sessions that there may be, unless the settings say something else.
const SESSIONS: usize = 100;

struct Session {
    user: u32,
}

type Sessions = SyncMap<u64, Arc<Session>>;

struct RustUser {
    sessions: Pin<KBox<Sessions>>,
    settings: NamedMap,
}

impl RustUser {
    /// How many sessions there may be. Any context.
    fn max_sessions(&self) -> usize {
        let guard = rcu::read_lock();
        let setting = self.settings.lookup(b"sessions", &guard);
        let number = setting.and_then(|text| core::str::from_utf8(text).ok());
        number
            .and_then(|text| text.parse().ok())
            .unwrap_or(SESSIONS)
    }

    /// Begins a session. Process context.
    fn begin(&self, id: u64, user: u32) -> Result<Arc<Session>> {
        if self.sessions.len() >= self.max_sessions() {
            return Err(EAGAIN);
        }
        let session = Arc::new(Session { user }, GFP_KERNEL)?;
        self.sessions.store(id, session.clone(), GFP_KERNEL)?;
        Ok(session)
    }

    /// The session of a number. Any context: the reference is taken under RCU.
    fn find(&self, id: u64) -> Option<Arc<Session>> {
        let guard = rcu::read_lock();
        self.sessions.get(&id, &guard).cloned()
    }
}

impl kernel::Module for RustUser {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let sessions = Sessions::new(Options::default(), GFP_KERNEL);
        let this = RustUser {
            sessions: KBox::pin_init(sessions, GFP_KERNEL)?,
            settings: NamedMap::get(c"settings", Get::Create(0o600), module)?,
        };
        for id in 0..SESSIONS as u64 {
            if this.begin(id, 1000 + id as u32).is_err() {
                break;
            }
        }
        let kept = this.find(0);
        this.sessions.delete(&0);
        // Deleted, but a session lives for as long as somebody uses it.
        match (kept, this.find(0)) {
            (Some(session), None) => pr_info!(
                "{} sessions of at most {}; the one of user {} has ended.\n",
                this.sessions.len(),
                this.max_sessions(),
                session.user
            ),
            _ => pr_err!("A session that was begun is not there.\n"),
        }
        Ok(this)
    }
}

impl Drop for RustUser {
    fn drop(&mut self) {
        pr_info!("{} sessions end.\n", self.sessions.len());
    }
}
