//! Reasons why a query over a connection has no reply: closed sets, each with its text.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// Reason why a query over TCP, or over TLS, has no reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpFault {
    Timeout,
    Connect(io::ErrorKind),
    /// The peer closed or reset it.
    Closed,
    /// The peer sent a message that is not a reply to any of our queries.
    Unasked,
    /// A limit of our own: no connection, descriptor or port is free. Says nothing about the server.
    Busy,
    Tls(TlsFault),
    Http(HttpFault),
}

/// Reason why there is no TLS connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsFault {
    Expired,
    NotYetValid,
    /// No CA that is trusted has signed it.
    UnknownIssuer,
    WrongName,
    /// It is none of the pinned ones.
    WrongKey,
    /// Anything else that is wrong with the certificate.
    BadCertificate,
    /// The server has ended the handshake with this alert (RFC 8446 6).
    Alert(u8),
    /// The server has closed or reset the connection during the handshake.
    Closed,
    /// The server does not speak HTTP/2.
    NoHttp2,
    /// The server speaks none of the protocols that were offered (RFC 7301 3.2).
    NoProtocol,
    /// What the server sent is not TLS, or not the TLS that we speak.
    Broken,
}

/// Reason why a response over HTTPS is no reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpFault {
    Status(u16),
    /// It is no `application/dns-message`.
    ContentType,
    /// Its body is longer than a DNS message can be.
    TooLong,
    /// The stream was reset, or HTTP was broken.
    Broken,
}

impl TcpFault {
    /// The connection failed, not the question: another connection may bring the reply.
    pub(super) fn is_worth_another_try(self) -> bool {
        match self {
            TcpFault::Closed | TcpFault::Unasked => true,
            TcpFault::Timeout | TcpFault::Connect(_) | TcpFault::Busy | TcpFault::Tls(_) | TcpFault::Http(_) => false,
        }
    }

    /// Whether the server did not prove to be the one that was to be asked.
    pub fn is_certificate(self) -> bool {
        match self {
            TcpFault::Tls(fault) => match fault {
                TlsFault::Expired | TlsFault::NotYetValid | TlsFault::UnknownIssuer => true,
                TlsFault::WrongName | TlsFault::WrongKey | TlsFault::BadCertificate => true,
                TlsFault::Alert(_) | TlsFault::Closed | TlsFault::NoHttp2 | TlsFault::NoProtocol | TlsFault::Broken => false,
            },
            TcpFault::Timeout | TcpFault::Connect(_) | TcpFault::Closed | TcpFault::Unasked => false,
            TcpFault::Busy | TcpFault::Http(_) => false,
        }
    }

    /// Whether there was a connection, so that the network is there, whoever was at its other end.
    pub(super) fn shows_a_server(self) -> bool {
        match self {
            TcpFault::Closed | TcpFault::Unasked | TcpFault::Tls(_) | TcpFault::Http(_) => true,
            TcpFault::Timeout | TcpFault::Connect(_) | TcpFault::Busy => false,
        }
    }
}

impl TlsFault {
    /// What an error of a handshake means.
    pub(super) fn of(error: &io::Error) -> TlsFault {
        let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else { return TlsFault::Closed };
        match error {
            rustls::Error::InvalidCertificate(error) => TlsFault::of_certificate(error),
            rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => TlsFault::NoProtocol,
            rustls::Error::AlertReceived(alert) => TlsFault::Alert(alert_number(*alert)),
            rustls::Error::NoApplicationProtocol => TlsFault::NoHttp2,
            _ => TlsFault::Broken,
        }
    }

    fn of_certificate(error: &CertificateError) -> TlsFault {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
            CertificateError::UnknownIssuer => TlsFault::UnknownIssuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsFault::WrongName,
            CertificateError::ApplicationVerificationFailure => TlsFault::WrongKey,
            _ => TlsFault::BadCertificate,
        }
    }
}

fn alert_number(alert: AlertDescription) -> u8 {
    u8::from(alert)
}

impl fmt::Display for TcpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TcpFault::Timeout => f.write_str("no reply in time"),
            TcpFault::Connect(kind) => write!(f, "no connection ({kind})"),
            TcpFault::Closed => f.write_str("the connection was closed before the reply"),
            TcpFault::Unasked => f.write_str("the server sent a message that is no reply"),
            TcpFault::Busy => f.write_str("this resolver has no free connection"),
            TcpFault::Tls(fault) => fault.fmt(f),
            TcpFault::Http(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsFault::Expired => f.write_str("the certificate has expired"),
            TlsFault::NotYetValid => f.write_str("the certificate is not valid yet"),
            TlsFault::UnknownIssuer => f.write_str("the certificate is from a CA that is not trusted"),
            TlsFault::WrongName => f.write_str("the certificate is for another name"),
            TlsFault::WrongKey => f.write_str("the key is none of `pin-sha256`"),
            TlsFault::BadCertificate => f.write_str("the certificate cannot be used"),
            TlsFault::Alert(number) => write!(f, "the server ended the TLS handshake with alert {number}"),
            TlsFault::Closed => f.write_str("the server closed the connection during the TLS handshake"),
            TlsFault::NoHttp2 => f.write_str("the server does not speak HTTP/2"),
            TlsFault::NoProtocol => f.write_str("the server speaks TLS, and does not offer this DNS transport over it (ALPN)"),
            TlsFault::Broken => f.write_str("the server does not speak TLS 1.2 or 1.3"),
        }
    }
}

impl fmt::Display for HttpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpFault::Status(status) => write!(f, "the server answered with HTTP status {status}"),
            HttpFault::ContentType => f.write_str("the server's response over HTTPS is no DNS message"),
            HttpFault::TooLong => f.write_str("the server's response over HTTPS is longer than a DNS message"),
            HttpFault::Broken => f.write_str("the server broke off the response over HTTPS"),
        }
    }
}
