//! The end of a connection. Octets that the client has sent and that nobody has read would have the kernel reset the connection, and
//! what was written last could be lost (RFC 1122 4.2.2.13). So writing ends first, and what still comes is read and dropped for a while.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use crate::limits::clients::CLOSE_BYTES_MAX;

/// Ends writing, and waits for the client's end. `scratch`: what is read goes there.
pub async fn close_in_order(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), scratch: &RefCell<Vec<u8>>, patience: Duration) {
    let end = async {
        poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await?;
        let mut left = CLOSE_BYTES_MAX;
        poll_fn(|cx| poll_drain(stream, scratch, &mut left, cx)).await
    };
    // The connection ends in any case.
    let _ = timeout(patience, end).await;
}

/// Reads and drops what comes, until the client has ended or nothing is left of its share.
pub(super) fn poll_drain(
    stream: &mut (impl AsyncRead + Unpin),
    scratch: &RefCell<Vec<u8>>,
    left: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let mut scratch = scratch.borrow_mut();
    while *left > 0 {
        let mut into = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut into))?;
        match into.filled().len() {
            0 => break,
            count => *left = left.saturating_sub(count),
        }
    }
    Poll::Ready(Ok(()))
}
