//! Web servers for tests: each does what a script says, over connections in memory or over TLS on the loopback interface.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use super::addresses::Addresses;
use super::client::Client;
use super::tls::MakeTls;
use crate::env::{BoxFuture, Clock, Net, RealClock, Stream, UdpFlow};
use crate::upstream::TlsTrust;

/// What a server does after it has read a request.
#[derive(Clone, Debug)]
pub(in crate::server) enum Act {
    Send(Vec<u8>),
    /// Until the peer has had enough.
    SendForEver(Vec<u8>),
    /// One octet at a time, with a pause before each.
    Drip(Vec<u8>, Duration),
    /// Neither sends nor closes.
    Hang,
}

/// What a server does with the text of a request.
pub(in crate::server) type Script = Rc<dyn Fn(&str) -> Vec<Act>>;

pub(in crate::server) fn script(acts: impl Fn(&str) -> Vec<Act> + 'static) -> Script {
    Rc::new(acts)
}

/// The same response to every request.
pub(in crate::server) fn always(response: impl Into<Vec<u8>>) -> Script {
    let response = response.into();
    script(move |_| vec![Act::Send(response.clone())])
}

/// A response with this body, whose length it tells.
pub(in crate::server) fn ok(fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{fields}\r\n", body.len()).as_bytes(), body].concat()
}

pub(in crate::server) fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

async fn serve(mut stream: impl Stream, script: Script) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    for act in script(&String::from_utf8_lossy(&request)) {
        match act {
            Act::Send(bytes) => stream.write_all(&bytes).await?,
            Act::SendForEver(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
            Act::Drip(bytes, pause) => {
                for octet in bytes {
                    tokio::time::sleep(pause).await;
                    stream.write_all(&[octet]).await?;
                    stream.flush().await?;
                }
            }
            Act::Hang => std::future::pending().await,
        }
    }
    stream.shutdown().await
}

/// What it does, and how over TLS.
type Server = (Script, Option<Arc<ServerConfig>>);

/// A network of scripted servers in memory. Whoever is not there never answers, except at port 1, which refuses.
#[derive(Default)]
pub(in crate::server) struct FakeWeb {
    servers: RefCell<HashMap<SocketAddr, Server>>,
    /// In the order of the attempts.
    pub(in crate::server) connected: RefCell<Vec<SocketAddr>>,
    hosts: HashMap<String, Vec<IpAddr>>,
}

impl FakeWeb {
    pub(in crate::server) fn new(hosts: &[(&str, &[&str])]) -> FakeWeb {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect();
        let hosts = hosts.iter().map(|(host, texts)| ((*host).to_owned(), addresses(texts))).collect();
        FakeWeb { hosts, ..FakeWeb::default() }
    }

    pub(in crate::server) fn with(self, address: &str, script: Script) -> FakeWeb {
        self.servers.borrow_mut().insert(address.parse().expect("an address"), (script, None));
        self
    }

    pub(in crate::server) fn with_tls(self, address: &str, tls: Arc<ServerConfig>, script: Script) -> FakeWeb {
        self.servers.borrow_mut().insert(address.parse().expect("an address"), (script, Some(tls)));
        self
    }

    pub(in crate::server) fn client(self: &Rc<Self>, ca: &Ca) -> Client {
        Client { net: self.clone(), addresses: self.clone(), tls: ca.trusted() }
    }
}

impl Net for FakeWeb {
    fn udp(&self, _server: SocketAddr, _port: u16) -> io::Result<Box<dyn UdpFlow>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn tcp(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        self.connected.borrow_mut().push(address);
        let server = self.servers.borrow().get(&address).cloned();
        Box::pin(async move {
            let Some((script, tls)) = server else {
                return if address.port() == 1 { Err(io::ErrorKind::ConnectionRefused.into()) } else { std::future::pending().await };
            };
            let (ours, theirs) = duplex(4_096);
            spawn_local(async move {
                match tls {
                    Some(tls) => serve(TlsAcceptor::from(tls).accept(theirs).await?, script).await,
                    None => serve(theirs, script).await,
                }
            });
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

impl Addresses for FakeWeb {
    fn of<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, String>> {
        Box::pin(async move { self.hosts.get(host).cloned().ok_or_else(|| "SERVFAIL".to_owned()) })
    }
}

/// Listens on a port of the loopback interface that the kernel draws.
pub(in crate::server) async fn listen(tls: Arc<ServerConfig>, script: Script) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, script) = (tls.clone(), script.clone());
            spawn_local(async move { serve(TlsAcceptor::from(tls).accept(stream).await?, script).await });
        }
    });
    address
}

/// A CA of a test's own, from 2020 to 2035.
pub(in crate::server) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(in crate::server) fn new() -> Ca {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        valid(&mut params, 2020, 2035);
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    /// The settings of a server of this name, or address.
    pub(in crate::server) fn server(&self, name: &str) -> Arc<ServerConfig> {
        self.server_between(name, 2020, 2035)
    }

    pub(in crate::server) fn server_between(&self, name: &str, first: i32, last: i32) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        valid(&mut params, first, last);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let server = server.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private);
        Arc::new(server.expect("they belong together"))
    }

    pub(in crate::server) fn trusted(&self) -> MakeTls {
        let pem = self.0.pem();
        Box::new(move |_| TlsTrust::from_pem(pem.as_bytes())?.client(Arc::new(RealClock) as Arc<dyn Clock>, &[b"http/1.1"]))
    }
}

fn valid(params: &mut CertificateParams, first: i32, last: i32) {
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(first, 1, 1), rcgen::date_time_ymd(last, 1, 1));
}
