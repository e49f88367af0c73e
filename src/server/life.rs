//! What a running server tells of itself: since when it runs, where it listens, what its last reload did, and which settings
//! wait for a restart.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::load::Sources;
use crate::config::{AfterRestart, Problem, Settings, after_restart, in_force};
use crate::env::{BootTime, Clock, RealClock};
use crate::listen::{Encrypted, EncryptedAddr};

pub(super) struct Life {
    began: BootTime,
    /// The settings that the process was started with.
    started: Settings,
    /// What this process may do, in words.
    privileges: String,
    present: Mutex<Present>,
}

struct Present {
    /// As read last without mistakes.
    settings: Settings,
    config_file: Option<PathBuf>,
    listening: Vec<SocketAddr>,
    encrypted: Vec<EncryptedAddr>,
    unusable_files: Vec<Problem>,
    last_reload: Option<(BootTime, ReloadReport)>,
}

impl Present {
    /// Whole: whoever reads it is in another folder.
    fn config_path(&self) -> Option<String> {
        let file = self.config_file.as_ref()?;
        Some(std::path::absolute(file).unwrap_or_else(|_| file.clone()).display().to_string())
    }
}

/// How a reload ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ReloadReport {
    /// Everything that the files say is in force, or waits for a restart by its kind.
    pub(super) good: bool,
    pub(super) lines: Vec<String>,
}

impl Life {
    pub(super) fn new(sources: &Sources, listening: &[SocketAddr], privileges: String) -> Life {
        let present = Present {
            settings: sources.settings.clone(),
            config_file: sources.config_file.clone(),
            listening: listening.to_vec(),
            encrypted: Vec::new(),
            unusable_files: sources.unusable_files.clone(),
            last_reload: None,
        };
        Life { began: RealClock.boot(), started: sources.settings.clone(), privileges, present: Mutex::new(present) }
    }

    /// The keys of these settings that wait for a restart.
    pub(super) fn after_restart(&self, settings: &Settings) -> Vec<AfterRestart> {
        after_restart(&self.started, settings)
    }

    pub(super) fn listen_in_force(&self) -> Option<Vec<SocketAddr>> {
        self.present().settings.server.listen.clone()
    }

    pub(super) fn took_over(&self, sources: &Sources, listening: &[SocketAddr]) {
        let mut present = self.present();
        present.settings = sources.settings.clone();
        present.config_file.clone_from(&sources.config_file);
        present.listening = listening.to_vec();
        present.unusable_files.clone_from(&sources.unusable_files);
    }

    /// Where encrypted transports are served now.
    pub(super) fn serves_encrypted(&self, addrs: &[EncryptedAddr]) {
        self.present().encrypted = addrs.to_vec();
    }

    pub(super) fn reloaded(&self, report: &ReloadReport) {
        self.present().last_reload = Some((RealClock.boot(), report.clone()));
    }

    /// `of_engine`: zones, network, cache.
    pub(super) fn status(&self, of_engine: Map<String, Value>) -> Value {
        let present = self.present();
        let seconds_since = |time: BootTime| RealClock.boot().since(time).as_secs();
        let waiting = self.after_restart(&present.settings).into_iter();
        let waiting: Vec<Value> =
            waiting.map(|key| json!({ "key": key.key, "in-force": key.in_force, "after-restart": key.after_restart })).collect();
        let last_reload = present
            .last_reload
            .as_ref()
            .map(|(time, report)| json!({ "seconds-ago": seconds_since(*time), "good": report.good, "lines": report.lines }));
        let mut status = Map::new();
        let unusable: Vec<String> = present.unusable_files.iter().map(ToString::to_string).collect();
        let listening: Vec<String> = present.listening.iter().map(ToString::to_string).collect();
        let encrypted = |over: Encrypted| -> Vec<String> {
            present.encrypted.iter().filter(|at| at.over == over).map(|at| at.addr.to_string()).collect()
        };
        for (key, value) in [
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("process", json!(std::process::id())),
            ("uptime-seconds", json!(seconds_since(self.began))),
            ("configuration", json!(present.config_path())),
            ("listening-on", json!(listening)),
            ("listening-tls", json!(encrypted(Encrypted::Tls))),
            ("listening-https", json!(encrypted(Encrypted::Https))),
            ("https-path", json!(present.settings.server.https_path)),
            ("privileges", json!(self.privileges)),
        ] {
            status.insert(key.to_owned(), value);
        }
        status.extend(of_engine);
        status.insert("unusable-files".to_owned(), json!(unusable));
        status.insert("last-reload".to_owned(), json!(last_reload));
        status.insert("after-restart".to_owned(), json!(waiting));
        Value::Object(status)
    }

    /// Each setting as it is in force, a line each.
    pub(super) fn settings(&self) -> Vec<Value> {
        let present = self.present();
        let first = json!({ "configuration": present.config_path() });
        let keys = in_force(&self.started, &present.settings).into_iter();
        [first].into_iter().chain(keys.map(|(key, value)| json!({ "key": key, "in-force": value }))).collect()
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
