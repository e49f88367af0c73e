//! Keeps the trust anchors: asks for the keys of trust points when they are due (RFC 5011), ends negative trust anchors (RFC
//! 7646), and saves both in the state folder, on a thread of its own.
//!
//! A damaged file is reported and ignored: trust then starts again from the configured or built-in anchors.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tracing::{error, info, warn};

use super::{local_root, state};
use crate::answer::{Service, Worker};
use crate::config::NegativeAnchor;
use crate::env::{Random, RealNet};
use crate::limits::server::TRUST_FILE_BYTES_MAX;
use crate::record::Name;
use crate::validate::{AlgorithmName, Date, KeyState, TrustPoints};

const NEGATIVE: &str = "negative-trust-anchors";
const NEGATIVE_TITLE: &str = "cairn negative trust anchors 1";
/// Timers do not run while a machine sleeps, and clocks are set: so the dates are checked this often.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Restores what an earlier run has saved.
pub(super) fn restore(service: &Service, folder: Option<&Path>) {
    let Some(folder) = folder else { return };
    let points = read(&folder.join(state::ANCHORS), TrustPoints::from_text).unwrap_or_default();
    let negatives = read(&folder.join(NEGATIVE), read_negatives).unwrap_or_default();
    service.resolve.restore_trust(points, negatives);
}

/// `None` if there is no such file, or no usable one.
fn read<T>(path: &Path, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
    let text = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Ok(meta) if !meta.is_file() || meta.len() > TRUST_FILE_BYTES_MAX => Err("not a file that Cairn wrote".to_owned()),
        _ => fs::read(path).map_err(|error| error.to_string()),
    };
    match text.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not text".to_owned())).and_then(|text| parse(&text)) {
        Ok(read) => Some(read),
        Err(reason) => {
            warn!("{} is not used, so the configured or built-in anchors are trusted: {reason}", path.display());
            None
        }
    }
}

fn read_negatives(text: &str) -> Result<Vec<NegativeAnchor>, String> {
    let mut lines = text.lines();
    if lines.next() != Some(NEGATIVE_TITLE) {
        return Err(format!("its first line is not \"{NEGATIVE_TITLE}\""));
    }
    let name = |text: &str| Name::parse(text).map_err(|error| error.to_string());
    let anchors = lines.map(|line| NegativeAnchor::parse(line, name)).collect::<Result<Vec<_>, _>>()?;
    match anchors.iter().any(|negative| negative.until.is_none()) {
        true => Err("a line has no end".to_owned()),
        false => Ok(anchors),
    }
}

/// Runs until the process ends. The returned handle wakes it when something has to be saved.
pub(super) fn keep(service: Arc<Service>, folder: Option<PathBuf>) -> io::Result<Arc<Notify>> {
    let wake = Arc::new(Notify::new());
    let woken = wake.clone();
    tell_endless(&service);
    thread::Builder::new().name("trust".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let randoms = || -> io::Result<_> { Ok((Random::from_system()?, Random::from_system()?)) };
        match runtime.and_then(|runtime| Ok((runtime, randoms()?))) {
            Ok((runtime, (random, random_of_copy))) => LocalSet::new().block_on(&runtime, async {
                tokio::task::spawn_local(local_root::keep(service.clone(), Rc::new(RealNet::default()), random_of_copy));
                let worker = Worker::new(service.clone(), Rc::new(RealNet::default()), random);
                let warming = worker.clone();
                tokio::task::spawn_local(async move { warming.keep_warm().await });
                keep_on(&service, &worker, folder.as_deref(), &woken).await;
            }),
            Err(error) => error!(%error, "trust anchors are not followed"),
        }
    })?;
    Ok(wake)
}

