//! Worlds drawn from seeds, with changes, time going by and clients asking meanwhile.
//!
//! `cargo test` takes a few seeds. Thousands run over two threads:
//! `CAIRN_SEEDS=0..5000 CARGO_PROFILE_DEV_OPT_LEVEL=2 cargo test --test world random_worlds -- --nocapture`.
//! A seed that fails is printed with what was wrong; `CAIRN_SEED=N` plays that one alone and shows every query.
//!
//! What must hold in each world:
//! - every question is answered, once, within the time to give up;
//! - no answer holds what no authority said, or said longer ago than its TTL (`History`); while nothing has changed,
//!   none is other than the zones say (`Expected`), and in fair weather none is SERVFAIL;
//! - where the root is signed, AD is set for everything that is signed from there down, and for nothing else;
//! - the servers of a zone that has moved are left when the parent's last NS set for it expires;
//! - the cache holds nothing that no authority said;
//! - one question costs the world no more than its budget, and nothing is under way when all is done;
//! - in fair weather nobody waits while no server is asked: a wait of walks for each other would be one.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cairn::env::Random;
use cairn::limits::Limits;
use cairn::record::{Name, Rcode, Rtype};

use super::sim::random::{Drawn, SNARE, Weather, change, draw, is_signed};
use super::sim::world::{World, name};

const ZONES: usize = 50;
const ROUNDS: usize = 4;
const QUESTIONS_PER_ROUND: usize = 60;
/// What was under way is over then: a link of a chain that was begun just before the client gave up takes 10 s, and
/// sockets are kept for 5 s.
const QUIET_MS: u64 = 22_000;
/// In fair weather a question waits for servers or not at all. A connection is opened before its query is seen.
const IDLE_MOST: Duration = Duration::from_millis(300);
/// What a question without end may cost where every server is well.
const ENDLESS_MOST: usize = 26;

