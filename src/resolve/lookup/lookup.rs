//! One name and type, not validated: from the cache, from proofs in the cache, from a walk in progress, or by a walk of its
//! own. A walk is a task: a client that leaves does not end it, and its result is cached.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::env::{BoxFuture, boxed};
use crate::limits::walk::WALK_JOINS_MAX;
use crate::metrics::Counter;
use crate::record::Question;
use crate::resolve::context::budget::Bound;
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure, OwnLimit};
use crate::resolve::context::place::{UnderWay, unless_lost};
use crate::resolve::context::task::{in_background, within};
use crate::resolve::context::trace::Step;
use crate::resolve::iterate::sub_query::SubQuery;
use crate::resolve::iterate::walker::Walker;
use crate::resolve::lookup::aggressive::synthesised;
use crate::resolve::lookup::cached::cached;
use crate::resolve::lookup::coalesce::{Join, Joins, Table, Ticket, Wanted};
use crate::resolve::network::network::Network;
use crate::resolve::reply::link::Link;

/// Shared by all workers.
pub(in crate::resolve) struct LookupState {
    table: Arc<Table>,
}

impl LookupState {
    /// `walks_max` bounds the walks of all workers.
    pub(in crate::resolve) fn new(walks_max: usize) -> Arc<LookupState> {
        Arc::new(LookupState { table: Table::new(walks_max) })
    }

    /// Number of walks in progress.
    pub(in crate::resolve) fn in_progress(&self) -> usize {
        self.table.in_progress()
    }
}

/// Of one worker. Cheap to clone.
#[derive(Clone)]
pub(in crate::resolve) struct Lookup {
    walker: Walker,
    state: Arc<LookupState>,
}

impl SubQuery for Lookup {
    fn look_up<'a>(&'a self, question: &'a Question, context: &'a Context) -> BoxFuture<'a, Result<Link, Failure>> {
        boxed(|| self.find(question, context))
    }
}

impl Lookup {
    /// The look-up of one worker over the shared state.
    pub(in crate::resolve) fn new(walker: Walker, state: Arc<LookupState>) -> Lookup {
        Lookup { walker, state }
    }

    /// The network of this worker.
    pub(in crate::resolve) fn network(&self) -> &Network {
        self.walker.network()
    }

    /// The link for this question, not validated.
    pub(in crate::resolve) async fn find(&self, question: &Question, context: &Context) -> Result<Link, Failure> {
        if let Some(failure) = context.local.without_data(question) {
            return Err(failure);
        }
        if let Some(found) = cached(self.network(), question, context) {
            return found;
        }
        if let Some(link) = synthesised(self.network(), question, context) {
            return Ok(link);
        }
        if context.cache_only {
            return Err(Failure::new(question.name.clone(), Cause::NotCached));
        }
        if usize::from(context.depth) > context.routes.limits.glueless_depth {
            context.budget.too_deep();
            return Err(Failure::new(question.name.clone(), Cause::Spent(Bound::Depth(context.routes.limits.glueless_depth))));
        }
        let wanted = Wanted { question: question.clone(), glue_will_do: context.glue_will_do };
        let mut tries = 0;
        loop {
            tries += 1;
            let joins = if tries == 1 { Joins::Any } else { Joins::NonePoorer };
            let means = context.budget.means(context.depth);
            let (waiter, is_own) = match self.state.table.join(&wanted, context.walk, means, joins) {
                Join::Own(ticket, waiter) => {
                    if context.depth > 0 {
                        context.trace.emit(|| Step::Begin { question: question.clone(), purpose: context.purpose });
                    }
                    self.start(question.clone(), context.clone(), ticket);
                    (waiter, true)
                }
                Join::Wait(waiter) => {
                    self.network().metrics().count(Counter::Coalesced);
                    context.trace.emit(|| Step::Joined { question: question.clone() });
                    (waiter, false)
                }
                Join::Cycle => return Err(Failure::new(question.name.clone(), Cause::Cycle)),
                // Questions of other clients made the row so long. This question must not fail for that: it walks by itself.
                Join::TooLong => {
                    let (before, _under_way) = (Before::of(context), UnderWay::begin(context.place.as_ref()));
                    return self.walk(question, context).await.map_err(|failure| before.with_own_limit(failure, context));
                }
                Join::Full => {
                    context.budget.crowded_out();
                    return Err(Failure::new(question.name.clone(), Cause::Spent(Bound::Walks(context.routes.limits.walks))));
                }
            };
            context.budget.waited();
            let outcome = waiter.outcome().await;
            match &*outcome {
                Ok(link) => return Ok(link.clone()),
                Err(failure) if !is_own && tries < WALK_JOINS_MAX && failure.may_be_anothers() && !context.budget.is_spent() => {}
                Err(failure) => {
                    if failure.cause == Cause::Shed {
                        context.budget.crowded_out();
                    }
                    return Err(failure.clone());
                }
            }
        }
    }

