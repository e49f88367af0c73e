//! Lists that are fetched from scripted servers, in virtual time.

use std::cell::{Cell, RefCell};
use std::fs;
use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep};

use super::copy::Copy;
use super::fetcher::{Arrived, FetchOrder, Keeper};
use super::schedule::FetchState;
use crate::config::{HttpUrl, ListSettings, ListSource};
use crate::env::{BootTime, Clock, Random, WallTime};
use crate::server::fetch::{Act, Ca, Client, FakeWeb, Script, ok, script};
use crate::server::scratch::Scratch;

/// Follows tokio's clock; the wall clock begins at some day.
struct VirtualClock(Instant);

const FIRST_DAY: u64 = 1_790_000_000;

impl Clock for VirtualClock {
    fn boot(&self) -> BootTime {
        BootTime(self.0.elapsed().as_millis() as u64)
    }

    fn wall(&self) -> WallTime {
        WallTime(FIRST_DAY + self.0.elapsed().as_secs())
    }
}

fn list(name: &str, url: &str) -> ListSettings {
    ListSettings {
        name: Some(name.to_owned()),
        source: Some(ListSource::Url(HttpUrl::parse(url).expect("a URL"))),
        ..ListSettings::default()
    }
}

/// A fetcher with one state folder, and a table that takes what it is told to take.
struct World {
    scratch: Scratch,
    orders: mpsc::UnboundedSender<FetchOrder>,
    states: Arc<Mutex<Vec<FetchState>>>,
    /// The answer to what arrives; `None`: a panic.
    answer: Rc<RefCell<Option<Result<(), String>>>>,
    taken: Rc<Cell<usize>>,
}

impl World {
    fn start(web: FakeWeb) -> World {
        World::start_in(Scratch::new(), web)
    }

    fn start_in(scratch: Scratch, web: FakeWeb) -> World {
        let (orders, coming) = mpsc::unbounded_channel();
        let states = Arc::new(Mutex::new(Vec::new()));
        let answer = Rc::new(RefCell::new(Some(Ok(()))));
        let taken = Rc::new(Cell::new(0));
        let (folder, answered, count) = (scratch.path().to_owned(), answer.clone(), taken.clone());
        let hand_over = move |Arrived { list, path, facts, accepts_shorter, reply }: Arrived| {
            let answer = answered.borrow().clone().expect("a table");
            let answer = if accepts_shorter { Ok(()) } else { answer };
            if answer.is_ok() {
                Copy::of(list.name(), &folder).replace(&path, &facts).expect("room");
                count.set(count.get() + 1);
            }
            let _ = reply.send(answer);
        };
        let web = Rc::new(web);
        let Client { net, addresses, tls } = web.client(&Ca::new());
        let keeper = Keeper {
            client: Rc::new(Client { net, addresses, tls }),
            clock: Arc::new(VirtualClock(Instant::now())),
            random: Random::from_seed(7),
            state_folder: scratch.path().to_owned(),
            hand_over: Rc::new(Box::new(hand_over)),
            shown: states.clone(),
        };
        spawn_local(keeper.run(coming));
        World { scratch, orders, states, answer, taken }
    }

    fn configure(&self, lists: &[ListSettings]) {
        self.orders.send(FetchOrder::Configured(lists.to_vec())).map_err(|_| ()).expect("it runs");
    }

    /// What `cairn list update` waits for.
    async fn update(&self, names: &[&str], accepts_shorter: bool) -> Vec<(String, String)> {
        let (done, waiting) = oneshot::channel();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (states, meant) = (self.states.clone(), names.clone());
        let done = Box::new(move |failed| {
            let states = states.lock().expect("no panic");
            let is_ready = |state: &FetchState| !state.is_under_way && state.ended.is_some();
            assert!(states.iter().filter(|state| meant.iter().any(|name| name == state.settings.name())).all(is_ready), "{states:?}");
            done.send(failed).expect("the test waits");
        });
        self.orders.send(FetchOrder::Now { names, accepts_shorter, done }).map_err(|_| ()).expect("it runs");
        waiting.await.expect("an answer")
    }

    fn state(&self) -> FetchState {
        self.states.lock().expect("no panic")[0].clone()
    }

    fn problem(&self) -> Option<String> {
        self.state().ended.and_then(|ended| ended.problem)
    }

    fn copy(&self) -> Option<String> {
        fs::read_to_string(Copy::of("ads", self.scratch.path()).path()).ok()
    }
}

