//! Exchanges with servers made of closures, over an in-memory network and in virtual time.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::fake_net::{Datagrams, FakeNet, RTT, Shared, run};
use super::*;
use crate::env::{BoxFuture, Random};
use crate::limits::Limits;
use crate::record::{Name, Question, Rtype};
use crate::wire::{Flags, HEADER_BYTES};

fn upstream(net: FakeNet) -> (Upstream, Rc<FakeNet>) {
    let net = Rc::new(net);
    (Upstream::new(Rc::new(Shared(Rc::clone(&net))), Rc::new(Random::from_seed(7)), &Limits::default()), net)
}

fn server() -> SocketAddr {
    "192.0.2.53:53".parse().expect("address")
}

fn question() -> Question {
    Question::new(Name::parse("www.some-example.").expect("name"), Rtype::A)
}

fn ask(question: &Question) -> Ask<'_> {
    Ask {
        server: server(),
        tls: None,
        zone: None,
        translator: None,
        question,
        recursion_desired: false,
        checking_disabled: false,
        edns: Some(EdnsOut { udp_size: 1232, dnssec_ok: true, cookie: None }),
        randomise_case: true,
        timeout: Duration::from_millis(400),
        overdue: None,
        tcp_timeout: Duration::from_millis(1000),
        force_tcp: false,
        wait: SocketWait { most: Duration::from_secs(2), client: 0, known: None },
    }
}

/// With the whole cookie of a server that gave one before; `good` repeats it.
fn ask_with_cookie(question: &Question) -> Ask<'_> {
    let edns = EdnsOut { udp_size: 1232, dnssec_ok: true, cookie: Some(b"CLIENT01server-cookie") };
    Ask { edns: Some(edns), ..ask(question) }
}

/// The query turned into an empty reply, and then `edit`ed.
fn echo(query: &[u8], edit: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = query.to_vec();
    bytes[2] |= 0x80;
    edit(&mut bytes);
    bytes
}

fn good(query: &[u8]) -> Vec<u8> {
    echo(query, |_| ())
}

fn wrong_id(query: &[u8], by: u8) -> Vec<u8> {
    echo(query, |bytes| bytes[1] = bytes[1].wrapping_add(by))
}

fn lower(query: &[u8]) -> Vec<u8> {
    let end = query.len() - 15;
    echo(query, |bytes| bytes[HEADER_BYTES..end].make_ascii_lowercase())
}

fn truncated(query: &[u8]) -> Vec<u8> {
    echo(query, |bytes| bytes[2] |= (Flags::TC >> 8) as u8)
}

async fn read_query(stream: &mut DuplexStream) -> Option<Vec<u8>> {
    let len = stream.read_u16().await.ok()?;
    let mut query = vec![0; usize::from(len)];
    stream.read_exact(&mut query).await.ok()?;
    Some(query)
}

async fn write_reply(stream: &mut DuplexStream, reply: &[u8]) {
    let framed = [&(reply.len() as u16).to_be_bytes()[..], reply].concat();
    // The other side may have gone: that is its own affair.
    let _ = stream.write_all(&framed).await;
}

/// An honest server, each reply after `RTT`.
async fn serve(mut stream: DuplexStream) {
    while let Some(query) = read_query(&mut stream).await {
        tokio::time::sleep(Duration::from_millis(RTT)).await;
        write_reply(&mut stream, &good(&query)).await;
    }
}

/// Reads and never answers.
async fn keep_silent(mut stream: DuplexStream) {
    while read_query(&mut stream).await.is_some() {}
}

