//! On whose behalf something is looked for, and what it may cost.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::budget::Purse;
use super::routes::Routes;
use super::table::WalkId;
use super::trace::{Purpose, Trace};
use crate::env::Instant;
use crate::validate::{self, Work};

#[derive(Clone)]
pub struct Asker {
    pub routes: Arc<Routes>,
    pub purse: Purse,
    pub trace: Trace,
    pub purpose: Purpose,
    pub depth: u8,
    /// When the client's question came.
    pub began: Instant,
    /// What checking signatures may cost; one purse for the whole question.
    pub work: Rc<RefCell<Work>>,
    /// The clock is wrong, and this question is about finding out the time.
    pub dates_open: Rc<Cell<bool>>,
    /// Servers whose word was not believed: another one is to be asked.
    pub avoid: Rc<Vec<SocketAddr>>,
    /// Only what is in the cache is wanted (RD=0): nobody is asked.
    pub cache_only: bool,
    /// The parent's word is enough: the address is for asking that server, not for a client.
    pub glue_will_do: bool,
    /// The walk that waits, if it is one.
    pub(super) walk: Option<WalkId>,
}

impl Asker {
    pub fn client(routes: Arc<Routes>, trace: Trace) -> Asker {
        let purse = Purse::new(&routes.limits);
        let work = Rc::new(RefCell::new(Work::new(validate::Limits::default())));
        Asker {
            routes,
            purse,
            trace,
            purpose: Purpose::Client,
            depth: 0,
            began: Instant::now(),
            work,
            dates_open: Rc::default(),
            avoid: Rc::default(),
            cache_only: false,
            glue_will_do: false,
            walk: None,
        }
    }

    pub fn child(&self, purpose: Purpose) -> Asker {
        Asker { purpose, depth: self.depth.saturating_add(1), trace: self.trace.child(), glue_will_do: false, ..self.clone() }
    }

    /// What checking signatures has cost so far, in nominal microseconds.
    pub(super) fn spent_us(&self) -> u64 {
        self.work.borrow().spent().time.as_us()
    }

    pub fn avoiding(&self, servers: Vec<SocketAddr>) -> Asker {
        Asker { avoid: Rc::new(servers), ..self.clone() }
    }
}
