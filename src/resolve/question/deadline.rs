//! The client's time: expired data after 1.8 s (RFC 8767 5), or at once while no server replies at all, and a failure when
//! there is none. The walk goes on without the client, and its result is cached.

use std::pin::pin;
use std::time::Duration;

use crate::metrics::Counter;
use crate::record::{Question, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure};
use crate::resolve::context::local::LocalAnswer;
use crate::resolve::context::place::unless_lost;
use crate::resolve::context::task::{in_background, within};
use crate::resolve::question::answer::Answer;
use crate::resolve::question::resolver::Resolver;

impl Resolver {
    /// Answers a whole question within the client's time. `held` is what the hosted zones have already given, if that ended
    /// in an alias.
    pub async fn resolve_in_time(&self, question: &Question, held: Option<LocalAnswer>, context: &Context) -> Result<Answer, Failure> {
        let mut result = self.resolve_or_give_up(question, held, context).await;
        self.count(&result);
        self.report_error(question, &result, context);
        if let Ok(answer) = &mut result {
            self.apply_root_key_sentinel(question, answer, context);
        }
        result
    }

    fn count(&self, result: &Result<Answer, Failure>) {
        let metrics = self.network().metrics();
        match result {
            Ok(answer) => {
                metrics.add(Counter::StaleAnswers, usize::from(answer.stale));
                metrics.add(Counter::DnssecBogus, usize::from(answer.security == Security::Bogus));
            }
            Err(Failure { cause: Cause::Spent(bound), .. }) => metrics.spent(bound.label()),
            Err(_) => {}
        }
    }

    async fn resolve_or_give_up(&self, question: &Question, held: Option<LocalAnswer>, context: &Context) -> Result<Answer, Failure> {
        let work = pin!(self.in_time(question, held, context));
        let answered = unless_lost(context.place.as_ref(), work).await;
        let counter = if context.budget.has_waited() { Counter::CacheMisses } else { Counter::LookedUpHits };
        self.network().metrics().count(counter);
        answered.unwrap_or_else(|| Err(Failure::new(question.name.clone(), Cause::Shed)))
    }

    async fn in_time(&self, question: &Question, held: Option<LocalAnswer>, context: &Context) -> Result<Answer, Failure> {
        let limits = context.routes.limits;
        let work = pin!(self.resolve(question, held, context));
        let network = self.network();
        let mut work = pin!(network.with_one_reading(work));
        if let Some(patience) = network.offline().patience(network.now()) {
            if let Some(result) = within(patience, &mut work).await {
                return result;
            }
            if network.is_offline()
                && let Some(answer) = self.stale_answer(question, context)
            {
                return Ok(answer);
            }
        }
        let stale_after = Duration::from_millis(limits.stale_after_ms);
        if let Some(result) = within(stale_after.saturating_sub(context.began.elapsed()), &mut work).await {
            return result;
        }
        if let Some(answer) = self.stale_answer(question, context) {
            return Ok(answer);
        }
        let rest = Duration::from_millis(limits.give_up_latest_ms).saturating_sub(context.began.elapsed());
        if let Some(result) = within(rest, &mut work).await {
            return result;
        }
        let failure = Failure::new(question.name.clone(), Cause::TimedOut);
        // Until the walk ends, clients that ask again are given this failure at once.
        let (resolver, question, failed, context) = (self.clone(), question.clone(), failure.clone(), context.clone());
        in_background(async move { resolver.validator().lookup().remember_failure(&question, &failed, &context).await });
        Err(failure)
    }
}
