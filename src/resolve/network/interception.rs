//! Are queries to the root servers answered by somebody else? Kept apart for IPv4 and IPv6, which often take different ways,
//! and told in the log when it begins and when it ends.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::resolve::reply::interception::{Imposture, Sender};

/// Who answered in the place of a root server, for each address family.
#[derive(Default)]
pub(in crate::resolve) struct Interception(Mutex<[Option<(IpAddr, Imposture)>; 2]>);

impl Interception {
    /// Takes what a reply of the root server at this address shows.
    pub(in crate::resolve) fn note(&self, server: IpAddr, sender: Sender) {
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let family = &mut families[usize::from(server.is_ipv6())];
        match (sender, &family) {
            (Sender::Impostor(imposture), None) => {
                *family = Some((server, imposture));
                tracing::warn!(
                    "queries to the root servers are intercepted: the reply from {server} is not that of a root server, {imposture}; \
                     `cairn doctor` tells more"
                );
            }
            (Sender::RootServer, Some(_)) => {
                *family = None;
                tracing::info!("queries to the root servers are not intercepted any more ({server})");
            }
            (Sender::Impostor(_), Some(_)) | (Sender::RootServer, None) | (Sender::NotKnown, _) => {}
        }
    }

    /// The way to the servers has changed: what was seen on the old one says nothing of the new one.
    pub(in crate::resolve) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = [None, None];
    }

    /// The servers in whose place somebody else answers, and how that shows.
    pub(in crate::resolve) fn seen(&self) -> Vec<(IpAddr, Imposture)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_by_itself() {
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        let (v4, other, v6) = (ip("192.0.2.1"), ip("192.0.2.2"), ip("2001:db8::1"));
        let impostor = Sender::Impostor(Imposture::OffersRecursion);
        let interception = Interception::default();
        interception.note(v4, impostor);
        interception.note(v6, Sender::RootServer);
        interception.note(other, Sender::NotKnown);
        interception.note(other, Sender::Impostor(Imposture::NotTheRoot));
        assert_eq!(interception.seen(), [(v4, Imposture::OffersRecursion)], "the first is kept");
        interception.note(v6, impostor);
        interception.note(other, Sender::RootServer);
        assert_eq!(interception.seen(), [(v6, Imposture::OffersRecursion)]);
        interception.forget();
        assert_eq!(interception.seen(), []);
    }
}
