//! Schedules and pauses with a clock that the tests move.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::keeper::{Shared, line_of_end};
use super::pauses::{Pause, Pauses};
use crate::answer::{Parts, Service};
use crate::config::Settings;
use crate::env::{BootTime, Clock, Random, TimeZone, WallTime};
use crate::limits::Limits;
use crate::policy::{ListVerdict, ViewId, lists_of};
use crate::record::{Name, Rtype};
use crate::server::hosting::{RealDisk, Versions};

/// Both clocks go on together; the wall clock can also be set.
#[derive(Default)]
struct Clocks {
    boot_ms: AtomicU64,
    ahead_s: Mutex<i64>,
}

impl Clocks {
    fn pass(&self, time: Duration) {
        self.boot_ms.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    }

    fn set(&self, wall: u64) {
        *self.ahead_s.lock().expect("a lock") = wall as i64 - (self.boot().0 / 1_000) as i64;
    }
}

impl Clock for Clocks {
    fn boot(&self) -> BootTime {
        BootTime(self.boot_ms.load(Ordering::Relaxed))
    }

    fn wall(&self) -> WallTime {
        WallTime(((self.boot().0 / 1_000) as i64 + *self.ahead_s.lock().expect("a lock")) as u64)
    }
}

const VIEWS: &str = r#"
[[list]]
name   = "ads"
source = "ads.txt"
[[list]]
name   = "games"
source = "games.txt"
[[list]]
name   = "mine"
source = "mine.txt"
action = "allow"
[[view]]
name     = "children"
clients  = ["192.0.2.64/26"]
schedule = ["games: mon-fri 20:00-07:00", "games: sat 12:00-13:00"]
[[view]]
name    = "office"
clients = ["192.0.2.0/24"]
"#;

struct World {
    clocks: Arc<Clocks>,
    service: Arc<Service>,
    shared: Shared,
}

fn settings(text: &str) -> Settings {
    Settings::from_toml(text, "cairn.toml").expect("valid settings")
}

fn parts(text: &str) -> Parts {
    Parts { settings: settings(text), hints: Vec::new(), anchors: Arc::default(), zones: Arc::default(), own_addresses: Vec::new() }
}

impl World {
    /// It is this time, UTC; the zone is that of Berlin.
    fn at(wall: u64) -> World {
        let clocks = Arc::new(Clocks::default());
        clocks.pass(Duration::from_secs(1_000));
        clocks.set(wall);
        let service = Service::new(parts(VIEWS), Limits::default(), clocks.clone(), &Random::from_seed(1));
        let versions = Arc::new(Versions::new(Arc::new(RealDisk), None, None));
        let zone = TimeZone::from_rules("CET-1CEST,M3.5.0,M10.5.0/3").expect("rules");
        let shared = Shared::new(service.clone(), versions, clocks.clone(), zone, &settings(VIEWS).views);
        shared.look();
        let lists = [("ads", false, "ads.test\n"), ("games", false, "game.test\n"), ("mine", true, "fine.test\n")];
        service.replace_lists(Arc::new(lists_of(&lists)));
        World { clocks, service, shared }
    }

    /// Sleeps as the thread does until this much time has passed. Returns how often it looked.
    fn pass(&self, time: Duration) -> usize {
        let end = self.clocks.boot() + time;
        for looked in 0.. {
            let left = end.since(self.clocks.boot());
            match self.shared.next_look().filter(|next| *next <= left) {
                None => {
                    self.clocks.pass(left);
                    return looked;
                }
                Some(next) => {
                    assert!(next > Duration::ZERO, "it never sleeps");
                    self.clocks.pass(next);
                    self.shared.look();
                }
            }
        }
        unreachable!("the loop ends")
    }

    /// What the clients of each view get: b for blocked. Clients of no view come first.
    fn blocked(&self, name: &str) -> String {
        let snapshot = self.service.snapshot();
        let found = snapshot.lists.find(Name::parse(name).expect(name).as_wire(), Rtype::A);
        let of = |view| match snapshot.verdict(ViewId(view), &found) {
            ListVerdict::Blocked(_) => 'b',
            ListVerdict::Allowed(_) => 'a',
            ListVerdict::Pass | ListVerdict::Rewritten(..) => '-',
        };
        (0..3).map(of).collect()
    }

