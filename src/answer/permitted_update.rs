//! An update whose sender may make it, from the decision to its reply.

use std::net::SocketAddr;

use tokio::time::timeout;

use super::failure_log::Subject;
use super::reply::bare_error;
use super::service::Service;
use crate::authority::Signer;
use crate::limits::server::UPDATE_WAIT_MAX;
use crate::record::{Name, Question, Rcode, Rtype};

/// Nothing has been carried out yet: one that is dropped has never been there.
pub(super) struct PermittedUpdate {
    pub(super) zone: Name,
    /// Without its signature.
    pub(super) message: Vec<u8>,
    pub(super) question_wire: Vec<u8>,
    pub(super) has_edns: bool,
    pub(super) signer: Option<Signer>,
    pub(super) client: SocketAddr,
}

impl PermittedUpdate {
    /// Has it carried out, and makes the reply (RFC 2136 3.8), signed if the request was. After too long a wait, what has not begun is
    /// not carried out.
    pub(super) async fn carry_out(self, service: &Service) -> (Rcode, Vec<u8>) {
        let PermittedUpdate { zone, message, question_wire, has_edns, signer, client } = self;
        let key = signer.as_ref().map(Signer::key).cloned();
        let rcode = match service.updates.add(zone.clone(), message.clone(), client, key) {
            Some(outcome) => timeout(UPDATE_WAIT_MAX, outcome).await.ok().and_then(Result::ok).unwrap_or(Rcode::SERVFAIL),
            None => {
                if service.may_log(Subject::Failure, &Question::new(zone.clone(), Rtype::AXFR)) {
                    tracing::info!(%client, %zone, "update refused: too many updates wait");
                }
                Rcode::SERVFAIL
            }
        };
        let mut reply = bare_error(&message, rcode, &question_wire, has_edns).unwrap_or_default();
        if let Some(mut signer) = signer {
            signer.sign(&mut reply, service.resolve.clock.wall());
        }
        (rcode, reply)
    }
}