#[test]
fn random_worlds_are_told_truly() {
    if let Ok(seed) = std::env::var("CAIRN_SEED") {
        return roam(seed.parse().expect("a number"), true);
    }
    let range = std::env::var("CAIRN_SEEDS").map_or(0..6, |text| range(&text).expect("FROM..TO"));
    let (next, failed) = (AtomicU64::new(range.start), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= range.end {
                        break;
                    }
                    if catch_unwind(AssertUnwindSafe(|| roam(seed, false))).is_err() {
                        eprintln!("seed {seed} failed: CAIRN_SEED={seed} replays it");
                        failed.lock().expect("no panic inside").push(seed);
                    }
                    if seed % 100 == 99 {
                        println!("{} worlds", seed + 1 - range.start);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic inside");
    assert!(failed.is_empty(), "{} of {} worlds: CAIRN_SEED=N replays {failed:?}", failed.len(), range.end - range.start);
}

/// Worlds in which a fault was found. In 539 a denial was used 3 s after it had come, and had its whole TTL from then on. In 3907
/// the NXDOMAIN of a server that was asked as a second one gave way to the empty reply of a lame server, which was being checked. In
/// 3921 old data left out the DNAME of an unsigned zone.
#[test]
fn worlds_that_failed_once() {
    [539, 3165, 3907, 3921].into_iter().for_each(|seed| roam(seed, false));
}

fn range(text: &str) -> Option<Range<u64>> {
    let (from, to) = text.split_once("..")?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

/// One world and what its clients see of it.
struct Roaming {
    world: World,
    weather: Weather,
    signed: bool,
    questions: Vec<String>,
    endless: Vec<String>,
    ring: Vec<String>,
    dice: Random,
    /// What has happened to the world, and the questions about zones that it happened to.
    changes: Vec<String>,
    touched: Vec<String>,
    asked: Vec<String>,
    talkative: bool,
}

fn roam(seed: u64, talkative: bool) {
    let weather = if seed.is_multiple_of(2) { Weather::Fair } else { Weather::Foul };
    let Drawn { mut world, questions, endless, ring } = draw(seed, ZONES, weather);
    world.talkative = talkative;
    let dice = Random::from_seed(seed ^ 0x0a57);
    let (changes, touched, asked) = (Vec::new(), Vec::new(), Vec::new());
    let mut roaming =
        Roaming { world, weather, signed: is_signed(seed), questions, endless, ring, dice, changes, touched, asked, talkative };
    for round in 0..ROUNDS {
        roaming.round(round);
    }
}

impl Roaming {
    fn round(&mut self, round: usize) {
        for _ in 0..if round > 0 { self.dice.below(4) } else { 0 } {
            let (zone, what) = change(&mut self.world, &self.dice, &self.asked);
            self.note_change(&zone, what);
        }
        let mut asked = 0;
        while asked < QUESTIONS_PER_ROUND {
            let mut few: Vec<String> = (0..1 + self.dice.below(10)).map(|_| self.pick()).collect();
            if self.dice.below(3) == 0 {
                // The same again right behind: it goes to the next worker.
                few = few.into_iter().flat_map(|question| [question.clone(), question]).collect();
            }
            asked += few.len();
            self.ask(&few);
        }
        self.settle();
        if round > 0 && self.dice.below(3) == 0 {
            self.haunt();
        }
        self.world.pass(match self.dice.below(4) {
            0 => 5,
            1 => 70,
            2 => 400,
            _ => 4_000,
        });
    }

    fn note_change(&mut self, zone: &Name, what: String) {
        if self.talkative {
            println!("{what}");
        }
        self.changes.push(what);
        let of_zone = |question: &&String| question.split(' ').next().is_some_and(|owner| name(owner).is_within(zone));
        self.touched.extend(self.questions.iter().filter(of_zone).cloned());
    }

    /// A zone moves while its old servers go on and are asked all the time: they are left when the parent's NS set for
    /// them ends, whatever they say of themselves meanwhile (ghost domains).
    fn haunt(&mut self) {
        let all = self.world.plan().outliving_parents();
        let Some((apex, ttl)) = all.get(self.dice.below(all.len().max(1))).filter(|(_, ttl)| *ttl <= 3_600).cloned() else { return };
        let servers = self.world.plan().server_names(&apex);
        let well_known = servers.iter().map(|server| format!("{server} A")).chain([format!("{apex} NS"), format!("www.{apex} A")]);
        self.ask(&well_known.collect::<Vec<_>>());
        let serial = self.dice.below(1 << 20);
        self.world.change(|plan, history| {
            let ttl = plan.move_zone(&apex, &[name(&format!("heir-{serial}.{apex}"))]);
            history.note_move(&apex, ttl);
        });
        self.note_change(&apex, format!("{apex} moves to an heir; the old servers go on"));
        for visit in 0..8 {
            self.ask(&[format!("visit{visit}-{serial}.{apex} A"), format!("{apex} NS"), format!("visit{visit}-{serial}.{apex} TXT")]);
            self.world.pass(u64::from(ttl) / 4 + 4);
        }
        self.world.wait_ms(QUIET_MS);
        self.check();
        self.world.forget();
    }

    /// In worlds that are signed everybody wants to know whether an answer is proved, and some how.
    fn in_words(&self, question: &str) -> String {
        match self.dice.below(3) {
            _ if !self.signed => question.to_owned(),
            0 => format!("{question} DO"),
            _ => format!("{question} AD"),
        }
    }

    fn pick(&self) -> String {
        let from = match self.dice.below(20) {
            0 => &self.endless,
            1..=6 if !self.touched.is_empty() => &self.touched,
            7..=9 if !self.asked.is_empty() => &self.asked,
            _ => &self.questions,
        };
        from[self.dice.below(from.len())].clone()
    }

    /// At the same time.
    fn ask(&mut self, questions: &[String]) {
        let limits = Limits::default();
        self.asked.extend_from_slice(questions);
        let began = self.world.now();
        let worded: Vec<String> = questions.iter().map(|question| self.in_words(question)).collect();
        let answers = self.world.ask_all(&worded.iter().map(String::as_str).collect::<Vec<_>>());
        for (question, answer) in questions.iter().zip(answers) {
            let told = || format!("{:?}: {question}: {answer:?}\n  after {:?}", self.weather, self.changes);
            assert!(answer.took.as_millis() <= u128::from(limits.give_up_latest_ms) + 100, "late: {}", told());
            if let Some(why) = self.world.contradicts(question, &answer) {
                panic!("{why}\n  {}", told());
            }
            let expected = self.world.expected(question);
            if let Some(why) = expected.contradicts(&answer.packet).filter(|_| self.changes.is_empty()) {
                panic!("{why}\n  {}\n  expected: {expected:?}", told());
            }
            if let Some(why) = expected.misjudged(&answer.packet).filter(|_| self.signed && self.changes.is_empty()) {
                panic!("{why}\n  {}\n  expected: {expected:?}", told());
            }
            let excused = self.weather == Weather::Foul || expected.endless || expected.answer.len() > 6 || !self.changes.is_empty();
            assert!(excused || answer.rcode() != Rcode::SERVFAIL, "no reason: {}\n  expected: {expected:?}", told());
            if self.weather == Weather::Fair && self.changes.is_empty() {
                let idle = self.world.longest_idle(began, began + answer.took);
                assert!(idle <= IDLE_MOST, "waited {idle:?} while nobody was asked: {}", told());
            }
        }
    }

    /// What was under way ends, and is looked at; then one question all by itself.
    fn settle(&mut self) {
        self.ask(&self.ring.clone());
        self.world.wait_ms(QUIET_MS);
        self.check();
        self.world.forget();
        let of_all = [self.pick(), self.endless[self.dice.below(self.endless.len())].clone()];
        let question = of_all[self.dice.below(2)].clone();
        self.ask(std::slice::from_ref(&question));
        self.world.wait_ms(QUIET_MS);
        let is_endless = self.endless.contains(&question);
        let budget = Limits::default().upstream_queries_per_question as usize;
        let most = if is_endless && self.weather == Weather::Fair && self.changes.is_empty() { ENDLESS_MOST } else { budget };
        let cost = self.queries();
        if self.talkative {
            println!("{question} cost {cost} queries");
        }
        assert!(cost <= most, "{question} cost {cost} queries");
        self.check();
        self.world.forget();
    }

    fn check(&self) {
        assert_eq!(self.world.walks_in_progress(), 0, "walks that do not end");
        assert_eq!(self.world.open_ports(), 0, "sockets that nobody waits on any more");
        let mut wrongs = self.world.wrongs();
        let snare: std::net::IpAddr = SNARE.parse().expect("an address");
        self.world.each_seen(|seen| {
            if seen.to.ip() == snare {
                wrongs.push(format!("{seen}: who led there?"));
            }
        });
        assert!(wrongs.is_empty(), "{:?}:\n  {}\n  after {:?}", self.weather, wrongs.join("\n  "), self.changes);
    }

    /// Queries that count against a client's budget; probes of the network belong to no client.
    fn queries(&self) -> usize {
        let mut count = 0;
        self.world.each_seen(|seen| {
            let is_probe =
                seen.name() == Name::root() && seen.rtype() == Rtype::NS && seen.query.as_ref().is_some_and(|query| query.edns.is_none());
            count += usize::from(!seen.tcp && !is_probe);
        });
        count
    }
}

#[test]
fn a_random_world_is_replayed_exactly() {
    let history = || {
        let Drawn { mut world, questions, .. } = draw(7, 30, Weather::Foul);
        let few: Vec<&str> = questions.iter().take(40).map(String::as_str).collect();
        let answers: Vec<String> = world.ask_all(&few).iter().map(|answer| format!("{answer:?}")).collect();
        let log: Vec<String> = world.log().iter().map(ToString::to_string).collect();
        (answers, log)
    };
    let (first, second) = (history(), history());
    for (one, other) in first.1.iter().zip(&second.1) {
        assert_eq!(one, other, "the first difference");
    }
    assert_eq!(first, second);
}
