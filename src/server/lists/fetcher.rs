//! Fetches the lists that have a URL when they are due, on a thread of its own, and hands over what has come.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tracing::{error, info, warn};

use super::copy::{Copy, CopyFacts};
use super::schedule::{Ended, FetchState, Schedule};
use crate::answer::Service;
use crate::config::{HttpUrl, ListSettings, ListSource};
use crate::env::{Clock, Random, RealNet, WallTime};
use crate::server::fetch::{Client, FetchError, Fetched, OwnResolver, Request, RetryAfter, tls_from_files};
use crate::server::priority;

/// The longest sleep: timers do not run while a machine sleeps.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Data of a list that lies complete beside its copy.
pub(super) struct Arrived {
    pub(super) list: ListSettings,
    pub(super) path: PathBuf,
    pub(super) facts: CopyFacts,
    /// It may have far fewer names than the copy, or none.
    pub(super) accepts_shorter: bool,
    /// Whether it is in force, or why not.
    pub(super) reply: oneshot::Sender<Result<(), String>>,
}

/// Takes over what has arrived.
pub(super) type HandOver = Box<dyn Fn(Arrived)>;

/// Is told which of the lists could not be fetched, or were not taken over, and why.
pub(super) type Done = Box<dyn FnOnce(Vec<(String, String)>) + Send>;

pub(super) enum FetchOrder {
    /// The lists of the configuration.
    Configured(Vec<ListSettings>),
    /// Fetch these now.
    Now {
        names: Vec<String>,
        accepts_shorter: bool,
        done: Done,
    },
    NetworkChanged,
}

/// The thread that fetches.
pub(super) struct Fetcher {
    orders: mpsc::UnboundedSender<FetchOrder>,
    states: Arc<Mutex<Vec<FetchState>>>,
}

impl Fetcher {
    pub(super) fn start(service: Arc<Service>, state_folder: PathBuf, hand_over: impl Fn(Arrived) + Send + 'static) -> io::Result<Fetcher> {
        let (orders, coming) = mpsc::unbounded_channel();
        let states = Arc::new(Mutex::new(Vec::new()));
        let shown = states.clone();
        thread::Builder::new().name("fetch".to_owned()).spawn(move || {
            let _ = priority::give_way();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let parts = runtime.and_then(|runtime| Ok((runtime, Random::from_system()?, Random::from_system()?)));
            let (runtime, random, random_of_queries) = match parts {
                Ok(parts) => parts,
                Err(error) => return error!(%error, "lists are not fetched"),
            };
            let clock = service.resolve.clock.clone();
            LocalSet::new().block_on(&runtime, async {
                let net = Rc::new(RealNet::default());
                let addresses = Rc::new(OwnResolver::new(service, net.clone(), random_of_queries));
                let client = Rc::new(Client { net, addresses, tls: tls_from_files(clock.clone()) });
                let keeper = Keeper { client, clock, random, state_folder, hand_over: Rc::new(Box::new(hand_over)), shown };
                keeper.run(coming).await;
            });
        })?;
        Ok(Fetcher { orders, states })
    }

    pub(super) fn order(&self, order: FetchOrder) {
        if let Err(refused) = self.orders.send(order)
            && let FetchOrder::Now { names, done, .. } = refused.0
        {
            done(names.into_iter().map(|name| (name, "the thread that fetches lists has ended".to_owned())).collect());
        }
    }

    pub(super) fn states(&self) -> Vec<FetchState> {
        self.shown()()
    }

