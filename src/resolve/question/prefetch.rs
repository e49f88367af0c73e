//! Prefetch: what clients ask for is looked up again before it expires. No client waits for it.

use crate::metrics::Counter;
use crate::record::{Question, Rtype};
use crate::resolve::context::context::Context;
use crate::resolve::context::task::in_background;
use crate::resolve::context::trace::Purpose;
use crate::resolve::question::resolver::Resolver;

impl Resolver {
    /// Looks up again the cached data that was used for this question and is near its end.
    pub(in crate::resolve) fn refresh_due(&self, context: &Context) {
        let due = context.due_for_refresh.take();
        for question in due {
            self.refresh(&question, 0, context);
        }
    }

    /// Looks up again what answers the question and is in the last tenth of its TTL, or has no more than `left_s` seconds left;
    /// of a chain of aliases, the links for which that is so. Returns whether a look-up began.
    pub fn refresh(&self, question: &Question, left_s: u32, context: &Context) -> bool {
        let (cache, now) = (self.network().cache(), self.network().now());
        let mut here = question.clone();
        let mut began = false;
        for _ in 0..=context.routes.limits.aliases {
            if context.local.find(&here).is_some() {
                break;
            }
            let cached = |rtype| cache.sets().get(&here.name, rtype, now).filter(|cached| cached.rank.may_answer());
            let Some(found) = cached(here.rtype).or_else(|| cached(Rtype::CNAME)) else {
                let denied = cache.denials().get(&here, now);
                let is_fresh = denied.is_some_and(|denied| !denied.is_waning() && denied.ttl > left_s);
                return (!is_fresh && self.refresh_link(&here, context)) || began;
            };
            if found.is_waning() || found.set.ttl <= left_s {
                began |= self.refresh_link(&here, context);
            }
            match found.set.target().filter(|_| found.set.rtype != here.rtype) {
                Some(target) => here.name = target,
                None => break,
            }
        }
        began
    }

    fn refresh_link(&self, question: &Question, context: &Context) -> bool {
        // What failed a moment ago would fail again (RFC 9520 3).
        if self.network().cache().failures().get(question, self.network().now()).is_some() {
            return false;
        }
        self.network().metrics().count(Counter::Prefetches);
        let (resolver, question, context) = (self.clone(), question.clone(), context.background(Purpose::Prefetch));
        in_background(async move {
            // After a failure the cached data lives on to its end.
            let _ = resolver.validator().link(&question, &context).await;
            resolver.refresh_due(&context);
        });
        true
    }
}
