//! The real implementations of `env`: the kernel's clocks and sockets, and the allocator. Linux only.
//!
//! Listening sockets are bound once, on the thread that starts the program (`bind_udp`, `bind_tcp`), and wrapped
//! on the thread of the worker that reads them (`RealDatagramSocket`, `RealStreamListener`), because wrapping
//! registers them with that thread's reactor. `unsafe` is in `allocator.rs`, `clock.rs` and `syscalls.rs` alone.

mod allocator;
mod bind;
mod clock;
mod datagram;
mod syscalls;
mod network;
mod sockets_ahead;
mod stream;
mod udp_flow;

pub use allocator::Allocator;
pub use bind::{bind_tcp, bind_udp};
pub use clock::RealClock;
pub use datagram::RealDatagramSocket;
pub use network::{NetworkChange, NetworkWatch};
pub use stream::RealStreamListener;
pub use udp_flow::RealNet;
