//! Plays every scenario in `tests/scenarios`. `CAIRN_SCENARIOS=DIR` plays the files of that folder instead,
//! `CAIRN_SCENARIO=WORD` only files whose name contains the word.

use std::fs;
use std::path::{Path, PathBuf};

use super::rpl::{Scenario, play};
use super::sim::engine::is_cairn;

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");

#[test]
fn scenarios_come_out_as_written() {
    let foreign = std::env::var_os("CAIRN_SCENARIOS");
    let mut files = Vec::new();
    collect(foreign.as_deref().map_or(Path::new(OWN), Path::new), &mut files);
    if let Ok(word) = std::env::var("CAIRN_SCENARIO") {
        files.retain(|file| file.to_string_lossy().contains(&word));
    }
    files.sort();
    assert!(!files.is_empty(), "no scenarios");
    let failed: Vec<String> = files.iter().filter_map(|file| run(file).err()).collect();
    let passed = files.len() - failed.len();
    assert!(failed.is_empty(), "{}\n{passed} of {} passed", failed.join("\n"), files.len());
}

fn run(file: &Path) -> Result<(), String> {
    let text = String::from_utf8_lossy(&fs::read(file).expect("a file that can be read")).into_owned();
    let label = file.strip_prefix(OWN).unwrap_or(file).display().to_string();
    // The reference walker has no cache: it plays what needs none.
    if !is_cairn() && label.starts_with("cache") {
        return Scenario::parse(&label, &text).map(|_| ()).map_err(|why| format!("{label}: {why}"));
    }
    play(&label, &text)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder that can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rpl") {
            files.push(path);
        }
    }
}

/// The player must be able to fail: each of these is wrong in one place.
#[test]
fn a_wrong_scenario_fails() {
    let text = fs::read_to_string(Path::new(OWN).join("walk/plain.rpl")).expect("a scenario");
    assert_eq!(play("right", &text), Ok(()));
    let expected = text.find("CHECK_ANSWER").expect("a check");
    let (servers, check) = text.split_at(expected);
    for (from, to, says) in [
        ("198.51.100.1", "198.51.100.2", "missing {www.one.example. 3600 IN A 198.51.100.2}"),
        ("NOERROR", "NXDOMAIN", "NOERROR, expected NXDOMAIN"),
        ("QR RD RA", "QR AA RD RA", "flags differ: -AA"),
        ("MATCH all", "MATCH all ttl", ""),
        ("3600 IN A", "1800 IN A", ""),
        ("MATCH all", "MATCH all ede=22", "EDE [], expected 22"),
        ("ENTRY_END", "SECTION AUTHORITY\none.example. IN SOA . . 1 1 1 1 1\nENTRY_END", "authority section has no"),
    ] {
        let result = play("wrong", &format!("{servers}{}", check.replacen(from, to, 1)));
        match says {
            "" => assert_eq!(result, Ok(()), "{from} -> {to}"),
            says => assert!(result.as_ref().is_err_and(|why| why.contains(says)), "{from} -> {to}: {result:?}"),
        }
    }
    let both = format!("{servers}{}", check.replacen("MATCH all", "MATCH all ttl", 1).replacen("3600 IN A", "1800 IN A", 1));
    assert!(play("wrong", &both).is_err_and(|why| why.contains("expected 1800") && why.contains("asked of servers")));
    let silent = text.replace("ADDRESS 192.0.2.11", "ADDRESS 192.0.2.12");
    assert!(play("wrong", &silent).is_err_and(|why| why.contains("SERVFAIL, expected NOERROR")));
    assert!(play("wrong", "server:\nCONFIG_END\nSCENARIO_BEGIN\nNONSENSE\n").is_err_and(|why| why.contains("cannot be read")));
}
