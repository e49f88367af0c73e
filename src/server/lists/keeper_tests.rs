//! The keeper as the server has it: starts, `cairn list update`, explanations.

use std::fs;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use super::copy::Copy;
use super::keeper::ListKeeper;
use crate::answer::{Parts, Service};
use crate::config::Settings;
use crate::env::{Random, RealClock};
use crate::explain::{Event, OnList};
use crate::limits::Limits;
use crate::record::{Name, Rtype};
use crate::server::command::Reply;
use crate::server::hosting::{RealDisk, Versions};
use crate::server::scratch::Scratch;

const ADS: &str = "[[list]]\nname = 'ads'\nsource = 'ads.txt'\n";

/// A server that begins now.
fn started(scratch: &Scratch, text: &str) -> (Arc<Service>, ListKeeper) {
    let file = scratch.path().join("cairn.toml").display().to_string();
    let settings = Settings::from_toml(text, &file).expect("valid");
    let lists = settings.lists.clone();
    let parts = Parts { settings, hints: Vec::new(), anchors: Arc::default(), zones: Arc::default(), own_addresses: Vec::new() };
    let service = Service::new(parts, Limits::default(), Arc::new(RealClock), &Random::from_seed(1));
    let versions = Arc::new(Versions::new(Arc::new(RealDisk), None, None));
    let keeper = ListKeeper::start(service.clone(), versions, Some(scratch.path().join("state")), &lists).expect("a thread");
    (service, keeper)
}

fn has(service: &Service, name: &str) -> bool {
    !service.snapshot().lists.find(Name::parse(name).expect("a name").as_wire(), Rtype::A).is_nothing()
}

/// A file that is cut short while no server runs does not take the place of its good copy; accepted, it does at once.
#[test]
fn a_file_that_is_cut_short_before_a_start() {
    let scratch = Scratch::new();
    let whole = "one.example\ntwo.example\nthree.example\n";
    scratch.write("ads.txt", whole);
    let copy = || fs::read_to_string(Copy::of("ads", &scratch.path().join("state")).path()).unwrap_or_default();
    started(&scratch, ADS).1.keep_copies();
    assert_eq!(copy(), whole);
    for _ in 0..2 {
        scratch.write("ads.txt", "one.example\n");
        let (service, keeper) = started(&scratch, ADS);
        keeper.keep_copies();
        assert_eq!((copy().as_str(), has(&service, "three.example")), (whole, true));
        let status = keeper.status();
        let problem = status[0]["problem"].as_str().unwrap_or_default();
        assert!(problem.contains("fewer than half of the 3 before (`cairn list update ads --accept` takes it over)"), "{problem}");
    }
    let (service, keeper) = started(&scratch, ADS);
    let (lines, mut told) = mpsc::channel(10);
    keeper.update(Some("ads".to_owned()), true, Reply(lines));
    let told: Vec<Value> = std::iter::from_fn(|| told.blocking_recv()).collect();
    assert!(told[0]["problem"].is_null() && told[1]["good"] == Value::Bool(true), "{told:?}");
    assert_eq!((copy().as_str(), has(&service, "one.example"), has(&service, "three.example")), ("one.example\n", true, false));
}

/// An explanation shows the line for the type that was asked and for the client's view.
#[test]
fn the_line_in_an_explanation() {
    let scratch = Scratch::new();
    scratch.write("ads.txt", "||a.example^\n||a.example^$dnstype=HTTPS,important\n||b.example^$important\n||b.example^\n");
    scratch.write("off.txt", "||b.example^$important,badfilter\n");
    let text =
        format!("{ADS}[[list]]\nname = 'off'\nsource = 'off.txt'\n[[view]]\nname = 'v'\nclients = ['192.0.2.0/24']\nlists = ['ads']\n");
    let (_, keeper) = started(&scratch, &text);
    for (name, rtype, client, expected) in [
        ("a.example.", "A", None, 1),
        ("a.example.", "HTTPS", None, 2),
        ("b.example.", "A", None, 4),
        ("b.example.", "A", Some("192.0.2.1"), 3),
    ] {
        let (list, verdict) = ("ads".to_owned(), "blocks".to_owned());
        let on_list = OnList { name: name.to_owned(), rtype: rtype.to_owned(), list, verdict, source: None, line: None, text: None };
        let mut event = Event::OnList(on_list);
        keeper.placing(client.map(|client| client.parse().expect(client)), None)(&mut event);
        let Event::OnList(placed) = event else { panic!("another event") };
        assert_eq!(placed.line, Some(expected), "{name} {rtype} {client:?}");
    }
}

/// A file is the operator's to repair; what has not been fetched yet comes by itself.
#[test]
fn a_new_list_that_is_not_read_is_told() {
    let scratch = Scratch::new();
    scratch.write("ads.txt", "one.example\n");
    let (_service, keeper) = started(&scratch, ADS);
    let more = "[[list]]\nname = 'far'\nsource = 'far.txt'\n[[list]]\nname = 'web'\nsource = 'http://192.0.2.1/web'\n";
    let file = scratch.path().join("cairn.toml").display().to_string();
    let settings = Settings::from_toml(&format!("{ADS}{more}"), &file).expect("valid");
    let problems = keeper.configure_files_alone(&settings.lists);
    let of_file = format!("list far: {}: there is no such file", scratch.path().join("far.txt").display());
    assert_eq!(problems.of_files, [of_file]);
    assert_eq!(problems.of_urls, ["list web: http://192.0.2.1/web has not been fetched yet, and there is no copy"]);
}