    /// How the fetches stand when this is called.
    pub(super) fn shown(&self) -> impl Fn() -> Vec<FetchState> + Send + 'static {
        let states = self.states.clone();
        move || states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the thread works with.
pub(super) struct Keeper {
    pub(super) client: Rc<Client>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Random,
    pub(super) state_folder: PathBuf,
    pub(super) hand_over: Rc<HandOver>,
    /// For whoever asks how the fetches go.
    pub(super) shown: Arc<Mutex<Vec<FetchState>>>,
}

/// Whoever waits for some fetches.
struct Waiting {
    left: Vec<String>,
    failed: Vec<(String, String)>,
    accepts_shorter: bool,
    done: Done,
}

impl Keeper {
    /// Runs until the sender of the orders is gone.
    pub(super) async fn run(self, mut orders: mpsc::UnboundedReceiver<FetchOrder>) {
        let mut schedule = Schedule::default();
        let mut waiting: Vec<Waiting> = Vec::new();
        let (ended_sender, mut ended) = mpsc::unbounded_channel::<(ListSettings, Ended)>();
        loop {
            let now = self.clock.boot();
            for list in schedule.begin(now) {
                self.begin(list, &waiting, ended_sender.clone());
            }
            self.show(&schedule);
            let wait = schedule.next().map_or(LOOK_AGAIN, |due| due.since(now).min(LOOK_AGAIN));
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    None => return,
                    Some(FetchOrder::Configured(lists)) => {
                        let fetched = |list: &ListSettings| known(list, &self.state_folder).map(|facts| facts.fetched());
                        schedule.configure(&lists, &fetched, (self.clock.boot(), self.clock.wall()), &self.random);
                        self.show(&schedule);
                        let is_there = |name: &String| schedule.states().any(|state| state.settings.name() == name);
                        let gone: Vec<String> = waiting.iter().flat_map(|waiting| &waiting.left).filter(|name| !is_there(name)).cloned().collect();
                        gone.iter().for_each(|name| tell(&mut waiting, name, Some("it is not in the configuration any more")));
                    }
                    Some(FetchOrder::Now { names, accepts_shorter, done }) => {
                        let is_there = |name: &String| schedule.states().any(|state| state.settings.name() == name);
                        let (left, unknown): (Vec<String>, Vec<String>) = names.into_iter().partition(is_there);
                        schedule.ask(&left, self.clock.boot());
                        let failed = unknown.into_iter().map(|name| (name, "it is not in the configuration".to_owned())).collect();
                        waiting.push(Waiting { left, failed, accepts_shorter, done });
                        tell(&mut waiting, "", None);
                    }
                    Some(FetchOrder::NetworkChanged) => schedule.network_changed(self.clock.boot()),
                },
                Some((list, end)) = ended.recv() => {
                    let (problem, accepted) = (end.problem.clone(), end.accepts_shorter);
                    schedule.ended(&list, end, self.clock.boot(), &self.random);
                    // A fetch that was under way when somebody came who accepts a shorter list did not know that.
                    if problem.is_some() && !accepted && accepts_shorter(&waiting, list.name()) {
                        schedule.ask(&[list.name().to_owned()], self.clock.boot());
                        self.show(&schedule);
                        continue;
                    }
                    // Whoever is told next looks at how it went.
                    self.show(&schedule);
                    // A fetch of settings that have changed meanwhile is followed by another one.
                    let is_due = schedule.states().any(|state| state.settings.name() == list.name() && state.settings.source != list.source);
                    if !is_due {
                        tell(&mut waiting, list.name(), problem.as_deref());
                    }
                },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn show(&self, schedule: &Schedule) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = schedule.states().cloned().collect();
    }

    fn begin(&self, list: ListSettings, waiting: &[Waiting], ended: mpsc::UnboundedSender<(ListSettings, Ended)>) {
        let (client, clock, folder, hand_over) =
            (self.client.clone(), self.clock.clone(), self.state_folder.clone(), self.hand_over.clone());
        let accepts_shorter = accepts_shorter(waiting, list.name());
        spawn_local(async move {
            let of_list = list.clone();
            let begun = clock.clone();
            let fetching = spawn_local(async move { fetch(&client, &*begun, &of_list, &folder, &**hand_over, accepts_shorter).await });
            // A panic must not end the thread.
            let outcome = fetching.await.unwrap_or_else(|_| Outcome::failed(&FetchError::Failed));
            log(&list, &outcome);
            let Outcome { http_status, problem, retry_after } = outcome;
            let at = clock.wall();
            let retry_after_s = retry_after.map(|retry| retry.wait_s(at));
            let _ = ended.send((list, Ended { at, http_status, problem, retry_after_s, accepts_shorter }));
        });
    }
}

/// Whether somebody waits for this list who takes it over however short it is.
fn accepts_shorter(waiting: &[Waiting], name: &str) -> bool {
    waiting.iter().any(|waiting| waiting.accepts_shorter && waiting.left.iter().any(|left| left == name))
}

/// One list has ended: whoever waits for no other one is told.
fn tell(waiting: &mut Vec<Waiting>, name: &str, problem: Option<&str>) {
    for waiting in waiting.iter_mut().filter(|waiting| waiting.left.iter().any(|left| left == name)) {
        waiting.left.retain(|left| left != name);
        waiting.failed.extend(problem.map(|problem| (name.to_owned(), problem.to_owned())));
    }
    for ready in waiting.extract_if(.., |waiting| waiting.left.is_empty()) {
        (ready.done)(ready.failed);
    }
}

struct Outcome {
    http_status: Option<u16>,
    problem: Option<String>,
    retry_after: Option<RetryAfter>,
}

impl Outcome {
    fn of(http_status: u16, problem: Option<String>) -> Outcome {
        Outcome { http_status: Some(http_status), problem, retry_after: None }
    }

