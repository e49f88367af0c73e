//! Load balancers in front of this server: whose question it is, over each transport.

use std::net::IpAddr;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::{LocalSet, spawn_local};

use super::dispatch::Answer;
use super::encrypted_tests::serving_as;
use super::fake::{Fake, FakeSocket, admission, bounds, dispatch_of, listener, local, peer, query};
use super::limits::Bounds;
use super::proxy_header::tests::{of_client, own};
use super::tls::Encrypted;
use super::{stream, udp};
use crate::metrics::Counter;

/// The load balancer.
const PROXY: u8 = 250;
/// What the client at 192.0.2.7 is told of itself.
const OF_CLIENT_7: &str = "192.0.2.7:4000 198.51.100.9:53";

fn behind_a_proxy() -> Fake {
    let proxy: IpAddr = peer(PROXY).ip();
    Fake::new().proxy(proxy)
}

fn framed(query: &[u8]) -> Vec<u8> {
    [&(query.len() as u16).to_be_bytes()[..], query].concat()
}

async fn told(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), id: u8) -> String {
    stream.write_all(&framed(&query(id, b'c', 0))).await.expect("open");
    stream.flush().await.expect("open");
    let len = stream.read_u16().await.expect("a reply");
    let mut reply = vec![0; len.into()];
    stream.read_exact(&mut reply).await.expect("a reply");
    assert_eq!(reply[1], id);
    String::from_utf8(reply[12..].to_vec()).expect("a text")
}

#[tokio::test(start_paused = true)]
async fn datagrams() {
    let (dispatch, _stop) = dispatch_of(behind_a_proxy(), admission(bounds()));
    let socket = Rc::new(FakeSocket::default());
    for (id, octets, from) in [
        (1, [of_client(7, &[]), query(1, b'c', 0)].concat(), PROXY),
        (2, [of_client(7, &[4, 0, 1, 0]), query(2, b'w', 1)].concat(), PROXY),
        // A listed one without a header gets no answer, nor does one with half of it.
        (3, query(3, b'c', 0), PROXY),
        (4, of_client(7, &[])[..20].to_vec(), PROXY),
        (5, [own(), query(5, b'c', 0)].concat(), PROXY),
        (6, query(6, b'c', 0), 1),
        // Nobody else is believed: this is an odd query of the sender itself.
        (7, [of_client(7, &[]), query(7, b'c', 0)].concat(), 1),
    ] {
        assert!(octets.len() >= 14, "{id}");
        socket.ask(octets, peer(from));
    }
    let run = async {
        spawn_local(udp::serve(Rc::clone(&dispatch), Rc::clone(&socket)));
        socket.replies(4).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    };
    LocalSet::new().run_until(run).await;
    let sent = socket.sent.borrow();
    let reply = |id: u8| sent.iter().find(|(octets, ..)| octets[..2] == [0, id]).map(|(octets, to, from)| (&octets[12..], *to, *from));
    let from_proxy = |text: &'static str| Some((text.as_bytes(), peer(PROXY), local()));
    assert_eq!(reply(1), from_proxy(OF_CLIENT_7));
    assert_eq!(reply(2), Some((&b"w\x01"[..], peer(PROXY), local())), "later answers go to the balancer as well");
    assert_eq!((reply(3), reply(4)), (None, None));
    assert_eq!(reply(5), from_proxy("192.0.2.250:4000 198.51.100.1:53"), "its own question");
    assert_eq!(reply(6), Some((&b"192.0.2.1:4000 198.51.100.1:53"[..], peer(1), local())));
    assert!(!sent.iter().any(|(octets, to, _)| *to == peer(1) && octets.ends_with(OF_CLIENT_7.as_bytes())));
    assert_eq!(dispatch.metrics.get(Counter::ProxyHeadersRefused), 2);
}

