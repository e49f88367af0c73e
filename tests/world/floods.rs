//! Floods of questions to which no answer comes: whoever asks little is answered all the same, and nothing of the flood
//! stays.

use std::collections::HashMap;
use std::net::SocketAddr;

use cairn::record::Rcode;

use super::sim::World;
use super::sim::engine::is_cairn;

const STEP_MS: u64 = 10;

/// A zone whose only server never replies, and a hundred domains that are all right.
fn world() -> World {
    let world = World::new(1)
        .zone(".")
        .server("a.root.example.")
        .serves()
        .zone("example.")
        .server("a.nic.example.")
        .serves()
        .zone("silent.example.")
        .server("ns.silent.example.")
        .serves()
        .dead();
    (0..100).fold(world, |world, number| {
        world
            .zone(&format!("good{number}.example."))
            .record(&format!("www.good{number}.example. A 192.0.2.1"))
            .server(&format!("ns.good{number}.example."))
            .serves()
    })
}

/// How many of a hundred honest questions, one every 20 ms, are answered within 2 s while each of `flood` asks once
/// every 10 ms.
fn honest_answers(world: &mut World, flood: &[SocketAddr]) -> usize {
    let honest = |number: usize| SocketAddr::from(([198, 51, 100, 200], 30_000 + number as u16));
    let mut asked: HashMap<SocketAddr, u64> = HashMap::new();
    let mut answered = 0;
    for step in 0..400u64 {
        for (at, peer) in flood.iter().enumerate() {
            let port = 1_024 + (step * flood.len() as u64 + at as u64) as u16;
            world.send(&format!("x{step}x{at}.silent.example. A"), SocketAddr::new(peer.ip(), port));
        }
        if step.is_multiple_of(2) && step >= 100 && asked.len() < 100 {
            let number = asked.len();
            world.send(&format!("www.good{number}.example. A"), honest(number));
            asked.insert(honest(number), step);
        }
        world.wait_ms(STEP_MS);
        for (peer, reply) in world.take_replies() {
            let Some(began) = asked.get(&peer) else { continue };
            answered += usize::from(reply.rcode == Rcode::NOERROR && (step - began) * STEP_MS <= 2_000);
        }
    }
    answered
}

#[test]
fn a_few_greedy_clients_do_not_keep_others_from_an_answer() {
    if !is_cairn() {
        return;
    }
    let mut world = world().listening().workers(2).limit(|limits| {
        limits.pending_questions = 400;
        limits.pending_questions_per_client = 300;
        limits.upstream_sockets_per_worker = 400;
    });
    world.talkative = false;
    // Four clients, ten questions each at a time: 4,000 a second.
    let flood: Vec<SocketAddr> = (0..40u8).map(|at| SocketAddr::from(([203, 0, 113, at % 4], 1_024))).collect();
    let answered = honest_answers(&mut world, &flood);
    assert!(answered >= 95, "{answered} of 100");
    assert!(world.stat("questions-shed") > 1_000);
    assert!(world.stat("questions-under-way") <= 400 && world.open_ports() <= 800);
    // No more is under way than the flood's last questions, and they end.
    world.wait_ms(12_000);
    assert_eq!((world.stat("questions-under-way"), world.stat("waiting"), world.walks_in_progress()), (0, 0, 0));
}

/// Forged addresses: no client is greedier than another.
#[test]
fn a_flood_in_which_each_client_asks_once_leaves_each_question_its_time() {
    if !is_cairn() {
        return;
    }
    let mut world = world().listening().limit(|limits| {
        limits.pending_questions = 600;
        limits.pending_questions_per_client = 300;
    });
    world.talkative = false;
    let mut answered = 0;
    for step in 0..200u16 {
        for at in 0..20u16 {
            let forged = SocketAddr::from(([10, at as u8, (step >> 8) as u8, step as u8], 4_000));
            world.send(&format!("x{step}x{at}.silent.example. A"), forged);
        }
        if step >= 100 {
            world.send(&format!("www.good{}.example. A", step - 100), SocketAddr::from(([198, 51, 100, step as u8], 30_000)));
        }
        world.wait_ms(STEP_MS);
        answered += world.take_replies().iter().filter(|(peer, reply)| peer.port() == 30_000 && reply.rcode == Rcode::NOERROR).count();
    }
    world.wait_ms(100);
    answered += world.take_replies().iter().filter(|(peer, reply)| peer.port() == 30_000 && reply.rcode == Rcode::NOERROR).count();
    assert!(answered >= 95, "{answered} of 100");
    assert!(world.stat("questions-under-way") <= 600);
}
