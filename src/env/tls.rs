//! TLS (RFC 8446) over a connection to a server.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};
use tokio_rustls::TlsConnector;

use super::stream::Stream;

/// A connection over which TLS is spoken.
pub struct Secured {
    pub stream: Box<dyn Stream>,
    pub facts: TlsFacts,
}

/// What client and server have agreed on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsFacts {
    pub version: &'static str,
    /// By which the keys were agreed on.
    pub group: Option<String>,
    /// RFC 7301.
    pub protocol: Option<Vec<u8>>,
    /// It goes on from an earlier connection, whose certificate was verified.
    pub resumed: bool,
}

/// The handshake. An error of TLS itself is a `rustls::Error` inside the error that is returned. Has no time limit.
pub async fn secure(stream: Box<dyn Stream>, name: ServerName<'static>, client: Arc<ClientConfig>) -> io::Result<Secured> {
    let stream = TlsConnector::from(client).connect(name, stream).await?;
    let (_, connection) = stream.get_ref();
    let facts = TlsFacts {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS",
        },
        group: connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
        protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
    };
    Ok(Secured { stream: Box::new(stream), facts })
}