    /// A walk that neither reads the cache nor joins another walk, for a reply of other servers than `context.avoid`.
    pub(in crate::resolve) fn walk<'a>(&'a self, question: &'a Question, context: &'a Context) -> BoxFuture<'a, Result<Link, Failure>> {
        boxed(|| self.walker.walk(question, context, self))
    }

    fn start(&self, question: Question, context: Context, ticket: Ticket) {
        let lookup = self.clone();
        self.network().metrics().count(Counter::Walks);
        let under_way = UnderWay::begin(context.place.as_ref());
        in_background(boxed(|| async move {
            let context = Context { walk: Some(ticket.id), ..context };
            let limit = Duration::from_millis(context.routes.limits.walk_time_ms);
            let before = Before::of(&context);
            let walk = pin!(lookup.walker.walk(&question, &context, &lookup));
            let walk = pin!(within(limit, lookup.network().with_one_reading(walk)));
            let mut result = match unless_lost(context.place.as_ref(), walk).await {
                Some(Some(result)) => result,
                Some(None) => Err(Failure::new(question.name.clone(), Cause::Spent(Bound::Time))),
                None => Err(Failure::new(question.name.clone(), Cause::Shed)),
            };
            if let Err(failure) = result {
                let failure = before.with_own_limit(failure, &context);
                lookup.network().metrics().count(Counter::WalksFailed);
                if failure.may_be_remembered(context.depth == 0 && before.had_all) {
                    lookup.remember_failure(&question, &failure, &context).await;
                }
                result = Err(failure);
            }
            drop(under_way);
            ticket.publish(Arc::new(result));
        }));
    }

    /// Keeps a failure for a while (RFC 9520), unless it is this machine's own network that is away: one probe tells.
    pub(in crate::resolve) async fn remember_failure(&self, question: &Question, failure: &Failure, context: &Context) {
        let network = self.network();
        network.wait_for_probe(&context.routes).await;
        if !network.is_offline() {
            let (failures, ede) = (network.cache().failures(), failure.ede());
            let (least_s, now) = (context.routes.limits.failure_kept_least_s, network.now());
            match failure.cause {
                Cause::TimedOut => failures.put_given_up(question, &ede, least_s, now),
                _ => failures.put(question, &ede, least_s, now),
            };
        }
    }
}

/// What a walk had when it began.
struct Before {
    had_all: bool,
    /// A client that has waited so long already waits no longer for lost packets.
    is_late: bool,
}

impl Before {
    fn of(context: &Context) -> Before {
        let latest = Duration::from_millis(context.routes.limits.give_up_earliest_ms);
        Before { had_all: context.budget.is_whole(), is_late: context.began.elapsed() >= latest }
    }

    /// The failure of the walk, with what the rest of a budget, or of the time, has to do with it.
    fn with_own_limit(&self, failure: Failure, context: &Context) -> Failure {
        let is_passing = context.budget.is_crowded() || self.is_late && failure.cause == Cause::NoReachableAuthority;
        let is_rest = !self.had_all && context.budget.is_spent();
        let own_limit = match failure.own_limit {
            _ if is_passing => OwnLimit::Passing,
            OwnLimit::No if is_rest => OwnLimit::Lasting,
            own_limit => own_limit,
        };
        Failure { own_limit, ..failure }
    }
}
