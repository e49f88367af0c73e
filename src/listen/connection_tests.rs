//! Connections in memory: what a client can make us hold, and in which order its answers come.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

use super::dispatch::{Admission, Dispatch};
use super::fake::{ASKED, Dialler, Fake, admission, admission_with, bounds, dispatch_with, listener, peer, query, update};
use super::limits::Bounds;
use super::stream::{accept, start};
use crate::limits::Limits;
use crate::limits::clients::{CLOSE_MAX, HELD_BYTES_SPARED, SHORT_REPLIES_BYTES};
use crate::metrics::Counter;

/// Runs `test` with someone who accepts under `bounds`.
async fn with<T: Future<Output = ()>>(bounds: Bounds, test: impl FnOnce(Dialler, Rc<Dispatch<Fake>>) -> T) {
    with_admission(admission(bounds), test).await;
}

async fn with_admission<T: Future<Output = ()>>(admission: Admission, test: impl FnOnce(Dialler, Rc<Dispatch<Fake>>) -> T) {
    let (dispatch, _stop) = dispatch_with(admission);
    let (dialler, listener) = listener();
    let run = async {
        let starting = Rc::clone(&dispatch);
        spawn_local(accept(Rc::clone(&dispatch), listener, move |accepted| start(&starting, accepted)));
        test(dialler, Rc::clone(&dispatch)).await;
    };
    LocalSet::new().run_until(run).await;
}

async fn ask(client: &mut DuplexStream, queries: &[Vec<u8>]) {
    let framed: Vec<u8> = queries.iter().flat_map(|query| [&(query.len() as u16).to_be_bytes(), &query[..]].concat()).collect();
    client.write_all(&framed).await.expect("open");
}

/// The next reply; `None` at the end of the connection.
async fn reply(client: &mut DuplexStream) -> Option<Vec<u8>> {
    let len = client.read_u16().await.ok()?;
    let mut bytes = vec![0; len.into()];
    client.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn ids(client: &mut DuplexStream, count: usize) -> Vec<u8> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(reply(client).await.expect("open")[1]);
    }
    ids
}

