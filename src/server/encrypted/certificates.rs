//! Keeps the certificate in force: both files are looked at every two seconds, and a new pair that parses and matches replaces the
//! old one. Until then the old one stays, so that half of a renewal costs no connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};
use tracing::{info, warn};

use crate::config::Problem;
use crate::env::{BootTime, Clock, WallTime};
use crate::limits::server::{CERTIFICATE_LOOK_INTERVAL, CERTIFICATE_WARNING_INTERVAL};
use crate::listen::Tls;
use crate::policy::name_in_certificate;
use crate::record::Name;
use crate::server::load::{Certificate, CertificateFiles, Stamps, date};

pub(in crate::server) struct CertificateKeeper {
    tls: Tls,
    clock: Arc<dyn Clock>,
    /// Told of the first name in each certificate that comes in force, and when there is none any more.
    on_change: OnChange,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    files: Option<CertificateFiles>,
    in_force: Option<Certificate>,
    /// What the files looked like before they were last read.
    seen: Option<Stamps>,
    /// The files in force have been read by a look: what a start reads with the rights of root may be out of reach afterwards.
    is_in_reach: bool,
    /// Why the files as they are now are not in force, and whether that is in the log.
    problem: Option<(String, bool)>,
    /// When it was last told that the certificate expires soon.
    told: Option<BootTime>,
    is_watched: bool,
}

type OnChange = Box<dyn Fn(Option<&Name>) + Send + Sync>;

impl CertificateKeeper {
    pub(in crate::server) fn new(tls: Tls, clock: Arc<dyn Clock>, on_change: OnChange) -> Arc<CertificateKeeper> {
        Arc::new(CertificateKeeper { tls, clock, on_change, held: Mutex::default() })
    }

    /// Takes what a start or a reload has read. Without `[tls]` there is no certificate any more, and nothing is told of one.
    pub(in crate::server) fn configure(self: &Arc<Self>, files: Option<CertificateFiles>, read: Option<Certificate>) {
        let mut held = self.held();
        held.files = files;
        if let Some(certificate) = read {
            held.seen = Some(certificate.stamps);
            held.is_in_reach = false;
            // The start or the reload tells of its dates.
            held.told = Some(self.clock.boot());
            self.put_in_force(&mut held, certificate);
        }
        if held.files.is_none() {
            held.in_force = None;
            (self.on_change)(None);
        }
        if held.files.is_some() && !held.is_watched {
            let keeper = Arc::clone(self);
            let watching = thread::Builder::new().name("certificate".to_owned()).spawn(move || {
                loop {
                    thread::sleep(CERTIFICATE_LOOK_INTERVAL);
                    keeper.look();
                }
            });
            match watching {
                Ok(_) => held.is_watched = true,
                Err(error) => warn!(%error, "no thread for the certificate: a new one is taken over by a reload"),
            }
        }
    }

    fn put_in_force(&self, held: &mut Held, certificate: Certificate) {
        self.tls.show(Arc::clone(&certificate.key));
        (self.on_change)(name_in_certificate(&certificate.summary.names).as_ref());
        held.in_force = Some(certificate);
        held.problem = None;
    }

    /// One look at the files.
    fn look(&self) {
        let mut held = self.held();
        let Some(files) = held.files.clone() else { return };
        let stamps = files.stamps();
        let is_changed = held.seen.replace(stamps) != Some(stamps);
        if is_changed || held.problem.is_some() || !held.is_in_reach {
            match files.read() {
                Ok(certificate) if held.in_force.as_ref().is_some_and(|before| before.key.cert == certificate.key.cert) => {
                    held.is_in_reach = true;
                    held.problem = None;
                }
                Ok(certificate) => {
                    held.is_in_reach = true;
                    let until = date(certificate.summary.not_after);
                    info!(event = "certificate", "a new certificate is in force: {}, until {until}", files.certificate.display());
                    held.told = None;
                    self.put_in_force(&mut held, certificate);
                }
                Err(problems) => self.refused(&mut held, is_changed, &problems),
            }
        }
        self.tell_of_dates(&mut held);
    }

