//! When each URL is fetched: at once where there is no copy, then at the interval of the list, after a failure sooner and ever later.
//! Every moment is a little earlier or later than it should be, so that many servers do not come together.

use std::time::Duration;

use crate::config::{ListSettings, ListSource};
use crate::env::{BootTime, Random, WallTime};
use crate::limits::fetch::{
    FETCHES_MAX, NETWORK_RETRY_S, RETRY_AFTER_MAX_S, RETRY_INTERVAL_MAX_S, RETRY_INTERVAL_S, RETRY_INTERVAL_WITHOUT_COPY_S, START_SPREAD_S,
};

/// How one list is fetched.
#[derive(Clone, Debug)]
pub(super) struct FetchState {
    pub(super) settings: ListSettings,
    pub(super) due: BootTime,
    /// When the last fetch ended.
    tried: BootTime,
    /// One after the other, since the last fetch that was good.
    pub(super) failures: u32,
    /// When the server last said that the copy is what it has.
    pub(super) fetched: Option<WallTime>,
    /// Of the last fetch.
    pub(super) ended: Option<Ended>,
    /// A fetch is under way, perhaps of settings that have changed since.
    pub(super) is_under_way: bool,
    /// Somebody wanted it now: another failure then says nothing about how long to wait.
    is_asked_for: bool,
    /// It is in the configuration no more.
    is_gone: bool,
}

/// How a fetch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) at: WallTime,
    pub(super) http_status: Option<u16>,
    /// Why the list is not as its source has it.
    pub(super) problem: Option<String>,
    /// The server wants to be asked again after so many seconds, and not before.
    pub(super) retry_after_s: Option<u64>,
    /// A list that has become far shorter would have been taken over.
    pub(super) accepts_shorter: bool,
}

/// All lists with a URL.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    states: Vec<FetchState>,
}

impl Schedule {
    /// `fetched` says when the copy of a list was fetched from the URL that the list has now.
    pub(super) fn configure(
        &mut self,
        lists: &[ListSettings],
        fetched: &dyn Fn(&ListSettings) -> Option<WallTime>,
        now: (BootTime, WallTime),
        random: &Random,
    ) {
        let mut before = std::mem::take(&mut self.states);
        for list in lists.iter().filter(|list| matches!(list.source, Some(ListSource::Url(_)))) {
            let at = before.iter().position(|state| state.settings.name() == list.name());
            let old = at.map(|at| before.swap_remove(at));
            let is_under_way = old.as_ref().is_some_and(|old| old.is_under_way);
            let state = match old {
                Some(old) if !old.is_gone && is_fetched_alike(&old.settings, list) => {
                    let is_as_before = old.settings.refresh_s == list.refresh_s || old.failures > 0;
                    let due = if is_as_before { old.due } else { now.0 + first_wait(old.fetched, list, now.1, random) };
                    FetchState { settings: list.clone(), due, ..old }
                }
                _ => {
                    let fetched = fetched(list);
                    let due = now.0 + first_wait(fetched, list, now.1, random);
                    FetchState {
                        settings: list.clone(),
                        due,
                        tried: BootTime::default(),
                        failures: 0,
                        fetched,
                        ended: None,
                        is_under_way,
                        is_asked_for: false,
                        is_gone: false,
                    }
                }
            };
            self.states.push(state);
        }
        // They hold their place until they have ended.
        let left = before.into_iter().filter(|state| state.is_under_way);
        self.states.extend(left.map(|state| FetchState { is_gone: true, ..state }));
    }

    /// The lists whose fetch begins now.
    pub(super) fn begin(&mut self, now: BootTime) -> Vec<ListSettings> {
        let places = FETCHES_MAX.saturating_sub(self.states.iter().filter(|state| state.is_under_way).count());
        let mut due: Vec<&mut FetchState> = self.states.iter_mut().filter(|state| state.waits() && state.due <= now).collect();
        due.sort_by_key(|state| state.due.0);
        let begun = due.into_iter().take(places).map(|state| {
            state.is_under_way = true;
            state.settings.clone()
        });
        begun.collect()
    }