    fn generation(&self) -> u32 {
        self.service.snapshot().generation
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// Monday, 2 November 2026, 19:58:30 in Berlin.
const MONDAY_EVENING: u64 = 1_793_645_910;

#[test]
fn boundaries_of_a_schedule() {
    let world = World::at(MONDAY_EVENING);
    assert_eq!(world.blocked("game.test."), "b-b");
    assert_eq!(world.blocked("ads.test."), "bbb", "a list without a schedule is in force");
    let before = world.generation();
    world.pass(Duration::from_secs(89));
    assert_eq!((world.blocked("game.test.").as_str(), world.generation()), ("b-b", before), "19:59:59");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.blocked("game.test."), "bbb", "20:00:00");
    let evening = world.generation();
    assert_ne!(evening, before, "answers are made anew");
    world.pass(4 * HOUR);
    assert_eq!((world.blocked("game.test.").as_str(), world.generation()), ("bbb", evening), "past midnight nothing changes");
    world.pass(7 * HOUR - Duration::from_secs(1));
    assert_eq!(world.blocked("game.test."), "bbb", "06:59:59");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.blocked("game.test."), "b-b", "07:00:00");
    // Friday's night lasts to Saturday, and Saturday has none.
    world.pass(4 * 24 * HOUR - MINUTE);
    assert_eq!(world.blocked("game.test."), "bbb", "Saturday 06:59");
    world.pass(MINUTE);
    assert_eq!(world.blocked("game.test."), "b-b", "Saturday 07:00");
    world.pass(5 * HOUR);
    assert_eq!(world.blocked("game.test."), "bbb", "Saturday 12:00, by the other entry");
    world.pass(9 * HOUR);
    assert_eq!(world.blocked("game.test."), "b-b", "Saturday 21:00");
}

/// Clocks go back at 03:00 on 25 October: the night has an hour more, by the clock on the wall.
#[test]
fn the_night_in_which_summer_time_ends() {
    let friday_evening = 1_792_776_600;
    let world = World::at(friday_evening);
    assert_eq!(world.blocked("game.test."), "b-b", "Friday 19:30 summer time");
    world.pass(HOUR / 2);
    assert_eq!(world.blocked("game.test."), "bbb");
    // From Saturday 07:00 on only the hour at noon; on Monday at 20:00 winter time, an hour later by the sun.
    world.pass(72 * HOUR);
    assert_eq!(world.blocked("game.test."), "b-b", "Monday 19:00 winter time");
    world.pass(HOUR);
    assert_eq!(world.blocked("game.test."), "bbb", "Monday 20:00 winter time");
}

/// A machine without a clock of its own learns the time after its start.
#[test]
fn the_clock_is_set() {
    let world = World::at(43_200);
    assert_eq!(world.blocked("game.test."), "b-b", "Thursday, 1 January 1970, at noon");
    world.clocks.set(MONDAY_EVENING + 600);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.blocked("game.test."), "bbb");
    world.clocks.set(MONDAY_EVENING);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.blocked("game.test."), "b-b", "it may be set back");
}

fn error_of(answer: &Value) -> &str {
    answer["error"].as_str().unwrap_or_default()
}

#[test]
fn pauses_end_by_themselves() {
    let world = World::at(MONDAY_EVENING);
    let before = world.generation();
    let shown = world.shared.pause(Some("office".to_owned()), 10 * MINUTE);
    assert_eq!(shown["line"], "paused for clients of the view office until 2026-11-02 20:08:30: no list blocks anything");
    assert_eq!((world.blocked("ads.test.").as_str(), world.blocked("fine.test.").as_str()), ("bb-", "aaa"), "exceptions stay");
    assert_ne!(world.generation(), before);
    assert_eq!(world.shared.status()[0]["pause"]["seconds-left"], 600);
    world.pass(10 * MINUTE - Duration::from_secs(1));
    assert_eq!(world.blocked("ads.test."), "bb-");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.blocked("ads.test."), "bbb");
    assert!(world.shared.status().iter().all(|line| line["pause"].is_null()));
    // The second pause of a view gives it another end.
    world.shared.pause(None, HOUR);
    world.shared.pause(None, MINUTE);
    assert_eq!(world.blocked("ads.test."), "---");
    world.clocks.set(0);
    world.pass(MINUTE + Duration::from_secs(1));
    assert_eq!(world.blocked("ads.test."), "bbb", "whatever the clock is set to");
}