    fn failed(error: &FetchError) -> Outcome {
        Outcome { http_status: error.http_status(), problem: Some(error.to_string()), retry_after: error.retry_after() }
    }
}

fn log(list: &ListSettings, outcome: &Outcome) {
    let (name, source) = (list.name(), list.source.as_ref().map(ToString::to_string).unwrap_or_default());
    match (&outcome.problem, outcome.http_status) {
        (Some(problem), _) => warn!(event = "list-not-fetched", list = name, "list {name}: {source}: {problem}"),
        (None, Some(304)) => info!(event = "list-fetched", list = name, "list {name}: {source} has nothing newer"),
        (None, _) => info!(event = "list-fetched", list = name, "list {name}: fetched from {source}"),
    }
}

/// The facts of a copy that came from the URL that the list has now.
fn known(list: &ListSettings, state_folder: &Path) -> Option<CopyFacts> {
    let url = url(list)?.to_string();
    Copy::of(list.name(), state_folder).facts().filter(|facts| facts.url == url)
}

fn url(list: &ListSettings) -> Option<&HttpUrl> {
    match &list.source {
        Some(ListSource::Url(url)) => Some(url),
        _ => None,
    }
}

async fn fetch(
    client: &Client,
    clock: &dyn Clock,
    list: &ListSettings,
    state_folder: &Path,
    hand_over: &dyn Fn(Arrived),
    accepts_shorter: bool,
) -> Outcome {
    let failed = |error: FetchError| Outcome::failed(&error);
    let Some(url) = url(list) else { return failed(FetchError::Failed) };
    let copy = Copy::of(list.name(), state_folder);
    let known = known(list, state_folder);
    // A copy of another URL says nothing of how long this list should be.
    let is_of_other_url = copy.facts().is_some_and(|facts| facts.url != url.to_string());
    let mut arriving = copy.arriving();
    let request = Request { url, ca: list.ca.as_deref(), validators: known.as_ref().map(|facts| &facts.validators) };
    let WallTime(now) = clock.wall();
    let validators = match (client.fetch(&request, &mut arriving).await, known) {
        (Err(error), _) => return failed(error),
        (Ok(Fetched::NotModified), None) => return failed(FetchError::NotModifiedUnasked),
        (Ok(Fetched::NotModified), Some(facts)) => {
            let kept = copy.keep(&CopyFacts { fetched: now, ..facts });
            return Outcome::of(304, kept.err().map(|error| FetchError::NotWritten(error.to_string()).to_string()));
        }
        (Ok(Fetched::Data(validators)), _) => validators,
    };
    let bytes = match arriving.complete() {
        Ok(bytes) => bytes,
        Err(error) => return failed(FetchError::NotWritten(error.to_string())),
    };
    let facts = CopyFacts { url: url.to_string(), validators, bytes, fetched: now, file: None };
    let (reply, taken) = oneshot::channel();
    let accepts_shorter = accepts_shorter || is_of_other_url;
    hand_over(Arrived { list: list.clone(), path: arriving.path().to_owned(), facts, accepts_shorter, reply });
    let taken = taken.await.unwrap_or_else(|_| Err("the thread that looks after lists has ended".to_owned()));
    Outcome::of(200, taken.err())
}