    /// The fetch of these settings has ended.
    pub(super) fn ended(&mut self, list: &ListSettings, ended: Ended, now: BootTime, random: &Random) {
        let Some(state) = self.states.iter_mut().find(|state| state.settings.name() == list.name()) else { return };
        state.is_under_way = false;
        if state.is_gone {
            return self.states.retain(|state| !state.is_gone || state.is_under_way);
        }
        if !is_fetched_alike(&state.settings, list) {
            // What was fetched is not what the configuration names now; that is due already.
            return;
        }
        let wait = match ended.problem {
            None => {
                (state.failures, state.fetched) = (0, Some(ended.at));
                varied(state.settings.refresh_s, 10, random)
            }
            Some(_) => {
                state.failures = if state.is_asked_for { state.failures.max(1) } else { state.failures.saturating_add(1) };
                let wanted = ended.retry_after_s.unwrap_or(0).min(RETRY_AFTER_MAX_S.into());
                retry_wait(state, random).max(Duration::from_secs(wanted))
            }
        };
        (state.due, state.tried, state.is_asked_for) = (now + wait, now, false);
        state.ended = Some(ended);
    }

    /// Fetches these now, unless they are under way.
    pub(super) fn ask(&mut self, names: &[String], now: BootTime) {
        for state in self.states.iter_mut().filter(|state| names.iter().any(|name| name == state.settings.name())) {
            (state.due, state.is_asked_for) = (now, true);
        }
    }

    /// What found no server before may find it now. A network that changes all the time must not have a server asked all the time.
    pub(super) fn network_changed(&mut self, now: BootTime) {
        let has_failed =
            |state: &&mut FetchState| state.ended.as_ref().is_some_and(|ended| ended.problem.is_some() && ended.http_status.is_none());
        for state in self.states.iter_mut().filter(has_failed) {
            let soon = now + Duration::from_secs(NETWORK_RETRY_S.into());
            let not_before = state.tried + Duration::from_secs(RETRY_INTERVAL_WITHOUT_COPY_S.into());
            let soon = if soon.0 < not_before.0 { not_before } else { soon };
            if state.due.0 > soon.0 {
                state.due = soon;
            }
        }
    }

    /// When the next fetch begins.
    pub(super) fn next(&self) -> Option<BootTime> {
        let is_full = self.states.iter().filter(|state| state.is_under_way).count() >= FETCHES_MAX;
        self.states.iter().filter(|state| state.waits() && !is_full).map(|state| state.due).min_by_key(|due| due.0)
    }

    pub(super) fn states(&self) -> impl Iterator<Item = &FetchState> {
        self.states.iter().filter(|state| !state.is_gone)
    }
}

impl FetchState {
    fn waits(&self) -> bool {
        !self.is_under_way && !self.is_gone
    }
}

fn is_fetched_alike(one: &ListSettings, other: &ListSettings) -> bool {
    one.source == other.source && one.ca == other.ca
}

fn first_wait(fetched: Option<WallTime>, list: &ListSettings, wall: WallTime, random: &Random) -> Duration {
    let Some(fetched) = fetched else { return Duration::ZERO };
    // A clock that is behind must not keep a list for years.
    let age = Duration::from_secs(wall.0.saturating_sub(fetched.0));
    let left = varied(list.refresh_s, 10, random).saturating_sub(age);
    if left.is_zero() { Duration::from_millis(random.below(START_SPREAD_S as usize * 1_000) as u64) } else { left }
}

fn retry_wait(state: &FetchState, random: &Random) -> Duration {
    let first = if state.fetched.is_some() { RETRY_INTERVAL_S } else { RETRY_INTERVAL_WITHOUT_COPY_S };
    let doubled = first.saturating_mul(1 << (state.failures.saturating_sub(1)).min(20));
    varied(doubled.min(RETRY_INTERVAL_MAX_S).min(state.settings.refresh_s), 25, random)
}

