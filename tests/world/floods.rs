//! Floods of questions to which no answer comes: whoever asks little is answered all the same, and nothing of the flood
//! stays.

use std::collections::HashMap;
use std::net::SocketAddr;

use cairn::record::Rcode;

use super::sim::World;
use super::sim::engine::is_cairn;
use super::sim::packet::Packet;

const STEP_MS: u64 = 10;
const HONEST: usize = 40;
const ENOUGH: usize = HONEST * 95 / 100;
/// Steps before the first honest question: the table is full by then.
const FLOOD_FIRST: u64 = 40;

/// A zone whose only server never replies, and `HONEST` domains that are all right.
fn world() -> World {
    world_with(&[])
}

/// The same with these records in `example.`.
fn world_with(delegations: &[String]) -> World {
    let world = World::new(1).zone(".").server("a.root.example.").serves().zone("example.").server("a.nic.example.").serves();
    let world = delegations
        .iter()
        .fold(world, |world, record| world.record(record))
        .zone("silent.example.")
        .server("ns.silent.example.")
        .serves()
        .dead();
    (0..HONEST).fold(world, |world, number| {
        world
            .zone(&format!("good{number}.example."))
            .record(&format!("www.good{number}.example. A 192.0.2.1"))
            .server(&format!("ns.good{number}.example."))
            .serves()
    })
}

/// How many of the honest questions, one every 20 ms, are answered within 2 s, while each of `flood` asks once every 10 ms.
fn honest_answers(world: &mut World, flood: &[SocketAddr]) -> usize {
    let honest = |number: usize| SocketAddr::from(([198, 51, 100, 200], 30_000 + number as u16));
    let mut asked: HashMap<SocketAddr, u64> = HashMap::new();
    let (mut answered, mut replied, mut last) = (0, 0, 0);
    for step in 0.. {
        for (at, peer) in flood.iter().enumerate() {
            let port = 1_024 + (step * flood.len() as u64 + at as u64) as u16;
            world.send(&format!("x{step}x{at}.silent.example. A"), SocketAddr::new(peer.ip(), port));
        }
        if step >= FLOOD_FIRST && step.is_multiple_of(2) && asked.len() < HONEST {
            let number = asked.len();
            world.send(&format!("www.good{number}.example. A"), honest(number));
            asked.insert(honest(number), step);
            last = step;
        }
        world.wait_ms(STEP_MS);
        for (peer, reply) in world.take_replies() {
            let Some(began) = asked.get(&peer) else { continue };
            replied += 1;
            answered += usize::from(reply.rcode == Rcode::NOERROR && (step - began) * STEP_MS <= 2_000);
        }
        if asked.len() == HONEST && (replied == HONEST || (step - last) * STEP_MS > 2_000) {
            break;
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
        limits.pending_questions = 40;
        limits.pending_questions_per_client = 30;
        limits.upstream_sockets_per_worker = 40;
    });
    world.talkative = false;
    let flood: Vec<SocketAddr> = (0..4u8).map(|at| SocketAddr::from(([203, 0, 113, at], 1_024))).collect();
    let answered = honest_answers(&mut world, &flood);
    assert!(answered >= ENOUGH, "{answered} of {HONEST}");
    assert!(world.stat("questions-shed") >= 50, "{}", world.stat("questions-shed"));
    assert!(world.stat("questions-under-way") <= 40 && world.open_ports() <= 80);
    // No more is under way than the flood's last questions, and they end.
    world.wait_ms(12_000);
    assert_eq!((world.stat("questions-under-way"), world.stat("waiting"), world.walks_in_progress()), (0, 0, 0));
}

/// One question may have a walk for each server name on the way, each with memory of its own.
#[test]
fn questions_with_many_walks_are_fewer() {
    if !is_cairn() {
        return;
    }
    let chains = 60;
    let delegations: Vec<String> = (0..chains)
        .flat_map(|chain| {
            let next = move |at: usize| if at < 5 { format!("d{}c{chain}", at + 1) } else { format!("c{chain}.silent") };
            (0..6).map(move |at| format!("d{at}c{chain}.example. NS ns.{}.example.", next(at)))
        })
        .collect();
    let mut world = world_with(&delegations).listening().limit(|limits| limits.pending_questions = 40);
    world.talkative = false;
    let (mut most_walks, mut answered) = (0, 0);
    for chain in 0..chains {
        world.send(&format!("www.d0c{chain}.example. A"), SocketAddr::from(([203, 0, 113, 1], 1_024 + chain as u16)));
        if chain >= 20 {
            world.send(&format!("www.good{}.example. A", chain - 20), SocketAddr::from(([198, 51, 100, 200], 30_000)));
        }
        world.wait_ms(STEP_MS);
        let (questions, walks) = (world.stat("questions-under-way") as usize, world.walks_in_progress());
        assert!(5 * questions + 2 * walks.saturating_sub(questions) <= 40 * 5 + 16, "{questions} questions, {walks} walks");
        most_walks = most_walks.max(walks);
        answered += world.take_replies().iter().filter(|(peer, reply)| peer.port() == 30_000 && reply.rcode == Rcode::NOERROR).count();
    }
    world.wait_ms(500);
    answered += world.take_replies().iter().filter(|(peer, reply)| peer.port() == 30_000 && reply.rcode == Rcode::NOERROR).count();
    assert!(most_walks >= 60, "{most_walks}");
    assert!(answered >= ENOUGH, "{answered} of {HONEST}");
}

/// Forged addresses: no client is greedier than another.
#[test]
fn a_flood_in_which_each_client_asks_once_leaves_each_question_its_time() {
    if !is_cairn() {
        return;
    }
    let mut world = world().listening().limit(|limits| {
        limits.pending_questions = 60;
        limits.pending_questions_per_client = 30;
    });
    world.talkative = false;
    let honest = |(peer, reply): &(SocketAddr, Packet)| peer.port() == 30_000 && reply.rcode == Rcode::NOERROR;
    let mut answered = 0;
    for step in 0..FLOOD_FIRST as u16 + HONEST as u16 {
        for at in 0..2u16 {
            let forged = SocketAddr::from(([10, at as u8, (step >> 8) as u8, step as u8], 4_000));
            world.send(&format!("x{step}x{at}.silent.example. A"), forged);
        }
        if let Some(number) = step.checked_sub(FLOOD_FIRST as u16) {
            world.send(&format!("www.good{number}.example. A"), SocketAddr::from(([198, 51, 100, step as u8], 30_000)));
        }
        world.wait_ms(STEP_MS);
        answered += world.take_replies().iter().filter(|said| honest(said)).count();
    }
    world.wait_ms(100);
    answered += world.take_replies().iter().filter(|said| honest(said)).count();
    assert!(answered >= ENOUGH, "{answered} of {HONEST}");
    assert!(world.stat("questions-under-way") <= 60);
}