/// A transfer is made as it is read, and other questions of the connection are answered meanwhile.
#[tokio::test(start_paused = true)]
async fn messages_of_a_transfer_are_made_when_there_is_room() {
    with(bounds(), |dialler, _| async move {
        let mut client = dialler.dial(peer(1), 4096);
        ask(&mut client, &[query(1, b'm', 200), query(2, b'e', 0)]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let made = || super::fake::MADE.with(Cell::get);
        assert!((1..40).contains(&made()), "{} messages wait for the client", made());
        let mut seen = Vec::new();
        while seen.len() < 201 {
            seen.push(reply(&mut client).await.expect("open")[1]);
        }
        assert_eq!((seen.iter().filter(|id| **id == 1).count(), made()), (200, 200));
        assert!(seen.iter().position(|id| *id == 2).is_some_and(|at| at < 40), "the other question did not wait for all of it");
        ask(&mut client, &[query(3, b'e', 0)]).await;
        assert_eq!(ids(&mut client, 1).await, [3]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn pipelined_answers_leave_when_they_are_ready() {
    with(bounds(), |dialler, dispatch| async move {
        let mut client = dialler.dial(peer(1), 4096);
        ask(&mut client, &[query(1, b'w', 5), query(2, b'w', 1), query(3, b's', 0), query(4, b'p', 0), query(5, b'e', 0)]).await;
        assert_eq!(ids(&mut client, 4).await, [5, 4, 2, 1]);
        assert_eq!(
            (
                dispatch.metrics.get(Counter::StreamQueries),
                dispatch.metrics.get(Counter::StreamAtOnce),
                dispatch.metrics.get(Counter::Panics)
            ),
            (5, 1, 1)
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_may_come_in_any_pieces() {
    with(bounds(), |dialler, _| async move {
        let mut client = dialler.dial(peer(1), 4096);
        let framed = [&[0, 14][..], &query(1, b'e', 0), &[0, 14], &query(2, b'e', 0)].concat();
        for piece in framed.chunks(3) {
            client.write_all(piece).await.expect("open");
            tokio::task::yield_now().await;
        }
        assert_eq!(ids(&mut client, 2).await, [1, 2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_largest_reply_fits() {
    with(bounds(), |dialler, _| async move {
        let mut client = dialler.dial(peer(1), 4096);
        ask(&mut client, &[query(1, b'B', 0), query(2, b'b', 255)]).await;
        assert_eq!(reply(&mut client).await.map(|bytes| bytes.len()), Some(65_535));
        assert_eq!(reply(&mut client).await.map(|bytes| bytes.len()), Some(65_280));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn beyond_the_questions_under_way_nothing_is_read() {
    let small = Bounds { questions_per_connection: 2, ..bounds() };
    with(small, |dialler, dispatch| async move {
        let mut client = dialler.dial(peer(1), 4096);
        ask(&mut client, &[query(1, b'w', 3), query(2, b'w', 6), query(3, b'e', 0), query(4, b'g', 0), query(5, b'e', 0)]).await;
        assert_eq!(ids(&mut client, 3).await, [1, 3, 2]);
        assert_eq!(ids(&mut client, 1).await, [5]);
        assert_eq!(dispatch.metrics.get(Counter::StreamQueries), 5);
    })
    .await;
}

/// The time for a message does not run while its rest waits in a socket that we do not read.
#[tokio::test(start_paused = true)]
async fn a_message_that_we_leave_unread_is_not_held_against_the_client() {
    let small = Bounds { questions_per_connection: 1, message: Duration::from_secs(1), ..bounds() };
    with(small, |dialler, _| async move {
        let mut client = dialler.dial(peer(1), 4096);
        let second = [&[0, 14][..], &query(2, b'e', 0)].concat();
        client.write_all(&[&[0, 14][..], &query(1, b'w', 250), &second[..5]].concat()).await.expect("open");
        tokio::time::sleep(Duration::from_millis(500)).await;
        client.write_all(&second[5..]).await.expect("open");
        assert_eq!(ids(&mut client, 2).await, [1, 2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn too_many_waiting_questions_fail_at_once() {
    let limits = Limits { pending_questions_per_client: 1, ..Limits::default() };
    with_admission(admission_with(&limits), |dialler, dispatch| async move {
        let mut client = dialler.dial(peer(1), 4096);
        ask(&mut client, &[query(1, b'w', 1), query(2, b'w', 1)]).await;
        let refused = reply(&mut client).await.expect("open");
        assert_eq!((refused[1], refused[3] & 15, dispatch.metrics.get(Counter::TurnedAway)), (2, 2, 1));
        assert_eq!(ids(&mut client, 1).await, [1]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    with(bounds(), |dialler, dispatch| async move {
        let mut client = dialler.dial(peer(1), 4096);
        ask(&mut client, &[query(1, b'w', 200)]).await;
        assert_eq!(ids(&mut client, 1).await, [1]);
        let began = Instant::now();
        assert_eq!(reply(&mut client).await, None);
        assert_eq!((began.elapsed(), dispatch.metrics.get(Counter::ConnectionsTimedOut)), (bounds().idle, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dribbles_is_closed() {
    with(bounds(), |dialler, dispatch| async move {
        let client = dialler.dial(peer(1), 4096);
        let (mut from, mut to) = tokio::io::split(client);
        let began = Instant::now();
        spawn_local(async move {
            while to.write_all(&[1]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
        });
        assert_eq!(from.read(&mut [0; 8]).await.expect("closed in order"), 0);
        assert_eq!((began.elapsed(), dispatch.metrics.get(Counter::ConnectionsTimedOut)), (bounds().message, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_closed_and_holds_little() {
    with(bounds(), |dialler, dispatch| async move {
        let mut client = dialler.dial(peer(1), 1 << 16);
        let began = Instant::now();
        let questions: Vec<_> = (0..200).map(|id| query(id, b'B', 0)).collect();
        ask(&mut client, &questions).await;
        while dispatch.metrics.get(Counter::ConnectionsTimedOut) == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(began.elapsed() <= bounds().message + Duration::from_millis(100), "{:?}", began.elapsed());
        assert!(dispatch.metrics.get(Counter::StreamQueries) < 10, "stopped taking questions");
    })
    .await;
}

/// Clients ask for many large answers and read none of them.
#[tokio::test(start_paused = true)]
async fn answers_that_nobody_reads_do_not_pile_up() {
    let bounds = Bounds { bytes: 1 << 20, ..bounds() };
    with(bounds, |dialler, dispatch| async move {
        let questions: Vec<_> = (0..7).map(|id| query(id, b'b', 255)).collect();
        let mut clients: Vec<_> = (0..50).map(|client| dialler.dial(peer(client), 4096)).collect();
        for client in &mut clients {
            ask(client, &questions).await;
        }
        let mut most = 0;
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            most = dispatch.connections.bytes().max(most);
        }
        assert!(most > bounds.bytes / 2 && most <= bounds.bytes + HELD_BYTES_SPARED, "{most}");
        // Whoever reads is served meanwhile: a newcomer, and one of those who did not read so far and was not closed.
        let mut honest = dialler.dial(peer(200), 4096);
        for _ in 0..3 {
            ask(&mut honest, &questions).await;
            for _ in 0..questions.len() {
                assert_eq!(reply(&mut honest).await.map(|bytes| bytes.len()), Some(65_280));
            }
        }
        assert!(dispatch.connections.bytes() <= bounds.bytes + HELD_BYTES_SPARED);
        drop((clients, honest));
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!((dispatch.connections.bytes(), dispatch.in_flight.total()), (0, 0));
    })
    .await;
}

/// Answers to a burst of questions that were in progress at the same time, without room for them all.
#[tokio::test(start_paused = true)]
async fn a_burst_of_unread_answers_costs_its_own_client_the_connection() {
    let bounds = Bounds { bytes: 1 << 20, ..bounds() };
    with(bounds, |dialler, dispatch| async move {
        let mut quiet = dialler.dial(peer(1), 4096);
        ask(&mut quiet, &[query(1, b'b', 255)]).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        let questions: Vec<_> = (0..128).map(|id| query(id, b'b', 255)).collect();
        let mut greedy: Vec<_> = (2..20).map(|client| dialler.dial(peer(client), 4096)).collect();
        for client in &mut greedy {
            ask(client, &questions).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(dispatch.connections.bytes() <= bounds.bytes, "{}", dispatch.connections.bytes());
        }
        assert_eq!(reply(&mut quiet).await.map(|bytes| bytes.len()), Some(65_280));
    })
    .await;
}

/// All answers of many connections become ready in one moment: what is held stays near the limit all the while, and clients with short
/// answers get theirs.
#[tokio::test(start_paused = true)]
async fn answers_that_are_ready_in_one_moment_do_not_pile_up() {
    let bounds = Bounds { bytes: 1 << 20, connections: 200, connections_per_client: 200, ..bounds() };
    with(bounds, |dialler, dispatch| async move {
        let large: Vec<_> = (0..100).map(|id| query(id, b'd', 255)).collect();
        let mut greedy: Vec<_> = (0..8).map(|client| dialler.dial(peer(client), 4096)).collect();
        let mut honest: Vec<_> = (100..110).map(|client| dialler.dial(peer(client), 4096)).collect();
        for client in &mut greedy {
            ask(client, &large).await;
        }
        for client in &mut honest {
            ask(client, &[query(1, b'd', 2), query(2, b'd', 2)]).await;
        }
        for client in &mut honest {
            for _ in 0..2 {
                assert_eq!(reply(client).await.map(|bytes| bytes.len()), Some(512));
            }
        }
        let most = dispatch.connections.most_bytes();
        assert!(most <= bounds.bytes + bounds.bytes / 4 + 65_537 + 18 * SHORT_REPLIES_BYTES, "{most}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_every_answer_and_small_ones_first() {
    with(bounds(), |dialler, _| async move {
        let mut client = dialler.dial(peer(1), 4096);
        let mut questions: Vec<_> = (0..100).map(|id| query(id, b'b', 255)).collect();
        questions.extend((100..110).map(|id| query(id, b'w', 1)));
        ask(&mut client, &questions).await;
        let mut seen = Vec::new();
        for _ in 0..questions.len() {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let reply = reply(&mut client).await.expect("open");
            assert_eq!(reply.len(), if reply[1] < 100 { 65_280 } else { 14 });
            seen.push(reply[1]);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..110).collect::<Vec<_>>());
    })
    .await;
}

/// Each question is counted, logged and looked up once, however long its answer waits to be read.
#[tokio::test(start_paused = true)]
async fn a_question_is_asked_once() {
    with(bounds(), |dialler, dispatch| async move {
        let mut client = dialler.dial(peer(1), 4096);
        let mut questions: Vec<_> = (0..40).map(|id| query(id, b'b', 255)).collect();
        questions.extend((40..50).map(|id| query(id, b'B', 0)));
        ask(&mut client, &questions).await;
        for _ in 0..questions.len() {
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert!(reply(&mut client).await.expect("open").len() >= 65_280);
        }
        assert_eq!((ASKED.with(Cell::get), dispatch.metrics.get(Counter::StreamQueries)), (50, 50));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn long_queries_leave_room_for_their_answers() {
    with(bounds(), |dialler, _| async move {
        let mut client = dialler.dial(peer(1), 1 << 18);
        let long = |id: u8| [query(id, b'w', 1), vec![0; 60_000]].concat();
        ask(&mut client, &[long(1), long(2), long(3), long(4)]).await;
        assert_eq!(ids(&mut client, 4).await, [1, 2, 3, 4]);
    })
    .await;
}

/// All room there is belongs to one connection.
#[tokio::test(start_paused = true)]
async fn queries_that_fill_all_octets_are_answered() {
    let bounds = Bounds { bytes: 131_072, bytes_per_connection: 131_072, ..bounds() };
    with(bounds, |dialler, dispatch| async move {
        let mut client = dialler.dial(peer(1), 1 << 20);
        let long = |id: u8| [query(id, b'w', 1), vec![0; 30_000]].concat();
        ask(&mut client, &(0..20).map(long).collect::<Vec<_>>()).await;
        assert_eq!(ids(&mut client, 20).await, (0..20).collect::<Vec<_>>());
        assert_eq!((ASKED.with(Cell::get), dispatch.metrics.get(Counter::StreamQueries)), (20, 20));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_update_that_was_carried_out_is_answered() {
    with(bounds(), |dialler, _| async move {
        let mut client = dialler.dial(peer(1), 4096);
        ask(&mut client, &[update(1, b'w', 2), query(2, b'b', 255), query(3, b'b', 255), query(4, b'b', 255)]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut seen = ids(&mut client, 4).await;
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_does_not_hold_up_the_rest() {
    with(bounds(), |dialler, _| async move {
        let mut client = dialler.dial(peer(1), 1 << 16);
        let mut questions = vec![query(0, b's', 0); 200];
        questions.push(query(1, b'e', 0));
        ask(&mut client, &questions).await;
        let began = Instant::now();
        assert_eq!((ids(&mut client, 1).await, began.elapsed()), (vec![1], Duration::ZERO));
    })
    .await;
}

/// Octets that nobody reads would have the kernel reset the connection, and the last answers could be lost.
#[tokio::test(start_paused = true)]
async fn what_the_client_still_sends_is_read_before_the_end() {
    let (dispatch, stop) = dispatch_with(admission(bounds()));
    let (dialler, listener) = listener();
    let run = async {
        let starting = Rc::clone(&dispatch);
        spawn_local(accept(Rc::clone(&dispatch), listener, move |accepted| start(&starting, accepted)));
        let mut client = dialler.dial(peer(1), 4096);
        ask(&mut client, &[query(1, b'e', 0)]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        stop.send(true).expect("served");
        tokio::time::sleep(Duration::from_millis(1)).await;
        let began = Instant::now();
        client.write_all(&[0; 50_000]).await.expect("it is read");
        assert_eq!((ids(&mut client, 1).await, reply(&mut client).await), (vec![1], None));
        // Not for ever, and not without bound.
        while client.write_all(&[0; 1_000]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(began.elapsed() <= CLOSE_MAX, "{:?}", began.elapsed());
    };
    LocalSet::new().run_until(run).await;
}

/// The other direction: messages that begin and do not end.
#[tokio::test(start_paused = true)]
async fn unfinished_messages_do_not_pile_up() {
    let bounds = Bounds { bytes: 1 << 20, ..bounds() };
    with(bounds, |dialler, dispatch| async move {
        let mut greedy = Vec::new();
        for _ in 0..100 {
            let mut client = dialler.dial(peer(1), 1 << 17);
            client.write_all(&[&[0xff, 0xff][..], &[0; 60_000]].concat()).await.expect("room");
            greedy.push(client);
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(dispatch.connections.bytes() <= bounds.bytes);
        }
        assert!(dispatch.connections.bytes() > bounds.bytes / 2);
        let mut honest = dialler.dial(peer(2), 1 << 17);
        let mut long = query(7, b'w', 1);
        long.resize(50_000, 0);
        ask(&mut honest, &[long]).await;
        assert_eq!(ids(&mut honest, 1).await, [7]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_said_all_still_hears_its_answers() {
    with(bounds(), |dialler, _| async move {
        let mut client = dialler.dial(peer(1), 4096);
        ask(&mut client, &[query(1, b'w', 5), query(2, b'e', 0)]).await;
        client.shutdown().await.expect("open");
        assert_eq!(ids(&mut client, 2).await, [2, 1]);
        assert_eq!(reply(&mut client).await, None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_ends_the_connection() {
    with(bounds(), |dialler, _| async move {
        let mut client = dialler.dial(peer(1), 4096);
        client.write_all(b"\x00\x0bGET / HTTP/1.1").await.expect("open");
        assert_eq!(reply(&mut client).await, None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_costs_the_longest_idle_one() {
    let small = Bounds { connections: 3, ..bounds() };
    with(small, |dialler, dispatch| async move {
        let mut clients: Vec<_> = (1..=3).map(|last| dialler.dial(peer(last), 4096)).collect();
        for client in clients.iter_mut().rev() {
            ask(client, &[query(1, b'e', 0)]).await;
            assert_eq!(ids(client, 1).await, [1]);
        }
        ask(&mut clients[2], &[query(2, b'g', 0)]).await;
        let mut fourth = dialler.dial(peer(4), 4096);
        ask(&mut fourth, &[query(3, b'e', 0)]).await;
        assert_eq!(ids(&mut fourth, 1).await, [3]);
        // The third waits for an answer and the first spoke last: the second has been idle longest.
        let began = Instant::now();
        assert_eq!((reply(&mut clients[1]).await, began.elapsed()), (None, Duration::ZERO));
        for client in [&mut clients[0], &mut fourth] {
            ask(client, &[query(4, b'e', 0)]).await;
            assert_eq!(ids(client, 1).await, [4]);
        }
        assert_eq!((dispatch.metrics.get(Counter::Connections), dispatch.metrics.get(Counter::ConnectionsEvicted)), (4, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_accept_makes_room_and_does_not_spin() {
    with(bounds(), |dialler, dispatch| async move {
        let mut idle = dialler.dial(peer(1), 4096);
        ask(&mut idle, &[query(1, b'e', 0)]).await;
        assert_eq!(ids(&mut idle, 1).await, [1]);
        let began = Instant::now();
        // EMFILE is everybody's trouble, ECONNABORTED that of one connection.
        [24, 24, 103, 103].into_iter().for_each(|errno| dialler.fail(errno));
        let mut next = dialler.dial(peer(2), 4096);
        ask(&mut next, &[query(2, b'e', 0)]).await;
        assert_eq!(ids(&mut next, 1).await, [2]);
        assert_eq!((began.elapsed(), dispatch.metrics.get(Counter::AcceptErrors)), (Duration::from_millis(40), 4));
        assert_eq!((reply(&mut idle).await, dispatch.metrics.get(Counter::ConnectionsEvicted)), (None, 1));
    })
    .await;
}