async fn keep_on(service: &Service, worker: &Worker, folder: Option<&Path>, wake: &Notify) {
    let mut is_new = false;
    loop {
        is_new |= service.tend_trust();
        let followed = worker.follow_anchors().await;
        for change in &followed.changes {
            info!("trust anchor: {change}");
        }
        for (point, why) in &followed.failed {
            warn!("trust anchor: could not refresh the {point} DNSKEY RRset: {why}");
        }
        if is_new || followed.is_new {
            save(service, folder);
        }
        let wait = service.resolve.next_tending().map_or(LOOK_AGAIN, |next| next.min(LOOK_AGAIN));
        is_new = tokio::time::timeout(wait + Duration::from_millis(100), wake.notified()).await.is_ok();
    }
}

fn save(service: &Service, folder: Option<&Path>) {
    let Some(folder) = folder else { return };
    let set: Vec<NegativeAnchor> =
        service.resolve.negative_anchors().into_iter().filter(|(_, added)| *added).map(|(negative, _)| negative).collect();
    let negatives: String = set.iter().map(|negative| format!("{negative}\n")).collect();
    for (name, text) in [(state::ANCHORS, service.resolve.trust_points().to_text()), (NEGATIVE, format!("{NEGATIVE_TITLE}\n{negatives}"))] {
        if let Err(error) = state::replace(&folder.join(name), text.as_bytes()) {
            warn!(%error, "{} could not be saved", folder.join(name).display());
        }
    }
}

/// RFC 7646 2: a negative trust anchor that nobody ends is forgotten, and leaves its name unprotected.
fn tell_endless(service: &Service) {
    for (negative, _) in service.resolve.negative_anchors().into_iter().filter(|(negative, _)| negative.until.is_none()) {
        info!("no validation at and below {}: its negative trust anchor has no end (\"{0} until DATE\" gives it one)", negative.name);
    }
}

/// Sets a negative trust anchor for this many seconds.
pub(super) fn add_negative(service: &Service, name: &Name, seconds: Option<u64>) -> Result<NegativeAnchor, String> {
    let limits = service.limits();
    let seconds = seconds.unwrap_or(limits.negative_anchor_s);
    if !(1..=limits.negative_anchor_most_s).contains(&seconds) {
        return Err("a negative trust anchor lasts from one second to one week (RFC 7646 2)".to_owned());
    }
    let negative = NegativeAnchor { name: name.clone(), until: Some(service.resolve.clock.wall().0.saturating_add(seconds)) };
    match service.resolve.add_negative_anchor(negative.clone()) {
        true => Ok(negative),
        false => Err(format!("there are already {}, which is the limit", limits.negative_anchors_added)),
    }
}

/// Negative trust anchors, one line each.
pub(super) fn negative_lines(service: &Service) -> Vec<Value> {
    let mut lines = Vec::new();
    for (negative, added) in service.resolve.negative_anchors() {
        let origin = if added { "set while running" } else { "configured" };
        lines.push(json!({ "line": format!("{negative}  ({origin})"), "name": negative.name.to_string(), "until": negative.until }));
    }
    if lines.is_empty() {
        lines.push(json!({ "line": "no negative trust anchors" }));
    }
    lines
}

/// Every key of every trust point, one line each.
pub(super) fn anchor_lines(service: &Service) -> Vec<Value> {
    let mut lines = Vec::new();
    for point in service.resolve.trust_points().iter() {
        let seen = if point.checked == 0 { "not seen yet".to_owned() } else { format!("last proved {}", Date(point.checked)) };
        lines.push(json!({ "line": format!("{}  {seen}", point.name), "point": point.name.to_string(), "checked": point.checked }));
        for key in &point.keys {
            let state = match key.state {
                KeyState::AddPend => format!("new, trusted from {} if it is still published", Date(key.until)),
                KeyState::Valid => "trusted".to_owned(),
                KeyState::Missing => "trusted, no longer published".to_owned(),
                KeyState::Revoked => "revoked by its owner".to_owned(),
                KeyState::Removed => "revoked and removed".to_owned(),
            };
            let since = if key.since == 0 { String::new() } else { format!(", since {}", Date(key.since)) };
            let origin = if key.configured { "configured or built in" } else { "learned" };
            let line = format!("  key {}  algorithm {}  {state} ({origin}{since})", key.key_tag(), AlgorithmName(key.algorithm()));
            lines.push(json!({ "line": line, "key_tag": key.key_tag(), "trusted": key.state.is_trusted() }));
        }
    }
    lines
}

