//! Where a walk starts: a rule of the configuration, a delegation out of a hosted zone, the deepest live zone cut in the
//! cache, or the root (RFC 1034 5.3.3 step 2).

use crate::record::{Name, Question, Rtype};
use crate::resolve::context::failure::Failure;
use crate::resolve::context::task::within;
use crate::resolve::context::trace::{Purpose, Step};
use crate::resolve::delegation::zone_cut::{self, Cut};
use crate::resolve::iterate::walker::Walk;

impl Walk<'_> {
    /// The zone cut at which the walk for this question starts.
    pub(in crate::resolve) async fn first_cut(&self, question: &Question) -> Result<Cut, Failure> {
        let names_max = self.context.routes.limits.ns_names_kept_per_set;
        let now = self.now();
        let known = zone_cut::deepest_known(self.cache(), &question.name, question.rtype, now);
        if let Some(rule) = self.context.routes.rule_for_question(question) {
            let deeper = known.as_ref().filter(|cut| !rule.forward && cut.zone.is_below(&rule.zone));
            if deeper.is_none() {
                self.context.trace.emit(|| Step::Routed { zone: rule.zone.clone(), forward: rule.forward });
                return Ok(Cut::configured(rule.zone.clone(), &rule.to, rule.forward));
            }
        }
        if let Some(held) = self.context.local.delegation(&question.name) {
            return Ok(Cut::from_referral(&held.ns, &held.glue, names_max));
        }
        let is_priming = question.name.is_root() && question.rtype == Rtype::NS;
        let mut cut = match known {
            Some(cut) => cut,
            None if is_priming => Cut::from_hints(&self.context.routes.hints),
            None => self.prime().await,
        };
        cut.complete(self.cache(), now, names_max, |rtype| self.context.routes.type_enabled(rtype));
        while !cut.zone.is_root() && cut.is_out_of_reach(|address| self.context.routes.family_enabled(address)) {
            // The glue has expired before its delegation. The parent has it.
            zone_cut::forget(self.cache(), &cut.zone);
            cut = match zone_cut::deepest_known(self.cache(), &question.name, question.rtype, now) {
                Some(above) => above,
                None => self.prime().await,
            };
            cut.complete(self.cache(), now, names_max, |rtype| self.context.routes.type_enabled(rtype));
        }
        if cut.zone.is_root() && cut.address_count() == 0 {
            // The root's NS set came without addresses; the hints have some.
            cut = Cut::from_hints(&self.context.routes.hints);
        }
        self.context.trace.emit(|| Step::Cut {
            zone: cut.zone.clone(),
            servers: cut.servers.len(),
            addresses: cut.address_count(),
            from_cache: cut.from_cache,
        });
        Ok(cut)
    }

    /// RFC 9609 3: the hints serve to ask the root for its own NS set. Where that fails, or takes longer than a first query
    /// is waited for, the hints themselves are used.
    async fn prime(&self) -> Cut {
        let question = Question::new(Name::root(), Rtype::NS);
        let child = self.context.child(Purpose::Priming);
        let patience = self.servers.network().first_patience();
        let primed = within(patience, self.sub_query.look_up(&question, &child)).await;
        let known = zone_cut::deepest_known(self.cache(), &Name::root(), Rtype::NS, self.now());
        match (primed, known) {
            (Some(Ok(_)), Some(cut)) => cut,
            _ => Cut::from_hints(&self.context.routes.hints),
        }
    }
}
