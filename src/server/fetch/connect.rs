//! A connection to one of a host's addresses: several are tried side by side (RFC 8305 5), then TLS is spoken over the first that
//! is there.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::error::FetchError;
use crate::config::{Host, HttpUrl};
use crate::env::{Net, Stream};
use crate::limits::fetch::{CONNECT_STAGGER, TLS_TIME_MAX};

/// The first connection that is established. Inside a `LocalSet`.
pub(super) async fn connect(net: &dyn Net, addresses: &[SocketAddr]) -> io::Result<(SocketAddr, Box<dyn Stream>)> {
    let mut attempts = JoinSet::new();
    let mut left = addresses.iter().copied();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = left.next() {
            let connecting = net.tcp(address);
            attempts.spawn_local(async move { (address, connecting.await) });
        } else if attempts.is_empty() {
            return Err(failure);
        }
        tokio::select! {
            biased;
            Some(ended) = attempts.join_next() => match ended {
                Ok((address, Ok(stream))) => return Ok((address, stream)),
                Ok((_, Err(error))) => failure = error,
                Err(_) => {}
            },
            () = sleep(CONNECT_STAGGER), if left.len() > 0 => {}
        }
    }
}

/// A connection that can carry a request; `tls` for `https://`. An address where TLS fails is left for the next one, but a wrong
/// certificate is the server's word.
pub(super) async fn open(
    net: &dyn Net,
    url: &HttpUrl,
    addresses: &[SocketAddr],
    tls: Option<Arc<ClientConfig>>,
) -> Result<(SocketAddr, Box<dyn Stream>), FetchError> {
    let mut left = addresses.to_vec();
    let mut failure = None;
    loop {
        let (address, stream) = match connect(net, &left).await {
            Ok(connected) => connected,
            Err(error) => {
                let not_connected = || FetchError::NotConnected { authority: url.authority(), why: error.to_string() };
                return Err(failure.unwrap_or_else(not_connected));
            }
        };
        let Some(tls) = tls.clone() else { return Ok((address, stream)) };
        match secure(url, stream, tls).await {
            Ok(stream) => return Ok((address, stream)),
            Err(error @ FetchError::Certificate { .. }) => return Err(error),
            Err(error) => failure = Some(error),
        }
        left.retain(|other| *other != address);
    }
}

async fn secure(url: &HttpUrl, stream: Box<dyn Stream>, tls: Arc<ClientConfig>) -> Result<Box<dyn Stream>, FetchError> {
    let failed = |why: String| FetchError::Tls { authority: url.authority(), why };
    let name = match &url.host {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| failed(error.to_string()))?,
    };
    match timeout(TLS_TIME_MAX, TlsConnector::from(tls).connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(why)) => FetchError::Certificate { authority: url.authority(), why: why.to_string() },
            _ => failed(error.to_string()),
        }),
        Err(_) => Err(failed("no answer".to_owned())),
    }
}
