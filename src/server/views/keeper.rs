//! Keeps the moment of the service up to date. The clock is read at the start of each minute, and every few seconds, because it may
//! be set: a machine without a clock of its own learns the time long after its start. And a machine may sleep: the time for which this
//! thread waits stands still then, and neither the time of day nor the end of a pause does.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::info;

use super::pauses::{Pause, Pauses};
use crate::answer::Service;
use crate::config::ViewSettings;
use crate::env::{Clock, TimeZone, WallTime};
use crate::limits::server::VIEWS_LOOK_INTERVAL;
use crate::policy::{Moment, Paused, ViewId};
use crate::server::command::Reply;
use crate::server::hosting::Versions;
use crate::server::priority;

/// Looks at the clock for as long as it lives.
pub(in crate::server) struct ViewKeeper {
    shared: Arc<Shared>,
    orders: Sender<Order>,
}

enum Order {
    /// What is to be watched has changed.
    Look,
    /// `None`: for all clients.
    Pause {
        view: Option<String>,
        length: Duration,
        reply: Reply,
    },
    Resume {
        view: Option<String>,
        reply: Reply,
    },
}

pub(super) struct Shared {
    service: Arc<Service>,
    /// Held while a moment is put in force: zones and lists must not change then.
    versions: Arc<Versions>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

struct Held {
    zone: TimeZone,
    has_schedule: bool,
    pauses: Pauses,
}

/// What the clock says about schedules, without a pause.
pub(in crate::server) fn moment_at(wall: WallTime, zone: &TimeZone) -> Moment {
    let local = zone.local(wall);
    Moment { day: local.day(), minute: local.minute(), paused: Paused::default() }
}

impl ViewKeeper {
    /// Puts the time of day in force, before the first question is answered; then goes on to look at the clock.
    pub(in crate::server) fn start(
        service: Arc<Service>,
        versions: Arc<Versions>,
        clock: Arc<dyn Clock>,
        zone: TimeZone,
        views: &[ViewSettings],
    ) -> Result<ViewKeeper, String> {
        let shared = Arc::new(Shared::new(service, versions, clock, zone, views));
        shared.look();
        let (orders, received) = channel::<Order>();
        let looking = shared.clone();
        let spawned = thread::Builder::new().name("views".to_owned()).spawn(move || {
            let _ = priority::give_way();
            loop {
                let next = match looking.next_look() {
                    Some(wait) => received.recv_timeout(wait),
                    None => received.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                match next {
                    Ok(Order::Look) | Err(RecvTimeoutError::Timeout) => looking.look(),
                    Ok(Order::Pause { view, length, reply }) => {
                        reply.line_blocking(looking.pause(view, length));
                    }
                    Ok(Order::Resume { view, reply }) => {
                        reply.line_blocking(looking.resume(view.as_deref()));
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        spawned.map_err(|error| format!("no thread for the views: {error}"))?;
        Ok(ViewKeeper { shared, orders })
    }

    /// Another configuration comes in force: its schedules count from the time of day on that is put in force here.
    pub(in crate::server) fn configure(&self, zone: TimeZone, views: &[ViewSettings]) {
        self.shared.configure(zone, views);
        let _ = self.orders.send(Order::Look);
    }

    /// For `cairn list pause`: answers when no list blocks anything for these clients any more.
    pub(in crate::server) fn pause(&self, view: Option<String>, length: Duration, reply: Reply) {
        self.order(Order::Pause { view, length, reply });
    }

    /// For `cairn list resume`.
    pub(in crate::server) fn resume(&self, view: Option<String>, reply: Reply) {
        self.order(Order::Resume { view, reply });
    }

    fn order(&self, order: Order) {
        if let Err(refused) = self.orders.send(order)
            && let Order::Pause { reply, .. } | Order::Resume { reply, .. } = refused.0
        {
            reply.error("the thread that looks after views has ended");
        }
    }

    /// For `cairn list status`: the pauses, then the lists with a schedule.
    pub(in crate::server) fn status(&self) -> Vec<Value> {
        self.shared.status()
    }
}

impl Shared {
    pub(super) fn new(
        service: Arc<Service>,
        versions: Arc<Versions>,
        clock: Arc<dyn Clock>,
        zone: TimeZone,
        views: &[ViewSettings],
    ) -> Shared {
        let held = Mutex::new(Held { zone, has_schedule: has_schedule(views), pauses: Pauses::default() });
        Shared { service, versions, clock, held }
    }

    pub(super) fn configure(&self, zone: TimeZone, views: &[ViewSettings]) {
        let names: Vec<&str> = views.iter().map(ViewSettings::name).collect();
        self.change(|held| {
            (held.zone, held.has_schedule) = (zone, has_schedule(views));
            let ended = held.pauses.keep_views(&names);
            ended.iter().for_each(|pause| drop(told_of_end(pause, &held.pauses)));
        });
    }

    /// Looks at the clock.
    pub(super) fn look(&self) {
        self.change(|_| {});
    }

    /// Changes what decides, and puts in force what follows.
    fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        let undisturbed = self.versions.change();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut held);
        let ended = held.pauses.expire(self.clock.boot());
        ended.iter().for_each(|pause| drop(told_of_end(pause, &held.pauses)));
        let moment = Moment { paused: held.pauses.paused(), ..moment_at(self.clock.wall(), &held.zone) };
        drop(held);
        if self.service.set_moment(moment) {
            info!(event = "lists-in-force", "the lists that are in force have changed, by the clock or a pause");
        }
        drop(undisturbed);
        changed
    }

    pub(super) fn pause(&self, view: Option<String>, length: Duration) -> Value {
        if let Some(error) = view.as_deref().and_then(|view| self.why_no_view(view)) {
            return error;
        }
        let end = self.clock.boot() + length;
        self.change(|held| held.pauses.begin(view.clone(), end));
        let shown = self.shown(&Pause { view, end });
        info!(event = "lists-paused", "{}", shown["line"].as_str().unwrap_or_default());
        shown
    }

    /// Answers when the lists block again.
    pub(super) fn resume(&self, view: Option<&str>) -> Value {
        if let Some(error) = view.and_then(|view| self.why_no_view(view)) {
            return error;
        }
        let (ended, lines, left) = self.change(|held| {
            let ended = held.pauses.end(view);
            let lines: Vec<String> = ended.iter().map(|pause| told_of_end(pause, &held.pauses)).collect();
            (ended, lines, held.pauses.all().len())
        });
        match (ended.is_empty(), view) {
            // A view's pause may have ended under one of all clients.
            (false, Some(_)) => json!({ "line": lines.concat(), "ended": ended.len() }),
            (false, None) => json!({ "line": "lists block again", "ended": ended.len() }),
            (true, Some(view)) if left > 0 => {
                json!({ "error": format!("the view {view} has no pause of its own; `cairn list resume` ends every pause") })
            }
            (true, _) => json!({ "error": "there is no pause" }),
        }
    }

    fn why_no_view(&self, view: &str) -> Option<Value> {
        let snapshot = self.service.snapshot();
        let known: Vec<&str> = snapshot.policy.views.names().collect();
        let all = if known.is_empty() { "the configuration has none".to_owned() } else { format!("there are {}", known.join(", ")) };
        (!known.contains(&view)).then(|| json!({ "error": format!("there is no view with the name \"{view}\"; {all}") }))
    }

    fn shown(&self, pause: &Pause) -> Value {
        let left = pause.end.since(self.clock.boot()).as_secs();
        let zone = self.held.lock().unwrap_or_else(PoisonError::into_inner).zone.clone();
        let until = zone.local(WallTime(self.clock.wall().0.saturating_add(left))).to_string();
        let whom = pause.view.as_ref().map_or_else(|| "all clients".to_owned(), |view| format!("clients of the view {view}"));
        let line = format!("paused for {whom} until {until}: no list blocks anything");
        json!({ "pause": { "view": pause.view, "until": until, "seconds-left": left }, "line": line })
    }

    pub(super) fn status(&self) -> Vec<Value> {
        let pauses: Vec<Pause> = self.held.lock().unwrap_or_else(PoisonError::into_inner).pauses.all().to_vec();
        let now = self.clock.boot();
        let mut lines: Vec<Value> = pauses.iter().filter(|pause| pause.end > now).map(|pause| self.shown(pause)).collect();
        let snapshot = self.service.snapshot();
        for (at, name) in (1u8..).zip(snapshot.policy.views.names()) {
            let view = snapshot.policy.views.get(ViewId(at));
            for list in view.scheduled() {
                let times: Vec<String> = view.schedule_of(list).map(|rule| rule.times()).collect();
                let is_now = view.schedule_of(list).any(|rule| snapshot.moment.is_within(rule));
                let now = if is_now { "now" } else { "not now" };
                let line = format!("{list}  in force for clients of the view {name} {}: {now}", times.join(", "));
                lines.push(json!({ "schedule": { "view": name, "list": list, "times": times, "in-force": is_now }, "line": line }));
            }
        }
        lines
    }

    /// How long the thread may sleep; `None`: until something changes.
    pub(super) fn next_look(&self) -> Option<Duration> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let second = held.zone.local(self.clock.wall()).second();
        next_look(held.has_schedule.then_some(second), held.pauses.next_end(self.clock.boot()))
    }
}

/// `second`: of the present minute, where a schedule is to be watched.
fn next_look(second: Option<u8>, pause_ends: Option<Duration>) -> Option<Duration> {
    let minute = second.map(|second| Duration::from_secs(60u64.saturating_sub(u64::from(second)).max(1)));
    // A little later than the end, so that it is over then.
    let end = pause_ends.map(|end| end + Duration::from_millis(1));
    [minute, end].into_iter().flatten().min().map(|wait| wait.min(VIEWS_LOOK_INTERVAL))
}

fn has_schedule(views: &[ViewSettings]) -> bool {
    views.iter().any(|view| !view.schedule.is_empty())
}

/// Logs what follows; `left` are the pauses that go on.
fn told_of_end(pause: &Pause, left: &Pauses) -> String {
    let line = line_of_end(pause, left);
    info!(event = "pause-ended", view = pause.view, "{line}");
    line
}

pub(super) fn line_of_end(pause: &Pause, left: &Pauses) -> String {
    let paused = left.paused();
    match &pause.view {
        Some(view) if paused.all => format!("the pause of the view {view} has ended; the one of all clients goes on"),
        Some(view) => format!("the pause of the view {view} has ended: its lists block again"),
        None if paused.views.is_empty() => "the pause of all clients has ended: lists block again".to_owned(),
        None => format!("the pause of all clients has ended: lists block again, but not in {}", paused.views.join(", ")),
    }
}
