//! Files that change, break and vanish.

use std::fs;

use super::assemble::{Assembled, Wish, assemble};
use super::copy::Copy;
use super::which_tests::Asking;
use crate::config::{ListSettings, Settings};
use crate::env::WallTime;
use crate::policy::{ListId, Lists};
use crate::record::{Name, Rtype};
use crate::server::scratch::Scratch;

pub(super) fn settings(scratch: &Scratch, text: &str) -> Vec<ListSettings> {
    let file = scratch.path().join("cairn.toml").display().to_string();
    Settings::from_toml(text, &file).expect("valid").lists
}

pub(super) const TWO: &str = "[[list]]\nname = 'ads'\nsource = 'ads.txt'\n[[list]]\nname = 'more'\nsource = 'more.txt'\n";

fn has(lists: &Lists, name: &str) -> bool {
    !lists.find(Name::parse(name).expect("a name").as_wire(), Rtype::A).is_nothing()
}

pub(super) fn names(count: usize) -> String {
    (0..count).map(|at| format!("h{at}.example\n")).collect()
}

/// The next table after `before`, with what is wrong.
pub(super) fn next(scratch: &Scratch, text: &str, before: &Assembled) -> (Assembled, Vec<String>) {
    let made = assemble(&settings(scratch, text), &before.states, &before.lists, [1, 2], Some(scratch.path()), &|_| Wish::default())
        .expect("few names");
    let problems = made.states.iter().filter_map(|state| state.told()).collect();
    (made, problems)
}

pub(super) fn nothing() -> Assembled {
    Assembled { lists: Lists::default(), states: Vec::new(), refused: Vec::new() }
}

#[test]
fn what_has_changed_is_read_and_what_is_broken_stays() {
    let scratch = Scratch::new();
    scratch.write("ads.txt", &names(10));
    scratch.write("more.txt", "more.example\n");
    let (first, problems) = next(&scratch, TWO, &nothing());
    assert_eq!(problems, [""; 0]);
    assert_eq!((first.lists.count(ListId(0)), first.lists.count(ListId(1))), (10, 1));
    // A longer file is read, the other is taken over.
    scratch.write("ads.txt", &names(11));
    let (second, problems) = next(&scratch, TWO, &first);
    assert_eq!((problems.len(), second.lists.count(ListId(0)), has(&second.lists, "more.example")), (0, 11, true));
    for (text, expected) in [
        (
            names(5),
            "has 5 names now, fewer than half of the 11 before (`cairn list update ads --accept` takes it over), so it stays as it was read before",
        ),
        ("<!DOCTYPE html>\n<a>h1.example</a>\n".to_owned(), "is a web page, and no list, so it stays as it was read before"),
    ] {
        scratch.write("ads.txt", &text);
        let (third, problems) = next(&scratch, TWO, &second);
        assert!(problems.len() == 1 && problems[0].ends_with(expected), "{problems:?}");
        assert_eq!((third.lists.count(ListId(0)), has(&third.lists, "h10.example")), (11, true));
        // It is told until the file is right.
        assert_eq!(next(&scratch, TWO, &third).1, problems);
    }
    fs::remove_file(scratch.path().join("ads.txt")).expect("it is there");
    let (gone, problems) = next(&scratch, TWO, &second);
    assert!(problems[0].ends_with("ads.txt: there is no such file, so it stays as it was read before"), "{problems:?}");
    assert!(has(&gone.lists, "h10.example"));
    // Never read, it has nothing to stay.
    let (none, problems) = next(&scratch, TWO, &nothing());
    assert!(problems[0].ends_with("ads.txt: there is no such file"), "{problems:?}");
    assert_eq!((none.lists.count(ListId(0)), none.lists.count(ListId(1))), (0, 1));
}

