//! The doors to the world: clocks, randomness, network. Everything else gets them handed in, so that a whole
//! internet can run inside one test in virtual time, replayed from one seed.
//!
//! Three clocks, three types (they cannot be mixed up): `BootTime` for TTLs and server state, tokio's
//! `Instant` for time-outs, `WallTime` for signatures and the saved cache.
//!
//! Knows nothing of: DNS.

mod clock;
mod net;
mod random;
mod real;

pub use clock::{BootTime, Clock, WallTime};
pub use net::{Accepted, BoxFuture, Datagram, DatagramBatch, DatagramSocket, Net, Rest, Stream, StreamListener, UdpFlow};
pub use random::Random;
pub use real::{NetworkChange, NetworkWatch, RealClock, RealDatagramSocket, RealNet, RealStreamListener, bind_tcp, bind_udp};

/// The clock of time-outs and of how long things took; virtual in the simulation.
pub use tokio::time::Instant;
