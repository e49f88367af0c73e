//! Accepts TCP connections. When accept fails it pauses, and for want of descriptors it closes the longest idle connection, so
//! that new clients find room.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::connection;
use super::dispatch::{Answer, Dispatch};
use super::proxied;
use crate::answer::{Client, Transport};
use crate::env::{Accepted, Stream, StreamListener};
use crate::metrics::Counter;

/// Pause after an accept that failed for want of descriptors or memory, until closed connections are really gone.
const ERROR_PAUSE: Duration = Duration::from_millis(20);

/// Gives each connection to `start`. Runs until it is aborted.
pub async fn accept<A: Answer>(dispatch: Rc<Dispatch<A>>, listener: Box<dyn StreamListener>, start: impl Fn(Accepted)) {
    loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok(accepted) => {
                dispatch.metrics.count(Counter::Connections);
                start(accepted);
            }
            Err(error) => {
                dispatch.metrics.count(Counter::AcceptErrors);
                if !is_of_one_connection(&error) {
                    dispatch.metrics.add(Counter::ConnectionsEvicted, usize::from(dispatch.connections.close_longest_idle()));
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }
}

/// Begins a conversation over plain TCP.
pub fn start<A: Answer>(dispatch: &Rc<Dispatch<A>>, accepted: Accepted) {
    let Accepted { stream, peer, local } = accepted;
    let client = Client { peer, local, transport: Transport::Tcp, is_behind_balancer: false };
    if dispatch.is_proxy(&dispatch.moment(), peer.ip()) {
        let shared = Rc::clone(dispatch);
        proxied::begin(dispatch, stream, client, move |stream, client| converse(&shared, stream, client));
    } else {
        converse(dispatch, stream, client);
    }
}

fn converse<A: Answer>(dispatch: &Rc<Dispatch<A>>, stream: Box<dyn Stream>, client: Client) {
    let permit = dispatch.admit_connection(client.peer.ip());
    let number = permit.number();
    let task = tokio::task::spawn_local(connection::converse(Rc::clone(dispatch), stream, client, permit));
    dispatch.connections.set_task(number, task.abort_handle());
}

/// The next connection in the queue had already failed, and is now out of the queue (accept(2), "Error handling").
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