#[test]
fn exchanges_over_udp() {
    type Row = (&'static str, fn(&[u8]) -> Datagrams, Result<(u64, u16), AskError>);
    let rows: [Row; 8] = [
        ("a reply", |q| vec![(RTT, Ok(good(q)))], Ok((RTT, 0))),
        ("a forged reply, then the true one", |q| vec![(1, Ok(wrong_id(q, 1))), (RTT, Ok(good(q)))], Ok((RTT, 1))),
        ("garbage first", |q| vec![(1, Ok(vec![])), (2, Ok(vec![0xff; 700])), (RTT, Ok(good(q)))], Ok((RTT, 2))),
        ("our own query sent back first", |q| vec![(1, Ok(q.to_vec())), (RTT, Ok(good(q)))], Ok((RTT, 1))),
        ("a bare error", |q| vec![(RTT, Ok([&q[..2], &[0x80, 5], &[0; 8]].concat()))], Ok((RTT, 0))),
        ("nobody listens", |_| vec![(RTT, Err(io::ErrorKind::ConnectionRefused))], Err(AskError::ConnectionRefused)),
        ("no way there", |_| vec![(RTT, Err(io::ErrorKind::HostUnreachable))], Err(AskError::Unreachable(io::ErrorKind::HostUnreachable))),
        ("too late", |q| vec![(401, Ok(good(q)))], Err(AskError::Timeout { waited: Duration::from_millis(400), notes: Notes::default() })),
    ];
    for (what, script, expected) in rows {
        run(async {
            let (upstream, net) = upstream(FakeNet::new(move |query, _| script(query)));
            let reply = upstream.ask(&ask(&question())).await;
            let got = reply.map(|reply| {
                assert_eq!((reply.transport, reply.notes.tcp_because), (Transport::Udp, None), "{what}");
                (reply.rtt.as_millis() as u64, reply.notes.near_misses)
            });
            assert_eq!(got, expected, "{what}");
            assert_eq!(net.open_count.get(), 0, "without a cookie no socket is kept: {what}");
            assert_eq!(net.tcp_count.get(), 0, "{what}");
        });
    }
}

#[test]
fn what_leads_to_tcp() {
    type Script = fn(&[u8]) -> Datagrams;
    let rows: [(&str, Script, TcpReason, bool); 5] = [
        ("truncated", |q| vec![(RTT, Ok(truncated(q)))], TcpReason::Truncated, false),
        ("larger than offered", |q| vec![(RTT, Ok([good(q), vec![0; 1200]].concat()))], TcpReason::Truncated, false),
        ("lower case", |q| vec![(RTT, Ok(lower(q)))], TcpReason::CaseMangled, true),
        ("cut short", |q| vec![(RTT, Ok(good(q)[..q.len() - 4].to_vec()))], TcpReason::Malformed, false),
        ("three guesses", |q| (1..=3).map(|by| (RTT, Ok(wrong_id(q, by)))).collect(), TcpReason::NearMisses, false),
    ];
    for (what, script, reason, mangled) in rows {
        run(async {
            let net = FakeNet::new(move |query, _| script(query)).with_tcp(|stream, _| serve(stream));
            let (upstream, net) = upstream(net);
            let start = Instant::now();
            let reply = upstream.ask(&ask(&question())).await.expect(what);
            assert_eq!((reply.transport, reply.notes.tcp_because), (Transport::Tcp, Some(reason)), "{what}");
            assert_eq!((reply.notes.case_mangled, net.tcp_count.get()), (mangled, 1), "{what}");
            assert_eq!(start.elapsed(), Duration::from_millis(3 * RTT), "{what}");
            assert_eq!(net.open_count.get(), 0, "a doubtful socket is not kept: {what}");
        });
    }
}

#[test]
fn the_true_reply_by_udp_wins_over_doubt() {
    run(async {
        let net = FakeNet::new(|query, _| vec![(1, Ok(lower(query))), (RTT, Ok(good(query)))]).with_tcp(|stream, _| serve(stream));
        let (upstream, _) = upstream(net);
        let reply = upstream.ask(&ask(&question())).await.expect("reply");
        assert_eq!((reply.transport, reply.notes.near_misses, reply.notes.case_mangled), (Transport::Udp, 1, false));
    });
}

#[test]
fn amid_a_flood_tcp_decides() {
    let flood =
        |guesses: u8| move |query: &[u8], _| (1..=guesses).map(|by| (1, Ok(wrong_id(query, by)))).chain([(RTT, Ok(good(query)))]).collect();
    run(async {
        let (upstream, _) = upstream(FakeNet::new(flood(5)).with_tcp(|stream, _| serve(stream)));
        let reply = upstream.ask(&ask(&question())).await.expect("reply");
        assert_eq!((reply.transport, reply.notes.near_misses), (Transport::Tcp, 5), "TCP wins although UDP was first");
    });
    run(async {
        let (upstream, _) = upstream(FakeNet::new(flood(5)));
        let reply = upstream.ask(&ask(&question())).await.expect("TCP is refused, the held reply counts");
        assert_eq!((reply.transport, reply.notes.near_misses), (Transport::Udp, 5));
    });
    run(async {
        let (upstream, _) = upstream(FakeNet::new(flood(5)).with_tcp(|stream, _| keep_silent(stream)));
        let start = Instant::now();
        let reply = upstream.ask(&ask(&question())).await.expect("the held reply");
        assert_eq!((reply.transport, start.elapsed().as_millis()), (Transport::Udp, 400), "no longer than UDP's own time");
    });
    run(async {
        let (upstream, net) = upstream(FakeNet::new(flood(200)));
        let error = upstream.ask(&ask(&question())).await.expect_err("nothing by UDP is believed any more");
        assert!(matches!(error, AskError::TooManyNearMisses { notes: Notes { near_misses: 32, .. } }), "{error:?}");
        assert_eq!(net.open_count.get(), 0);
    });
}

#[test]
fn tcp_that_fails() {
    run(async {
        let (upstream, _) = upstream(FakeNet::new(|query, _| vec![(RTT, Ok(truncated(query)))]));
        let start = Instant::now();
        let error = upstream.ask(&ask(&question())).await.expect_err("refused");
        assert_eq!(start.elapsed(), Duration::from_millis(2 * RTT), "nothing more is waited for");
        let AskError::TcpFailed { fault, truncated: Some(_), notes } = error else { panic!("{error:?}") };
        assert_eq!((fault, notes.tcp_because), (TcpFault::Connect(io::ErrorKind::ConnectionRefused), Some(TcpReason::Truncated)));
    });
    run(async {
        let (upstream, _) = upstream(FakeNet::new(|query, _| vec![(RTT, Ok(lower(query)))]));
        let error = upstream.ask(&ask(&question())).await.expect_err("refused");
        assert!(matches!(error, AskError::TcpFailed { truncated: None, notes: Notes { case_mangled: true, .. }, .. }), "{error:?}");
    });
    run(async {
        let (upstream, _) = upstream(FakeNet::new(|_, _| vec![]).with_tcp(|stream, _| keep_silent(stream)));
        let start = Instant::now();
        let question = question();
        let error = upstream.ask(&Ask { force_tcp: true, ..ask(&question) }).await.expect_err("silence");
        assert!(matches!(error, AskError::TcpFailed { fault: TcpFault::Timeout, .. }), "{error:?}");
        assert_eq!(start.elapsed(), Duration::from_millis(1000));
    });
    // Closing at once, sending what nobody asked for, and announcing much but sending little.
    type Misbehave = fn(DuplexStream) -> BoxFuture<'static, ()>;
    let rows: [(Misbehave, TcpFault); 4] = [
        (|stream| Box::pin(async move { drop(stream) }), TcpFault::Closed),
        (
            |mut stream| {
                Box::pin(async move {
                    read_query(&mut stream).await;
                    let _ = stream.write_all(&[0xff, 0xff, 1, 2, 3]).await;
                })
            },
            TcpFault::Closed,
        ),
        (|mut stream| Box::pin(async move { write_reply(&mut stream, &[0; 12]).await }), TcpFault::Unasked),
        (
            |mut stream| {
                Box::pin(async move {
                    let query = read_query(&mut stream).await.expect("query");
                    write_reply(&mut stream, &echo(&query, |bytes| bytes[13] ^= 1)).await;
                })
            },
            TcpFault::Unasked,
        ),
    ];
    for (misbehave, expected) in rows {
        run(async {
            let (upstream, net) = upstream(FakeNet::new(|_, _| vec![]).with_tcp(move |stream, _| misbehave(stream)));
            let question = question();
            let error = upstream.ask(&Ask { force_tcp: true, ..ask(&question) }).await.expect_err("misbehaving");
            let AskError::TcpFailed { fault, .. } = error else { panic!("{error:?}") };
            assert_eq!((fault, net.tcp_count.get()), (expected, 2), "asked twice, on two connections");
        });
    }
}

#[test]
fn a_connection_is_shared_and_replies_come_in_any_order() {
    run(async {
        let net = FakeNet::new(|_, _| vec![]).with_tcp(|mut stream, _| async move {
            let mut queries = Vec::new();
            while queries.len() < 20 {
                queries.push(read_query(&mut stream).await.expect("query"));
            }
            for query in queries.iter().rev() {
                write_reply(&mut stream, &good(query)).await;
            }
            serve(stream).await;
        });
        let (upstream, net) = upstream(net);
        let upstream = Rc::new(upstream);
        let tasks: Vec<_> = (0..20)
            .map(|index| {
                let upstream = Rc::clone(&upstream);
                tokio::task::spawn_local(async move {
                    let question = Question::new(Name::parse(&format!("n{index}.example.")).expect("name"), Rtype::A);
                    let reply = upstream.ask(&Ask { force_tcp: true, ..ask(&question) }).await.expect("reply");
                    assert!(crate::wire::Message::parse(&reply.bytes).expect("message").asks(&question));
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        let question = question();
        upstream.ask(&Ask { force_tcp: true, ..ask(&question) }).await.expect("on the kept connection");
        assert_eq!(net.tcp_count.get(), 1);
        tokio::time::sleep(Duration::from_secs(7)).await;
        upstream.ask(&Ask { force_tcp: true, timeout: Duration::ZERO, ..ask(&question) }).await.expect_err("this server waits for 20");
        assert_eq!(net.tcp_count.get(), 2, "the idle one was closed");
    });
}

#[test]
fn a_server_that_closes_a_kept_connection_is_asked_again() {
    run(async {
        // The first connection answers once and closes when the second question comes.
        let net = FakeNet::new(|_, _| vec![]).with_tcp(|mut stream, index| async move {
            if index > 0 {
                return serve(stream).await;
            }
            let query = read_query(&mut stream).await.expect("query");
            write_reply(&mut stream, &good(&query)).await;
            read_query(&mut stream).await;
        });
        let (upstream, net) = upstream(net);
        let question = question();
        let ask = Ask { force_tcp: true, ..ask(&question) };
        upstream.ask(&ask).await.expect("first");
        upstream.ask(&ask).await.expect("second, on another connection");
        assert_eq!(net.tcp_count.get(), 2);
    });
}

#[test]
fn a_silent_connection_is_not_used_again() {
    run(async {
        let closed = Rc::new(Cell::new(false));
        let seen = Rc::clone(&closed);
        let net = FakeNet::new(|_, _| vec![]).with_tcp(move |stream, index| {
            let closed = Rc::clone(&closed);
            async move {
                if index > 0 {
                    return serve(stream).await;
                }
                keep_silent(stream).await;
                closed.set(true);
            }
        });
        let (upstream, net) = upstream(net);
        let question = question();
        let ask = Ask { force_tcp: true, ..ask(&question) };
        upstream.ask(&ask).await.expect_err("silence");
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(seen.get(), "and is closed, because nobody waits for it");
        upstream.ask(&ask).await.expect("a new connection");
        assert_eq!(net.tcp_count.get(), 2);
    });
}

#[test]
fn tcp_is_bounded() {
    run(async {
        let (upstream, net) = upstream(FakeNet::new(|_, _| vec![]).with_tcp(|stream, _| keep_silent(stream)));
        let upstream = Rc::new(upstream);
        let ask_many = |count: usize, port_of: fn(usize) -> u16| {
            let tasks: Vec<_> = (0..count)
                .map(|index| {
                    let upstream = Rc::clone(&upstream);
                    tokio::task::spawn_local(async move {
                        let question = question();
                        let server = SocketAddr::new(server().ip(), port_of(index));
                        upstream.ask(&Ask { force_tcp: true, server, ..ask(&question) }).await.expect_err("silence")
                    })
                })
                .collect();
            async move {
                let mut busy = 0;
                for task in tasks {
                    let error = task.await.expect("no panic");
                    busy += usize::from(matches!(error, AskError::TcpFailed { fault: TcpFault::Busy, .. }));
                }
                busy
            }
        };
        assert_eq!(ask_many(150, |_| 53).await, 150 - 4 * 32);
        assert_eq!(net.tcp_count.get(), 4);
        assert_eq!(ask_many(300, |index| index as u16 + 1).await, 300 - 256);
    });
}

#[test]
fn sockets_are_kept_for_a_while_towards_a_server_with_cookies() {
    run(async {
        let (upstream, net) = upstream(FakeNet::new(|query, _| vec![(RTT, Ok(good(query)))]));
        let question = question();
        for _ in 0..40 {
            upstream.ask(&ask_with_cookie(&question)).await.expect("reply");
        }
        assert_eq!(net.ports.borrow().len(), 3, "16 uses each");
        let other = Ask { server: "192.0.2.54:53".parse().expect("address"), ..ask_with_cookie(&question) };
        upstream.ask(&other).await.expect("reply");
        assert_eq!(net.ports.borrow().len(), 4, "another server, another socket");
        assert_eq!(net.open_count.get(), 2);
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(net.open_count.get(), 0, "no port stays open");
        upstream.ask(&ask_with_cookie(&question)).await.expect("reply");
        assert_eq!(net.ports.borrow().len(), 5);
    });
    run(async {
        let (upstream, net) = upstream(FakeNet::new(|query, index| if index == 0 { vec![] } else { vec![(RTT, Ok(good(query)))] }));
        upstream.ask(&ask_with_cookie(&question())).await.expect_err("lost");
        assert_eq!(net.open_count.get(), 0, "after a time-out a socket is closed");
    });
}

#[test]
fn a_busy_server_keeps_its_socket_among_many_that_are_asked_once() {
    run(async {
        let (upstream, net) = upstream(FakeNet::new(|query, _| vec![(0, Ok(good(query)))]));
        let question = question();
        for other in 0..1100u16 {
            let [high, low] = other.to_be_bytes();
            let server = SocketAddr::from(([198, 51, high, low], 53));
            upstream.ask(&Ask { server, ..ask_with_cookie(&question) }).await.expect("reply");
        }
        for _ in 0..3 {
            upstream.ask(&ask_with_cookie(&question)).await.expect("reply");
        }
        assert_eq!(net.ports.borrow().len(), 1100 + 1, "one for each other, one for the busy server");
        assert_eq!(net.open_count.get(), 1024, "the oldest were closed");
    });
}

#[test]
fn kept_sockets_towards_a_silent_server_are_closed() {
    run(async {
        let (upstream, net) = upstream(FakeNet::new(|query, index| if index < 3 { vec![(RTT, Ok(good(query)))] } else { vec![] }));
        let question = question();
        let ask = ask_with_cookie(&question);
        let (first, second, third) = tokio::join!(upstream.ask(&ask), upstream.ask(&ask), upstream.ask(&ask));
        assert!(first.is_ok() && second.is_ok() && third.is_ok());
        assert_eq!(net.open_count.get(), 3);
        upstream.ask(&ask).await.expect_err("silence");
        assert_eq!(net.open_count.get(), 0);
    });
}

/// Whoever asks next must not be lost on the same way.
#[test]
fn they_are_closed_as_soon_as_the_reply_is_overdue() {
    run(async {
        let (upstream, net) = upstream(FakeNet::new(|query, index| if index < 3 { vec![(RTT, Ok(good(query)))] } else { vec![] }));
        let (question, overdue) = (question(), Cell::new(false));
        let ask = Ask { overdue: Some((Duration::from_millis(50), &overdue)), ..ask_with_cookie(&question) };
        let (first, second, third) = tokio::join!(upstream.ask(&ask), upstream.ask(&ask), upstream.ask(&ask));
        assert!(first.is_ok() && second.is_ok() && third.is_ok() && !overdue.get());
        let mut silence = Box::pin(upstream.ask(&ask));
        tokio::time::timeout(Duration::from_millis(60), &mut silence).await.expect_err("it is waited for all the same");
        assert_eq!((overdue.get(), net.open_count.get()), (true, 1));
        silence.await.expect_err("silence");
        assert_eq!(net.open_count.get(), 0);
    });
}

#[test]
fn a_refusal_left_from_before_does_not_count() {
    run(async {
        let (upstream, net) = upstream(FakeNet::new(|query, _| vec![(RTT, Ok(good(query)))]));
        upstream.ask(&ask_with_cookie(&question())).await.expect("reply");
        net.fail_send_once.set(true);
        upstream.ask(&ask_with_cookie(&question())).await.expect("sent again");
        assert_eq!((net.ports.borrow().len(), net.open_count.get()), (2, 1), "on a fresh socket");
    });
}

#[test]
fn ports_and_ids_are_spread() {
    run(async {
        let mut net = FakeNet::new(|query, _| vec![(0, Ok(good(query)))]);
        net.taken = (1024..=65_535).filter(|port| port % 3 == 0).collect();
        let (upstream, net) = upstream(net);
        let question = question();
        for index in 0..10_000u32 {
            let server = SocketAddr::new(std::net::Ipv4Addr::from(0x0a00_0001 + index).into(), 53);
            upstream.ask(&Ask { server, ..ask(&question) }).await.expect("reply");
        }
        let (ports, ids) = (net.ports.borrow(), net.ids.borrow());
        // Uniform draws of 10,000 give about 8,900 different ports of 43,008 and 9,270 different IDs.
        let distinct = |values: &[u16]| values.iter().collect::<BTreeSet<_>>().len();
        assert!(distinct(&ports) > 8_700, "{}", distinct(&ports));
        assert!(distinct(&ids) > 9_150, "{}", distinct(&ids));
        assert!(ports.iter().all(|port| *port >= 1024 && port % 3 != 0));
        for eighth in 0..8u16 {
            let share = ports.iter().filter(|port| (**port - 1024) / 8064 == eighth).count();
            assert!((1_100..1_400).contains(&share), "{eighth}: {share}");
            let share = ids.iter().filter(|id| **id / 8192 == eighth).count();
            assert!((1_100..1_400).contains(&share), "{eighth}: {share}");
        }
    });
}

#[test]
fn no_port_left_is_our_own_fault() {
    run(async {
        let mut net = FakeNet::new(|_, _| vec![]);
        net.taken = (1024..=65_535).collect();
        let (upstream, _) = upstream(net);
        let start = Instant::now();
        let error = upstream.ask(&ask(&question())).await.expect_err("no port");
        assert_eq!(error, AskError::NoSocket(io::ErrorKind::AddrInUse));
        assert_eq!(start.elapsed().as_millis(), 2_000, "it waited for one as long as its client waits");
    });
}

/// The time-out begins with the socket. A query that the wait has made superfluous is not sent.
#[test]
fn what_is_learned_during_the_wait_for_a_socket_is_not_asked_for() {
    run(async {
        let mut net = FakeNet::new(|query, _| vec![(300, Ok(good(query)))]);
        net.files_max = 1;
        let (upstream, net) = upstream(net);
        let (upstream, depth) = (Rc::new(upstream), Rc::new(Cell::new(0)));
        let first = tokio::task::spawn_local({
            let (upstream, depth) = (Rc::clone(&upstream), Rc::clone(&depth));
            async move {
                upstream.ask(&ask(&question())).await.expect("reply");
                depth.set(1);
            }
        });
        tokio::task::yield_now().await;
        let (question, known) = (question(), || depth.get());
        let later = Ask { wait: SocketWait { known: Some(&known), ..ask(&question).wait }, ..ask(&question) };
        let plain = ask(&question);
        let (second, third) = tokio::join!(upstream.ask(&later), upstream.ask(&plain));
        assert_eq!(second.expect_err("not sent"), AskError::NotNeeded);
        assert!(third.is_ok_and(|reply| reply.rtt.as_millis() == 300));
        assert_eq!(net.udp_count.get(), 2);
        first.await.expect("no panic");
    });
}

#[test]
fn kept_sockets_make_way_when_files_run_out() {
    run(async {
        let mut net = FakeNet::new(|query, _| vec![(RTT, Ok(good(query)))]);
        net.files_max = 1;
        let (upstream, net) = upstream(net);
        let question = question();
        let other = Ask { server: "192.0.2.54:53".parse().expect("address"), ..ask_with_cookie(&question) };
        upstream.ask(&ask_with_cookie(&question)).await.expect("reply");
        assert_eq!(net.open_count.get(), 1, "kept");
        upstream.ask(&other).await.expect("the kept socket was closed for this one");
        let (first, second) = (ask_with_cookie(&question), upstream.ask(&other));
        let (first, second) = tokio::join!(second, upstream.ask(&first));
        first.expect("on the kept socket");
        second.expect("as soon as the other one had ended");
        assert_eq!(net.open_count.get(), 1);
    });
}

/// Where no reply shows a cookie, a port serves one query.
#[test]
fn every_query_has_a_port_of_its_own() {
    for with_client_cookie in [false, true] {
        run(async move {
            let without_cookie = move |query: &[u8]| {
                let mut reply = good(query);
                reply.truncate(query.len() - if with_client_cookie { 12 } else { 0 });
                let at = reply.len() - 2;
                reply[at..].copy_from_slice(&[0, 0]);
                reply
            };
            let (upstream, net) = upstream(FakeNet::new(move |query, _| vec![(1, Ok(without_cookie(query)))]));
            let question = question();
            let cookie = with_client_cookie.then_some(&b"CLIENT01"[..]);
            let ask = Ask { edns: Some(EdnsOut { udp_size: 1232, dnssec_ok: true, cookie }), ..ask(&question) };
            for _ in 0..2_000 {
                upstream.ask(&ask).await.expect("reply");
            }
            let ports = net.ports.borrow();
            assert_eq!(ports.len(), 2_000);
            let distinct = ports.iter().collect::<BTreeSet<_>>().len();
            assert!(distinct >= 1_900, "{distinct}");
            assert!((0..8u16).all(|eighth| ports.iter().filter(|port| (**port - 1024) / 8064 == eighth).count() > 180));
            let rising = ports.windows(2).filter(|pair| pair[0] < pair[1]).count();
            assert!((900..1_100).contains(&rising), "{rising}");
        });
    }
}

/// A reply whose question has another letter case is believed at once if it carries our cookie.
#[test]
fn a_cookie_stands_in_for_the_letter_case() {
    run(async {
        let lower = |query: &[u8]| echo(query, |bytes| bytes[HEADER_BYTES..HEADER_BYTES + 18].make_ascii_lowercase());
        let (upstream, net) = upstream(FakeNet::new(move |query, _| vec![(RTT, Ok(lower(query)))]));
        let question = question();
        let reply = upstream.ask(&ask_with_cookie(&question)).await.expect("reply");
        assert_eq!((reply.transport, reply.notes.case_mangled, reply.notes.has_cookie), (Transport::Udp, true, true));
        assert_eq!(net.tcp_count.get(), 0);
    });
}

/// However our own system runs out of sockets, queries wait for their turn and are then answered.
#[test]
fn queries_wait_for_a_socket() {
    for shortage in [libc::EMFILE, libc::ENFILE, libc::EADDRNOTAVAIL, libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM] {
        run(async {
            let mut net = FakeNet::new(|query, _| vec![(RTT, Ok(good(query)))]);
            (net.files_max, net.shortage) = (8, shortage);
            let (upstream, net) = upstream(net);
            let upstream = Rc::new(upstream);
            let failed = many(&upstream, 400, |index| (index as u16 % 100, "www")).await;
            assert_eq!(failed, 0, "shortage {shortage}");
            assert_eq!(net.open_count.get(), 0);
        });
    }
}

/// Asks so many questions at once; returns how many got no reply. A name that begins with "silent" is never answered.
async fn many(upstream: &Rc<Upstream>, count: usize, each: impl Fn(usize) -> (u16, &'static str)) -> usize {
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (upstream, (host, name)) = (Rc::clone(upstream), each(index));
            tokio::task::spawn_local(async move {
                let question = Question::new(Name::parse(&format!("{name}.example.")).expect("name"), Rtype::A);
                let [high, low] = host.to_be_bytes();
                let server = SocketAddr::from(([192, 0, high, low], 53));
                let asked = Ask { server, timeout: Duration::from_secs(2), ..ask(&question) };
                match upstream.ask(&asked).await {
                    Ok(_) => 0,
                    Err(AskError::NoSocket(_) | AskError::SocketLost | AskError::Timeout { .. }) => 1,
                    Err(error) => panic!("{error:?}"),
                }
            })
        })
        .collect();
    let mut failed = 0;
    for task in tasks {
        failed += task.await.expect("no panic");
    }
    failed
}

/// Questions to servers that never reply hold sockets until their time is up. Others get theirs all the same.
#[test]
fn silent_servers_do_not_keep_all_sockets() {
    // Many silent servers look like many slow ones, so their flood must leave room for the others.
    for (silent_servers, at_once) in [(1, 20), (4, 20), (200, 1)] {
        run(async move {
            let is_silent = |query: &[u8]| query[HEADER_BYTES + 1..][..6].eq_ignore_ascii_case(b"silent");
            let net = FakeNet::new(move |query, _| if is_silent(query) { vec![] } else { vec![(RTT, Ok(good(query)))] });
            let limits = Limits { upstream_sockets_per_worker: 64, ..Limits::default() };
            let net = Rc::new(net);
            let upstream = Rc::new(Upstream::new(Rc::new(Shared(Rc::clone(&net))), Rc::new(Random::from_seed(7)), &limits));
            let silent = move |index: usize| (1_000 + (index % silent_servers) as u16, "silent");
            let mut hostile = Vec::new();
            for turn in 0..200 {
                let upstream = Rc::clone(&upstream);
                hostile.push(tokio::task::spawn_local(async move { many(&upstream, at_once, silent).await }));
                tokio::time::sleep(Duration::from_millis(10)).await;
                assert!(net.open_count.get() <= 64, "{turn}");
            }
            let failed = many(&upstream, 100, |index| (index as u16, "www")).await;
            assert!(failed <= 5, "{failed} of 100 with {silent_servers}");
            for task in hostile {
                assert_eq!(task.await.expect("no panic"), at_once);
            }
            assert_eq!(net.open_count.get(), 0);
        });
    }
}

#[test]
fn after_a_change_of_the_network_nothing_old_is_used() {
    run(async {
        let net = FakeNet::new(|query, _| vec![(RTT, Ok(good(query)))]).with_tcp(|stream, _| serve(stream));
        let (upstream, net) = upstream(net);
        let question = question();
        for round in 1..=3 {
            for _ in 0..2 {
                upstream.ask(&ask_with_cookie(&question)).await.expect("reply");
                upstream.ask(&Ask { force_tcp: true, ..ask(&question) }).await.expect("reply");
            }
            assert_eq!((net.ports.borrow().len(), net.tcp_count.get()), (round, round));
            upstream.forget_connections();
            assert_eq!(net.open_count.get(), 0);
        }
    });
}

#[test]
fn a_reply_that_comes_too_late_does_no_harm() {
    run(async {
        // The first question is answered late, the second at once.
        let net = FakeNet::new(|_, _| vec![]).with_tcp(|mut stream, _| async move {
            let slow = read_query(&mut stream).await.expect("query");
            let quick = read_query(&mut stream).await.expect("query");
            write_reply(&mut stream, &good(&quick)).await;
            tokio::time::sleep(Duration::from_millis(1200)).await;
            write_reply(&mut stream, &good(&slow)).await;
            serve(stream).await;
        });
        let (upstream, net) = upstream(net);
        let question = question();
        let ask = Ask { force_tcp: true, ..ask(&question) };
        let (slow, quick) = tokio::join!(upstream.ask(&ask), upstream.ask(&ask));
        slow.expect_err("too late");
        quick.expect("reply");
        tokio::time::sleep(Duration::from_millis(500)).await;
        upstream.ask(&ask).await.expect("reply");
        assert_eq!(net.tcp_count.get(), 1);
    });
}

#[test]
fn idle_connections_make_way() {
    run(async {
        let (upstream, net) = upstream(FakeNet::new(|_, _| vec![]).with_tcp(|stream, _| serve(stream)));
        let upstream = Rc::new(upstream);
        let tasks: Vec<_> = (1..=256)
            .map(|port| {
                let upstream = Rc::clone(&upstream);
                tokio::task::spawn_local(async move {
                    let question = question();
                    let server = SocketAddr::new(server().ip(), port);
                    upstream.ask(&Ask { force_tcp: true, server, ..ask(&question) }).await.map(|_| ())
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic").expect("reply");
        }
        let question = question();
        for port in 1000..1300 {
            let server = SocketAddr::new(server().ip(), port);
            upstream.ask(&Ask { force_tcp: true, server, ..ask(&question) }).await.expect("reply");
        }
        assert_eq!(net.tcp_count.get(), 556);
    });
}

#[test]
fn connections_to_silent_servers_make_way() {
    run(async {
        let net = FakeNet::new(|_, _| vec![])
            .with_tcp(|stream, index| async move { if index < 256 { keep_silent(stream).await } else { serve(stream).await } });
        let (upstream, _) = upstream(net);
        let upstream = Rc::new(upstream);
        for port in 1..=256 {
            let upstream = Rc::clone(&upstream);
            tokio::task::spawn_local(async move {
                let question = question();
                let server = SocketAddr::new(server().ip(), port);
                upstream.ask(&Ask { force_tcp: true, server, ..ask(&question) }).await.expect_err("silence")
            });
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
        let question = question();
        let server = SocketAddr::new(server().ip(), 1000);
        let ask = Ask { force_tcp: true, server, ..ask(&question) };
        let error = upstream.ask(&ask).await.expect_err("the others may yet be answered");
        assert!(matches!(error, AskError::TcpFailed { fault: TcpFault::Busy, .. }), "{error:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        upstream.ask(&ask).await.expect("reply");
    });
}

/// How one datagram of a script differs from the true reply.
#[derive(Clone, Copy, Debug)]
enum Lie {
    None,
    Flip(usize, u8),
    Cut(usize),
    Noise(u8),
    Refused,
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        1 => Just(Lie::None),
        6 => (0usize..60, 1u8..=255).prop_map(|(at, flip)| Lie::Flip(at, flip)),
        2 => (0usize..60).prop_map(Lie::Cut),
        2 => any::<u8>().prop_map(Lie::Noise),
        1 => Just(Lie::Refused),
    ]
}

fn tell(lie: Lie, query: &[u8]) -> Result<Vec<u8>, io::ErrorKind> {
    let mut bytes = good(query);
    match lie {
        Lie::None => {}
        Lie::Flip(at, flip) => {
            let at = at % bytes.len();
            bytes[at] ^= flip;
        }
        Lie::Cut(len) => bytes.truncate(len),
        Lie::Noise(octet) => bytes = vec![octet; usize::from(octet)],
        Lie::Refused => return Err(io::ErrorKind::ConnectionRefused),
    }
    Ok(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever comes, an exchange ends in its time, with a message that repeats the question or with an error.
    #[test]
    fn whatever_comes_the_exchange_ends_honestly(
        script in proptest::collection::vec((0u64..450, lie()), 0..40),
        tcp_works in any::<bool>(),
    ) {
        run(async {
            let mut net = FakeNet::new(move |query, _| script.iter().map(|(delay, lie)| (*delay, tell(*lie, query))).collect());
            if tcp_works {
                net = net.with_tcp(|stream, _| serve(stream));
            }
            let (upstream, net) = upstream(net);
            let question = question();
            let start = Instant::now();
            let result = upstream.ask(&ask(&question)).await;
            assert!(start.elapsed() <= Duration::from_millis(1400));
            if let Ok(reply) = result {
                let flags = crate::wire::Header::read(&reply.bytes).expect("header").flags;
                assert!(flags.has(Flags::QR));
                let message = crate::wire::Message::parse(&reply.bytes).expect("framed");
                assert!(message.asks(&question) || message.question().is_none() && flags.rcode() != 0);
                assert!(reply.transport == Transport::Tcp || net.ids.borrow().contains(&u16::from_be_bytes([reply.bytes[0], reply.bytes[1]])));
            }
        });
    }
}