async fn run(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

const ADDRESS: &str = "192.0.2.1:80";

/// What the server does from now on.
type Now = Rc<RefCell<Vec<Act>>>;

/// A server whose response can be changed, and the last request.
fn changeable() -> (Script, Now, Rc<RefCell<String>>) {
    let (now, last) = (Now::default(), Rc::new(RefCell::new(String::new())));
    let (acts, seen) = (now.clone(), last.clone());
    let script = script(move |request| {
        *seen.borrow_mut() = request.to_owned();
        acts.borrow().clone()
    });
    (script, now, last)
}

fn sends(now: &Now, response: impl Into<Vec<u8>>) {
    *now.borrow_mut() = vec![Act::Send(response.into())];
}

#[tokio::test(start_paused = true)]
async fn fetched_at_once_then_asked_for_newer_data() {
    run(async {
        let (script, now, last) = changeable();
        sends(&now, ok("etag: \"one\"\r\n", "ads.example\n"));
        let world = World::start(FakeWeb::default().with(ADDRESS, script));
        world.configure(&[list("ads", "http://192.0.2.1/ads")]);
        sleep(Duration::from_secs(1)).await;
        assert_eq!((world.copy().as_deref(), world.problem(), world.taken.get()), (Some("ads.example\n"), None, 1));
        sends(&now, "HTTP/1.1 304 Not Modified\r\n\r\n");
        sleep(Duration::from_secs(86_400 * 11 / 10)).await;
        assert!(last.borrow().contains("if-none-match: \"one\""), "{}", last.borrow());
        let state = world.state();
        assert_eq!((state.ended.and_then(|ended| ended.http_status), world.taken.get()), (Some(304), 1));
        assert!(state.fetched > Some(WallTime(FIRST_DAY + 77_000)) && state.due.secs() > 2 * 77_000, "{:?}", state.due);
        // Somebody has removed the copy: all of it is asked for again.
        fs::remove_file(Copy::of("ads", world.scratch.path()).path()).expect("it is there");
        sends(&now, ok("", "more.example\n"));
        assert_eq!(world.update(&["ads"], false).await, []);
        assert!(!last.borrow().contains("if-none-match"), "{}", last.borrow());
        assert_eq!(world.copy().as_deref(), Some("more.example\n"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn failures_keep_the_copy_and_come_again() {
    run(async {
        let (script, now, _) = changeable();
        sends(&now, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
        let world = World::start(FakeWeb::new(&[("a.example", &["192.0.2.1"])]).with(ADDRESS, script));
        let ads = list("ads", "http://a.example/ads");
        world.configure(std::slice::from_ref(&ads));
        sleep(Duration::from_secs(8)).await;
        assert_eq!(world.problem().as_deref(), Some("the server answers with HTTP status 503"));
        assert_eq!((world.state().failures, world.copy()), (1, None));
        sends(&now, ok("", "ads.example\n"));
        sleep(Duration::from_secs(14)).await;
        assert_eq!((world.state().failures, world.copy().as_deref()), (0, Some("ads.example\n")));
        sends(&now, ok("content-type: text/html\r\n", "<html>"));
        assert_eq!(world.update(&["ads"], false).await, [("ads".to_owned(), "the server sends text/html, which is no list".to_owned())]);
        *world.answer.borrow_mut() = Some(Err("its source has 1 names now".to_owned()));
        sends(&now, ok("", "b.example\n"));
        assert_eq!(world.update(&["ads"], false).await, [("ads".to_owned(), "its source has 1 names now".to_owned())]);
        assert_eq!((world.copy().as_deref(), world.state().failures), (Some("ads.example\n"), 1), "both were asked for");
        assert!(!Copy::of("ads", world.scratch.path()).path().with_extension("new").exists());
        // The look-up fails too.
        let other = list("ads", "http://b.example/ads");
        world.configure(&[other]);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.problem().as_deref(), Some("the address of b.example could not be looked up: SERVFAIL"));
        assert_eq!(world.copy().as_deref(), Some("ads.example\n"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_told_when_all_have_ended() {
    run(async {
        let (script, now, _) = changeable();
        sends(&now, ok("", "ads.example\n"));
        let world = World::start(FakeWeb::default().with(ADDRESS, script));
        let lists = [list("ads", "http://192.0.2.1/ads"), list("slow", "http://192.0.2.2/"), list("dead", "http://192.0.2.3:1/")];
        world.configure(&lists);
        let begun = Instant::now();
        let (some, all) = tokio::join!(world.update(&["ads"], false), world.update(&["ads", "slow", "dead"], false));
        assert_eq!((some.len(), begun.elapsed().as_secs()), (0, 15));
        let expected = [
            ("dead".to_owned(), "no connection to 192.0.2.3:1: connection refused".to_owned()),
            ("slow".to_owned(), "it did not come within 15 seconds".to_owned()),
        ];
        assert_eq!(all, expected);
        assert_eq!(world.update(&["other"], false).await, [("other".to_owned(), "it is not in the configuration".to_owned())]);
        // A list that goes out of the configuration is waited for no longer.
        let (gone, ()) = tokio::join!(world.update(&["slow"], false), async {
            sleep(Duration::from_secs(1)).await;
            world.configure(&lists[..1]);
        });
        assert_eq!(gone, [("slow".to_owned(), "it is not in the configuration any more".to_owned())]);
    })
    .await;
}

/// A copy of an earlier run is renewed when it is due, and not before.
#[tokio::test(start_paused = true)]
async fn a_restart_with_a_copy() {
    run(async {
        let (script, now, last) = changeable();
        sends(&now, ok("etag: \"one\"\r\n", "ads.example\n"));
        let ads = list("ads", "http://192.0.2.1/ads");
        let world = World::start(FakeWeb::default().with(ADDRESS, script.clone()));
        world.configure(std::slice::from_ref(&ads));
        sleep(Duration::from_secs(3_600)).await;
        assert_eq!(world.taken.get(), 1);
        let World { scratch, orders, .. } = world;
        drop(orders);
        last.borrow_mut().clear();
        let world = World::start_in(scratch, FakeWeb::default().with(ADDRESS, script));
        world.configure(std::slice::from_ref(&ads));
        sleep(Duration::from_secs(70_000)).await;
        assert!(last.borrow().is_empty());
        sleep(Duration::from_secs(30_000)).await;
        assert!(last.borrow().contains("if-none-match: \"one\""));
        // The copy of another URL is replaced at once.
        sends(&now, ok("", "b.example\n"));
        world.configure(&[list("ads", "http://192.0.2.1/b")]);
        sleep(Duration::from_secs(1)).await;
        assert!(last.borrow().starts_with("GET /b ") && !last.borrow().contains("if-none-match"), "{}", last.borrow());
        assert_eq!(world.copy().as_deref(), Some("b.example\n"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_of_one_fetch() {
    run(async {
        let (script, now, _) = changeable();
        sends(&now, ok("", "ads.example\n"));
        let world = World::start(FakeWeb::default().with(ADDRESS, script));
        *world.answer.borrow_mut() = None;
        world.configure(&[list("ads", "http://192.0.2.1/ads")]);
        assert_eq!(world.update(&["ads"], false).await, [("ads".to_owned(), "a fault in Cairn itself; the log has more".to_owned())]);
        *world.answer.borrow_mut() = Some(Ok(()));
        assert_eq!(world.update(&["ads"], false).await, []);
    })
    .await;
}

/// Somebody who accepts a list that has become shorter waits for a fetch that knows it, also where another one is under way.
#[tokio::test(start_paused = true)]
async fn a_shorter_list_is_accepted_while_it_is_fetched() {
    run(async {
        let (script, now, _) = changeable();
        let slowly = |now: &Now| *now.borrow_mut() = vec![Act::Drip(ok("", "b.example\n"), Duration::from_millis(20))];
        slowly(&now);
        let world = World::start(FakeWeb::default().with(ADDRESS, script));
        *world.answer.borrow_mut() = Some(Err("its source has 1 names now".to_owned()));
        world.configure(&[list("ads", "http://192.0.2.1/ads")]);
        sleep(Duration::from_millis(100)).await;
        assert!(world.state().is_under_way);
        let (plain, accepted) = tokio::join!(world.update(&["ads"], false), world.update(&["ads"], true));
        assert_eq!((plain.len(), accepted.len(), world.copy().as_deref()), (0, 0, Some("b.example\n")), "{plain:?} {accepted:?}");
        // What fails otherwise fails once more, and no third time.
        let count = world.taken.get();
        sends(&now, "HTTP/1.1 404 Gone\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(world.update(&["ads"], true).await.len(), 1);
        assert_eq!((world.taken.get(), world.state().failures), (count, 1));
    })
    .await;
}

/// A server that is busy is left alone for as long as it says.
#[tokio::test(start_paused = true)]
async fn a_busy_server() {
    run(async {
        let (script, now, last) = changeable();
        sends(&now, "HTTP/1.1 429 Busy\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n");
        let world = World::start(FakeWeb::default().with(ADDRESS, script));
        world.configure(&[list("ads", "http://192.0.2.1/ads")]);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.problem().as_deref(), Some("the server answers with HTTP status 429"));
        sends(&now, ok("", "ads.example\n"));
        last.borrow_mut().clear();
        sleep(Duration::from_secs(3_590)).await;
        assert!(last.borrow().is_empty());
        sleep(Duration::from_secs(20)).await;
        assert_eq!(world.copy().as_deref(), Some("ads.example\n"));
    })
    .await;
}