/// The numbers of trusted keys, of keys that may become trusted, and of names that are not validated.
pub(super) fn rows(service: &Service) -> [(&'static str, u64); 3] {
    let points = service.resolve.trust_points();
    let count = |wanted: fn(KeyState) -> bool| points.iter().flat_map(|point| &point.keys).filter(|key| wanted(key.state)).count() as u64;
    [
        ("trust-anchors", count(KeyState::is_trusted)),
        ("trust-anchors-pending", count(|state| state == KeyState::AddPend)),
        ("negative-trust-anchors", service.resolve.negative_anchors().len() as u64),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::hosting::{RealDisk, Versions};
    use super::super::load::Sources;
    use super::super::load::StartOptions;
    use super::super::scratch::Scratch;
    use super::super::server::service_of;
    use super::*;
    use crate::limits::Limits;
    use std::os::unix::fs::PermissionsExt;

    fn service(scratch: &Scratch) -> Arc<Service> {
        let config =
            Some(scratch.write("cairn.toml", "[recursion]\nnegative-trust-anchors = ['corp.test', 'old.test until 2001-01-01']\n"));
        let sources = Sources::read(&StartOptions { config, ..StartOptions::default() }).expect("all is right");
        service_of(sources, &mut Versions::new(std::sync::Arc::new(RealDisk), None, None).change(), &[], Limits::default())
            .expect("a service")
    }

    fn lines(values: Vec<Value>) -> Vec<String> {
        values.into_iter().filter_map(|value| value["line"].as_str().map(str::to_owned)).collect()
    }

    #[test]
    fn what_is_trusted_outlives_a_restart() {
        let scratch = Scratch::new();
        let first = service(&scratch);
        let name = Name::parse("broken.test").expect("a name");
        add_negative(&first, &name, None).expect("an hour is fine");
        assert!(add_negative(&first, &name, Some(604_801)).expect_err("too long").contains("one week"));
        save(&first, Some(scratch.path()));
        for file in [state::ANCHORS, NEGATIVE] {
            let mode = fs::metadata(scratch.path().join(file)).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        let second = service(&scratch);
        restore(&second, Some(scratch.path()));
        assert_eq!(lines(negative_lines(&second)), lines(negative_lines(&first)));
        assert_eq!(rows(&second), [("trust-anchors", 2), ("trust-anchors-pending", 0), ("negative-trust-anchors", 2)]);
        assert!(lines(negative_lines(&second))[0].starts_with("corp.test.  (configured)"));
        assert!(second.resolve.remove_negative_anchor(&name) && !second.resolve.remove_negative_anchor(&name));
        let shown = lines(anchor_lines(&second));
        assert_eq!(shown[0], ".  not seen yet");
        assert_eq!(shown[1], "  key 20326  algorithm 8 (RSASHA256)  trusted (configured or built in)");
    }

    #[test]
    fn damaged_files_are_passed_over() {
        let scratch = Scratch::new();
        for (anchors, negatives) in
            [("", ""), ("cairn trust anchors 1\nend", "broken.test"), ("\u{0}", "cairn negative trust anchors 1\nx.test\n")]
        {
            scratch.write(state::ANCHORS, anchors);
            scratch.write(NEGATIVE, negatives);
            let service = service(&scratch);
            restore(&service, Some(scratch.path()));
            assert_eq!(rows(&service).map(|(_, count)| count), [2, 0, 1], "{anchors}");
        }
        scratch.write_bytes(state::ANCHORS, &[0xff; 100]);
        assert!(read(&scratch.path().join(state::ANCHORS), TrustPoints::from_text).is_none());
        assert!(read(scratch.path(), TrustPoints::from_text).is_none(), "a folder");
    }
}