#[tokio::test(start_paused = true)]
async fn connections() {
    let bounds = Bounds { connections_per_client: 2, ..bounds() };
    let (dispatch, _stop) = dispatch_of(behind_a_proxy(), admission(bounds));
    let (dialler, listener) = listener();
    let run = async {
        let starting = Rc::clone(&dispatch);
        spawn_local(stream::accept(Rc::clone(&dispatch), listener, move |accepted| stream::start(&starting, accepted)));
        let begun = async |last: u8| {
            let mut stream = dialler.dial(peer(PROXY), 4_096);
            // In pieces, as a slow network has them.
            for octet in of_client(last, &[4, 0, 1, 0]) {
                stream.write_all(&[octet]).await.expect("open");
                tokio::task::yield_now().await;
            }
            stream
        };
        let (mut first, mut other) = (begun(7).await, begun(8).await);
        assert_eq!(told(&mut first, 1).await, OF_CLIENT_7);
        assert_eq!(told(&mut other, 2).await, "192.0.2.8:4000 198.51.100.9:53");
        // The limits are those of clients, not of the balancer: the third of one client closes its first.
        let (mut second, mut third) = (begun(7).await, begun(7).await);
        assert_eq!((told(&mut second, 3).await, told(&mut third, 4).await), (OF_CLIENT_7.to_owned(), OF_CLIENT_7.to_owned()));
        assert_eq!(first.read(&mut [0; 8]).await.expect("closed"), 0);
        assert_eq!(told(&mut other, 5).await, "192.0.2.8:4000 198.51.100.9:53");
        // Without a header, with half of one, with one that has no end.
        let endless = [&of_client(7, &[])[..14], &[0xff, 0xff], &[0; 4_000]].concat();
        for begun in [framed(&query(1, b'c', 0)), of_client(7, &[])[..20].to_vec(), endless] {
            let mut stream = dialler.dial(peer(PROXY), 64 << 10);
            stream.write_all(&begun).await.expect("open");
            assert_eq!(stream.read(&mut [0; 8]).await.expect("closed"), 0);
        }
        assert_eq!(dispatch.metrics.get(Counter::ProxyHeadersRefused), 3);
        // Anybody else's header is a message that cannot be.
        let mut stranger = dialler.dial(peer(1), 4_096);
        stranger.write_all(&of_client(7, &[])).await.expect("open");
        assert_eq!(stranger.read(&mut [0; 64]).await.expect("closed"), 0);
        assert_eq!(told(&mut dialler.dial(peer(1), 4_096), 6).await, "192.0.2.1:4000 198.51.100.1:53");
        assert_eq!(dispatch.metrics.get(Counter::Connections), 9, "each counts once");
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test(start_paused = true)]
async fn headers_before_and_inside_tls() {
    let handshakes = Bounds { handshakes: (1, 2), ..bounds() };
    serving_as(behind_a_proxy(), Encrypted::Tls, bounds(), handshakes, async |server| {
        let config = server.client(&["dot"], None);
        for round in 0..2 {
            let mut before = server.dialler.dial(peer(PROXY), 64 << 10);
            before.write_all(&of_client(7, &[])).await.expect("open");
            let mut before = server.handshake(config.clone(), before).await.expect("a handshake");
            assert_eq!(told(&mut before, 1).await, OF_CLIENT_7);
            let mut inside = server.handshake(config.clone(), server.dialler.dial(peer(PROXY), 64 << 10)).await.expect("a handshake");
            inside.write_all(&of_client(8, &[])).await.expect("open");
            assert_eq!(told(&mut inside, 2).await, "192.0.2.8:4000 198.51.100.9:53", "{round}");
        }
        let mut none = server.handshake(config.clone(), server.dialler.dial(peer(PROXY), 64 << 10)).await.expect("a handshake");
        none.write_all(&framed(&query(1, b'c', 0))).await.expect("open");
        assert_eq!(none.read(&mut [0; 8]).await.unwrap_or(0), 0);
        let metrics = Answer::metrics(&*server.metrics);
        assert_eq!((metrics.get(Counter::ProxyHeadersRefused), metrics.get(Counter::Connections)), (1, 5));
    })
    .await;
}
