//! Can names be resolved? For /readyz.
//!
//! A reply of any server within the last minute says so. On a quiet server there may be none: then some are asked, as the plan says.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::timeout;

use super::readiness_plan::{Asked, Found, Step, any_replies, reachable, steps};
use crate::answer::Service;
use crate::env::{Clock, Random, RealClock, RealNet};
use crate::limits::server::READY_FOR;
use crate::record::{Name, Question, Rtype};
use crate::server::encrypted_query::ask_encrypted;
use crate::server::fetch::{Addresses, OwnResolver};
use crate::server::single_query::SingleQuery;

const NOBODY: &str = "there is no server to ask: `recursion.ipv4` and `ipv6` leave no address, or a forwarder could not be verified";
const SILENCE: &str = "no server has replied within the last minute";

/// `Err` says what is missing. Waits for the network, so it needs a thread that may.
pub(in crate::server) fn is_ready(service: &Arc<Service>) -> Result<(), &'static str> {
    let snapshot = service.snapshot();
    if !snapshot.recursion || service.resolve.has_replied_within(READY_FOR) {
        return Ok(());
    }
    let routes = &snapshot.routes;
    let prefix = routes.nat64_prefix.or_else(|| service.resolve.nat64_prefix());
    let steps = steps(routes, prefix);
    if steps.is_empty() {
        return Err(NOBODY);
    }
    let is_reply_there = any_replies(
        steps,
        || RealClock.boot(),
        |step, wait| match step {
            Step::Ask(asked) => {
                if replies(asked, wait) {
                    Found::Reply
                } else {
                    Found::Nothing
                }
            }
            Step::LookUp(server) => {
                Found::Servers(reachable(routes, prefix, look_up(service, &server.name, wait)).map(|ip| server.at(ip)).collect())
            }
        },
    );
    if is_reply_there { Ok(()) } else { Err(SILENCE) }
}

fn replies(asked: &Asked, wait: Duration) -> bool {
    let question = &Question::new(Name::root(), Rtype::NS);
    let (server, recursion_desired) = (asked.at, asked.recursion_desired);
    match &asked.tls {
        Some(tls) => ask_encrypted(server, tls, question, false, wait).is_ok(),
        None => SingleQuery { server, question, recursion_desired, dnssec: false, tcp: false, wait }.ask().is_ok(),
    }
}

/// By this server's own resolver, as it does itself before it asks such a server.
fn look_up(service: &Arc<Service>, name: &Name, wait: Duration) -> Vec<IpAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(runtime), Ok(random)) = (runtime, Random::from_system()) else { return Vec::new() };
    LocalSet::new().block_on(&runtime, async {
        let resolver = OwnResolver::new(service.clone(), Rc::new(RealNet::default()), random);
        let host = name.to_string();
        timeout(wait, resolver.of(&host)).await.ok().and_then(Result::ok).unwrap_or_default()
    })
}
