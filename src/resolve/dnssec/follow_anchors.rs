//! Active refresh of the trust points (RFC 5011 2.3): asks for the DNSKEY sets that are due.

use std::sync::Arc;

use crate::limits::ValidationLimits;
use crate::record::{Name, Question, Rtype};
use crate::resolve::context::context::Context;
use crate::resolve::context::local::Local;
use crate::resolve::context::routes::Routes;
use crate::resolve::context::trace::{Purpose, Trace};
use crate::resolve::dnssec::chain_of_trust::SecondOpinions;
use crate::resolve::dnssec::judge::sha1;
use crate::resolve::dnssec::validate::Validator;
use crate::validate::{Anchor, Change, WorkBudget};

/// The result of refreshing the trust points.
#[derive(Default, Debug)]
pub struct Followed {
    pub changes: Vec<Change>,
    /// Points whose DNSKEY set could not be had or did not validate, and why.
    pub failed: Vec<(Name, String)>,
    /// The state of the trust points has to be saved.
    pub is_new: bool,
}

impl Validator {
    /// Refreshes the trust points that are due: asks for their DNSKEY sets, whatever is cached.
    ///
    /// Does nothing while the clock is known to be wrong: no date could be judged, and no hold-down time may advance.
    /// `routes` and `local` are those of the snapshot in force.
    pub(in crate::resolve) async fn follow_anchors(&self, routes: Arc<Routes>, local: Arc<dyn Local>) -> Followed {
        let state = self.state();
        let mut followed = Followed::default();
        if !routes.recursion.dnssec || state.is_clock_unset() {
            return followed;
        }
        let due = state.anchors().points.due(state.clock().wall().0);
        for name in due {
            if routes.recursion.trust_anchor_signal {
                self.signal_anchors(&name, routes.clone(), local.clone()).await;
            }
            followed.is_new = true;
            match self.follow_anchor(&name, routes.clone(), local.clone()).await {
                Ok(changes) => followed.changes.extend(changes),
                Err(why) => followed.failed.push((name, why)),
            }
        }
        if !followed.changes.is_empty() {
            state.republish(&mut state.anchors());
        }
        followed
    }

    /// Tells the zone's servers which keys are trusted here, by a question whose answer does not matter (RFC 8145 5).
    async fn signal_anchors(&self, zone: &Name, routes: Arc<Routes>, local: Arc<dyn Local>) {
        let tags = routes.anchors.iter().filter(|anchor| anchor.name == *zone).map(Anchor::key_tag);
        let Some(name) = signal_name(zone, tags) else { return };
        let context = Context { purpose: Purpose::AnchorSignal, ..Context::client(routes, local, Trace::off()) };
        let _ = self.lookup().walk(&Question::new(name, Rtype::NULL), &context).await;
    }

    /// Where the set of one server does not validate, others are asked.
    async fn follow_anchor(&self, name: &Name, routes: Arc<Routes>, local: Arc<dyn Local>) -> Result<Vec<Change>, String> {
        let state = self.state();
        let question = Question::new(name.clone(), Rtype::DNSKEY);
        let context = Context { purpose: Purpose::Dnskey, ..Context::client(routes, local, Trace::off()) };
        let mut tried = SecondOpinions::new();
        let mut link = match self.lookup().walk(&question, &context).await {
            Ok(link) => link,
            Err(failure) => {
                state.anchors().points.failed(name, state.clock().wall().0);
                return Err(failure.to_string());
            }
        };
        loop {
            let why = match link.sets_of(&question).first() {
                Some(set) => {
                    // A budget of its own, which no client's question can spend.
                    let mut work = WorkBudget::new(ValidationLimits::default());
                    match state.anchors().points.observe(set, state.clock().wall().0, sha1(&context), &mut work) {
                        Ok(changes) => return Ok(changes),
                        Err(why) => why.to_string(),
                    }
                }
                None => format!("{name} has no DNSKEY set"),
            };
            state.anchors().points.failed(name, state.clock().wall().0);
            match self.chain.ask_another(&question, &link, &mut tried, &context).await {
                Some(other) => link = other,
                None => return Err(why),
            }
        }
    }
}

/// `_ta-`, then the key tags in ascending order, each as four hexadecimal digits (RFC 8145 5.1).
fn signal_name(zone: &Name, tags: impl Iterator<Item = u16>) -> Option<Name> {
    let mut tags: Vec<u16> = tags.collect();
    tags.sort_unstable();
    tags.dedup();
    if tags.is_empty() {
        return None;
    }
    let label = tags.iter().fold("_ta".to_owned(), |label, tag| format!("{label}-{tag:04x}"));
    zone.child(label.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_signal() {
        let name = |text: &str| Name::parse(text).expect(text);
        // RFC 8145 5.1: key tags 17476, 43547, 31589 of the zone example.com.
        let signal = signal_name(&name("example.com."), [17_476, 43_547, 31_589, 17_476].into_iter());
        assert_eq!(signal, Some(name("_ta-4444-7b65-aa1b.example.com.")));
        assert_eq!(signal_name(&Name::root(), [5].into_iter()), Some(name("_ta-0005.")));
        assert_eq!(signal_name(&Name::root(), std::iter::empty()), None);
    }
}
