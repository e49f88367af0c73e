//! What travels with a question and with everything that is looked up on its behalf: the snapshot that it is resolved
//! under, its budget, and its trace.
//!
//! The snapshot (`routes` and `local`) is taken once, when the context is made. Nothing below `resolve` loads a newer one
//! while the question is under way: a reload is seen by the next question, whole.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::env::Instant;
use crate::limits::ValidationLimits;
use crate::record::Question;
use crate::resolve::context::budget::Budget;
use crate::resolve::context::local::Local;
use crate::resolve::context::place::QuestionPlace;
use crate::resolve::context::routes::Routes;
use crate::resolve::context::trace::{Purpose, Trace};
use crate::validate::WorkBudget;

/// Names a walk that is in progress, on whatever worker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WalkId(pub(in crate::resolve) u64);

/// Everything that a look-up needs to know about the question that caused it. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The routes, limits and trust anchors in force when the question came.
    pub routes: Arc<Routes>,
    /// The hosted zones and local names of the same snapshot.
    pub local: Arc<dyn Local>,
    pub budget: Budget,
    pub trace: Trace,
    pub purpose: Purpose,
    pub depth: u8,
    /// When the client's question came.
    pub began: Instant,
    /// What checking signatures may cost; one budget for the whole question.
    pub work: Rc<RefCell<WorkBudget>>,
    /// The clock is wrong, and this question is for the name of a time server: signature dates are not checked.
    pub dates_open: Rc<Cell<bool>>,
    /// Servers whose reply did not validate: others are to be asked.
    pub avoid: Rc<Vec<SocketAddr>>,
    /// Only the cache is read (RD=0): no server is asked.
    pub cache_only: bool,
    /// The client validates by itself (CD): it is given data that does not validate.
    pub checking_disabled: bool,
    /// Glue is enough: the address is used to ask that server, and not given to a client.
    pub glue_will_do: bool,
    /// Whose question it is: a hash of the client's network, the same for all its questions. 0 where no client asked.
    pub client: u64,
    /// The place of the client's question; `None` where no client asked.
    pub place: Option<Rc<dyn QuestionPlace>>,
    /// The walk on whose behalf something is looked up; `None` for a client's question.
    pub(in crate::resolve) walk: Option<WalkId>,
    /// Cached data that was used and is near its end: to be looked up again once the question is answered.
    pub(in crate::resolve) due_for_refresh: Rc<RefCell<Vec<Question>>>,
}

impl Context {
    /// A client's question. `routes` and `local` must come from one snapshot.
    pub fn client(routes: Arc<Routes>, local: Arc<dyn Local>, trace: Trace) -> Context {
        let budget = Budget::new(&routes.limits);
        let work = Rc::new(RefCell::new(WorkBudget::new(ValidationLimits::default())));
        Context {
            routes,
            local,
            budget,
            trace,
            purpose: Purpose::Client,
            depth: 0,
            began: Instant::now(),
            work,
            dates_open: Rc::default(),
            avoid: Rc::default(),
            cache_only: false,
            checking_disabled: false,
            glue_will_do: false,
            client: 0,
            place: None,
            walk: None,
            due_for_refresh: Rc::default(),
        }
    }

    /// A task that no client waits for, under the same snapshot as `self` but with a budget of its own.
    pub fn background(&self, purpose: Purpose) -> Context {
        Context { purpose, ..Context::client(self.routes.clone(), self.local.clone(), Trace::off()) }
    }

    /// For another question on behalf of this one. The servers that this one avoids may be the only ones for it.
    pub fn child(&self, purpose: Purpose) -> Context {
        let (depth, trace) = (self.depth.saturating_add(1), self.trace.child());
        Context { purpose, depth, trace, glue_will_do: false, avoid: Rc::default(), ..self.clone() }
    }

    /// What checking signatures has cost so far, in nominal microseconds.
    pub(in crate::resolve) fn spent_us(&self) -> u64 {
        self.work.borrow().spent().time.as_us()
    }

    /// The same, but these servers are not asked.
    pub fn avoiding(&self, servers: Vec<SocketAddr>) -> Context {
        Context { avoid: Rc::new(servers), ..self.clone() }
    }
}
