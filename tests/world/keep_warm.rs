//! `cache.keep-warm`: names that are asked for at the same hours have fresh data in these hours, also where nobody has asked
//! for them yet; and no more look-ups begin at a time than the limit says.

use cairn::limits::cache::{KEEP_WARM_LOOKUPS_PER_STEP, KEEP_WARM_PARTS, KEEP_WARM_STEP};
use cairn::record::Rtype;

use super::sim::World;
use super::sim::engine::is_cairn;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// A midnight.
const START: u64 = 20_000 * DAY;
/// Of the records of the two names.
const TTL_S: u64 = 300;

fn world(seed: u64) -> World {
    World::new(seed)
        .zone(".")
        .server("a.root.example.")
        .serves()
        .zone("example.")
        .server("ns.example.")
        .serves()
        .record("www.example. 300 A 192.0.2.1")
        .record("other.example. 300 A 192.0.2.2")
        .tune(|settings| settings.cache.keep_warm = true)
}

/// Ends at this time of this day.
fn pass_until(world: &mut World, day: u64, second: u64) {
    let now = world.wall();
    world.pass(START + day * DAY + second - now);
}

/// Asks for the names at nine on the first two days, and waits until nine on the third.
fn learned(world: &mut World, questions: &[&str]) {
    world.set_wall(START);
    for day in 0..2 {
        pass_until(world, day, 9 * HOUR + 60);
        questions.iter().for_each(|question| drop(world.ask(question)));
    }
    pass_until(world, 2, 9 * HOUR);
    world.forget();
}

#[test]
fn names_of_this_hour_are_refreshed_before_they_expire() {
    if !is_cairn() {
        return;
    }
    let mut world = world(1);
    learned(&mut world, &["www.example. A"]);
    world.keep_warm(TTL_S * 6);
    let queries = world.queries_for("www.example.", Rtype::A);
    assert!((6..=8).contains(&queries), "{queries} queries in the time of six TTLs");
    assert_eq!(world.queries_for("other.example.", Rtype::A), 0);
    world.forget();
    let answer = world.ask_true("www.example. A");
    assert!(answer.is("192.0.2.1") && world.log().is_empty(), "the first client of the day waits for no server");

    pass_until(&mut world, 2, 11 * HOUR);
    world.forget();
    world.keep_warm(600);
    assert_eq!(world.queries_for("www.example.", Rtype::A), 0, "nobody asks at eleven");
}

#[test]
fn nothing_is_refreshed_unless_the_key_says_so() {
    if !is_cairn() {
        return;
    }
    let mut world = world(2).tune(|settings| settings.cache.keep_warm = false);
    learned(&mut world, &["www.example. A"]);
    world.keep_warm(TTL_S);
    assert!(world.log().is_empty());
}

/// At nine the data of half past eight answers, without a look-up: the hour is learned all the same.
#[test]
fn an_hour_is_learned_from_ready_answers_too() {
    if !is_cairn() {
        return;
    }
    let mut world = world(3).listening().record("long.example. 7200 A 192.0.2.4");
    world.set_wall(START);
    for day in 0..2 {
        for second in [8 * HOUR + 1_800, 9 * HOUR + 1_800] {
            pass_until(&mut world, day, second);
            world.forget();
            world.ask("long.example. A");
        }
        assert!(world.log().is_empty(), "the second answer is a ready one");
    }
    pass_until(&mut world, 2, 9 * HOUR);
    world.forget();
    world.keep_warm(60);
    assert_eq!(world.queries_for("long.example.", Rtype::A), 1);
}

/// A denial is data too: it is not asked for again while it lives.
#[test]
fn a_denial_is_refreshed_when_it_is_near_its_end() {
    if !is_cairn() {
        return;
    }
    let mut world = world(4);
    learned(&mut world, &["none.example. A"]);
    world.keep_warm(60);
    let queries = world.queries_for("none.example.", Rtype::A);
    assert!((1..=2).contains(&queries), "{queries} queries in a minute");
}

#[test]
fn no_more_look_ups_begin_at_a_time_than_the_limit_says() {
    if !is_cairn() {
        return;
    }
    const NAMES: usize = 700;
    let owners: Vec<String> = (0..NAMES).map(|number| format!("n{number}.example.")).collect();
    let mut world = owners.iter().fold(world(5), |world, owner| world.record(&format!("{owner} A 192.0.2.3")));
    let questions: Vec<String> = owners.iter().map(|owner| format!("{owner} A")).collect();
    learned(&mut world, &questions.iter().map(String::as_str).collect::<Vec<_>>());
    let step_s = KEEP_WARM_STEP.as_secs();
    let mut most = 0;
    for _ in 0..4 * KEEP_WARM_PARTS {
        world.keep_warm(step_s);
        most = most.max(world.log().iter().filter(|seen| seen.rtype() == Rtype::A && owners.contains(&seen.name().to_string())).count());
        world.forget();
    }
    assert!((KEEP_WARM_LOOKUPS_PER_STEP / 2..=KEEP_WARM_LOOKUPS_PER_STEP).contains(&most), "{most} in one step");
    questions.iter().for_each(|question| drop(world.ask(question)));
    assert!(world.log().is_empty(), "all have had their turn");
}
