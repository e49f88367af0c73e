//! Asks one server, and a second one where the first is slow, until a reply is useful or every query is overdue.

use crate::limits::servers::TRIES_PER_ADDRESS_MAX;
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure};
use crate::resolve::context::task::within;
use crate::resolve::delegation::zone_cut::Cut;
use crate::resolve::reply::server_reply::ServerReply;
use crate::resolve::servers::in_flight::News;
use crate::resolve::servers::plan::Plan;
use crate::resolve::servers::servers::Servers;
use crate::resolve::servers::slist::Slist;
use crate::upstream::{AskError, Notes};

impl Servers {
    /// `None`: every query is overdue or its reply was useless. Late replies to earlier queries are taken as well.
    pub(in crate::resolve) async fn ask_one(
        &self,
        cut: &Cut,
        plan: Plan,
        slist: &mut Slist,
        context: &Context,
    ) -> Result<Option<Box<ServerReply>>, Failure> {
        // To ask an encrypted server again costs no more than a probe, and a late reply on its connection is still taken meanwhile.
        let tries = slist.get(plan.address).count;
        let is_probe = cut.tls_of(plan.address).is_some() && tries < TRIES_PER_ADDRESS_MAX;
        if (!cut.configured || cut.zone.is_root()) && !is_probe {
            self.network().wait_for_network(plan.address, context).await;
        }
        slist.in_flight.drop_unread();
        let first = self.send(cut, &plan, slist, context)?;
        slist.in_flight.add(first);
        self.test_family(cut, &plan, slist, context);
        let mut patience = self.patience(cut, &plan, slist, context);
        while slist.in_flight.is_awaited() {
            let next = slist.in_flight.next(&self.overdue);
            let news = match patience.take() {
                None => next.await,
                Some(patience) => match within(patience, next).await {
                    Some(news) => news,
                    None => {
                        self.ask_second(cut, &plan, slist, context);
                        continue;
                    }
                },
            };
            let reply = match news {
                News::Overdue(plan, waited) => {
                    let notes = Notes::default();
                    self.note_silence(&plan, &AskError::Timeout { waited, notes }, slist, context);
                    None
                }
                News::Outcome(asking, outcome) if asking.is_overdue() => self.take_late(cut, &asking.plan, outcome, slist, context),
                News::Outcome(asking, outcome) => self.take(cut, &asking.plan, outcome, slist, context),
            };
            if let Some(again) = slist.again.take() {
                match self.send(cut, &again, slist, context) {
                    Ok(asking) => slist.in_flight.add(asking),
                    // Without a reply that stands in its place the failure counts.
                    Err(failure) if slist.doubted.is_none() => return Err(failure),
                    Err(_) => {}
                }
            }
            if let Some(reply) = reply {
                slist.in_flight.take_awaited().for_each(|asking| self.listen_on(asking));
                return Ok(Some(reply.aged(self.now())));
            }
        }
        // The reply that was to be checked stands if the check brought nothing.
        if let Some(doubted) = slist.doubted.take() {
            return Ok(Some(doubted.aged(self.now())));
        }
        // The next query would find no free socket either.
        if slist.no_socket { Err(Failure::new(cut.zone.clone(), Cause::NoSocket)) } else { Ok(None) }
    }
}