#[test]
fn another_order_and_another_meaning() {
    let scratch = Scratch::new();
    scratch.write("ads.txt", &names(10));
    scratch.write("more.txt", "more.example\n");
    let (first, _) = next(&scratch, TWO, &nothing());
    let other = "[[list]]\nname = 'more'\nsource = 'more.txt'\nmatch = 'subtree'\n[[list]]\nname = 'ads'\nsource = 'ads.txt'\n";
    let (second, problems) = next(&scratch, other, &first);
    assert_eq!((problems.len(), second.lists.count(ListId(0)), second.lists.count(ListId(1))), (0, 1, 10));
    assert!(!has(&first.lists, "x.more.example") && has(&second.lists, "x.more.example"));
    assert!(has(&second.lists, "h3.example"));
}

#[test]
fn a_url_is_read_from_its_copy() {
    let scratch = Scratch::new();
    let text = "[[list]]\nname = 'a/b'\nsource = 'https://lists.example/ads'\n";
    let (none, problems) = next(&scratch, text, &nothing());
    assert_eq!(problems, ["list a/b: https://lists.example/ads has not been fetched yet, and there is no copy"]);
    scratch.write("lists/a%2fb", "ads.example\n");
    let (copy, problems) = next(&scratch, text, &none);
    assert_eq!((problems.len(), has(&copy.lists, "ads.example")), (0, true));
}

/// What was fetched is read from beside the copy, and refused as a whole or not at all.
#[test]
fn what_arrives_takes_the_place_of_the_copy_if_it_is_a_list() {
    let scratch = Scratch::new();
    let text = "[[list]]\nname = 'ads'\nsource = 'https://lists.example/ads'\n[[list]]\nname = 'more'\nsource = 'more.txt'\n";
    scratch.write("more.txt", "more.example\n");
    let arrived = |before: &Assembled, data: &str, accepts_shorter: bool| {
        let path = scratch.write("lists/ads.new", data);
        let wish = |name: &str| match name {
            "ads" => Wish { anew: true, accepts_shorter, arrived: Some(path.clone()) },
            _ => Wish::default(),
        };
        assemble(&settings(&scratch, text), &before.states, &before.lists, [1, 2], Some(scratch.path()), &wish).expect("few names")
    };
    let (none, _) = next(&scratch, text, &nothing());
    for (data, expected) in [
        ("", "no name is in its 0 lines (`cairn list update ads --accept` takes it over)"),
        ("# nothing\n", "no name is in its 1 lines (`cairn list update ads --accept` takes it over)"),
        ("{\"error\": \"rate limit\"}\n", "no name is in its 1 lines (`cairn list update ads --accept` takes it over)"),
        ("<!doctype html>\n<a>h1.example</a>\n", "what was fetched is a web page, and no list"),
        ("h\0.\0e\0\n\0", "what was fetched is in UTF-16, and lists are in UTF-8 (`iconv -f UTF-16 -t UTF-8` converts it)"),
    ] {
        let made = arrived(&none, data, false);
        assert_eq!(made.refused, [("ads".to_owned(), expected.to_owned())]);
        let ads = &made.states[0];
        assert_eq!((ads.is_loaded, made.lists.count(ListId(0)), made.lists.count(ListId(1))), (false, 0, 1));
        assert!(ads.problem.as_ref().is_some_and(|problem| problem.ends_with("has not been fetched yet, and there is no copy")));
    }
    let first = arrived(&none, &names(10), false);
    assert_eq!((first.refused.len(), first.lists.count(ListId(0)), first.states[0].problem.as_ref()), (0, 10, None));
    fs::rename(scratch.path().join("lists/ads.new"), scratch.path().join("lists/ads")).expect("it is there");
    assert_eq!(next(&scratch, text, &first).0.states[0].seen, first.states[0].seen, "the copy is what was read");
    let half = arrived(&first, &names(4), false);
    let expected = "its source has 4 names now, fewer than half of the 10 before (`cairn list update ads --accept` takes it over)";
    assert_eq!(half.refused, [("ads".to_owned(), expected.to_owned())]);
    assert_eq!((half.lists.count(ListId(0)), half.states[0].seen, half.states[0].problem.as_ref()), (10, first.states[0].seen, None));
    let accepted = arrived(&half, &names(4), true);
    assert_eq!((accepted.refused.len(), accepted.lists.count(ListId(0))), (0, 4));
    assert_eq!(arrived(&half, "# nothing\n", true).lists.count(ListId(0)), 0);
}