    /// One of the two files is often written before the other: only what is still wrong at the next look is told.
    fn refused(&self, held: &mut Held, is_changed: bool, problems: &[Problem]) {
        let what = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let is_told = held.problem.as_ref().is_some_and(|(before, is_told)| *is_told && *before == what);
        if !is_changed && !is_told {
            warn!(event = "certificate", "the files of [tls] are not taken over, the old certificate stays: {what}");
        }
        held.problem = Some((what, !is_changed));
    }

    fn tell_of_dates(&self, held: &mut Held) {
        let now = self.clock.boot();
        if held.told.is_some_and(|told| now.since(told) < CERTIFICATE_WARNING_INTERVAL) {
            return;
        }
        if let Some(problem) = held.in_force.as_ref().and_then(|certificate| certificate.warning(self.clock.wall())) {
            warn!(event = "certificate", "{problem}");
        }
        held.told = Some(now);
    }

    /// For `cairn status`; null: no certificate.
    /// When the certificate in force ends.
    pub(in crate::server) fn ends(&self) -> Option<WallTime> {
        let held = self.held();
        held.in_force.as_ref().filter(|_| held.files.is_some()).map(|certificate| certificate.summary.not_after)
    }

    pub(in crate::server) fn status(&self) -> Value {
        let held = self.held();
        let Some(certificate) = held.in_force.as_ref().filter(|_| held.files.is_some()) else { return Value::Null };
        let now = self.clock.wall();
        json!({
            "file": certificate.files.certificate.display().to_string(),
            "names": certificate.summary.names,
            "not-after": date(certificate.summary.not_after),
            "not-after-seconds": certificate.summary.not_after.0,
            "days-left": certificate.summary.not_after.0.saturating_sub(now.0) / 86_400,
            "warning": certificate.warning(now).map(|problem| problem.what.trim_start_matches("warning: ").to_owned()),
            "problem": held.problem.as_ref().map(|(what, _)| what),
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::env::RealClock;
    use crate::server::scratch::Scratch;

    fn made(name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (parameters.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    #[test]
    fn a_new_pair_replaces_the_old_one_when_it_is_whole() {
        let scratch = Scratch::new();
        let ((first, first_key), (second, second_key)) = (made("first.example"), made("second.example"));
        let files = CertificateFiles { certificate: scratch.write("cert.pem", &first), key: scratch.write("key.pem", &first_key) };
        let keeper = CertificateKeeper::new(Tls::new(7).expect("TLS"), Arc::new(RealClock), Box::new(|_| ()));
        // Not `configure`: the looks are this test's.
        let read = files.read().expect("a good pair");
        keeper.held().files = Some(files);
        keeper.put_in_force(&mut keeper.held(), read);
        let shown = || {
            keeper.look();
            let status = keeper.status();
            (status["names"][0].as_str().map(str::to_owned).unwrap_or_default(), status["problem"].is_string())
        };
        assert_eq!(shown(), ("first.example".to_owned(), false));
        scratch.write("cert.pem", &second);
        assert_eq!(shown(), ("first.example".to_owned(), true), "the key is still the old one");
        assert_eq!(shown(), ("first.example".to_owned(), true));
        scratch.write("key.pem", &second_key);
        assert_eq!(shown(), ("second.example".to_owned(), false));
        fs::remove_file(scratch.path().join("key.pem")).expect("it is there");
        assert_eq!(shown(), ("second.example".to_owned(), true));
        scratch.write("key.pem", &second_key);
        assert_eq!(shown(), ("second.example".to_owned(), false));
        // A renewal by a link that is turned, as some clients of certificate authorities make it.
        let (third, third_key) = made("third.example");
        scratch.write("new/cert.pem", &third);
        scratch.write("new/key.pem", &third_key);
        for name in ["cert.pem", "key.pem"] {
            fs::remove_file(scratch.path().join(name)).expect("it is there");
            std::os::unix::fs::symlink(scratch.path().join("new").join(name), scratch.path().join(name)).expect("a link");
        }
        assert_eq!(shown(), ("third.example".to_owned(), false));
    }

    /// A keeper whose looks are the test's.
    fn keeper(files: &CertificateFiles) -> Arc<CertificateKeeper> {
        let keeper = CertificateKeeper::new(Tls::new(7).expect("TLS"), Arc::new(RealClock), Box::new(|_| ()));
        keeper.held().is_watched = true;
        keeper.configure(Some(files.clone()), Some(files.read().expect("a good pair")));
        keeper
    }

    #[test]
    fn the_first_name_of_a_server_is_told() {
        let names = ["192.0.2.1", "2001:db8::1", "*.example.org", "dns.example.org", "other.example.org"].map(str::to_owned);
        assert_eq!(name_in_certificate(&names), Name::parse("dns.example.org").ok());
        assert_eq!(name_in_certificate(&names[..3]), None);
    }

    #[test]
    fn without_files_there_is_no_name_any_more() {
        let scratch = Scratch::new();
        let (certificate, key) = made("first.example");
        let files = CertificateFiles { certificate: scratch.write("cert.pem", &certificate), key: scratch.write("key.pem", &key) };
        let (tell, told) = std::sync::mpsc::channel();
        let on_change = Box::new(move |name: Option<&Name>| tell.send(name.map(ToString::to_string)).expect("the test listens"));
        let keeper = CertificateKeeper::new(Tls::new(7).expect("TLS"), Arc::new(RealClock), on_change);
        keeper.held().is_watched = true;
        let configure = |files: Option<&CertificateFiles>| {
            keeper.configure(files.cloned(), files.map(|files| files.read().expect("a good pair")));
            told.try_iter().last().expect("a change is told")
        };
        assert_eq!(configure(Some(&files)).as_deref(), Some("first.example."));
        assert_eq!(configure(None), None);
        assert_eq!(configure(Some(&files)).as_deref(), Some("first.example."));
    }

    #[test]
    fn a_change_while_the_files_are_read_is_not_lost() {
        let scratch = Scratch::new();
        let ((first, first_key), (second, second_key)) = (made("first.example"), made("second.example"));
        let files = CertificateFiles { certificate: scratch.write("cert.pem", &first), key: scratch.write("key.pem", &first_key) };
        let keeper = CertificateKeeper::new(Tls::new(7).expect("TLS"), Arc::new(RealClock), Box::new(|_| ()));
        keeper.held().is_watched = true;
        let read = files.read().expect("a good pair");
        scratch.write("cert.pem", &second);
        scratch.write("key.pem", &second_key);
        keeper.configure(Some(files), Some(read));
        keeper.held().is_in_reach = true;
        keeper.look();
        assert_eq!(keeper.status()["names"][0], "second.example");
    }

    #[test]
    fn files_that_a_look_cannot_reach_are_told_and_cost_nothing() {
        let scratch = Scratch::new();
        let (certificate, key) = made("first.example");
        let files = CertificateFiles { certificate: scratch.write("tls/cert.pem", &certificate), key: scratch.write("tls/key.pem", &key) };
        let keeper = keeper(&files);
        let away = scratch.path().join("away");
        fs::rename(scratch.path().join("tls"), &away).expect("it is there");
        // As after the rights of root have been given up: nothing changes from one look to the next.
        keeper.held().seen = Some(files.stamps());
        keeper.look();
        keeper.look();
        let status = keeper.status();
        assert_eq!(status["names"][0], "first.example");
        assert!(status["problem"].as_str().is_some_and(|what| what.contains("cert.pem")), "{status}");
        assert!(keeper.held().problem.as_ref().is_some_and(|(_, is_told)| *is_told));
        fs::rename(&away, scratch.path().join("tls")).expect("it is there");
        keeper.look();
        assert_eq!(keeper.status()["problem"], Value::Null);
    }
}
