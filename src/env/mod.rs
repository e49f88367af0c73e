//! Clocks, randomness and the network. Everything else is given them as arguments, so that a whole internet can run
//! inside one test in virtual time, replayed from one seed.
//!
//! There are three clocks with three types, so that they cannot be confused: `BootTime` for TTLs and server state,
//! tokio's `Instant` for time-outs, `WallTime` for signatures and the saved cache.
//!
//! Knows nothing of: DNS.

mod boxed;
mod clock;
mod net;
mod random;
mod real;
mod stream;
mod time_zone;
mod tls;

pub use boxed::boxed;
pub use clock::{BootTime, Clock, WallTime};
pub use net::{Accepted, BoxFuture, Datagram, DatagramBatch, DatagramSocket, Net, Rest, StreamListener, UdpFlow, is_own_shortage};
pub use random::Random;
pub use real::{Allocator, NetworkChange, NetworkWatch, RealClock, RealDatagramSocket, RealNet, RealStreamListener, bind_tcp, bind_udp};
pub use stream::Stream;
pub use time_zone::TimeZone;
#[cfg(any(test, feature = "internals"))]
pub use tls::Secured;
pub use tls::TlsFacts;

/// The clock of time-outs and of round-trip times; virtual in the simulation.
pub use tokio::time::Instant;
