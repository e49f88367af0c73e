//! A connection as octets, whatever carries it.

use tokio::io::{AsyncRead, AsyncWrite};

/// One connection to or from a peer, as octets.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}
