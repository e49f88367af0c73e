//! Tells the service manager how the server is: the datagrams of sd_notify(3), to the socket that NOTIFY_SOCKET names.
//!
//! Without that variable nothing is sent. Nobody waits: a manager that does not read is no reason to stand still.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

#[derive(Default)]
pub(super) struct ServiceManager(Option<(UnixDatagram, SocketAddr)>);

impl ServiceManager {
    pub(super) fn from_environment() -> ServiceManager {
        let named = std::env::var("NOTIFY_SOCKET").ok().and_then(|name| address(&name));
        ServiceManager(named.and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        }))
    }

    pub(super) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    pub(super) fn reloading(&self) {
        self.send("STATUS=reloading");
    }

    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping");
    }

    /// All workers have been seen at work since the last time.
    pub(super) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.0 {
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

fn address(name: &str) -> Option<SocketAddr> {
    match name.strip_prefix('@') {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name).ok(),
        None => name.starts_with('/').then(|| SocketAddr::from_pathname(name).ok())?,
    }
}

/// How often the service manager has to hear that this process is alive, where it watches it.
pub(super) fn watchdog_interval() -> Option<Duration> {
    let var = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let is_for_another = std::env::var_os("WATCHDOG_PID").is_some() && var("WATCHDOG_PID") != Some(std::process::id().into());
    let interval = var("WATCHDOG_USEC").filter(|micros| *micros > 0 && !is_for_another)?;
    Some(Duration::from_micros(interval))
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn messages_reach_the_socket_that_is_named() {
        let scratch = Scratch::new();
        let path = scratch.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("free");
        let told = address(path.to_str().expect("text")).expect("a path");
        let socket = UnixDatagram::unbound().expect("a socket");
        ServiceManager(Some((socket, told))).ready("serving");
        let mut heard = [0; 64];
        let len = manager.recv(&mut heard).expect("a message");
        assert_eq!(&heard[..len], b"READY=1\nSTATUS=serving");
        ServiceManager::default().alive();
        assert!(address("@cairn-test").is_some() && address("relative").is_none());
    }
}
