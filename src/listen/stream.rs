//! Accepting connections. A failing accept never spins, and never leaves the longest idle sitting on what a
//! new client needs.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::connection;
use super::dispatch::{Answer, Desk};
use crate::env::{Accepted, StreamListener};
use crate::metrics::Counter;

/// After an accept that failed for want of descriptors or memory: time for what was closed to be gone.
const ERROR_PAUSE: Duration = Duration::from_millis(20);

/// Ends only by being aborted.
pub async fn accept<A: Answer>(desk: Rc<Desk<A>>, listener: Box<dyn StreamListener>) {
    loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok(accepted) => start(&desk, accepted),
            Err(error) => {
                desk.metrics.count(Counter::AcceptErrors);
                if !is_of_one_connection(&error) {
                    desk.metrics.add(Counter::ConnectionsEvicted, usize::from(desk.connections.close_longest_idle()));
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }
}

fn start<A: Answer>(desk: &Rc<Desk<A>>, accepted: Accepted) {
    let (permit, evicted) = desk.connections.admit(accepted.peer.ip());
    desk.metrics.count(Counter::Connections);
    desk.metrics.add(Counter::ConnectionsEvicted, evicted);
    let number = permit.number();
    let task = tokio::task::spawn_local(connection::converse(Rc::clone(desk), accepted, permit));
    desk.connections.set_task(number, task.abort_handle());
}

/// The connection that was next had already failed and is now out of the queue (accept(2), "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | ConnectionRefused
            | NotConnected
            | BrokenPipe
            | TimedOut
            | HostUnreachable
            | NetworkUnreachable
    )
}
