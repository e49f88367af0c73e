//! What a server does for its hosted zones beside answering: it tells other servers of changes (NOTIFY, RFC 1996) and keeps
//! copies of zones from their primaries (RFC 1034 4.3.5).
//!
//! `versions.rs` is the one place where a zone changes. `updater.rs` is the thread that carries out updates (RFC 2136), with
//! `journaled.rs` and `journal_file.rs` for what must outlive a crash; `write_back.rs` is the one that writes them into zone files.
//! A third does the rest: `keeper.rs` is its loop and performs what `authority` decides; `check.rs` asks the primaries of one zone, `primary.rs` speaks with one;
//! `catalogs.rs` follows the catalogs of other servers (RFC 9432), `made_catalogs.rs` writes those of this one.
//! `aliases.rs` knows what stands for ALIAS records, `alias_targets.rs` asks for it.
//! `copies.rs` keeps what was transferred over a restart; `shown.rs` is what `cairn status` tells of it.

mod alias_targets;
mod aliases;
mod catalogs;
mod check;
mod copies;
mod disk;
mod journal_file;
mod journaled;
mod keeper;
pub(super) mod made_catalogs;
mod order;
mod primary;
mod shown;
mod turns;
mod updater;
mod versions;
mod write_back;

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc;
use tokio::task::LocalSet;

pub(super) use self::copies::{file_name as copy_file_name, read as read_copy, write as write_copy};
pub(super) use self::disk::RealDisk;
use self::keeper::Keeper;
pub(super) use self::order::Order;
pub(super) use self::shown::Shown;
use self::updater::Updater;
pub(super) use self::versions::{Changing, Origin, Versions};
use self::write_back::WriteBack;
use crate::answer::Service;
use crate::config::ZoneSettings;
use crate::env::{Random, RealNet};

/// The thread, from outside.
pub(super) struct Hosting {
    orders: mpsc::UnboundedSender<Order>,
    pub(super) shown: Arc<Shown>,
    pub(super) versions: Arc<Versions>,
}

impl Hosting {
    /// Puts the copies of an earlier run in force and starts the thread. Before the first question is answered.
    pub(super) fn start(
        service: Arc<Service>,
        versions: Arc<Versions>,
        folder: Option<PathBuf>,
        zones: Vec<ZoneSettings>,
    ) -> io::Result<Hosting> {
        let (orders, received) = mpsc::unbounded_channel();
        let shown = versions.shown.clone();
        let mut keeper = Keeper::new(service.clone(), folder, shown.clone(), versions.clone());
        keeper.take_over(zones);
        thread::Builder::new().name("zones".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime.and_then(|runtime| Ok((runtime, Random::from_system()?))) {
                Ok((runtime, random)) => {
                    LocalSet::new().block_on(&runtime, keeper.run(Rc::new(RealNet::default()), Rc::new(random), received));
                }
                Err(error) => tracing::error!(%error, "secondary zones are not kept, and nobody is told of changes"),
            }
        })?;
        alias_targets::follow(service.clone(), versions.clone(), orders.clone())?;
        let (changed, due) = std::sync::mpsc::channel();
        let writer = WriteBack::new(service.clone(), versions.clone(), orders.clone());
        thread::Builder::new().name("zone-files".to_owned()).spawn(move || writer.run(due))?;
        let updater = Updater { service, versions: versions.clone(), orders: orders.clone(), changed };
        thread::Builder::new().name("updates".to_owned()).spawn(move || updater.run())?;
        Ok(Hosting { orders, shown, versions })
    }

    /// False if the thread has ended.
    pub(super) fn order(&self, order: Order) -> bool {
        self.orders.send(order).is_ok()
    }

    /// The same, for another thread.
    pub(super) fn teller(&self) -> impl Fn(Order) + Send + 'static {
        let orders = self.orders.clone();
        move |order| {
            let _ = orders.send(order);
        }
    }
}

#[cfg(test)]
mod catalog_tests;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod keeper_tests;
#[cfg(test)]
mod update_tests;
