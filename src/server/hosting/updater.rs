//! The thread that carries out updates (RFC 2136): it decides each beside the present data, writes those of one turn to the journal
//! together, puts them in force, and only then answers.
//!
//! ```text
//! all that wait ─► decided one after the other ─► journal, one write to the disk a zone ─► in force ─► answered, NOTIFY
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{error, info};

use super::order::Order;
use super::versions::{Changing, Origin, Versions};
use crate::answer::{RequestedUpdate, Service};
use crate::authority::signing::is_of_signing;
use crate::authority::{Entry, Refusal, Update, changed_entry};
use crate::limits::zone::UPDATED_ZONE_BYTES_MAX;
use crate::record::{Name, Rcode};
use crate::server::zone_file::today;
use crate::wire::Message;
use crate::zone::{Zone, edit_zone, octets_of};

/// A stop is noticed after this time at the latest.
const TURN: Duration = Duration::from_secs(1);

pub(super) struct Updater {
    pub(super) service: Arc<Service>,
    pub(super) versions: Arc<Versions>,
    /// Who tells the other servers.
    pub(super) orders: mpsc::UnboundedSender<Order>,
    /// Zones whose files are to be written.
    pub(super) changed: std::sync::mpsc::Sender<Name>,
}

/// The updates of one turn for one zone.
struct OfZone {
    accepted: Vec<RequestedUpdate>,
    /// Decided on top of a change that is not on the disk yet.
    refused: Vec<(RequestedUpdate, Rcode)>,
    entries: Vec<Entry>,
    /// After all of them.
    zone: Arc<Zone>,
}

impl Updater {
    /// Ends when the server does.
    pub(super) fn run(self) {
        while !self.orders.is_closed() {
            let updates = self.service.updates.take(TURN);
            if !updates.is_empty() {
                self.carry_out(updates);
            }
        }
        self.service.updates.close();
    }

    pub(super) fn carry_out(&self, updates: Vec<RequestedUpdate>) {
        let mut changing = self.versions.change();
        let mut by_zone: BTreeMap<Name, Vec<RequestedUpdate>> = BTreeMap::new();
        for update in updates.into_iter().filter(|update| !update.is_given_up()) {
            by_zone.entry(update.zone.clone()).or_default().push(update);
        }
        let mut answers: Vec<(RequestedUpdate, Rcode)> = Vec::new();
        let mut next: Vec<Arc<Zone>> = Vec::new();
        let mut changed: Vec<Name> = Vec::new();
        for (name, updates) in by_zone {
            let Some(OfZone { accepted, refused, entries, zone }) = decided(&mut changing, &name, updates, &mut answers) else { continue };
            let journaled = changing.journaled(&name);
            let noted = match journaled {
                Some(_) if entries.is_empty() => Ok(()),
                Some(journaled) => journaled.note_updates(&entries, &zone),
                None => Err(std::io::Error::other("it has no journal")),
            };
            match noted {
                Ok(()) => {
                    answers.extend(accepted.into_iter().map(|update| (update, Rcode::NOERROR)).chain(refused));
                    if !entries.is_empty() {
                        next.push(changing.next(zone, Origin::Update));
                        changing.show(&name);
                        changed.push(name);
                    }
                }
                Err(why) => {
                    error!("zone {name}: {} updates fail, because its journal cannot be written: {why}", accepted.len());
                    answers.extend(
                        accepted.into_iter().chain(refused.into_iter().map(|(update, _)| update)).map(|update| (update, Rcode::SERVFAIL)),
                    );
                }
            }
        }
        if !next.is_empty() {
            changing.serve(&self.service, |zones| next.into_iter().fold(zones.clone(), |zones, zone| zones.with(zone)));
        }
        drop(changing);
        for (update, rcode) in answers {
            update.answer(rcode);
        }
        if !changed.is_empty() {
            let _ = self.orders.send(Order::Changed);
        }
        for zone in changed {
            let _ = self.changed.send(zone);
        }
    }
}

/// What becomes of the updates for one zone; `None` if all are answered already.
fn decided(
    changing: &mut Changing<'_>,
    name: &Name,
    updates: Vec<RequestedUpdate>,
    answers: &mut Vec<(RequestedUpdate, Rcode)>,
) -> Option<OfZone> {
    let takes_updates = changing.journaled(name).is_some_and(|journaled| journaled.takes_updates());
    let Some(zone) = changing.data(name).cloned().filter(|_| takes_updates) else {
        answers.extend(updates.into_iter().map(|update| (update, Rcode::SERVFAIL)));
        return None;
    };
    let is_signed = changing.signs(name);
    let mut of_zone = OfZone { accepted: Vec::new(), refused: Vec::new(), entries: Vec::new(), zone };
    for update in updates {
        match decide(&update, &of_zone.zone, is_signed) {
            Ok(None) => of_zone.accepted.push(update),
            Ok(Some(new)) => {
                tell(&update, &of_zone.zone, &new);
                of_zone.entries.push(changed_entry(&of_zone.zone, &new));
                of_zone.zone = Arc::new(new);
                of_zone.accepted.push(update);
            }
            Err(Refusal { rcode, why }) => {
                info!(client = %update.client, zone = %name, "update refused ({rcode}): {why}");
                of_zone.refused.push((update, rcode));
            }
        }
    }
    Some(of_zone)
}

/// The zone after the update; `None` if it stays as it is. Of a zone that this server signs, keys and signatures are its own: an
/// update with such records could not be signed, and would not come into force.
pub(super) fn decide(update: &RequestedUpdate, zone: &Zone, is_signed: bool) -> Result<Option<Zone>, Refusal> {
    let malformed = |_| Refusal { rcode: Rcode::FORMERR, why: "malformed".to_owned() };
    let message = Message::parse(&update.message).map_err(malformed)?;
    let changes = Update::read(&message, zone.apex())?.decide(zone, today())?;
    if changes.is_empty() {
        return Ok(None);
    }
    if let Some(set) = changes.iter().find(|set| is_signed && is_of_signing(set.rtype) && !set.data.is_empty()) {
        return Err(Refusal { rcode: Rcode::REFUSED, why: format!("{}: this server signs the zone and makes these records", set.rtype) });
    }
    let no_zone = || Refusal { rcode: Rcode::SERVFAIL, why: "the records do not make a zone together".to_owned() };
    let next = edit_zone(zone, &changes).ok_or_else(no_zone)?;
    match octets_of(&next) > UPDATED_ZONE_BYTES_MAX && octets_of(&next) > octets_of(zone) {
        true => Err(Refusal { rcode: Rcode::REFUSED, why: format!("the zone would take more than {UPDATED_ZONE_BYTES_MAX} octets") }),
        false => Ok(Some(next)),
    }
}

fn tell(update: &RequestedUpdate, old: &Zone, new: &Zone) {
    let key = update.key.as_ref().map(|key| format!(" with the key {key}")).unwrap_or_default();
    tracing::debug!(client = %update.client, zone = %new.apex(), "update{key}: serial {} to {}", old.serial(), new.serial());
}