/// A start at which a file is missing or broken has the names that the file had when it was read last.
#[test]
fn a_file_that_is_broken_at_the_start() {
    let scratch = Scratch::new();
    scratch.write("more.txt", "more.example\n");
    let path = scratch.write("ads.txt", &names(3));
    let (first, _) = next(&scratch, TWO, &nothing());
    let version = first.states[0].seen.expect("it was read");
    let copy = Copy::of("ads", scratch.path());
    copy.keep_file(&path, version, WallTime(7)).expect("room");
    let written = fs::metadata(copy.path()).expect("a copy").modified().expect("a time");
    copy.keep_file(&path, version, WallTime(8)).expect("room");
    assert_eq!(
        (copy.facts().map(|facts| facts.fetched), fs::metadata(copy.path()).expect("a copy").modified().ok()),
        (Some(7), Some(written))
    );
    let told = ", so the copy of what was read before the start is used";
    let shorter = |names: u32| {
        format!("its source has {names} names now, fewer than half of the 3 before (`cairn list update ads --accept` takes it over)")
    };
    for (data, problem) in [
        (None, "ads.txt: there is no such file".to_owned()),
        (Some("<!doctype html>\n<a>h1.example</a>\n"), "is a web page, and no list".to_owned()),
        (Some(""), shorter(0)),
        (Some("# nothing\n"), shorter(0)),
        (Some("h1.example\n"), shorter(1)),
    ] {
        match data {
            None => fs::remove_file(&path).expect("it is there"),
            Some(data) => drop(scratch.write("ads.txt", data)),
        }
        let (started, problems) = next(&scratch, TWO, &nothing());
        assert!(problems.len() == 1 && problems[0].ends_with(&format!("{problem}{told}")), "{problems:?}");
        assert_eq!(
            (started.lists.count(ListId(0)), has(&started.lists, "h2.example"), has(&started.lists, "more.example")),
            (3, true, true)
        );
        // Whatever way the path is written.
        let (same, _) = next(&scratch, &TWO.replace("'ads.txt'", "'./ads.txt'"), &nothing());
        assert!(has(&same.lists, "h2.example"));
        // It stays so at a reload, and until the file is right.
        let (again, problems) = next(&scratch, TWO, &started);
        assert!(problems.len() == 1 && problems[0].ends_with(told) && has(&again.lists, "h2.example"), "{problems:?}");
        let told = Asking::new(TWO).which("h2.example", &again, Some(scratch.path()));
        assert_eq!((told["rules"][0]["text"].as_str(), told["not-read"].as_array().map(Vec::len)), (Some("h2.example"), Some(0)));
        // What a person has made shorter is taken over when that person says so.
        if let Some(text) = data.filter(|text| !text.starts_with('<')) {
            let accepts = |_: &str| Wish { anew: true, accepts_shorter: true, arrived: None };
            let accepted =
                assemble(&settings(&scratch, TWO), &again.states, &again.lists, [1, 2], Some(scratch.path()), &accepts).expect("few names");
            assert_eq!((accepted.states[0].told(), accepted.states[0].is_from_copy), (None, false));
            assert_eq!(accepted.lists.count(ListId(0)), text.lines().filter(|line| !line.starts_with('#')).count() as u64);
        }
        scratch.write("ads.txt", &names(4));
        let (mended, problems) = next(&scratch, TWO, &again);
        assert_eq!((problems.len(), mended.lists.count(ListId(0)), mended.states[0].is_from_copy), (0, 4, false));
    }
    // A copy of another file says nothing, and a version that is gone is not kept as this one.
    fs::remove_file(&path).expect("it is there");
    let other = TWO.replace("ads.txt", "other.txt");
    let (none, problems) = next(&scratch, &other, &nothing());
    assert!(problems.len() == 1 && problems[0].ends_with("other.txt: there is no such file"), "{problems:?}");
    assert_eq!(none.lists.count(ListId(0)), 0);
    let path = scratch.write("ads.txt", &names(5));
    copy.keep_file(&path, version, WallTime(9)).expect("room");
    assert_eq!(copy.facts().map(|facts| facts.fetched), Some(7));
}
