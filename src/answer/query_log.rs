//! A log line for each query, at the level `debug`: who asked what, and what became of it.

use tracing::Level;

use super::Client;
use crate::env::Instant;
use crate::metrics::Source;
use crate::record::{Name, Rcode, Rtype};

/// Whether somebody reads such lines. Costs one comparison.
#[inline]
pub(super) fn is_wanted() -> bool {
    tracing::enabled!(Level::DEBUG)
}

/// A query that has its answer.
pub(super) struct Answered<'a> {
    pub client: &'a Client,
    pub rtype: Rtype,
    pub rcode: Rcode,
    pub source: Source,
    pub came: Instant,
}

impl Answered<'_> {
    #[cold]
    pub(super) fn log_wire(&self, qname: &[u8]) {
        if let Ok(name) = Name::from_wire(qname) {
            self.log(&name);
        }
    }

    #[cold]
    pub(super) fn log(&self, name: &Name) {
        let Answered { client, rtype, rcode, source, came } = self;
        let transport = client.transport.name();
        let (client, source, us) = (client.peer.ip(), source.name(), came.elapsed().as_micros());
        let ms = us as f64 / 1_000.0;
        tracing::debug!(
            event = "query", %client, transport, %name, "type" = %rtype, %rcode, ms, source,
            "{client} over {transport}: {name} {rtype}: {rcode} from {source} in {ms} ms"
        );
    }
}