/// That many seconds, by up to so many percent fewer or more.
fn varied(seconds: u32, percent: u64, random: &Random) -> Duration {
    let ms = u64::from(seconds) * 1_000;
    let range = ms * percent / 100;
    Duration::from_millis(ms - range + random.below((range * 2 + 1) as usize) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HttpUrl;

    fn list(name: &str, url: &str) -> ListSettings {
        let source = Some(ListSource::Url(HttpUrl::parse(url).expect("a URL")));
        ListSettings { name: Some(name.to_owned()), source, refresh_s: 86_400, ..ListSettings::default() }
    }

    const WALL: WallTime = WallTime(1_790_000_000);

    fn at(seconds: u64) -> BootTime {
        BootTime(seconds * 1_000)
    }

    fn good() -> Ended {
        Ended { at: WALL, http_status: Some(200), problem: None, retry_after_s: None, accepts_shorter: false }
    }

    fn bad() -> Ended {
        Ended { problem: Some("no".to_owned()), ..good() }
    }

    fn names(lists: &[ListSettings]) -> Vec<&str> {
        lists.iter().map(ListSettings::name).collect()
    }

    #[test]
    fn the_first_fetch() {
        let random = Random::from_seed(1);
        let lists = [list("none", "https://a/1"), list("old", "https://a/2"), list("new", "https://a/3"), list("later", "https://a/4")];
        let fetched = |list: &ListSettings| match list.name() {
            "old" => Some(WallTime(WALL.0 - 90 * 86_400)),
            "new" => Some(WallTime(WALL.0 - 43_200)),
            "later" => Some(WallTime(WALL.0 + 90 * 86_400)),
            _ => None,
        };
        let mut schedule = Schedule::default();
        schedule.configure(&lists, &fetched, (at(10), WALL), &random);
        let due: Vec<u64> = schedule.states().map(|state| state.due.0 / 1_000).collect();
        assert_eq!(due[0], 10);
        assert!((10..=70).contains(&due[1]), "{due:?}");
        assert!((34_570..=51_850).contains(&due[2]), "{due:?}");
        assert!((10 + 77_760..=10 + 95_040).contains(&due[3]), "{due:?}");
        assert_eq!((schedule.next(), names(&schedule.begin(at(10)))), (Some(at(10)), vec!["none"]));
    }

    #[test]
    fn after_each_end() {
        let random = Random::from_seed(2);
        let lists = [list("a", "https://a/1")];
        let mut schedule = Schedule::default();
        schedule.configure(&lists, &|_| None, (at(0), WALL), &random);
        let mut now = at(0);
        let mut waited = |ended: Ended| {
            assert_eq!(schedule.begin(now).len(), 1);
            assert_eq!((schedule.begin(now).len(), schedule.next()), (0, None), "it is under way");
            schedule.ended(&lists[0], ended, now, &random);
            let due = schedule.next().expect("one list");
            let waited = due.since(now).as_secs_f64();
            now = due;
            waited
        };
        let asks = |seconds| Ended { retry_after_s: Some(seconds), ..bad() };
        let near = |waited: f64, expected: f64, percent: f64| (waited - expected).abs() <= expected * percent / 100.0;
        for expected in [10.0, 20.0, 40.0] {
            assert!(near(waited(bad()), expected, 25.0));
        }
        assert!(near(waited(good()), 86_400.0, 10.0));
        // A busy server is asked when it wants to be, within a day, and never sooner than others.
        assert_eq!(waited(asks(3_000)), 3_000.0);
        assert_eq!(waited(asks(u64::MAX)), 86_400.0);
        assert!(near(waited(asks(0)), 240.0, 25.0));
        assert!(near(waited(good()), 86_400.0, 10.0));
        let all: Vec<f64> = (0..40).map(|_| waited(bad())).collect();
        for (waited, expected) in all.iter().zip([60.0, 120.0, 240.0, 480.0, 960.0, 1_920.0, 3_840.0, 7_680.0, 14_400.0, 14_400.0]) {
            assert!(near(*waited, expected, 25.0), "{all:?}");
        }
        assert!(near(all[39], 14_400.0, 25.0) && all[38] != all[39], "{all:?}");
    }

    /// Whoever tries again by hand, in vain, does not put off the next try by itself.
    #[test]
    fn failures_of_fetches_that_were_asked_for_do_not_add_up() {
        let random = Random::from_seed(4);
        let lists = [list("a", "https://a/1")];
        let mut schedule = Schedule::default();
        schedule.configure(&lists, &|_| None, (at(0), WALL), &random);
        for second in 0..12 {
            schedule.ask(&["a".to_owned()], at(second));
            assert_eq!(schedule.begin(at(second)).len(), 1);
            schedule.ended(&lists[0], bad(), at(second), &random);
            let waits = schedule.next().expect("one list").since(at(second)).as_secs_f64();
            assert!((7.5..=12.5).contains(&waits), "{waits}");
        }
        // The next one comes by itself.
        let due = schedule.next().expect("one list");
        assert_eq!(schedule.begin(due).len(), 1);
        schedule.ended(&lists[0], bad(), due, &random);
        let waits = schedule.next().expect("one list").since(due).as_secs_f64();
        assert!((15.0..=25.0).contains(&waits), "{waits}");
    }

    #[test]
    fn few_at_a_time_and_on_demand() {
        let random = Random::from_seed(3);
        let lists: Vec<ListSettings> = (0..7).map(|at| list(&format!("l{at}"), "https://a/")).collect();
        let mut schedule = Schedule::default();
        schedule.configure(&lists, &|_| None, (at(0), WALL), &random);
        assert_eq!(names(&schedule.begin(at(0))), ["l0", "l1", "l2", "l3"]);
        assert_eq!(schedule.next(), None);
        schedule.ended(&lists[1], good(), at(1), &random);
        assert_eq!(names(&schedule.begin(at(1))), ["l4"]);
        schedule.ask(&["l1".to_owned(), "l4".to_owned()], at(2));
        schedule.ended(&lists[0], good(), at(2), &random);
        assert_eq!(names(&schedule.begin(at(2))), ["l5"]);
        schedule.ended(&lists[2], bad(), at(3), &random);
        schedule.ended(&lists[3], good(), at(3), &random);
        assert_eq!(names(&schedule.begin(at(3))), ["l6", "l1"]);
        // A server that has answered is not asked again because the network has changed; one that was not found is, but not at once.
        schedule.ended(&lists[4], Ended { http_status: None, ..bad() }, at(3), &random);
        schedule.ended(&lists[5], bad(), at(3), &random);
        let due_of = |schedule: &Schedule, at: usize| schedule.states().nth(at).expect("seven").due;
        let later = due_of(&schedule, 5);
        (4..9).for_each(|now| schedule.network_changed(at(now)));
        assert_eq!(due_of(&schedule, 5), later);
        assert!((10..=13).contains(&due_of(&schedule, 4).secs()), "{schedule:?}");
        schedule.states.iter_mut().for_each(|state| state.due = at(5_000));
        schedule.network_changed(at(100));
        assert_eq!((due_of(&schedule, 4), due_of(&schedule, 5)), (at(102), at(5_000)));
    }

    #[test]
    fn other_settings() {
        let random = Random::from_seed(4);
        let (one, two) = (list("a", "https://a/1"), list("a", "https://a/2"));
        let mut schedule = Schedule::default();
        let configure = |schedule: &mut Schedule, lists: &[ListSettings]| schedule.configure(lists, &|_| None, (at(5), WALL), &random);
        configure(&mut schedule, std::slice::from_ref(&one));
        assert_eq!(schedule.begin(at(5)).len(), 1);
        // Another URL waits for the fetch of the first, which then changes nothing.
        configure(&mut schedule, std::slice::from_ref(&two));
        assert_eq!(schedule.begin(at(6)).len(), 0);
        schedule.ended(&one, good(), at(7), &random);
        assert_eq!(schedule.begin(at(7)), std::slice::from_ref(&two));
        // Gone, and back before the fetch has ended: still one at a time.
        configure(&mut schedule, &[]);
        assert_eq!(schedule.states().count(), 0);
        configure(&mut schedule, std::slice::from_ref(&two));
        assert_eq!(schedule.begin(at(8)).len(), 0);
        schedule.ended(&two, bad(), at(8), &random);
        let state = schedule.states().next().expect("one");
        assert_eq!((state.failures, state.is_under_way), (1, false));
        // What is done with the data changes nothing of what is due; a shorter interval does.
        let due = state.due;
        configure(&mut schedule, &[ListSettings { single_labels: true, ..two.clone() }]);
        assert_eq!(schedule.next(), Some(due));
        assert_eq!(schedule.begin(due).len(), 1);
        schedule.ended(&two, Ended { at: WALL, ..good() }, due, &random);
        configure(&mut schedule, &[ListSettings { refresh_s: 600, ..two.clone() }]);
        assert!(schedule.next().is_some_and(|due| due.secs() < 5 + 661), "{schedule:?}");
        configure(&mut schedule, &[]);
        assert_eq!(schedule.next(), None);
    }
}