#[test]
fn pauses_are_ended() {
    let world = World::at(MONDAY_EVENING);
    assert_eq!(error_of(&world.shared.resume(None)), "there is no pause");
    assert_eq!(
        error_of(&world.shared.pause(Some("kids".to_owned()), MINUTE)),
        "there is no view with the name \"kids\"; there are children, office"
    );
    world.shared.pause(Some("office".to_owned()), HOUR);
    world.shared.pause(None, HOUR);
    let told = world.shared.resume(Some("children"));
    assert_eq!(error_of(&told), "the view children has no pause of its own; `cairn list resume` ends every pause");
    assert_eq!(world.blocked("ads.test."), "---");
    let ended = world.shared.resume(Some("office"));
    assert_eq!(ended["ended"], 1);
    assert_eq!(ended["line"], "the pause of the view office has ended; the one of all clients goes on");
    assert_eq!(world.blocked("ads.test."), "---", "all have one");
    world.shared.pause(Some("office".to_owned()), HOUR);
    assert_eq!(world.shared.resume(None)["ended"], 2);
    assert_eq!(world.blocked("ads.test."), "bbb");
}

/// Whoever reads that lists block again can rely on it.
#[test]
fn what_is_said_at_the_end_of_a_pause() {
    let pause = |view: Option<&str>| Pause { view: view.map(str::to_owned), end: BootTime(5) };
    for (ended, left, expected) in [
        (None, &[][..], "the pause of all clients has ended: lists block again"),
        (None, &[Some("office"), Some("kids")], "the pause of all clients has ended: lists block again, but not in office, kids"),
        (Some("kids"), &[Some("office")], "the pause of the view kids has ended: its lists block again"),
        (Some("kids"), &[None], "the pause of the view kids has ended; the one of all clients goes on"),
    ] {
        let mut pauses = Pauses::default();
        left.iter().for_each(|view| pauses.begin(view.map(str::to_owned), BootTime(9)));
        assert_eq!(line_of_end(&pause(ended), &pauses), expected);
    }
}

/// A reload keeps pauses of views that are still there, wherever they stand now, and schedules count from its first moment on.
#[test]
fn a_reload() {
    let world = World::at(MONDAY_EVENING + 600);
    world.shared.pause(Some("office".to_owned()), HOUR);
    world.shared.pause(Some("children".to_owned()), HOUR);
    assert_eq!(world.blocked("ads.test."), "b--");
    let (lists, _) = VIEWS.split_once("[[view]]").expect("views");
    let views = "[[view]]\nname = 'office'\nclients = ['192.0.2.0/25']\nschedule = ['ads: 12:00-13:00', 'games: 20:00-24:00']\n\
                 [[view]]\nname = 'guests'\nclients = ['192.0.2.128/25']\nschedule = ['ads: 12:00-13:00', 'games: 20:00-24:00']\n";
    let text = format!("{lists}{views}");
    world.shared.configure(TimeZone::UTC, &settings(&text).views);
    assert_eq!(world.blocked("ads.test."), "bb-", "the pause of a view that goes has ended");
    let _ = world.service.reload(parts(&text));
    assert_eq!((world.blocked("ads.test.").as_str(), world.blocked("game.test.").as_str()), ("b--", "b--"), "19:08 UTC");
    world.pass(HOUR);
    assert_eq!((world.blocked("ads.test.").as_str(), world.blocked("game.test.").as_str()), ("b--", "bbb"), "20:08 UTC");
}

/// Where nothing depends on the clock, the thread sleeps.
#[test]
fn nothing_to_watch() {
    let world = World::at(MONDAY_EVENING);
    assert!(world.pass(MINUTE) >= 12);
    world.shared.configure(TimeZone::UTC, &[]);
    assert_eq!(world.shared.next_look(), None);
    world.shared.pause(None, HOUR);
    world.pass(2 * HOUR);
    assert_eq!(world.shared.next_look(), None, "the pause is over");
}

/// While a machine sleeps, the time that a thread waits stands still; the clocks go on.
#[test]
fn a_machine_that_sleeps() {
    let world = World::at(MONDAY_EVENING);
    world.shared.configure(TimeZone::UTC, &[]);
    world.shared.pause(None, HOUR);
    let waits = world.shared.next_look().expect("a pause ends");
    world.clocks.pass(2 * HOUR);
    assert_eq!(world.blocked("ads.test."), "---", "it sleeps");
    assert!(waits <= Duration::from_secs(5), "{waits:?} after it wakes");
    world.clocks.pass(waits);
    world.shared.look();
    assert_eq!(world.blocked("ads.test."), "bbb");
}
