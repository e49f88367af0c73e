//! Judges one reply with the keys of one zone, a signature at a time, paid by the question's budget.

use std::sync::Arc;

use crate::cache::DenialKind;
use crate::config::Sha1;
use crate::record::{Name, Question, RrSet, Rtype};
use crate::resolve::context::context::Context;
use crate::resolve::context::task::in_slices;
use crate::resolve::dnssec::trust_anchors::TrustState;
use crate::resolve::reply::link::{Found, Link};
use crate::validate::{Bound, Case, Judgement, Now, Reply, ReplyKind, Sha1Policy, WorkBudget, ZoneKeys, signer_of};

/// Judges `reply` with `keys`.
pub(in crate::resolve) async fn judge(trust: &TrustState, reply: Reply, keys: Arc<ZoneKeys>, context: &Context) -> Judgement {
    let zone = keys.zone().clone();
    let mut case = Case::new(reply, keys, &context.work.borrow());
    in_slices(|| context.spent_us(), || work_step(trust, &zone, context, |now, work| case.step(now, work))).await
}

/// Does one step of the checks: it is paid by the question, and failed checks count for its client and the zone too.
pub(in crate::resolve) fn work_step<R>(
    trust: &TrustState,
    zone: &Name,
    context: &Context,
    step: impl FnOnce(Now, &mut WorkBudget) -> R,
) -> R {
    let mut work = context.work.borrow_mut();
    let before = work.spent().failed_time;
    let result = step(judge_time(trust, context), &mut work);
    let failed_us = work.spent().failed_time.as_us() - before.as_us();
    let now = trust.clock().boot();
    if failed_us > 0 && !trust.failure_rate.take(failed_us as u32, context.client, zone, now, &context.routes.limits) {
        work.end(Bound::FailuresPerSecond);
    }
    result
}

fn judge_time(trust: &TrustState, context: &Context) -> Now {
    if context.dates_open.get() {
        return Now::Unknown;
    }
    Now::At(trust.clock().wall().0)
}

/// The link as the validator takes it. `None`: signatures can say nothing about it.
pub(in crate::resolve) fn reply_of(question: &Question, link: &Link) -> Option<Reply> {
    let reply = |kind, answer: &[RrSet], authority: Vec<RrSet>| {
        Some(Reply { qname: question.name.clone(), qtype: question.rtype, kind, answer: answer.to_vec(), authority })
    };
    match &link.found {
        Found::Answer { sets, proof } => reply(ReplyKind::Answer, sets, proof.clone()),
        Found::Alias { sets, proof, .. } => {
            let first = sets.first()?;
            let kind = if first.rtype == Rtype::DNAME { ReplyKind::Dname } else { ReplyKind::Cname };
            reply(kind, std::slice::from_ref(first), proof.clone())
        }
        Found::Denied(denial) => {
            let kind = match denial.kind {
                DenialKind::NxDomain => ReplyKind::NxDomain,
                // A proof from a referral that there is no DS has no SOA.
                DenialKind::NoData if question.rtype == Rtype::DS && denial.soa.is_none() => {
                    ReplyKind::Referral { cut: question.name.clone() }
                }
                DenialKind::NoData => ReplyKind::NoData,
            };
            reply(kind, &[], denial.soa.iter().chain(&denial.proof).cloned().collect())
        }
        Found::TooLong { dname } => reply(ReplyKind::Dname, std::slice::from_ref(dname), Vec::new()),
    }
}

/// The zone that signed the first signed RRset of the reply.
pub(in crate::resolve) fn first_signer(reply: &Reply) -> Option<Name> {
    reply.answer.iter().chain(&reply.authority).find_map(signer_of)
}

/// The policy for SHA-1 signatures in the snapshot of the question.
pub(in crate::resolve) fn sha1(context: &Context) -> Sha1Policy {
    match context.routes.recursion.sha1 {
        Sha1::Insecure => Sha1Policy::Insecure,
        Sha1::Validate => Sha1Policy::Validate,
    }
}
