//! Changes of this machine's links, addresses and routes, reported by the kernel (rtnetlink(7)).

use std::io::{self, Read};

use socket2::Socket;
use tokio::io::unix::AsyncFd;

use super::syscalls::network_events;

/// Octets read at once; messages are shorter. The rest of a longer message is lost, and with it only changes that came with
/// others.
const BYTES: usize = 32 << 10;

/// Reports changes of the network. Used inside a tokio runtime with I/O.
pub struct NetworkWatch {
    socket: AsyncFd<Socket>,
}

/// What has changed; ordered by how much it matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetworkChange {
    /// A link, an address or a default route: what could not be reached before may be reachable now.
    Connectivity,
    /// A route to some part of the network.
    Route,
}

impl NetworkWatch {
    /// Subscribes to the changes; fails where the kernel refuses the netlink socket.
    pub fn new() -> io::Result<NetworkWatch> {
        Ok(NetworkWatch { socket: network_events()? })
    }

    /// Waits for the next change. If several came together, returns the greatest.
    pub async fn changed(&self) -> io::Result<NetworkChange> {
        let mut buffer = vec![0; BYTES];
        loop {
            let mut guard = self.socket.readable().await?;
            let mut seen = None;
            loop {
                match self.socket.get_ref().read(&mut buffer) {
                    Ok(len) => seen = greater(seen, change(&buffer[..len])),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // More has changed than the kernel could queue for us.
                    Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => seen = Some(NetworkChange::Connectivity),
                    Err(error) => return Err(error),
                }
            }
            guard.clear_ready();
            if let Some(change) = seen {
                return Ok(change);
            }
        }
    }
}

fn greater(one: Option<NetworkChange>, other: Option<NetworkChange>) -> Option<NetworkChange> {
    match (one, other) {
        (Some(NetworkChange::Connectivity), _) | (_, None) => one,
        _ => other,
    }
}

/// `nlmsghdr` is 16 octets, its length first; messages start at multiples of four.
const HEADER: usize = 16;

fn change(mut messages: &[u8]) -> Option<NetworkChange> {
    let mut seen = None;
    while let Some((header, rest)) = messages.split_first_chunk::<HEADER>() {
        let [a, b, c, d, low, high, ..] = *header;
        let len = u32::from_ne_bytes([a, b, c, d]) as usize;
        let body = len.checked_sub(HEADER).and_then(|len| rest.get(..len)).unwrap_or_default();
        seen = greater(seen, one_change(u16::from_ne_bytes([low, high]), body));
        messages = messages.get(len.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
    }
    seen
}

fn one_change(kind: u16, body: &[u8]) -> Option<NetworkChange> {
    match kind {
        libc::RTM_NEWLINK | libc::RTM_DELLINK | libc::RTM_NEWADDR | libc::RTM_DELADDR => Some(NetworkChange::Connectivity),
        // `rtmsg`: family, length of the destination's prefix, of the source's, TOS, table. The local table follows
        // the addresses.
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => match body {
            [_, _, _, _, libc::RT_TABLE_LOCAL, ..] => None,
            [_, 0, ..] => Some(NetworkChange::Connectivity),
            _ => Some(NetworkChange::Route),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        message.extend_from_slice(&kind.to_ne_bytes());
        message.resize(HEADER, 0);
        message.extend_from_slice(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn what_counts_as_a_change() {
        let default = message(libc::RTM_NEWROUTE, &[2, 0, 0, 0, 254, 0, 0, 0]);
        let office = message(libc::RTM_DELROUTE, &[2, 8, 0, 0, 254, 0, 0, 0]);
        let own = message(libc::RTM_NEWROUTE, &[2, 32, 0, 0, 255, 0, 0, 0]);
        let link = message(libc::RTM_NEWLINK, &[0; 17]);
        let neighbour = message(libc::RTM_NEWNEIGH, &[0; 12]);
        for (messages, expected) in [
            (vec![&default], Some(NetworkChange::Connectivity)),
            (vec![&office], Some(NetworkChange::Route)),
            (vec![&own], None),
            (vec![&neighbour], None),
            (vec![&link], Some(NetworkChange::Connectivity)),
            (vec![&own, &link, &office], Some(NetworkChange::Connectivity)),
            (vec![&neighbour, &office, &own], Some(NetworkChange::Route)),
            (vec![], None),
        ] {
            let bytes: Vec<u8> = messages.into_iter().flatten().copied().collect();
            assert_eq!(change(&bytes), expected);
            if !bytes.is_empty() {
                let _ = change(&bytes[..bytes.len() - 1]);
            }
        }
    }

    #[tokio::test]
    async fn the_kernel_lets_us_listen() {
        let watch = NetworkWatch::new().expect("no privilege is needed");
        tokio::select! {
            biased;
            change = watch.changed() => assert!(change.is_ok()),
            () = std::future::ready(()) => {}
        }
    }

    proptest! {
        #[test]
        fn any_octets_end(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = change(&octets);
        }
    }
}
